"""`holdfast switchover`, `stop`, `start`: an operator's word about a group, to its end."""

import asyncio
import getpass
from typing import Literal

from rich.console import Console
from rich.markup import escape

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.clock import monotonic
from holdfast.console.connection import Unreachable
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire import (
    Begun,
    GroupRequest,
    GroupStatus,
    Refused,
    StatusReply,
    StatusRequest,
)

ASK_TIMEOUT = 3.0
POLL = 0.3


async def switchover(
    group: str,
    /,
    *,
    to: str | None = None,
    timeout: float = 120.0,
    which: Which = HERE,
) -> int:
    """Move a group to another node in order: stop it here, start it there; roll back on failure.

    Exit code 0: it runs on the new node; 1: refused, rolled back or not finished in time.

    Parameters
    ----------
    group
        The group to move.
    to
        The node to move it to: default the best other one.
    timeout
        Seconds to wait for the end.
    """
    request = _request("switchover", group, to)
    return await _carry_out(await which.connect(), request, timeout)


async def stop(
    group: str,
    /,
    *,
    timeout: float = 120.0,
    which: Which = HERE,
) -> int:
    """Stop a group and keep it stopped, whatever happens, until `holdfast start`.

    Exit code 0: it is stopped; 1: refused or not finished in time.

    Parameters
    ----------
    group
        The group to stop.
    timeout
        Seconds to wait for the end.
    """
    request = _request("stop", group, None)
    return await _carry_out(await which.connect(), request, timeout)


async def start(
    group: str,
    /,
    *,
    on: str | None = None,
    timeout: float = 120.0,
    which: Which = HERE,
) -> int:
    """Start a group that is held or was stopped by an operator.

    Exit code 0: it runs; 1: refused or not finished in time.

    Parameters
    ----------
    group
        The group to start.
    on
        The node to start it on: default the best one.
    timeout
        Seconds to wait for the end.
    """
    request = _request("start", group, on)
    return await _carry_out(await which.connect(), request, timeout)


def _request(
    action: Literal["switchover", "stop", "start"], group: str, target: str | None
) -> GroupRequest:
    return GroupRequest(action=action, group=group, target=target, operator=getpass.getuser())


async def _carry_out(bus: Bus, request: GroupRequest, timeout: float) -> int:
    """Ask, and follow the group until it is where the request wants it, or settles elsewhere."""
    console = Console(highlight=False)
    try:
        reply = await _ask(bus, request)
        if isinstance(reply, Refused):
            console.print(f"[bold red]refused:[/] {escape(reply.reason)}")
            return 1
        console.print(f"[dim]incident {reply.incident}[/]")
        end = await _settled(bus, request.group, timeout)
    finally:
        await bus.close()
    if end is None:
        console.print(f"[bold red]not finished within {timeout:.0f} s[/]; see `holdfast status`")
        return 1
    stopping = request.action == "stop"
    kept = end.phase == "held" if stopping else (end.phase, end.owner) == ("active", reply.target)
    where = f"on {end.owner}" if end.owner else ""
    colour = "green" if kept else "bold red"
    console.print(f"[{colour}]{request.group} is {end.phase} {where}[/] {escape(end.reason)}")
    return 0 if kept else 1


async def _ask(bus: Bus, request: GroupRequest) -> Begun | Refused:
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


async def _settled(bus: Bus, group: str, timeout: float) -> GroupStatus | None:
    """The group's status once no move is under way any more; None if that takes too long."""
    deadline = monotonic() + timeout
    while monotonic() < deadline:
        found = await _status(bus, group)
        if found is not None and found.phase in ("active", "held"):
            return found
        await asyncio.sleep(POLL)
    return None


async def _status(bus: Bus, group: str) -> GroupStatus | None:
    try:
        reply = await bus.request(
            subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK_TIMEOUT
        )
    except BusError:
        return None  # an election is under way
    return next((found for found in reply.groups if found.group == group), None)
