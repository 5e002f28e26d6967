"""This place's vote: serves `ha.lease.<place>` with the pure core of `holdfast.lease`."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from holdfast import clock, subjects
from holdfast.bus import Bus, BusError
from holdfast.failover_decider import voter_store
from holdfast.failover_decider.messages import LeaderSeen
from holdfast.lease import (
    LEADER_LEASE,
    VoterState,
    another_electorate,
    answer,
    electorate,
    learn,
    settled,
)
from holdfast.structs import replace
from holdfast.timing import Timing
from holdfast.wire import (
    Claim,
    Learn,
    LeaseReply,
    LeaseRequest,
    Release,
    Renew,
    Terms,
    Vote,
)

LEARN_AGAIN = 0.5
CHANGED = "to change the voters, follow `Change the voters` in docs/setup.md; else restore the file"
_log = logging.getLogger("holdfast.voter")


class Voter:
    """One voter of those in `voters`. `seen` hears whatever happens to the leadership lease,
    `reject` of messages that do not count: subject, kind and reason. `buckets` is told to who asks.

    Raises VoterStoreError when its pledge cannot be written.
    """

    def __init__(
        self,
        bus: Bus,
        place: str,
        folder: Path,
        timing: Timing,
        voters: list[str],
        seen: Callable[[LeaderSeen], None],
        reject: Callable[[str, str, str], None],
        buckets: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self._bus, self._place, self._voters, self._seen = bus, place, voters, seen
        self._reject, self._buckets = reject, buckets
        self._path = folder / "voter.json"
        self._lock = asyncio.Lock()
        terms, self._pledge = voter_store.load_all(
            self._path, max_ttl=timing.ttl, electorate=electorate(voters)
        )
        voter_store.store_pledge(self._path, self._pledge)
        self._state = VoterState(
            name=place,
            started=clock.monotonic(),
            max_ttl=timing.ttl,
            longest_ttl=self._pledge.longest_ttl,
            electorate=self._pledge.electorate,
            unnamed=self._pledge.unnamed,
            blank=terms is None,
            terms=terms or {},
        )

    @property
    def state(self) -> VoterState:
        """What this voter knows now."""
        return self._state

    @property
    def misled(self) -> str:
        """What is wrong when the cluster file names other voters than it votes among; else empty.

        It goes on voting among those: what runs, runs on, until the file is right again.
        """
        if self._state.electorate == electorate(self._voters):
            return ""
        return (
            f"the cluster file names the voters {electorate(self._voters)}, but this one votes "
            f"among {self._state.electorate}: {CHANGED}"
        )

    async def serve(self) -> None:
        """Start to answer."""
        self._report("")
        await self._bus.serve(subjects.lease(self._place), LeaseRequest, self._on_request)

    async def learn(self) -> None:
        """Fill a blank voter's memory from the others; returns once it may vote.

        That takes a ttl at least, also in a new cluster, where nobody has anything to teach.
        """
        if self._state.blank:
            await asyncio.sleep(self._state.ready_at - clock.monotonic())
        while self._state.blank:
            asked_at = clock.monotonic()
            replies = {reply.voter: reply for reply in await self.ask_others()}
            learnt = learn(self._state, replies, len(self._voters), asked_at=asked_at)
            if not learnt.blank:
                async with self._lock:
                    await self._store_and_adopt(learnt)
                _log.info("this voter has its memory: %d leases", len(learnt.terms))
                return
            await asyncio.sleep(LEARN_AGAIN)

    async def ask_others(self) -> list[Terms]:
        """What each of the others tells; fewer when not all answer."""
        others = [voter for voter in self._voters if voter != self._place]
        asked = await asyncio.gather(*(self._ask(other) for other in others))
        return [reply for reply in asked if reply is not None]

    async def _ask(self, other: str) -> Terms | None:
        question = Learn(voter=self._place, electorate=self._state.electorate)
        try:
            reply = await self._bus.request(
                subjects.lease(other), question, LeaseReply, timeout=1.0
            )
        except BusError:
            return None
        return reply if isinstance(reply, Terms) and reply.voter == other else None

    async def _on_request(self, request: Renew | Claim | Release | Learn) -> Vote | Terms:
        stranger = another_electorate(self._state, request.electorate)
        if stranger:
            self._reject(subjects.lease(self._place), "electorate", f"{stranger}: {CHANGED}")
        async with self._lock:
            if isinstance(request, Learn):
                return self._told()
            await self._settle()
            result = answer(self._state, request, clock.monotonic())
            if result.store is not None:
                await self._store_and_adopt(result.state)
            self._state = result.state
        if request.lease == LEADER_LEASE and result.vote.granted:
            self._report(request.successor if isinstance(request, Release) else "")
        return result.vote

    def _told(self) -> Terms:
        return Terms(
            voter=self._place,
            blank=self._state.blank,
            terms=list(self._state.terms.values()),
            electorate=self._state.electorate,
            longest_ttl=self._state.bound,
            buckets=self._buckets(),
        )

    async def _settle(self) -> None:
        """Let the longer promises of an earlier profile be over, on disk, too, if they are."""
        state = settled(self._state, clock.monotonic())
        if state is self._state:
            return
        pledge = replace(self._pledge, longest_ttl=state.longest_ttl)
        try:
            await asyncio.to_thread(voter_store.store_pledge, self._path, pledge)
        except voter_store.VoterStoreError as error:
            _log.warning("%s", error)  # it goes on with the longer one, which only waits longer
            return
        self._pledge, self._state = pledge, state

    async def _store_and_adopt(self, state: VoterState) -> None:
        await asyncio.to_thread(voter_store.store, self._path, state.terms)
        self._state = replace(state, blank=False)

    def _report(self, successor: str) -> None:
        until = self._state.promised_until.get(LEADER_LEASE, 0.0)
        self._seen(LeaderSeen(self._state.stored(LEADER_LEASE), until, successor))
