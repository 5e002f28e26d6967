"""`holdfast switchover`, `stop`, `start`: an operator's word about a group, to its end."""

import getpass
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape

from holdfast.bus import Bus
from holdfast.console.accepting import accepted
from holdfast.console.ask import ask, status_where
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire import Begun, GroupRequest, GroupStatus, Refused, StatusReply

UNDER_WAY_WITHIN = 5.0


async def switchover(
    group: str,
    /,
    *,
    to: str | None = None,
    timeout: float = 120.0,
    json: bool = False,
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
    json
        Print the outcome as JSON: done, incident, phase, owner and reason.
    """
    request = _request("switchover", group, to)
    return await _carry_out(await which.connect(), request, timeout, json=json)


async def stop(
    group: str,
    /,
    *,
    timeout: float = 120.0,
    json: bool = False,
    which: Which = HERE,
) -> int:
    """Stop a group and keep it stopped, whatever happens, until `holdfast start`.

    One that is held, for want of a node say, stays down from then on; where a stop failed, it is
    tried once more.

    Exit code 0: it is stopped; 1: refused, failed or not finished in time: it may run still.

    Parameters
    ----------
    group
        The group to stop.
    timeout
        Seconds to wait for the end.
    json
        Print the outcome as JSON: done, incident, phase, owner and reason.
    """
    request = _request("stop", group, None)
    return await _carry_out(await which.connect(), request, timeout, json=json)


async def start(
    group: str,
    /,
    *,
    on: str | None = None,
    accept_loss: bool = False,
    timeout: float = 120.0,
    json: bool = False,
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
    accept_loss
        With `--on`: also if its copies of the group's volumes lack acknowledged writes, which are
        lost then. What they lack is said and recorded.
    timeout
        Seconds to wait for the end.
    json
        Print the outcome as JSON: done, incident, phase, owner and reason.
    """
    request = _request("start", group, on)
    bus = await which.connect()
    if accept_loss and not await accepted(bus, which.find().cluster, group, on):
        await bus.close()
        return 1
    return await _carry_out(bus, request, timeout, json=json, itself=accept_loss)


def _request(
    action: Literal["switchover", "stop", "start"], group: str, target: str | None
) -> GroupRequest:
    return GroupRequest(action=action, group=group, target=target, operator=getpass.getuser())


async def _carry_out(
    bus: Bus, request: GroupRequest, timeout: float, *, json: bool, itself: bool = False
) -> int:
    """Ask, and follow the group until it is where the request wants it, or settles elsewhere."""
    try:
        outcome = await _outcome(bus, request, timeout, quiet=json, itself=itself)
    finally:
        await bus.close()
    console = Console(highlight=False)
    if json:
        console.out(msgspec.json.encode(outcome).decode())
    elif not outcome.phase:
        console.print(f"[bold red]{escape(outcome.reason)}[/]")
    else:
        where = f"on {outcome.owner}" if outcome.owner else ""
        colour = "green" if outcome.done else "bold red"
        said = f"[{colour}]{request.group} is {outcome.phase} {where}[/]"
        console.print(f"{said} {escape(outcome.reason)}")
    return 0 if outcome.done else 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended. Without a phase: it was refused, or its end was not seen."""

    done: bool
    incident: str | None = None
    phase: str = ""
    owner: str | None = None
    reason: str = ""


async def _outcome(
    bus: Bus, request: GroupRequest, timeout: float, *, quiet: bool, itself: bool
) -> Outcome:
    """`itself`: a refusal is none if the group is on its way already, as a held one may be."""
    reply = await ask(bus, request)
    if isinstance(reply, Refused):
        if not (itself and await _under_way(bus, request)):
            return Outcome(done=False, reason=f"refused: {reply.reason}")
        reply = Begun(incident="", target=request.target)
    elif not quiet:
        Console(highlight=False).print(f"[dim]incident {reply.incident}[/]")

    def of(status: StatusReply) -> GroupStatus | None:
        return next((found for found in status.groups if found.group == request.group), None)

    def settled(status: StatusReply) -> bool:
        found = of(status)
        return found is not None and found.phase in ("active", "held")

    status = await status_where(bus, settled, timeout)
    end = of(status) if status else None
    if end is None:
        late = f"not finished within {timeout:.0f} s; see `holdfast status`"
        return Outcome(done=False, incident=reply.incident, reason=late)
    return ended(request, reply, end)


def ended(request: GroupRequest, reply: Begun, end: GroupStatus) -> Outcome:
    """What became of a request, when its group has come to rest."""
    # Held with an owner: it could not be stopped there, and may run still.
    wanted = ("held", None) if request.action == "stop" else ("active", reply.target)
    kept = (end.phase, end.owner) == wanted
    return Outcome(
        done=kept,
        incident=reply.incident,
        phase=end.phase,
        owner=end.owner,
        reason=end.reason if kept else _undone(reply, end),
    )


def _undone(reply: Begun, end: GroupStatus) -> str:
    """Of a group that is not as it was asked for: why, or where that is told; and what to do."""
    if end.phase == "held" and end.owner is not None:
        cure = f"it may run: switch {end.owner} off, then `holdfast fence confirm {end.owner}`"
        return "; ".join(filter(None, [end.reason, cure]))
    if end.reason or end.phase != "active":
        return end.reason
    undone = f"it did not come to run on {reply.target}" if reply.target else "it was called off"
    return f"{undone}; `holdfast why {reply.incident}` tells why"


async def _under_way(bus: Bus, request: GroupRequest) -> bool:
    """Whether the group starts, or runs, where it is wanted."""

    def there(status: StatusReply) -> bool:
        return any(
            (one.group, one.owner) == (request.group, request.target)
            and one.phase in ("starting", "active")
            for one in status.groups
        )

    return await status_where(bus, there, UNDER_WAY_WITHIN) is not None
