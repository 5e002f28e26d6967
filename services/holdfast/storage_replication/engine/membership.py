"""Who takes part: from the handshake to the in-sync set and back.

A peer is fed only between BEGIN and the loss of its link; at any other time its dirty map grows.
The record is asked before anything is acknowledged without a member that it counts on (V3), and
before a member is counted on, what was acknowledged before is durable there.
"""

from collections.abc import Callable

from holdfast.storage_replication.engine import comparing, handshake
from holdfast.storage_replication.engine.backlog import Backlog
from holdfast.storage_replication.engine.counting import Counting
from holdfast.storage_replication.engine.frames import IN_PLACE, Kind
from holdfast.storage_replication.engine.peer import Peer, Phase
from holdfast.storage_replication.engine.ports import (
    MemberJoined,
    MemberLost,
    Ports,
    ResyncDone,
    ResyncStarted,
    Settings,
    VerifyCut,
)
from holdfast.storage_replication.engine.resync import Resync
from holdfast.storage_replication.engine.stream import Stream


class Membership:
    """`changed` is called when more may be acknowledged, or less has to be waited for."""

    def __init__(
        self, stream: Stream, ports: Ports, settings: Settings, changed: Callable[[], None]
    ) -> None:
        self._stream, self._ports, self._settings = stream, ports, settings
        self._changed = changed
        self._ticket = 0
        self.peers = stream.peers
        self.counting = Counting(stream, ports)
        self.window = settings.resync_window
        """Chunks that a member is asked about at a time."""
        self.compared = 0.0, 0.0
        """Begin and end of the last comparison: nobody was served meanwhile."""

    def recount(self) -> None:
        """To be called when a phase, or what counts, has changed."""
        self.counting.recount()
        # What a follower that is away lacks stays active: its bound is the limit then.
        lacking = any(not peer.caught_up for peer in self.counting.following)
        self._stream.disk.activity.bound(0 if lacking else self._settings.hot_extents)
        self._stream.relieve()
        self._changed()

    def over(self, peer: Peer) -> bool:
        """Whether one that does not get the writes must not be counted on any longer: all but async
        ones within their bound, or at it, if writes are held for them."""
        lag = peer.lag
        return lag is None or (
            not self._settings.hold_when_behind and lag.exceeded(self._ports.now())
        )

    def lose(self, peer: Peer, reason: str) -> None:
        """Go on without it: once the record says so, or while it follows within its bound."""
        # One that the record did not count on, or may not count on any more, is no follower.
        followed = peer.asked is None and not peer.settling
        if peer.link is not None:
            peer.link.close()
        if peer.verify is not None:
            self._ports.report(VerifyCut(peer.name, reason))
        peer.link, peer.verify = None, None
        was = peer.phase
        peer.phase, peer.resync, peer.backlog = Phase.AWAY, None, None
        # It may lack, or not have made durable, whatever is active.
        handshake.mark_active(self._stream, peer)
        if peer.settling and peer.asked is None and was is not Phase.RECONCILING:
            peer.counts = False  # the record was not asked yet
        peer.settling = 0
        if was is not Phase.GREETING:
            self._ports.report(MemberLost(peer.name, reason))
        if peer.counts and (not followed or self.over(peer)):
            self.ask(peer, False)
        self.recount()

    # From WELCOME to SETTLED.

    def welcomed(self, peer: Peer, payload: bytes) -> None:
        """It accepts our epoch and says what it has."""
        welcome = handshake.welcome(self._stream, peer, payload)
        if welcome is None:
            self.lose(peer, "its WELCOME makes no sense")
            return
        peer.refusal = peer.told = ""
        # In place only what is consistent in any mixture: a member that has all that was
        # acknowledged. An async one is not, nor one that lost its memory after we fed it.
        in_place = peer.lag is None and (welcome.intact or not peer.seen)
        if peer.counts and not in_place:
            peer.phase = Phase.WAITING
            if peer.asked is not False:
                self.ask(peer, False)
            self.recount()
        else:
            self._begin(peer)

    def _begin(self, peer: Peer) -> None:
        in_place = peer.counts
        peer.phase = Phase.RECONCILING if in_place else Phase.RESYNCING
        peer.seen = True
        peer.applied = peer.flushed = self._stream.seq  # what came before is in its dirty map
        disk = self._stream.disk
        peer.resync = Resync(peer.dirty, disk.geometry, disk.superblock.size)
        peer.backlog = None if in_place else Backlog(self._settings.window)
        self._stream.send(peer, Kind.BEGIN, flags=IN_PLACE if in_place else 0)
        self._ports.report(ResyncStarted(peer.name, peer.resync.progress.total, in_place))
        self.recount()
        self.pump(peer)

    def pump(self, peer: Peer) -> None:
        """Go on comparing; when nothing is left, settle."""
        comparing.verify(self._stream, peer)
        if peer.settling:
            self._take_in(peer)
        elif comparing.ask(self._stream, peer, self.window, self._settings.checkpoint):
            self._settle(peer)
        hindered = comparing.hindered(peer, self._ports)
        if hindered and peer.phase is Phase.RECONCILING and peer.asked is not False:
            # Everybody waits for it, perhaps for good: it must not count meanwhile. What it holds
            # there is kept, for nothing is sent to that place but what is written anew.
            self.ask(peer, False)

    def _settle(self, peer: Peer) -> None:
        """Nothing is left to compare: a last flush. One that did not count is waited for from here
        on, so that nothing is acknowledged without it between this flush and the record."""
        if peer.settling or peer.leaving:
            return
        peer.settling = self._stream.seq + 1
        peer.counts = True
        self.recount()
        self._stream.barrier()

    def flushed(self, peer: Peer, seq: int) -> None:
        """It has made durable everything up to `seq`."""
        peer.flushed = seq
        peer.applied = max(peer.applied, seq)
        if peer.lag is not None:
            peer.lag.applied(seq)
        if peer.backlog is not None:
            peer.backlog.applied(seq, peer.heard_at)
        if peer.resync is not None:
            peer.resync.flushed(seq)
        if peer.settling and seq >= peer.settling:
            if peer.phase is Phase.RECONCILING:
                self._join(peer)
            else:
                self._take_in(peer)
        self._stream.relieve()
        self._changed()

    def _take_in(self, peer: Peer) -> None:
        """Ask for it, once everybody else who counts has what it has. What it was found to hold
        already is active here, not there: a later primary would not look for it (V5)."""
        others = (one for one in self.peers.values() if one.counts)
        ready = all(one.caught_up and one.flushed >= peer.settling for one in others)
        if ready and peer.asked is None and peer.phase is not Phase.RECONCILING:
            self.ask(peer, True)

    def _join(self, peer: Peer) -> None:
        """It has everything, and the record counts on it."""
        sent = peer.resync.sent if peer.resync is not None else 0
        peer.phase, peer.resync, peer.settling = Phase.STREAMING, None, 0
        peer.backlog = None
        peer.dirty.fill(False)
        self._stream.send(peer, Kind.SETTLED)
        self._ports.report(ResyncDone(peer.name, sent))
        self._ports.report(MemberJoined(peer.name))
        self.recount()

    # The record.

    def ask(self, peer: Peer, counts: bool) -> None:
        """Ask for the record to be changed; a later question overrules an earlier one."""
        self._ticket += 1
        peer.asked, peer.ticket = counts, self._ticket
        peer.ask_at = self._ports.now() + self._settings.ask_again
        self._ports.ask(peer.name, counts, self._ticket)

    def agreed(self, name: str, counts: bool, ticket: int) -> None:
        """The record says so now."""
        peer = self.peers.get(name)
        if peer is None or peer.ticket != ticket or peer.asked is not counts:
            return
        peer.asked = None
        if counts:
            if peer.settling:
                self._join(peer)
            return
        if peer.lag is not None:
            peer.lag.clear()
        peer.counts = False
        if peer.leaving:
            self._forget(peer)
            return
        match peer.phase:
            case Phase.WAITING:
                self._begin(peer)
            case Phase.RECONCILING:
                # Halfway, and not counted on any more: from now on behind an undo log.
                self.lose(peer, "taken out while it was compared")
            case Phase.STREAMING:
                self._settle(peer)
            case _:
                self.recount()

    def leave(self, name: str) -> None:
        """Take a member out for good: first of the record, then from here."""
        peer = self.peers.get(name)
        if peer is None:
            return
        peer.leaving = True
        if peer.counts:
            self.ask(peer, False)
        else:
            self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        if peer.link is not None:
            peer.link.close()
        del self.peers[peer.name]
        disk = self._stream.disk
        try:
            disk.change(maps={m: e for m, e in disk.superblock.maps.items() if m != peer.name})
            disk.store.remove(f"dirty.{peer.name}")
        except OSError as error:
            disk.fail(error.errno or 5)
        self.recount()

    def refused(self, name: str, ticket: int, reason: str) -> None:
        """The record may or may not have changed. It is asked again after a while."""
        peer = self.peers.get(name)
        if peer is not None and peer.ticket == ticket and peer.asked is not None:
            peer.ask_at = self._ports.now() + self._settings.ask_again
            peer.refusal = reason
