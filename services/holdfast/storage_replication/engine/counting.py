"""Who counts, and how far all of them are."""

from holdfast.storage_replication.engine.backlog import Backlog
from holdfast.storage_replication.engine.peer import Peer
from holdfast.storage_replication.engine.ports import Frozen, Ports, Thawed
from holdfast.storage_replication.engine.stream import Stream


class Counting:
    """Kept by Membership; `recount` after each change of a phase or of what counts."""

    def __init__(self, stream: Stream, ports: Ports) -> None:
        self._stream, self._ports = stream, ports
        self.waited: list[Peer] = []
        """Every acknowledgement waits for them."""
        self.following: list[Peer] = []
        """Async, counted on: they bound what may be lost."""
        self.backlogs: list[Backlog] = []
        """Of those in a resync: nobody waits for them, but for room on their links."""
        self.blocked = False
        """One that counts does not have everything: nothing is acknowledged, new writes wait."""
        self.deposed = 0
        """The higher epoch that somebody else has; 0: nobody has."""
        self.draining = False
        """Async members are waited for as others are, those that are connected."""

    def recount(self) -> None:
        """Look at everybody again."""
        peers = self._stream.peers.values()
        self._stream.sort()
        self.waited = [
            peer
            for peer in peers
            if peer.counts and (peer.lag is None or (self.draining and peer.caught_up))
        ]
        self.following = [peer for peer in peers if peer.counts and peer.lag is not None]
        self.backlogs = [peer.backlog for peer in peers if peer.backlog is not None]
        missing = [peer.name for peer in self.waited if not peer.caught_up]
        blocked = bool(missing or self.deposed)
        if blocked != self.blocked:
            self.blocked = blocked
            self._ports.report(Frozen(missing) if blocked else Thawed())

    def committed(self) -> int:
        """Up to here everybody has applied who counts. Not to be asked while `blocked`."""
        if len(self.waited) == 1:
            return self.waited[0].applied
        return min((peer.applied for peer in self.waited), default=self._stream.seq)

    def flushed(self) -> int:
        """Up to here all is durable, here and at everybody who counts; -1 while `blocked`."""
        if self.blocked:
            return -1
        return min([self._stream.synced, *(peer.flushed for peer in self.waited)])

    def complete(self) -> list[str]:
        """The async members that have everything, durably."""
        return [
            peer.name
            for peer in self.following
            if peer.caught_up and peer.flushed >= self._stream.written
        ]

    @property
    def flooded(self) -> bool:
        """Whether a member in a resync gets less done than clients write."""
        return any(backlog.full for backlog in self.backlogs)

    def exceeded(self, now: float) -> bool:
        """Whether an async member is over its bound."""
        return any(peer.lag is not None and peer.lag.exceeded(now) for peer in self.following)
