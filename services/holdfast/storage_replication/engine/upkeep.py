"""What a primary does now and then: pings, time-outs, cleaning, the pace of comparisons."""

from holdfast.storage_replication.engine.frames import Kind
from holdfast.storage_replication.engine.membership import Membership
from holdfast.storage_replication.engine.peer import FED, Peer, Phase
from holdfast.storage_replication.engine.ports import Differences, MemberSilent, Ports, Settings
from holdfast.storage_replication.engine.rate import TOLERATED, Rate, Seen, adjust, learn
from holdfast.storage_replication.engine.samples import Sample
from holdfast.storage_replication.engine.stream import Stream
from holdfast.storage_replication.engine.verify import Verify

_BURST = 1.0
"""Seconds' worth of comparing that may pile up."""
GENTLE_WINDOW = 8
GENTLE_BLOCKS = 4
"""Pieces compared at a time while clients write, and blocks in each: more make them wait, fewer a
member that is far away idle."""
_SOON, _ENOUGH = 0.3, 200
"""Seconds and writes that tell that a resync is too fast."""
_STOOD_STILL = 0.5
"""Seconds between two ticks."""


class Upkeep:
    """Driven by `tick`."""

    def __init__(
        self, stream: Stream, members: Membership, ports: Ports, settings: Settings
    ) -> None:
        self._stream, self._members, self._ports = stream, members, ports
        self._settings = settings
        self.rate = Rate()
        self._plain, self._durable = Sample(), Sample()
        self._slow, self._gentle = 0, False
        self._started = self._ticked = self._adjusted = self._quiet_since = ports.now()
        self._written = 0
        self._flooded = False

    def latency(self, began: float, ended: float, durable: bool) -> None:
        """A write, or what made something durable, took from then to then."""
        took = ended - began + self._waited(began)
        if durable:
            self._durable.add(took)
            return
        self._plain.add(took)
        usual = self.rate.plain.seconds
        if usual is not None and took > TOLERATED * usual:
            self._slow += 1

    def _waited(self, began: float) -> float:
        """What came right after a comparison waited for it, unread, perhaps from its beginning."""
        since, until = self._members.compared
        if began > 2 * until - since:
            return 0.0
        self._members.compared = 0.0, 0.0
        return until - since

    def tick(self) -> None:
        """About ten times a second."""
        now = self._ports.now()
        passed, self._ticked = now - self._ticked, now
        if passed >= _STOOD_STILL:
            self._excuse(passed, now)
        self._flooded |= self._members.counting.flooded
        for peer in list(self._members.peers.values()):
            self._look_after(peer, now)
            self._listen(peer, now)
        since = now - self._adjusted
        if since >= 1.0 or (since >= _SOON and self._hurts()):
            self._adjust(now)
        for peer in list(self._members.peers.values()):
            self._feed(peer, passed, now)
        self._tidy(now)

    def verify(self, member: str) -> bool:
        """Begin to compare a member in the background; False: it does not have everything yet, or
        is being compared."""
        peer = self._members.peers[member]
        if peer.phase is not Phase.STREAMING or peer.verify is not None:
            return False
        disk = self._stream.disk
        peer.verify = Verify(disk.geometry, disk.superblock.size)
        return True

    def _look_after(self, peer: Peer, now: float) -> None:
        settings = self._settings
        if peer.link is not None:
            if now - peer.heard_at >= settings.member_timeout:
                self._members.lose(peer, f"silent for {now - peer.heard_at:.1f} s")
            elif patience := self._stalled(peer, now):
                self._members.lose(peer, f"alive, but got nothing done for {patience:g} s")
            elif now - peer.pinged_at >= settings.ping_interval:
                peer.pinged_at = now
                self._stream.send(peer, Kind.PING)
        if peer.asked is not None:
            if now >= peer.ask_at:
                self._members.ask(peer, peer.asked)
        elif peer.counts and peer.lag is None and peer.phase is Phase.AWAY:
            # Only after a start: whoever is lost later is asked about at once.
            if now - self._started >= settings.member_timeout:
                self._members.ask(peer, False)
        elif peer.counts and peer.lag is not None and self._members.over(peer):
            if peer.phase in FED:
                self._members.lose(peer, "behind its bound")
            else:
                self._members.ask(peer, False)

    def _excuse(self, passed: float, now: float) -> None:
        """We stood still ourselves: what the members said meanwhile is not heard yet."""
        for peer in self._members.peers.values():
            peer.heard_at = min(now, peer.heard_at + passed)
            peer.progress_at = min(now, peer.progress_at + passed)

    def _listen(self, peer: Peer, now: float) -> None:
        """Tell of a silence early, while it may still be a stall."""
        silence = now - peer.heard_at
        silent = peer.phase in FED and silence >= self._settings.suspect_after
        if silent and not peer.silent:
            self._ports.report(MemberSilent(peer.name, silence))
        peer.silent = silent

    def _stalled(self, peer: Peer, now: float) -> float:
        """The seconds for which something is to be done there and nothing was, if that is as long
        as it may be; else 0.0."""
        stream, resync = self._stream, peer.resync
        if peer.phase is Phase.STREAMING or peer.settling:
            behind = peer.applied < stream.written or peer.flushed < stream.flushing
        else:
            behind = resync is not None and resync.waiting
        # Clients who wait for one that nobody needs do not wait for longer than for a silent one.
        full = peer.backlog is not None and peer.backlog.full
        settings = self._settings
        patience = min(settings.member_timeout, settings.stall) if full else settings.stall
        done = (peer.applied, peer.flushed, 0 if resync is None else resync.progress.done)
        if not (behind or full) or done != peer.progress:
            peer.progress, peer.progress_at = done, now
        return patience if now - peer.progress_at >= patience else 0.0

    def _hurts(self) -> bool:
        """Whether more than one in a hundred writes is too slow: then a second is long."""
        return self._slow > max(_ENOUGH, self._plain.count) // 100 and any(
            peer.resync is not None for peer in self._members.peers.values()
        )

    def _adjust(self, now: float) -> None:
        passed, self._adjusted = now - self._adjusted, now
        seen = Seen(self._plain.kept, self._durable.kept)
        peers = self._members.peers.values()
        busy = [p.resync for p in peers if p.resync is not None]
        if busy:
            done = max(resync.fresh for resync in busy) / passed
            self.rate = adjust(self.rate, seen, done)
        else:
            of_all = all(p.phase is Phase.STREAMING for p in peers)
            self.rate = learn(self.rate, seen, of_all)
        window = self._settings.resync_window
        # Behind a flood of writes a few chunks at a time would take for ever.
        self._gentle = bool(seen.plain or seen.durable) and not self._flooded
        self._members.window = min(window, GENTLE_WINDOW) if self._gentle else window
        self._flooded, self._slow = False, 0
        self._plain, self._durable = Sample(), Sample()
        for resync in busy:
            resync.fresh = 0
            resync.tick(now)

    def _feed(self, peer: Peer, passed: float, now: float) -> None:
        allowance = self.rate.speed * min(passed, _BURST)
        ceiling = self.rate.speed * _BURST
        if peer.resync is not None:
            peer.resync.progress.tick(now)
            peer.resync.budget = min(ceiling, peer.resync.budget + allowance)
            geometry = self._stream.disk.geometry
            gentle = self._gentle and peer.phase is Phase.RESYNCING
            peer.resync.piece = GENTLE_BLOCKS * geometry.block if gentle else geometry.chunk
        if peer.verify is not None:
            peer.verify.progress.tick(now)
            peer.verify.budget = min(ceiling, peer.verify.budget + allowance)
        self._members.pump(peer)
        if peer.verify is not None and peer.verify.done:
            found, peer.verify = peer.verify, None
            told = Differences(peer.name, found.ranges, found.unreadable, found.complete)
            self._ports.report(told)

    def _tidy(self, now: float) -> None:
        """Extents that are not written to any more become inactive, so that a crash costs less."""
        stream = self._stream
        stream.relieve()
        if stream.disk.activity.crowded:
            if stream.flushing <= stream.safe():
                stream.barrier()
            stream.clean()
        if stream.written != self._written:
            self._written, self._quiet_since = stream.written, now
        elif now - self._quiet_since >= self._settings.idle and stream.disk.activity.active:
            if stream.safe() < stream.written:
                self._quiet_since = now
                stream.barrier()
            stream.clean()
