"""A member's disk gets larger: what is new is zero, durably, before it is part of the volume.

A device, or a file that was larger than the volume, may hold anything there. Nobody reads or writes
it meanwhile, so it is zeroed beside all else; each member does so itself. A crash leaves the size
as it was, and the next attempt begins anew. So members that have the same size hold the same there.
"""

from collections.abc import Callable

from holdfast.storage_replication.disk.member import MemberDisk


def blank(disk: MemberDisk, size: int, enlarge: Callable[[int], None]) -> bool:
    """Whether the disk has `size` bytes, zeroes where it is larger than the volume.

    False: they are being zeroed, `disk.on_cleared` will be told; ask again. Raises OSError if there
    is no room; that breaks nothing.
    """
    if size <= disk.superblock.size:
        return True
    if disk.clearing:
        return False
    if disk.clear_error:
        error, disk.clear_error = disk.clear_error, 0
        raise OSError(error, "what is new cannot be zeroed")
    if size <= disk.blank:
        return True
    if disk.file.size < size:
        enlarge(size)
    _clear(disk, size)
    return False


def grow(disk: MemberDisk, size: int, enlarge: Callable[[int], None]) -> str | None:
    """To at least `size` bytes: empty once it has them, None while they are zeroed, else why it
    cannot be. Raises OSError."""
    try:
        ready = blank(disk, size, enlarge)
    except OSError as error:
        return f"cannot grow to {size} bytes: {error.strerror}; enlarge the file or device"
    if not ready:
        return None
    if size > disk.superblock.size:
        disk.grow(size)
    return ""


def _clear(disk: MemberDisk, size: int) -> None:
    start = disk.superblock.size
    disk.clearing = True

    def cleared(error: int) -> None:
        if error:
            over(error)
        else:
            disk.file.sync(synced)

    def synced(error: int) -> None:
        if error:
            disk.fail(error)
        over(error)

    def over(error: int) -> None:
        disk.clearing, disk.clear_error = False, error
        # If the volume became smaller meanwhile, what is between is not zeroed.
        if not error and disk.superblock.size == start:
            disk.blank = size
        disk.on_cleared()

    disk.file.clear(start, size - start, cleared)
