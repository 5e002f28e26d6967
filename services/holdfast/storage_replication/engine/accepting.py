"""Whom a replica accepts as its primary, and what it takes over from it."""

from collections.abc import Callable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.frames import Kind
from holdfast.storage_replication.engine.messages import PROTOCOL, Hello, decode

HANDLED = frozenset(
    {
        Kind.BEGIN, Kind.WRITE, Kind.ZERO, Kind.FLUSH, Kind.HASH, Kind.SETTLED, Kind.CLEAN,
        Kind.PING, Kind.RESIZE,
    }
)  # fmt: skip


def parse(payload: memoryview) -> Hello | None:
    """None: that is no HELLO."""
    return decode(payload, Hello)


def refusal(disk: MemberDisk, epoch: int, told: Hello | None) -> str:
    """Why this primary is not accepted; empty if it is."""
    own = disk.superblock
    if told is None:
        return "its HELLO makes no sense"
    if told.protocol != PROTOCOL:
        return f"it speaks protocol {told.protocol}, this node {PROTOCOL}: upgrade the older one"
    if told.uuid != own.uuid:
        return f"it serves volume {told.uuid}, this is a member of {own.uuid}: check the addresses"
    if told.member != own.member or told.primary == own.member:
        return f"{told.primary} takes this node for {told.member}, it is {own.member}"
    if told.instance and told.instance != disk.instance:
        return f"it means copy {told.instance} of {own.member}, this is {disk.instance or 'none'}"
    if told.size <= 0:
        return "its volume has no size"
    if epoch < own.epoch:
        return f"epoch {epoch} is past: {own.primary} is primary at epoch {own.epoch}"
    if epoch == own.epoch and told.primary != own.primary:
        return f"epoch {epoch} belongs to {own.primary}"
    return ""


def accept(disk: MemberDisk, epoch: int, told: Hello, enlarge: Callable[[int], None]) -> str:
    """Durably, before anything of it is applied (V2). Why not, if the size cannot be. OSError."""
    disk.change(epoch=epoch, primary=told.primary)
    return grow(disk, told.size, enlarge)


def grow(disk: MemberDisk, size: int, enlarge: Callable[[int], None]) -> str:
    """To at least `size` bytes. Why not, if there is no room for them. Raises OSError."""
    if size <= disk.superblock.size:
        return ""
    try:
        if disk.file.size < size:
            enlarge(size)
    except OSError as error:
        return f"cannot grow to {size} bytes: {error.strerror}; enlarge the file or device"
    disk.grow(size)
    return ""
