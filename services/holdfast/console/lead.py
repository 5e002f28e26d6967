"""`holdfast lead`: hand the deciders' leadership, and the streams', to a place."""

import getpass

import msgspec
from rich.console import Console

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.clock import monotonic
from holdfast.config.model import ClusterFile
from holdfast.console.connection import Unreachable
from holdfast.console.whereabouts import HERE, Which
from holdfast.errors import HoldfastError
from holdfast.streams import move_stream_leaders
from holdfast.wire import LeadRequest, Refused, StatusReply, StatusRequest

ASK_TIMEOUT = 3.0
TAKE_OVER_TIMEOUT = 15.0


async def lead(
    place: str,
    /,
    *,
    streams: bool = False,
    json: bool = False,
    which: Which = HERE,
) -> int:
    """Hand the deciders' leadership to a place, e.g. before maintenance. Moves no workload.

    Parameters
    ----------
    place
        The host or witness that shall lead.
    streams
        Make it the leader of the bus's streams, too.
    json
        Print the outcome as JSON: {leader, streams}; `streams`: whether it leads those, too.
    """
    where = which.find()
    bus = await where.connect()
    try:
        await _hand_over(bus, place)
        if streams:
            await _move_streams(bus, where.cluster, place)
    finally:
        await bus.close()
    console = Console(highlight=False)
    if json:
        console.out(msgspec.json.encode({"leader": place, "streams": streams}).decode())
    else:
        console.print(f"{place} leads")
    return 0


async def _hand_over(bus: Bus, place: str) -> None:
    deadline = monotonic() + TAKE_OVER_TIMEOUT
    request = LeadRequest(place=place, operator=getpass.getuser())
    while monotonic() < deadline:
        leader = await _leader(bus)
        if leader == place:
            return
        if leader is not None:
            await _ask(bus, request)
    raise HoldfastError(
        f"it did not take the leadership within {TAKE_OVER_TIMEOUT:.0f} s",
        place=place,
        cure="does its failover_decider run, and does it hear a majority of the voters?",
    )


async def _leader(bus: Bus) -> str | None:
    try:
        reply = await bus.request(
            subjects.admin("decider"), StatusRequest(), StatusReply, timeout=1.0
        )
    except BusError:
        return None  # an election is under way
    return reply.leader


async def _ask(bus: Bus, request: LeadRequest) -> None:
    try:
        reply = await bus.request(
            subjects.admin("decider"), request, StatusReply | Refused, timeout=ASK_TIMEOUT
        )
    except BusError as error:
        raise Unreachable(error.problem, place=error.place, cure=error.cure) from error
    if isinstance(reply, Refused):
        raise HoldfastError(reply.reason, place=request.place, cure="name a voter of the cluster")


async def _move_streams(bus: Bus, cluster: ClusterFile, place: str) -> None:
    try:
        await move_stream_leaders(bus, set(cluster.places()) - {place})
    except BusError as error:
        raise Unreachable(error.problem, place=error.place, cure=error.cure) from error
