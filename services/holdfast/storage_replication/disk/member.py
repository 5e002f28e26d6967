"""One member's disk: the data, and the files beside it."""

import contextlib
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from holdfast.storage_replication.disk import superblock as superblocks
from holdfast.storage_replication.disk import undo as undo_log
from holdfast.storage_replication.disk.activity import ActivityLog
from holdfast.storage_replication.disk.bitmap import PAGE, Bitmap, pages_for
from holdfast.storage_replication.disk.errors import DiskRefused
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.disk.superblock import Superblock
from holdfast.storage_replication.disk.undo import UndoLog
from holdfast.storage_replication.interfaces import DataFile, Done, Store

ACTIVITY = "activity"
INSTANCE = "instance"


class MemberDisk:
    """Opened by one process at a time. Methods raise OSError."""

    def __init__(
        self, store: Store, file: DataFile, superblock: Superblock, undo_limit: int
    ) -> None:
        self.store, self.file, self.superblock = store, file, superblock
        self.geometry = superblock.geometry
        self.instance = (store.read(INSTANCE) or b"").decode("ascii", "replace").strip()
        """Which copy this is, says the service that made it; empty: it did not."""
        self._undo_limit = undo_limit
        bits = self._bitmap(ACTIVITY, self.geometry.extents(superblock.size))
        bits.load()
        self.activity = ActivityLog(bits, 0, self.fail)
        self.undo: UndoLog | None = None
        self.undo_rotted = False
        """It was there when the disk was opened, and had lost something: it was given up."""
        self.failed = 0
        """The errno after which this disk is not used any more."""
        self.on_failure: Callable[[int], None] = lambda _error: None
        self.blank = 0
        """Behind the volume's end there are zeroes up to here, durably."""
        self.clearing = False
        """More of them are being written."""
        self.clear_error = 0
        """Why the last attempt did not succeed."""
        self.on_cleared: Callable[[], None] = lambda: None
        """An attempt has ended."""

    def change(self, **fields: Any) -> None:
        """Change the superblock; durable on return."""
        changed = replace(self.superblock, **fields)
        if changed != self.superblock:
            superblocks.save(self.store, changed)
            self.superblock = changed

    def fail(self, error: int) -> None:
        """The disk has lost or refused something: nothing on it is to be trusted from now on."""
        if self.failed:
            return
        self.failed = error
        self.note_failure()
        self.on_failure(error)

    def note_failure(self) -> None:
        """The next process reads what the disk has, perhaps less than this one said it had: that is
        noted durably, or tried again with the next call."""
        if self.failed and self.superblock.intact:
            with contextlib.suppress(OSError):
                self.change(intact=False)

    def open_map(self, member: str) -> Bitmap:
        """The dirty map of a member as it is on disk; whoever calls knows whether it is valid."""
        bits = self._bitmap(f"dirty.{member}", self.geometry.chunks(self.superblock.size))
        bits.load()
        return bits

    def confirm(self, done: Done) -> None:
        """Wait for it before anything else is done with this disk.

        A process that died may have left pages of these files written but not synced, or written
        and refused by the disk: we have read them, a power loss would forget them. This writes and
        makes durable what we rely on.
        """

        def activity_saved(error: int) -> None:
            if error or self.undo is None:
                done(error)
            else:
                self.undo.sync(done)

        self.activity.bits.save(activity_saved)

    def open_undo(self) -> UndoLog:
        """The undo log of the current resync."""
        file = self.store.open(undo_log.NAME, self._undo_limit)
        self.undo = UndoLog(file, self.superblock.resyncs, self.geometry)
        return self.undo

    def lose_fallback(self) -> None:
        """There is nothing whole to go back to, durably; the resync goes on. Raises OSError."""
        self.change(fallback=False)
        self.drop_undo()

    def drop_undo(self) -> None:
        """There is nothing to go back to any more."""
        self.undo = None
        self.store.remove(undo_log.NAME)

    def grow(self, size: int, **fields: Any) -> None:
        """The volume has `size` bytes from now on; the data file has them already, and zeroes
        there. `fields` of the superblock change with it.

        New pages of the activity log that do not become durable count as all active.
        """
        self.change(size=size, **fields)
        count = self.geometry.extents(size)
        file = self.store.open(ACTIVITY, pages_for(count) * PAGE)
        self.activity.bits.grow(file, count)

    def shrink(self, size: int, **fields: Any) -> None:
        """Its primary has no more: what is behind is not the volume's, and worth nothing.

        Marks of it stay: they cost nothing, and whoever grows again compares too much at most.
        """
        if size < self.superblock.size:
            self.blank = 0
            fields["size"] = size
        self.change(**fields)

    def grow_map(self, member: str, bits: Bitmap) -> None:
        """A dirty map follows the volume's size."""
        count = self.geometry.chunks(self.superblock.size)
        bits.grow(self.store.open(f"dirty.{member}", pages_for(count) * PAGE), count)

    def close(self, done: Done) -> None:
        """Make everything durable and remember that it is. Without it nothing is lost either."""

        def synced(error: int) -> None:
            if error:
                self.fail(error)
            elif not self.failed:
                self.change(clean=True)
            done(error)

        self.file.sync(synced)

    def _bitmap(self, name: str, count: int) -> Bitmap:
        file = self.store.open(name, pages_for(count) * PAGE)
        return Bitmap(file, count, f"{self.superblock.uuid}/{name}")


def create(
    store: Store, file: DataFile, *, uuid: str, member: str, size: int, geometry: Geometry
) -> None:
    """Make a member on an empty folder; it has never been in sync. Raises DiskRefused, OSError."""
    if superblocks.load(store, member) is not None:
        raise DiskRefused(
            "there is a member already",
            place=member,
            cure="open it, or remove its folder if the volume it belonged to is gone",
        )
    _require_room(file, size, member)
    count = geometry.extents(size)
    bits = Bitmap(store.open(ACTIVITY, pages_for(count) * PAGE), count, f"{uuid}/{ACTIVITY}")
    bits.fill(False)
    # Not waited for: a page that does not arrive counts as all active.
    bits.save(lambda _error: None)
    new = Superblock(uuid=uuid, member=member, size=size, geometry=geometry)
    superblocks.save(store, new)


def open_member(
    store: Store, file: DataFile, *, place: str, boot: str, undo_limit: int
) -> MemberDisk:
    """Open what `create` made; `MemberDisk.confirm` comes next.

    `boot` tells whether the page cache has survived; `undo_limit` is in bytes.
    Raises DiskRefused, OSError.
    """
    found = superblocks.load(store, place)
    if found is None:
        raise DiskRefused(
            "no member of a volume", place=place, cure="create the volume, or add this node to it"
        )
    _require_room(file, found.size, place)
    kept = found.clean or found.boot in ("", boot)
    found = replace(found, boot=boot, clean=False, intact=found.intact and kept)
    # Also if nothing changed: what we read may have been written, but not synced, by a process
    # that died.
    superblocks.save(store, found)
    disk = MemberDisk(store, file, found, undo_limit)
    if not found.resyncing:
        disk.drop_undo()
    elif found.fallback and disk.open_undo().rotten:
        disk.lose_fallback()
        disk.undo_rotted = True
    return disk


def _require_room(file: DataFile, size: int, place: str) -> None:
    if file.size < size:
        raise DiskRefused(
            f"the data has {file.size} bytes, the volume {size}",
            place=place,
            cure="enlarge the file or device to at least the volume's size",
        )
