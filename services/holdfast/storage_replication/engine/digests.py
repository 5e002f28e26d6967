"""Checksums of blocks, by which two members compare what they hold."""

from collections.abc import Callable, Iterator
from hashlib import blake2b

SIZE = 16


def digests(data: bytes | bytearray | memoryview, block: int) -> bytes:
    """BLAKE2b-128 of every block, one after the other; the last block may be shorter."""
    view = memoryview(data)
    return b"".join(
        blake2b(view[start : start + block], digest_size=SIZE).digest()
        for start in range(0, len(view), block)
    )


def told(
    read: Callable[[int, int], bytes | bytearray], offset: int, length: int, block: int
) -> bytes:
    """`digests` of what is read there; if it cannot be, zeroes, which no block has: then it
    differs, and what overwrites it makes the disk put it elsewhere."""
    try:
        return digests(read(offset, length), block)
    except OSError:
        return bytes(SIZE * -(-length // block))


def differing(mine: bytes, theirs: bytes, block: int, length: int) -> Iterator[tuple[int, int]]:
    """Where two lists of digests differ: offset and length of runs, within `length` bytes."""
    start = -1
    for position in range(0, len(mine), SIZE):
        offset = position // SIZE * block
        same = mine[position : position + SIZE] == theirs[position : position + SIZE]
        if same and start >= 0:
            yield start, offset - start
            start = -1
        elif not same and start < 0:
            start = offset
    if start >= 0:
        yield start, length - start
