"""What clients are told, and when: nothing that a failover could take back.

A write when everybody who counts has applied it, a flush when they have made it durable (V1), a
read when nothing that it overlaps is still open (V4). None while one that counts may lack something
(V3), and none after the end of the node's lease (V7).
"""

from collections import deque
from collections.abc import Callable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.coming import Coming
from holdfast.storage_replication.engine.counting import Counting
from holdfast.storage_replication.engine.pending import Pending
from holdfast.storage_replication.engine.reads import Reads
from holdfast.storage_replication.interfaces import Done


class Answers:
    """Of one primary. Each step tells whether somebody was answered: then more may be possible."""

    def __init__(
        self,
        disk: MemberDisk,
        counting: Counting,
        coming: Coming,
        now: Callable[[], float],
        latency: Callable[[float, float, bool], None],
    ) -> None:
        """`latency` is told when a write or a flush began and ended, in seconds of `now`, and
        whether it made something durable."""
        self._counting, self._now, self._latency = counting, now, latency
        self.valid_until = 0.0
        """End of the node's lease, in seconds of `now`: later, nothing is answered."""
        self.pending = Pending()
        self.flushes: deque[tuple[int, Done, float]] = deque()
        """The number of each, whom to tell, and when it began."""
        self.reads = Reads(disk, coming, self.pending, lambda: now() < self.valid_until)

    def acknowledge(self) -> bool:
        """The writes that everybody who counts has applied."""
        pending = self.pending
        if not pending or self._counting.blocked:
            return False
        committed = self._counting.committed()
        if pending.first() > committed:
            return False
        now = self._now()
        moved = False
        while pending and pending.first() <= committed:
            # Asked each time: whoever is told may do anything, and the lease may end meanwhile.
            if self._counting.blocked or now >= self.valid_until:
                break
            _, _, _, done, began = pending.pop()
            moved = True
            if done is not None:
                self._latency(began, now, False)
                done(0)
                now = self._now()
        return moved

    def answer_flushes(self) -> bool:
        """Those before which all is durable, here and at everybody who counts."""
        moved = False
        while (
            self.flushes
            and self.flushes[0][0] <= self._counting.flushed()
            and self._now() < self.valid_until
        ):
            _, done, began = self.flushes.popleft()
            self._latency(began, self._now(), True)
            done(0)
            moved = True
        return moved

    def answer_reads(self) -> bool:
        """Those that need not wait any more."""
        if not self._counting.blocked:
            self.reads.trust()
        return self.reads.answer()

    def end(self, error: int) -> None:
        """Everybody who waits is told of it."""
        flushes, self.flushes = self.flushes, deque()
        while self.pending:
            done = self.pending.pop()[3]
            if done is not None:
                done(error)
        for _, flushed, _ in flushes:
            flushed(error)
        self.reads.end(error)
