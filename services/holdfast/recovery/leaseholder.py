"""Holding the node's lease: asking every voter at once, again and again, and feeling its end.

A dead voter delays nobody: each request is a task of its own with its own deadline.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from holdfast import clock, subjects
from holdfast.bus import BusError
from holdfast.lease import HolderState, electorate, node_lease
from holdfast.paths import Paths
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.journal import Journal, JournalError, StoredLease
from holdfast.recovery.tenure import Tenure
from holdfast.stopping import end
from holdfast.structs import replace
from holdfast.timing import Timing
from holdfast.wire import Claim, Renew, Vote

ANSWER_WITHIN_ROUNDS = 2.0
_log = logging.getLogger("holdfast.recovery")


class LeaseHolder:
    """The lease `node/<node>`; `changed` is called when it is acquired or about to be lost.

    `looked` is told until when it is valid, again and again.
    """

    def __init__(
        self,
        *,
        node: str,
        boot: str,
        voters: list[str],
        timing: Timing,
        paths: Paths,
        reject: Callable[[str, str], None],
        journal: Journal,
        dead_man: DeadMan,
        looked: Callable[[float], None],
        changed: Callable[[Literal["acquired", "lost"]], None],
    ) -> None:
        self._voters, self._timing, self._paths, self._reject = voters, timing, paths, reject
        self._journal, self._dead_man, self._changed = journal, dead_man, changed
        self._looked = looked
        self._holder = HolderState(
            lease=node_lease(node),
            holder=node,
            boot=boot,
            voters=len(voters),
            ttl=timing.ttl,
            margin=timing.margin,
            electorate=electorate(voters),
        )
        self.tenure = Tenure(stop_before=timing.stop_before)
        self._asking: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._stored = StoredLease(boot=boot)
        self._take_up(journal.load_lease())

    @property
    def valid_until(self) -> float:
        """The end of the lease as votes gave it."""
        return self._holder.valid_until

    @property
    def term(self) -> int:
        """The term in which the lease is held; 0 if it is not."""
        return self._holder.term

    async def run(self) -> None:
        """Renew until cancelled. The lease is not released: the workloads need it (I10)."""
        try:
            while True:
                # One look at the clock for both: no gap can hide between them.
                now = clock.monotonic()
                self._felt(now)
                self._ask_all(now)
                # Timers stand still while the machine is suspended: the next look is not theirs.
                await asyncio.sleep(self._timing.renew_every)
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            await end(*self._asking)

    def _take_up(self, stored: StoredLease) -> None:
        """What an earlier run of this service, in this boot, was promised is still promised."""
        if stored.boot != self._holder.boot:
            return
        self._stored = stored
        self._holder = replace(
            self._holder,
            term=stored.term,
            highest_seen=stored.term,
            valid_until=stored.valid_until,
        )
        self._dead_man.arm(stored.valid_until - self._timing.kill_before)
        now = clock.monotonic()
        self.tenure = self.tenure.taken_up(stored.since, stored.valid_until, now)

    def _ask_all(self, now: float) -> None:
        self._holder, request = self._holder.request(now)
        for voter in self._voters:
            task = asyncio.create_task(self._ask(voter, request), name=f"lease {voter}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, voter: str, request: Renew | Claim) -> None:
        timeout = self._timing.renew_every * ANSWER_WITHIN_ROUNDS
        try:
            vote = await self._paths.ask(voter, request, Vote, timeout=timeout)
        except BusError as error:
            _log.debug("no vote from %s: %s", voter, error.problem)
            return
        if vote.voter != voter:
            self._reject(subjects.lease(voter), f"a vote of {vote.voter}")
            return
        self._holder = self._holder.on_vote(vote)
        self._felt(clock.monotonic())

    def _felt(self, now: float) -> None:
        """Compare the lease with the clock: first the switches, then the file, then the groups."""
        valid_until = self._holder.valid_until
        self._dead_man.arm(valid_until - self._timing.kill_before)
        self._looked(valid_until)
        self.tenure, change = self.tenure.advance(valid_until, now)
        boot, since = self._holder.boot, self.tenure.since
        self._store(StoredLease(boot=boot, term=self.term, since=since, valid_until=valid_until))
        self._set_alarm(now)
        if change is not None:
            self._changed(change)

    def _set_alarm(self, now: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if self.tenure.held:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self.tenure.act_until - now, self._alarmed)

    def _alarmed(self) -> None:
        self._felt(clock.monotonic())

    def _store(self, lease: StoredLease) -> None:
        if lease == self._stored:
            return
        try:
            self._journal.store_lease(lease)
            self._stored = lease
        except JournalError as error:
            # Only a restart of this service would miss it, and then stop early rather than late.
            _log.error("%s", error)
