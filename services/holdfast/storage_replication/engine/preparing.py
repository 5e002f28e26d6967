"""What must be durable on a replica before it changes its data.

Its extents are active (V5) and, in a resync, what is overwritten is in the undo log (V6): from
BEGIN, which makes durable what it may go back to, until SETTLED.
"""

import contextlib
from collections.abc import Callable, Iterable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.disk.undo import UndoLog
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.engine.ports import Event, FallbackLost

_BATCH = 256
"""Chunks prepared at a time."""


def prepared(disk: MemberDisk, frame: Frame) -> bool:
    """Whether the extents of a write are active and, in a resync, its chunks saved."""
    active, extent = disk.activity.active, disk.geometry.extent
    last = frame.offset + frame.length - 1
    for index in range(frame.offset // extent, last // extent + 1):
        if index not in active:
            return False
    undo, chunk = disk.undo, disk.geometry.chunk
    return undo is None or all(
        index in undo.saved for index in range(frame.offset // chunk, last // chunk + 1)
    )


class Gate:
    """Closed while that becomes durable; frames wait. `opened` is called when it is over."""

    def __init__(
        self, disk: MemberDisk, report: Callable[[Event], None], opened: Callable[[], None]
    ) -> None:
        self._disk, self._report, self._opened = disk, report, opened
        self.closed = False
        self.life = 0
        """Rises with each primary that is accepted; what began in an earlier one is void."""

    def reset(self) -> None:
        """Another primary is accepted, or nobody is followed any more."""
        self.life += 1
        self.closed = False

    def begin(self, in_place: bool) -> None:
        """A comparison begins; unless it is in place, behind an undo log."""
        disk = self._disk
        if in_place:
            # The record counts on us: a resync that was under way is complete.
            disk.change(resyncing=False, fallback=False)
            disk.drop_undo()
        elif not disk.superblock.resyncing:
            # What we may go back to must itself survive a power loss.
            self.closed = True
            life = self.life
            disk.file.sync(lambda error: self._consistent(life, error))

    def _consistent(self, life: int, error: int) -> None:
        disk = self._disk
        if error:
            disk.fail(error)
        elif life == self.life and not disk.failed:
            try:
                disk.drop_undo()
                disk.change(resyncing=True, fallback=True, resyncs=disk.superblock.resyncs + 1)
                disk.open_undo()
            except OSError as failed:
                disk.fail(failed.errno or 5)
                return
            self._open()

    def settled(self, seq: int) -> None:
        """We have everything, and the record counts on us. Raises OSError."""
        self._disk.change(resyncing=False, fallback=False, intact=True)
        self._disk.drop_undo()
        self._disk.activity.settle(seq)

    def prepare(self, queue: Iterable[tuple[Frame, bytes]]) -> None:
        """For the first frames of those that wait, which is not prepared."""
        self.closed = True
        life = self.life
        extents, chunks = _wanted(self._disk, queue)
        if extents:
            self._disk.activity.activate(extents, lambda: self._activated(life, chunks))
        else:
            self._activated(life, chunks)

    def _activated(self, life: int, chunks: list[int]) -> None:
        if life != self.life or self._disk.failed:
            return
        undo = self._disk.undo
        new = [c for c in chunks if undo is not None and c not in undo.saved]
        try:
            if undo is None or not new:
                self._open()
            elif not undo.room_for(len(new)) or (old := _contents(self._disk, new)) is None:
                self._lose_fallback()
                self._open()
            else:
                undo.save(old, lambda error: self._saved(life, undo, error))
        except OSError as error:
            self._disk.fail(error.errno or 5)

    def _saved(self, life: int, undo: UndoLog, error: int) -> None:
        try:
            # Also in a later life: what this log has lost would be missing when going back.
            if error and undo is self._disk.undo:
                self._lose_fallback()
        except OSError as failed:
            self._disk.fail(failed.errno or 5)
            return
        if life == self.life:
            self._open()

    def _lose_fallback(self) -> None:
        self._disk.lose_fallback()
        self._report(FallbackLost())

    def _open(self) -> None:
        self.closed = False
        self._opened()


def _wanted(disk: MemberDisk, queue: Iterable[tuple[Frame, bytes]]) -> tuple[list[int], list[int]]:
    """Extents that are not active and chunks of all that waits, up to a bound: so one sync serves
    many."""
    extents: dict[int, None] = {}
    chunks: dict[int, None] = {}
    geometry = disk.geometry
    for frame, _ in queue:
        if frame.kind not in (Kind.WRITE, Kind.ZERO):
            continue
        if len(chunks) >= _BATCH:
            break
        last = frame.offset + frame.length - 1
        extents |= dict.fromkeys(
            range(frame.offset // geometry.extent, last // geometry.extent + 1)
        )
        chunks |= dict.fromkeys(range(frame.offset // geometry.chunk, last // geometry.chunk + 1))
    return [extent for extent in extents if extent not in disk.activity.active], list(chunks)


def _contents(disk: MemberDisk, chunks: list[int]) -> dict[int, bytes] | None:
    """What they hold now; None: one cannot be read, so there is nothing whole to go back to."""
    step, size = disk.geometry.chunk, disk.superblock.size
    with contextlib.suppress(OSError):
        return {
            chunk: bytes(disk.file.pread(chunk * step, min(step, size - chunk * step)))
            for chunk in chunks
        }
    return None
