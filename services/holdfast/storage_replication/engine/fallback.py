"""Going back to the last consistent state of a member whose resync cannot be completed."""

import errno
from collections.abc import Callable, Iterator

from holdfast.errors import HoldfastError
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.ports import Event, FallbackLost
from holdfast.storage_replication.engine.progress import Progress
from holdfast.storage_replication.interfaces import Done

BATCH = 256
"""Chunks in one turn of the loop: others have theirs in between, for all may take hours."""

Soon = Callable[[Callable[[], None]], object]
"""Calls it in a later turn of the loop."""


class FallbackRefused(HoldfastError):
    """There is nothing to go back to. Says why, and what else there is."""


class GoingBack:
    """Undoes what a resync overwrote; durable when done, and repeated after a crash if it was not.

    Nobody else uses the disk meanwhile. The record must not count on this member. Its extents
    become active, so that whoever is compared with it finds what was undone. Nothing is undone
    unless all of the log is whole: with a part, the data would be a mixture.
    """

    def __init__(self, disk: MemberDisk, report: Callable[[Event], None], soon: Soon) -> None:
        """Raises FallbackRefused."""
        if not (disk.superblock.resyncing and disk.superblock.fallback) or disk.undo is None:
            raise refused(disk)
        self._disk, self._undo = disk, disk.undo
        self._report, self._soon = report, soon
        # Saved behind the end of a volume that is smaller now: nobody's.
        self._count = disk.geometry.chunks(disk.superblock.size)
        # Read once to see that it is whole, and once more to be written.
        self.progress = Progress(2 * len(self._undo.saved) * disk.geometry.chunk)
        self._stopped = False
        self._done: Done

    def begin(self, done: Done) -> None:
        """`done` is told EBADMSG if the log turns out not to be whole: then it was given up, and
        nothing was undone. ECANCELED: it was stopped."""
        self._done = done
        geometry = self._disk.geometry
        saved = (chunk for chunk in self._undo.saved if chunk < self._count)
        extents = sorted({chunk * geometry.chunk // geometry.extent for chunk in saved})
        self._disk.activity.unsettle()
        self._disk.activity.activate(extents, self._activated)

    def stop(self) -> None:
        """Before it is done; what is undone by then is found when it is repeated."""
        self._stopped = True

    def _activated(self) -> None:
        if self._disk.failed:
            self._done(self._disk.failed)
        else:
            self._check(self._undo.entries(), set())

    def _check(self, entries: Iterator[tuple[int, bytes]], found: set[int]) -> None:
        def take(chunk: int, _data: bytes) -> None:
            found.add(chunk)

        def over() -> None:
            if found >= self._undo.saved:
                self._restore(self._undo.entries())
            else:
                self._lose()

        self._batch(entries, take, over, lambda: self._check(entries, found))

    def _restore(self, entries: Iterator[tuple[int, bytes]]) -> None:
        disk = self._disk

        def take(chunk: int, data: bytes) -> None:
            if chunk < self._count:
                disk.file.pwrite(chunk * disk.geometry.chunk, data)

        self._batch(
            entries, take, lambda: disk.file.sync(self._synced), lambda: self._restore(entries)
        )

    def _batch(
        self,
        entries: Iterator[tuple[int, bytes]],
        take: Callable[[int, bytes], None],
        over: Callable[[], None],
        again: Callable[[], None],
    ) -> None:
        """The next of them, then `over` if that was all, else `again` in a later turn."""
        if self._stopped:
            self._done(errno.ECANCELED)
            return
        try:
            for _ in range(BATCH):
                entry = next(entries, None)
                if entry is None:
                    over()
                    return
                take(*entry)
                self.progress.did(self._disk.geometry.chunk)
        except OSError as error:
            self._synced(error.errno or errno.EIO)
            return
        self._soon(again)

    def _lose(self) -> None:
        """Raises OSError."""
        self._disk.lose_fallback()
        self._report(FallbackLost())
        self._done(errno.EBADMSG)

    def _synced(self, error: int) -> None:
        disk = self._disk
        try:
            if not error:
                disk.change(resyncing=False, fallback=False)
                disk.drop_undo()
        except OSError as failed:
            error = failed.errno or errno.EIO
        if error:
            disk.fail(error)
        self._done(error)


def refused(disk: MemberDisk) -> FallbackRefused:
    """Why there is nothing to go back to."""
    own = disk.superblock
    return FallbackRefused(
        "its undo log is gone, or damaged" if own.resyncing else "it is in no resync",
        place=f"volume member {own.member}",
        cure="let the resync end; without a primary, restore the volume from a backup"
        if own.resyncing
        else "promote it, accepting what it lacks",
    )
