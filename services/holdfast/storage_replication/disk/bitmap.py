"""A bitmap in memory, and on disk in pages that are each one sector.

A disk writes a sector as a whole or not at all, so one copy of a page is enough. Where that is not
so, or a page rots, its checksum says so and all of its bits count as set: that costs comparing too
much, and loses nothing.
"""

import struct
import zlib
from collections.abc import Iterator
from hashlib import blake2b

from holdfast.storage_replication.interfaces import BlockFile, Done

PAGE = 512
_HEADER = struct.Struct("!4s16sII")  # magic, identity, index, checksum
_MAGIC = b"HFBM"
_PAYLOAD = PAGE - _HEADER.size
BITS_PER_PAGE = _PAYLOAD * 8
_MANY = 64
"""Bits that are worth setting by whole bytes."""


def pages_for(bits: int) -> int:
    """How many pages hold that many bits."""
    return max(1, -(-bits // BITS_PER_PAGE))


class Bitmap:
    """Bits `0..count-1`. What is set is durable once a `save` that began afterwards is done."""

    def __init__(self, file: BlockFile, count: int, identity: str) -> None:
        self.count = count
        self._file = file
        self._identity = blake2b(identity.encode(), digest_size=16).digest()
        self._bits = bytearray(pages_for(count) * _PAYLOAD)
        self._unsaved: set[int] = set()
        self.damaged = 0
        """Pages that could not be read, by which all their bits are set."""

    @property
    def unsaved(self) -> bool:
        """Whether memory and disk may differ."""
        return bool(self._unsaved)

    def load(self) -> None:
        """Read all pages. Raises OSError.

        None counts as saved: after a sync that failed, the kernel shows pages that the disk lacks.
        """
        self._unsaved.update(range(pages_for(self.count)))
        for page in range(pages_for(self.count)):
            start = page * _PAYLOAD
            content = self._valid(self._file.pread(page * PAGE, PAGE), page)
            if content is None:
                self.damaged += 1
                content = b"\xff" * _PAYLOAD
            self._bits[start : start + _PAYLOAD] = content
        self._clip()

    def fill(self, value: bool) -> None:
        """Set or clear all."""
        self._bits = bytearray((b"\xff" if value else b"\0") * len(self._bits))
        self._clip()
        self._unsaved.update(range(pages_for(self.count)))

    def grow(self, file: BlockFile, count: int) -> None:
        """More bits, all clear; `file` is the same one, large enough for them."""
        self._file = file
        self.count = count
        old, new = len(self._bits) // _PAYLOAD, pages_for(count)
        self._bits += bytes((new - old) * _PAYLOAD)
        self._unsaved.update(range(old, new))

    def test(self, bit: int) -> bool:
        """Whether it is set."""
        return bool(self._bits[bit >> 3] & (1 << (bit & 7)))

    def set(self, bit: int) -> None:
        """In memory; see `save`."""
        if not self._bits[bit >> 3] & (1 << (bit & 7)):
            self._bits[bit >> 3] |= 1 << (bit & 7)
        self._unsaved.add(bit // BITS_PER_PAGE)

    def set_range(self, first: int, last: int) -> None:
        """Set `first..last`, both included."""
        if last - first + 1 >= _MANY:
            start, end = -(-first // 8), (last + 1) // 8
            self._bits[start:end] = b"\xff" * (end - start)
            self._unsaved.update(range(first // BITS_PER_PAGE, last // BITS_PER_PAGE + 1))
            self.set_range(first, start * 8 - 1)
            self.set_range(end * 8, last)
            return
        for bit in range(first, last + 1):
            if not self._bits[bit >> 3] & (1 << (bit & 7)):
                self._bits[bit >> 3] |= 1 << (bit & 7)
                self._unsaved.add(bit // BITS_PER_PAGE)

    def clear(self, bit: int) -> None:
        """In memory; the disk learns it with some later `save`."""
        self._bits[bit >> 3] &= ~(1 << (bit & 7)) & 0xFF
        self._unsaved.add(bit // BITS_PER_PAGE)

    def next(self, start: int) -> int | None:
        """The first set bit from `start` on."""
        byte, end = start >> 3, len(self._bits)
        if byte < end and (rest := self._bits[byte] >> (start & 7)):
            return start + (rest & -rest).bit_length() - 1
        byte += 1
        while byte < end:
            window = self._bits[byte : byte + 4096]
            left = window.lstrip(b"\0")
            if left:
                byte += len(window) - len(left)
                return byte * 8 + (left[0] & -left[0]).bit_length() - 1
            byte += len(window)
        return None

    def __iter__(self) -> Iterator[int]:
        bit = self.next(0)
        while bit is not None:
            yield bit
            bit = self.next(bit + 1)

    def total(self) -> int:
        """How many are set."""
        return int.from_bytes(self._bits, "little").bit_count()

    def save(self, done: Done) -> None:
        """Durable when done: every page as it is now. Raises nothing: errors go to `done`."""
        pages, self._unsaved = sorted(self._unsaved), set()
        try:
            for first, last in _runs(pages):
                content = b"".join(self._page(page) for page in range(first, last + 1))
                self._file.pwrite(first * PAGE, content)
        except OSError as error:
            self._unsaved.update(pages)
            done(error.errno or 5)
            return
        self._file.sync(done)

    def _page(self, page: int) -> bytes:
        content = bytes(self._bits[page * _PAYLOAD : (page + 1) * _PAYLOAD])
        bare = _HEADER.pack(_MAGIC, self._identity, page, 0)
        checksum = zlib.crc32(content, zlib.crc32(bare))
        return _HEADER.pack(_MAGIC, self._identity, page, checksum) + content

    def _valid(self, raw: bytes | bytearray, page: int) -> bytes | None:
        magic, identity, index, checksum = _HEADER.unpack_from(raw)
        content = bytes(raw[_HEADER.size :])
        bare = _HEADER.pack(magic, identity, index, 0)
        if (magic, identity, index) != (_MAGIC, self._identity, page):
            return None
        return content if zlib.crc32(content, zlib.crc32(bare)) == checksum else None

    def _clip(self) -> None:
        """Bits past the end stay clear, so that nobody looks for what is not there."""
        whole, rest = divmod(self.count, 8)
        if rest:
            self._bits[whole] &= (1 << rest) - 1
            whole += 1
        self._bits[whole:] = bytes(len(self._bits) - whole)


def _runs(pages: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours together: one write each."""
    first = last = -1
    for page in pages:
        if page == last + 1 and first >= 0:
            last = page
            continue
        if first >= 0:
            yield first, last
        first = last = page
    if first >= 0:
        yield first, last
