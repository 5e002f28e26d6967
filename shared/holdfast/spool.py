"""The spool: a producer's events on disk, from the moment they are emitted until acknowledged.

Segment files `NNNNNNNN.seg` hold one record a line: CRC-32 in hex, a space, the envelope's JSON.
A record is written with one `write` before `append` returns, so a killed process loses nothing;
`sync` makes what was written survive a power cut, and must come before publishing. The cursor
(`holdfast.cursor`) says how far the events are acknowledged. Reading back, and what becomes of
damaged files, is in `holdfast.spool_reader`.
"""

import errno
import os
import zlib
from pathlib import Path

from holdfast.cursor import Cursor
from holdfast.errors import HoldfastError
from holdfast.events import ChainHead, Envelope
from holdfast.events.chain import head_after

SEGMENT_BYTES = 1024 * 1024
SPOOL_BYTES = 64 * 1024 * 1024


class SpoolError(HoldfastError):
    """The spool cannot be read or written."""


class SpoolFull(SpoolError):
    """No room, in the spool's own bound or on the disk: the event was not recorded."""


class Segment:
    """One file of the spool and the sequence number of its last record (0: empty)."""

    def __init__(self, path: Path, last: int, size: int) -> None:
        self.path, self.last, self.size = path, last, size


class Spool:
    """Appends at the end, forgets acknowledged segments at the front. Made by `spool_reader`."""

    def __init__(
        self,
        folder: Path,
        segments: list[Segment],
        head: ChainHead,
        cursor: Cursor,
        limit: int = SPOOL_BYTES,
    ) -> None:
        self.folder = folder
        self.segments = segments
        self.head = head
        self.cursor = cursor
        self.limit = limit
        self._number = max((int(segment.path.stem) for segment in segments), default=0)
        self._file: int | None = None
        self._retired: list[int] = []

    @property
    def depth(self) -> int:
        """Events not yet acknowledged."""
        return self.head.sequence - self.cursor.head.sequence

    def append(self, envelope: Envelope, raw: bytes) -> None:
        """Write one sealed event, the successor of `head`. Raises SpoolFull or SpoolError."""
        record = encode_record(raw)
        used = sum(segment.size for segment in self.segments)
        if used + len(record) > self.limit:
            raise SpoolFull(
                f"{self.depth} events wait to be published, {used} of {self.limit} bytes used",
                place=str(self.folder),
                cure="bring the bus back: are nats-servers running at a majority of the places?",
            )
        segment = self._segment_for(len(record))
        self._write(segment, record)
        segment.size += len(record)
        segment.last = int(envelope.sequence)
        self.head = head_after(envelope)

    def sync(self) -> None:
        """Make everything appended before this call survive a power cut. Blocks: call in a thread.

        Only this closes files: an append may start a new segment while it runs.
        """
        retired, self._retired = self._retired, []
        current = self._file
        try:
            for file in retired:
                os.fdatasync(file)
                os.close(file)
            if current is not None:
                os.fdatasync(current)
            self.cursor.sync()
        except OSError as error:
            raise unusable(self.folder, error) from error

    def acknowledge(self, head: ChainHead) -> None:
        """Everything up to `head` is in the stream: advance the cursor, drop finished segments."""
        self.cursor.advance(head)
        while len(self.segments) > 1 and self.segments[0].last <= head.sequence:
            self.segments.pop(0).path.unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close the files."""
        self._retire()
        self.sync()
        self.cursor.close()

    def _segment_for(self, size: int) -> Segment:
        if self.segments and self.segments[-1].size + size <= SEGMENT_BYTES:
            if self._file is None:
                self._file = self._open(self.segments[-1].path)
            return self.segments[-1]
        self._retire()
        path = self.folder / f"{self._number + 1:08d}.seg"
        self._file = self._open(path)
        self._number += 1
        self.segments.append(Segment(path, 0, 0))
        return self.segments[-1]

    def _open(self, path: Path) -> int:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise unusable(self.folder, error) from error

    def _write(self, segment: Segment, record: bytes) -> None:
        assert self._file is not None
        try:
            written = os.write(self._file, record)
            if written != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, segment.size)
            raise unusable(self.folder, error) from error

    def _retire(self) -> None:
        if self._file is not None:
            self._retired.append(self._file)
            self._file = None


def encode_record(envelope: bytes) -> bytes:
    """One line of a segment."""
    return b"%08x %s\n" % (zlib.crc32(envelope), envelope)


def unusable(folder: Path, error: OSError) -> SpoolError:
    """The typed error for what the operating system said."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFull(
            "the disk is full: the event was not recorded",
            place=str(folder),
            cure="free space on this file system; the service goes on where it stood",
        )
    return SpoolError(
        f"cannot write: {error.strerror}",
        place=str(folder),
        cure="is the state folder on a writable file system and owned by this service's user?",
    )
