"""The primary's side of a handshake."""

import zlib

import msgspec

from holdfast.storage_replication.engine.frames import Kind
from holdfast.storage_replication.engine.messages import Hello, Refusal, Welcome, decode
from holdfast.storage_replication.engine.peer import Peer
from holdfast.storage_replication.engine.stream import Stream

_MAX_REASON = 500
"""Characters: it is told on, to the service each second, and in events."""


def hello(stream: Stream, peer: Peer) -> None:
    """Introduce ourselves."""
    own = stream.disk.superblock
    # It takes over this size with its WELCOME; what it had before is of no account.
    peer.size, peer.greeted = 0, own.size
    told = Hello(
        uuid=own.uuid,
        primary=own.member,
        member=peer.name,
        size=own.size,
        instance=peer.instance,
    )
    stream.send(peer, Kind.HELLO, payload=msgspec.msgpack.encode(told))


def welcome(stream: Stream, peer: Peer, payload: bytes) -> Welcome | None:
    """Take over what the member says may differ; None: that makes no sense."""
    superblock = stream.disk.superblock
    count = superblock.geometry.extents(superblock.size)
    told, inflating = decode(payload, Welcome), zlib.decompressobj()
    if told is None:
        return None
    try:
        active = inflating.decompress(told.active, count // 8 + 2)
    except zlib.error:
        return None
    if len(active) > (count + 7) // 8 or not inflating.eof or inflating.unused_data:
        return None
    extents = int.from_bytes(active, "little")
    if extents >> count:
        return None
    for extent in range(count):
        if active[extent >> 3 : (extent >> 3) + 1] and active[extent >> 3] & (1 << (extent & 7)):
            mark(stream, peer, extent)
    peer.size = peer.greeted
    return told


def refusal(payload: bytes) -> str:
    """Why a member does not take part."""
    told = decode(payload, Refusal)
    return (told and told.reason[:_MAX_REASON]) or "it gave no reason"


def mark_active(stream: Stream, peer: Peer) -> None:
    """Whatever is active here may differ there."""
    for extent in stream.disk.activity.active:
        mark(stream, peer, extent)


def mark(stream: Stream, peer: Peer, extent: int) -> None:
    """All chunks of an extent."""
    geometry, size = stream.disk.geometry, stream.disk.superblock.size
    per_extent = geometry.extent // geometry.chunk
    first = extent * per_extent
    last = min(first + per_extent, geometry.chunks(size)) - 1
    if first <= last:
        peer.dirty.set_range(first, last)


def pack_active(extents: list[int], count: int) -> bytes:
    """The replica's side: its activity log for a WELCOME."""
    bits = bytearray((count + 7) // 8)
    for extent in extents:
        bits[extent >> 3] |= 1 << (extent & 7)
    return zlib.compress(bytes(bits))
