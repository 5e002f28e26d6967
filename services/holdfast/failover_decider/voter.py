"""This place's vote: serves `ha.lease.<place>` with the pure core of `holdfast.lease`."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from holdfast import clock, subjects
from holdfast.bus import Bus, BusError
from holdfast.failover_decider import voter_store
from holdfast.failover_decider.messages import LeaderSeen
from holdfast.lease import LEADER_LEASE, VoterState, answer, learn, may_ask_at
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
_log = logging.getLogger("holdfast.voter")


class Voter:
    """One voter. `seen` hears whatever happens to the leadership lease."""

    def __init__(
        self, bus: Bus, place: str, folder: Path, timing: Timing, seen: Callable[[LeaderSeen], None]
    ) -> None:
        self._bus, self._place, self._seen = bus, place, seen
        self._path = folder / "voter.json"
        self._lock = asyncio.Lock()
        terms = voter_store.load(self._path)
        self._state = VoterState(
            name=place,
            started=clock.monotonic(),
            max_ttl=timing.ttl,
            blank=terms is None,
            terms=terms or {},
        )

    @property
    def state(self) -> VoterState:
        """What this voter knows now."""
        return self._state

    async def serve(self) -> None:
        """Start to answer."""
        self._report("")
        await self._bus.serve(subjects.lease(self._place), LeaseRequest, self._on_request)

    async def learn(self, voters: list[str]) -> None:
        """Fill a blank voter's memory from the others; returns once it may vote.

        That takes a ttl at least, also in a new cluster, where nobody has anything to teach.
        """
        others = [voter for voter in voters if voter != self._place]
        if self._state.blank:
            await asyncio.sleep(may_ask_at(self._state) - clock.monotonic())
        while self._state.blank:
            asked_at = clock.monotonic()
            asked = await asyncio.gather(*(self._ask(other) for other in others))
            replies = {reply.voter: reply for reply in asked if reply is not None}
            learnt = learn(self._state, replies, len(voters), asked_at=asked_at)
            if not learnt.blank:
                async with self._lock:
                    await self._store_and_adopt(learnt)
                _log.info("this voter has its memory: %d leases", len(learnt.terms))
                return
            await asyncio.sleep(LEARN_AGAIN)

    async def _ask(self, other: str) -> Terms | None:
        try:
            reply = await self._bus.request(
                subjects.lease(other), Learn(voter=self._place), LeaseReply, timeout=1.0
            )
        except BusError:
            return None
        return reply if isinstance(reply, Terms) and reply.voter == other else None

    async def _on_request(self, request: Renew | Claim | Release | Learn) -> Vote | Terms:
        async with self._lock:
            if isinstance(request, Learn):
                terms = list(self._state.terms.values())
                return Terms(voter=self._place, blank=self._state.blank, terms=terms)
            result = answer(self._state, request, clock.monotonic())
            if result.store is not None:
                await self._store_and_adopt(result.state)
            self._state = result.state
        if request.lease == LEADER_LEASE and result.vote.granted:
            self._report(request.successor if isinstance(request, Release) else "")
        return result.vote

    async def _store_and_adopt(self, state: VoterState) -> None:
        await asyncio.to_thread(voter_store.store, self._path, state.terms)
        self._state = replace(state, blank=False)

    def _report(self, successor: str) -> None:
        until = self._state.promised_until.get(LEADER_LEASE, 0.0)
        self._seen(LeaderSeen(self._state.stored(LEADER_LEASE), until, successor))
