"""The undo log of a resync: what the data was before it was overwritten."""

import struct
import zlib
from collections.abc import Iterator

from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.interfaces import BlockFile, Done

NAME = "undo"
_HEADER = struct.Struct("!4sIQII")  # magic, generation, chunk, length, checksum
_SECTOR = 512
_MAGIC = b"HFUN"


class UndoLog:
    """Chunks of one resync (`generation`), each once, in the order of saving.

    A chunk may be overwritten when the `save` of it is done. Only one `save` runs at a time: so a
    record that is whole, but behind a torn one, belongs to a save that was not done, and what it
    holds was not overwritten. Reading ends at the first that is not whole.
    """

    def __init__(self, file: BlockFile, generation: int, geometry: Geometry) -> None:
        """Reads what is there. Raises OSError."""
        self._file = file
        self._generation = generation
        self._record = _SECTOR + geometry.chunk
        self._chunk = geometry.chunk
        self.saved: set[int] = set()
        self._end = 0
        for chunk, _ in self.entries():
            self.saved.add(chunk)
            self._end += self._record

    def sync(self, done: Done) -> None:
        """Durable when done: what was read when it was opened."""
        self._file.sync(done)

    def room_for(self, chunks: int) -> bool:
        """Whether that many more fit."""
        return self._end + chunks * self._record <= self._file.size

    def save(self, chunks: dict[int, bytes], done: Done) -> None:
        """Durable when done; then, and not before, they count as saved."""
        records = b"".join(self._pack(chunk, data) for chunk, data in chunks.items())
        try:
            self._file.pwrite(self._end, records)
        except OSError as error:
            done(error.errno or 5)
            return
        self._end += len(records)

        def synced(error: int) -> None:
            if not error:
                self.saved.update(chunks)
            done(error)

        self._file.sync(synced)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every chunk and its old content. Raises OSError."""
        for position in range(0, self._file.size - self._record + 1, self._record):
            raw = bytes(self._file.pread(position, self._record))
            entry = self._unpack(raw)
            if entry is None:
                return
            yield entry

    def _pack(self, chunk: int, data: bytes) -> bytes:
        bare = _HEADER.pack(_MAGIC, self._generation, chunk, len(data), 0)
        checksum = zlib.crc32(data, zlib.crc32(bare))
        head = _HEADER.pack(_MAGIC, self._generation, chunk, len(data), checksum)
        return head.ljust(_SECTOR, b"\0") + data.ljust(self._chunk, b"\0")

    def _unpack(self, raw: bytes) -> tuple[int, bytes] | None:
        magic, generation, chunk, length, checksum = _HEADER.unpack_from(raw)
        if (magic, generation) != (_MAGIC, self._generation) or length > self._chunk:
            return None
        data = raw[_SECTOR : _SECTOR + length]
        bare = _HEADER.pack(magic, generation, chunk, length, 0)
        return (chunk, data) if zlib.crc32(data, zlib.crc32(bare)) == checksum else None
