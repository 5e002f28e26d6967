"""Asking the leading decider: one request and its typed reply, and the status that follows it."""

import asyncio
from collections.abc import Callable

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.clock import monotonic
from holdfast.console.connection import Unreachable
from holdfast.wire import Begun, GroupRequest, Refused, StandingRequest, StatusReply, StatusRequest

ASK_TIMEOUT = 3.0
POLL = 0.3


async def ask(bus: Bus, request: GroupRequest | StandingRequest) -> Begun | Refused:
    """What the leader says to it. Raises Unreachable."""
    try:
        reply: Begun | Refused = await bus.request(
            subjects.admin("decider"), request, Begun | Refused, timeout=ASK_TIMEOUT
        )
    except BusError as error:
        raise Unreachable(
            f"no decider answered: {error.problem}",
            place=error.place,
            cure="is there a leader? `holdfast status` tells; then look before you ask again",
        ) from error
    return reply


async def status_where(
    bus: Bus, wanted: Callable[[StatusReply], bool], timeout: float
) -> StatusReply | None:
    """The leader's status as soon as it is as wanted; None if that takes more than `timeout` s."""
    deadline = monotonic() + timeout
    while monotonic() < deadline:
        try:
            reply = await bus.request(
                subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK_TIMEOUT
            )
        except BusError:
            pass  # an election is under way
        else:
            if wanted(reply):
                return reply
        await asyncio.sleep(POLL)
    return None
