"""What operators ask of this decider over the bus, and what they are told."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime

from holdfast import clock, subjects
from holdfast.failover_decider.inputs.codec import Snapshot, pack
from holdfast.failover_decider.messages import (
    FenceAsked,
    GroupAsked,
    Input,
    LeadAsked,
    StandingAsked,
)
from holdfast.failover_decider.state import State
from holdfast.failover_decider.status import status
from holdfast.failover_decider.voter import Voter
from holdfast.service import Runtime
from holdfast.signed_word import WordError, verify
from holdfast.wire import (
    AdminRequest,
    Begun,
    ClearRequest,
    FenceRequest,
    GroupRequest,
    LeadRequest,
    MaintenanceRequest,
    Refused,
    SnapshotReply,
    SnapshotRequest,
    StatusReply,
    StatusRequest,
)

Reply = StatusReply | Begun | Refused | SnapshotReply


class Admin:
    """Requests of `ha.admin.decider`. `answers`: where the core's effects leave its replies."""

    def __init__(
        self,
        runtime: Runtime,
        voter: Voter,
        state: Callable[[], State],
        feed: Callable[[Input], None],
        answers: dict[int, Begun | Refused],
    ) -> None:
        self._rt, self._voter = runtime, voter
        self._state, self._feed, self._answers = state, feed, answers
        self._numbers = itertools.count(1)

    async def asked(self, request: AdminRequest) -> Reply | None:
        """The reply; None where another decider is to answer."""
        if isinstance(request, SnapshotRequest):
            if request.place != self._rt.place:
                return None  # the decider meant answers
            now = clock.monotonic()
            return pack(Snapshot(state=self._state(), voter=self._voter.state, now=now))
        if not self._state().leading:
            return None  # whoever leads answers
        match request:
            case StatusRequest():
                return status(self._state(), clock.monotonic())
            case GroupRequest():
                number = next(self._numbers)
                return self._answer(number, GroupAsked(number, request))
            case MaintenanceRequest() | ClearRequest():
                number = next(self._numbers)
                return self._answer(number, StandingAsked(number, request))
            case FenceRequest():
                return self._fence(request)
            case LeadRequest(place=place) if place not in self._rt.cluster.cluster.voters:
                return Refused(reason=f"{place} is not a voter of this cluster")
            case LeadRequest():
                reply = status(self._state(), clock.monotonic())
                self._feed(LeadAsked(request))
                return reply

    def _fence(self, request: FenceRequest) -> Begun | Refused:
        """An operator's word about a fence counts only with his signature."""
        try:
            verify(
                request,
                cluster=self._rt.cluster.cluster.name,
                secrets=self._rt.secrets,
                now=datetime.now(UTC),
            )
        except WordError as error:
            self._rt.rejects.reject(subjects.admin("decider"), "forged", str(error)[:900])
            return Refused(reason=f"{error.problem}: {error.cure}")
        number = next(self._numbers)
        return self._answer(number, FenceAsked(number, request))

    def _answer(self, number: int, asked: Input) -> Begun | Refused:
        self._feed(asked)
        return self._answers.pop(number, Refused(reason="it cannot be recorded here"))
