"""What must be durable on a replica before it changes its data."""

from collections.abc import Iterable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.frames import Frame, Kind

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


def wanted(disk: MemberDisk, queue: Iterable[tuple[Frame, bytes]]) -> tuple[list[int], list[int]]:
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


def contents(disk: MemberDisk, chunks: list[int]) -> dict[int, bytes]:
    """What they hold now. Raises OSError."""
    step, size = disk.geometry.chunk, disk.superblock.size
    return {
        chunk: bytes(disk.file.pread(chunk * step, min(step, size - chunk * step)))
        for chunk in chunks
    }
