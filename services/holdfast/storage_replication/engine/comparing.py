"""The conversation of a resync: checksums asked for, told, and what differs sent."""

from holdfast.storage_replication.engine.frames import VERIFY, Frame, Kind
from holdfast.storage_replication.engine.peer import Peer, Phase
from holdfast.storage_replication.engine.ports import MemberRefused, Ports
from holdfast.storage_replication.engine.stream import Stream


def ask(stream: Stream, peer: Peer, window: int, checkpoint: int) -> bool:
    """Ask for more, as far as window and speed allow; whether nothing is left.

    `window`: of so many chunks at a time. `checkpoint`: after so many, what was done is made
    durable.
    """
    resync = peer.resync
    if resync is None:
        return False
    unlimited = peer.phase is Phase.RECONCILING
    while (wanted := resync.next(window, unlimited)) is not None:
        stream.send(peer, Kind.HASH, offset=wanted[0], length=wanted[1])
    if resync.exhausted:
        return True
    if resync.checkpoint_due(checkpoint):
        resync.checkpoint(stream.barrier())
    return False


def verify(stream: Stream, peer: Peer) -> None:
    """Go on with the background compare, as far as window and speed allow."""
    if peer.verify is None:
        return
    while (wanted := peer.verify.next(stream.disk.file.read_disk, stream.seq)) is not None:
        stream.send(peer, Kind.HASH, offset=wanted[0], length=wanted[1], flags=VERIFY)


def told(stream: Stream, peer: Peer, frame: Frame, payload: bytes) -> bool:
    """Send what differs; False: nobody asked for that."""
    if frame.flags & VERIFY:
        return peer.verify is None or peer.verify.answer(frame.offset, frame.sequence, payload)
    if peer.resync is None:
        return False
    parts = peer.resync.answer(frame.offset, payload, stream.disk.file.pread)
    for offset, data in parts or ():
        stream.send(peer, Kind.WRITE, offset=offset, length=len(data), payload=data)
    return parts is not None


def hindered(peer: Peer, ports: Ports) -> bool:
    """Whether something that is to be compared cannot be read here; that is told once."""
    resync = peer.resync
    reason = "" if resync is None else resync.unreadable
    if reason:
        peer.refusal = reason
        if not peer.hindered:
            ports.report(MemberRefused(peer.name, reason))
        peer.hindered = True
    elif peer.hindered and (resync is None or resync.exhausted):
        peer.refusal, peer.hindered = "", False
    return bool(reason)
