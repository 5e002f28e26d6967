"""Whom a replica accepts as its primary, and what it takes over from it."""

import msgspec

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.frames import Kind, encode
from holdfast.storage_replication.engine.messages import PROTOCOL, Hello, Refusal, decode
from holdfast.storage_replication.interfaces import Link

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


def refuse(link: Link, disk: MemberDisk, told: Hello | None, reason: str) -> None:
    """Say why. A higher epoch ends the role of whoever hears it; one of another volume must not."""
    own = disk.superblock
    epoch = own.epoch if told is not None and told.uuid == own.uuid else 0
    payload = msgspec.msgpack.encode(Refusal(reason=reason))
    link.send(encode(Kind.REFUSED, epoch, payload=payload), payload)


def accept(disk: MemberDisk, epoch: int, told: Hello) -> None:
    """Durably, before anything of it is applied (V2). Raises OSError.

    Its size counts: if ours is larger, a primary died while it grew, or a loss was accepted, and
    nobody was told of anything there. Then we grow with it when it does.
    """
    disk.shrink(told.size, epoch=epoch, primary=told.primary)
