"""A volume that is one file or device, without replicas."""

import errno
from functools import partial
from typing import Any

from holdfast.storage_replication.blocks.rawfile import RawFile
from holdfast.storage_replication.blocks.workers import Workers
from holdfast.storage_replication.blocks.zeroing import Zeroing
from holdfast.storage_replication.interfaces import Done, Extent, ReadDone

THREADS = 4


class Plain:
    """A `Volume` over one RawFile.

    What the page cache has, and every write, is done in the call; what must wait for the disk
    (reads of what is not cached, zeroing, fdatasync) is done in a thread.
    """

    def __init__(self, file: RawFile) -> None:
        """Within a running event loop."""
        self._file = file
        self._workers = Workers("disk", THREADS)
        self._zeroing = Zeroing()
        self.size = file.size

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """At once if it is cached."""
        try:
            data = self._file.peek(offset, length)
        except OSError as error:
            done(error.errno or errno.EIO, b"")
            return
        if data is not None:
            done(0, data)
            return

        def ended(found: Any, error: OSError | None) -> None:
            done(_number(error), b"" if error else found)

        self._workers.run(lambda: self._file.pread(offset, length), ended)

    def write(self, offset: int, data: memoryview, fua: bool, done: Done) -> None:
        """In the page cache when this returns, unless the range is just being zeroed."""
        if self._zeroing.blocks(offset, len(data)):
            kept = bytes(data)
            self._zeroing.wait(offset, len(kept), lambda: self._write(offset, kept, fua, done))
        else:
            self._write(offset, data, fua, done)

    def flush(self, done: Done) -> None:
        """One fdatasync covers every connection's writes: there is one file and one cache."""
        self._file.sync(done)

    def zero(self, offset: int, length: int, punch: bool, fua: bool, done: Done) -> None:
        """In a thread: without help of the storage it is as long as writing."""
        if self._zeroing.blocks(offset, length):
            again = partial(self._zero, offset, length, punch, fua, done)
            self._zeroing.wait(offset, length, again)
        else:
            self._zero(offset, length, punch, fua, done)

    def extents(self, offset: int, length: int) -> list[Extent]:
        """Raises OSError."""
        return self._file.extents(offset, length)

    def close(self) -> None:
        """After everything is done."""
        self._workers.close()
        self._file.close()

    def _write(self, offset: int, data: bytes | memoryview, fua: bool, done: Done) -> None:
        try:
            self._file.pwrite(offset, data)
        except OSError as error:
            done(error.errno or errno.EIO)
            return
        if fua:
            self._file.sync(done)
        else:
            done(0)

    def _zero(self, offset: int, length: int, punch: bool, fua: bool, done: Done) -> None:
        def ended(_: Any, error: OSError | None) -> None:
            if error is None and fua:
                self._file.sync(done)
            else:
                done(_number(error))
            self._zeroing.end(offset, length)

        self._zeroing.begin(offset, length)
        self._workers.run(lambda: self._file.zero(offset, length, punch), ended)


def _number(error: OSError | None) -> int:
    return 0 if error is None else error.errno or errno.EIO
