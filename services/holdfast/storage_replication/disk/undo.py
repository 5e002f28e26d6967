"""The undo log of a resync: what the data was before it was overwritten."""

import contextlib
import struct
import zlib
from collections.abc import Iterator

from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.interfaces import BlockFile, Done

NAME = "undo"
_HEADER = struct.Struct("!4sIQIQI")  # magic, generation, chunk, length, durable, checksum
_SECTOR = 512
_MAGIC = b"HFU2"
_AHEAD = 2048
"""Records; more than one `save` writes."""
_END = (1 << 64) - 1
"""Instead of a chunk: not a record, but a word, where the next will be, of how many there are."""

Record = tuple[int, bytes, int]
"""Chunk, its old content, and how many records before it were durable when it was written."""


class UndoLog:
    """Chunks of one resync (`generation`), each once, in the order of saving.

    A chunk may be overwritten when the `save` of it is done. Only one `save` runs at a time: so a
    record that is whole, but behind a torn one, belongs to a save that was not done, and what it
    holds was not overwritten. Reading ends at the first that is not whole. Torn, or rotten? Each
    record says how many were durable before it: one of these that is not whole was lost. Of the
    last save the mark behind it says so, which is written when it is durable, and not waited for: a
    power loss just then may cost it.
    """

    def __init__(self, file: BlockFile, generation: int, geometry: Geometry) -> None:
        """Reads what is there."""
        self._file = file
        self._generation = generation
        self._record = _SECTOR + geometry.chunk
        self._chunk = geometry.chunk
        self.saved: set[int] = set()
        self._durable = 0
        """Records. What is read here is made so by `sync`, before anything is saved."""
        self.rotten = False
        """A record that was durable is not whole: what it held is lost, and it leads nowhere."""
        try:
            for chunk, _ in self.entries():
                self.saved.add(chunk)
                self._durable += 1
            self.rotten = self._promised(self._durable) > self._durable or self._foreign()
        except OSError:
            self.rotten = True
        self._end = self._durable * self._record

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
        self._end = end = self._end + len(records)

        def synced(error: int) -> None:
            if not error:
                self.saved.update(chunks)
                self._durable = max(self._durable, end // self._record)
                self._mark(end)
            done(error)

        self._file.sync(synced)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every chunk and its old content. Raises OSError."""
        for position in range(0, self._file.size - self._record + 1, self._record):
            record = self._read(position)
            if record is None or record[0] == _END:
                return
            yield record[:2]

    def _mark(self, end: int) -> None:
        if end == self._end and end + self._record <= self._file.size:
            with contextlib.suppress(OSError):
                self._file.pwrite(end, self._pack(_END, b"")[:_SECTOR])

    def _foreign(self) -> bool:
        """Whether it begins with something that this version does not write: it is not empty."""
        begin = bytes(self._file.pread(0, _HEADER.size))
        return any(begin) and _HEADER.unpack(begin)[:2] != (_MAGIC, self._generation)

    def _promised(self, first: int) -> int:
        """What those from the `first` on say was durable; none after a torn one says more."""
        start = first * self._record
        end = min(start + _AHEAD * self._record, self._file.size - self._record + 1)
        records = (self._read(position) for position in range(start, end, self._record))
        return max((record[2] for record in records if record is not None), default=0)

    def _read(self, position: int) -> Record | None:
        return self._unpack(bytes(self._file.pread(position, self._record)))

    def _pack(self, chunk: int, data: bytes) -> bytes:
        fields = (_MAGIC, self._generation, chunk, len(data), self._durable)
        checksum = zlib.crc32(data, zlib.crc32(_HEADER.pack(*fields, 0)))
        head = _HEADER.pack(*fields, checksum)
        return head.ljust(_SECTOR, b"\0") + data.ljust(self._chunk, b"\0")

    def _unpack(self, raw: bytes) -> Record | None:
        magic, generation, chunk, length, durable, checksum = _HEADER.unpack_from(raw)
        if (magic, generation) != (_MAGIC, self._generation) or length > self._chunk:
            return None
        data = raw[_SECTOR : _SECTOR + length]
        bare = _HEADER.pack(magic, generation, chunk, length, durable, 0)
        return (chunk, data, durable) if zlib.crc32(data, zlib.crc32(bare)) == checksum else None
