"""Connections to members: what comes over them, and what it means for who takes part.

Only what the current link of a member brings counts, and only at the epoch of this primary.
"""

from collections.abc import Callable

from holdfast.storage_replication.engine import comparing, handshake
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.engine.membership import Membership
from holdfast.storage_replication.engine.peer import Peer, Phase
from holdfast.storage_replication.engine.ports import Deposed, MemberRefused, Ports
from holdfast.storage_replication.engine.stream import Stream
from holdfast.storage_replication.interfaces import Link


class Links:
    """Of one primary, one to each member. `changed` is called when more may be acknowledged."""

    def __init__(
        self, stream: Stream, members: Membership, ports: Ports, changed: Callable[[], None]
    ) -> None:
        self._stream, self._members, self._ports = stream, members, ports
        self._changed = changed

    def up(self, name: str, link: Link) -> None:
        """A connection to a member is open."""
        peer = self._members.peers.get(name)
        if peer is None or self._members.counting.deposed:
            link.close()
            return
        if peer.link is not None:
            self._members.lose(peer, "it connected anew")
        now = self._ports.now()
        peer.link, peer.heard_at, peer.pinged_at = link, now, now
        peer.progress_at = now  # what it did not do while it was away is no stall
        peer.phase = Phase.GREETING
        self._stream.sort()
        handshake.hello(self._stream, peer)

    def down(self, name: str, link: Link) -> None:
        """It is gone; whatever was on its way is lost."""
        peer = self._members.peers.get(name)
        if peer is not None and peer.link is link:
            self._members.lose(peer, "connection lost")

    def received(self, name: str, link: Link, frame: Frame, payload: bytes) -> None:
        """A frame came from a member."""
        peer = self._members.peers.get(name)
        if peer is None or peer.link is not link:
            return
        peer.heard_at = self._ports.now()
        if frame.kind is Kind.REFUSED:
            self._refused(peer, frame, payload)
            return
        if frame.epoch != self._stream.epoch:
            self._members.lose(peer, f"answered for epoch {frame.epoch}")
            return
        match frame.kind:
            case Kind.APPLIED if frame.sequence > peer.applied:
                peer.applied = min(frame.sequence, self._stream.seq)
                if peer.lag is not None:
                    peer.lag.applied(peer.applied)
                if peer.backlog is not None:
                    peer.backlog.applied(peer.applied, peer.heard_at)
                self._changed()
            case Kind.FLUSHED if frame.sequence > peer.flushed:
                self._members.flushed(peer, min(frame.sequence, self._stream.seq))
            case Kind.WELCOME if peer.phase is Phase.GREETING:
                self._members.welcomed(peer, payload)
            case Kind.HASHES if comparing.told(self._stream, peer, frame, payload):
                self._members.pump(peer)
                self._members.compared = peer.heard_at, self._ports.now()
            case Kind.RESIZED:
                peer.size = max(peer.size, frame.offset)
                self._changed()
            case Kind.APPLIED | Kind.FLUSHED | Kind.PONG:
                pass
            case _:
                self._members.lose(peer, f"sent {frame.kind.name} while {peer.phase.value}")

    def _refused(self, peer: Peer, frame: Frame, payload: bytes) -> None:
        reason = peer.refusal = handshake.refusal(payload)
        if frame.epoch > self._stream.epoch:
            self._members.counting.deposed = frame.epoch
            self._ports.report(Deposed(frame.epoch))
        if reason != peer.told:  # it is asked every few seconds
            self._ports.report(MemberRefused(peer.name, reason))
        peer.told = reason
        self._members.lose(peer, reason)
