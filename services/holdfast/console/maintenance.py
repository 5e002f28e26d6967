"""`holdfast maintenance`: take cluster, node or group out of the decider's hands, for a time."""

import getpass
import re
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdfast.bus import Bus
from holdfast.console.ask import ask, status_where
from holdfast.console.connection import Unreachable
from holdfast.console.whereabouts import HERE, Whereabouts, Which
from holdfast.errors import HoldfastError
from holdfast.events.policies import Scope
from holdfast.wire import ClearRequest, MaintenanceRequest, MarkStatus, Refused, StatusReply

STORED_WITHIN = 30.0
LONGEST = 31 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
For = Annotated[str, Parameter(name="--for")]


async def on(
    *,
    lasts: For,
    reason: str,
    node: str | None = None,
    group: str | None = None,
    json: bool = False,
    which: Which = HERE,
) -> int:
    """Begin, or change, a maintenance of the cluster, or of one node or group. It always expires.

    Exit code 0: it is in force; 1: refused, or not stored in time; 2: nobody could be asked.

    Parameters
    ----------
    lasts
        How long: 90s, 30m, 2h or 1d, at most 31 days.
    reason
        Why; shown by `holdfast status` and on the record.
    node
        The node; without --node and --group it is the whole cluster.
    group
        The group.
    json
        Print the outcome as JSON.
    """
    seconds = duration(lasts)
    if not 0 < len(reason) <= 1000:
        raise HoldfastError(
            f"{len(reason)} characters", place="--reason", cure="say it in 1 to 1000 characters"
        )
    where = which.find()
    scope, name = _about(where, node, group)
    request = MaintenanceRequest(
        action="on",
        scope=scope,
        name=name,
        seconds=seconds,
        reason=reason,
        operator=getpass.getuser(),
    )
    return await _carry_out(where, request, json=json)


async def off(
    *,
    node: str | None = None,
    group: str | None = None,
    json: bool = False,
    which: Which = HERE,
) -> int:
    """End a maintenance: the decider decides again, at once, on what it finds.

    Exit code 0: it is over; 1: refused, or not stored in time; 2: nobody could be asked.

    Parameters
    ----------
    node
        The node; without --node and --group it is the whole cluster.
    group
        The group.
    json
        Print the outcome as JSON.
    """
    where = which.find()
    scope, name = _about(where, node, group)
    request = MaintenanceRequest(action="off", scope=scope, name=name, operator=getpass.getuser())
    return await _carry_out(where, request, json=json)


async def list_(*, json: bool = False, which: Which = HERE) -> int:
    """Show what is in maintenance or in quarantine. Exit code 0, or 2: nobody could be asked.

    Parameters
    ----------
    json
        Print a list of {kind, scope, name, reason, operator, incident, left}; `left` in seconds.
    """
    bus = await which.connect()
    try:
        reply = await status_where(bus, lambda _: True, STORED_WITHIN)
    finally:
        await bus.close()
    if reply is None:
        raise _nobody()
    console = Console(highlight=False)
    if json:
        console.out(msgspec.json.encode(reply.marks).decode())
    else:
        console.print(marks(reply.marks) if reply.marks else "nothing is in maintenance")
    return 0


async def clear_group(group: str, /, *, json: bool = False, which: Which = HERE) -> int:
    """Forget what failed in a group: its quarantine ends, and it may go anywhere again.

    Exit code 0: done; 1: refused, or not stored in time; 2: nobody could be asked.

    Parameters
    ----------
    group
        The group.
    json
        Print the outcome as JSON.
    """
    request = ClearRequest(scope="group", name=group, operator=getpass.getuser())
    return await _carry_out(which.find(), request, json=json)


async def clear_node(node: str, /, *, json: bool = False, which: Which = HERE) -> int:
    """Forget what failed on a node: its quarantine ends.

    Exit code 0: done; 1: refused, or not stored in time; 2: nobody could be asked.

    Parameters
    ----------
    node
        The node.
    json
        Print the outcome as JSON.
    """
    request = ClearRequest(scope="node", name=node, operator=getpass.getuser())
    return await _carry_out(which.find(), request, json=json)


def duration(text: str) -> float:
    """Seconds meant by 90s, 30m, 2h or 1d. Raises HoldfastError. Pure."""
    found = re.fullmatch(r"(\d{1,7})([smhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST:
        raise HoldfastError(
            "not a duration, or more than 31 days",
            place=f"--for {text}",
            cure="write 90s, 30m, 2h or 1d",
        )
    return float(seconds)


def marks(found: list[MarkStatus]) -> Table:
    """Maintenance and quarantine as a table."""
    table = Table("what", "state", "ends", "by", "reason")
    for mark in found:
        table.add_row(
            f"{mark.scope} {escape(mark.name)}",
            f"[yellow]{mark.kind}[/]",
            "when cleared" if mark.left is None else f"in {mark.left / 60:.0f} min",
            escape(mark.operator or "the decider"),
            escape(mark.reason),
        )
    return table


def _about(where: Whereabouts, node: str | None, group: str | None) -> tuple[Scope, str]:
    if node is not None and group is not None:
        raise HoldfastError(
            "both a node and a group", place="--node, --group", cure="give one of them, or none"
        )
    if node is not None:
        return Scope.NODE, node
    return (Scope.GROUP, group) if group else (Scope.CLUSTER, where.cluster.cluster.name)


async def _carry_out(
    where: Whereabouts, request: MaintenanceRequest | ClearRequest, *, json: bool
) -> int:
    bus = await where.connect()
    try:
        outcome = await _outcome(bus, request)
    finally:
        await bus.close()
    console = Console(highlight=False)
    if json:
        console.out(msgspec.json.encode(outcome).decode())
    elif outcome["done"]:
        console.print(f"[green]done[/] [dim]incident {outcome['incident']}[/]")
    else:
        console.print(f"[bold red]not done:[/] {escape(outcome['reason'])}")
    return 0 if outcome["done"] else 1


async def _outcome(bus: Bus, request: MaintenanceRequest | ClearRequest) -> dict[str, Any]:
    """Ask, and wait until it is stored, for only then it counts."""
    reply = await ask(bus, request)
    if isinstance(reply, Refused):
        return {"done": False, "incident": None, "reason": reply.reason}
    begins = isinstance(request, MaintenanceRequest) and request.action == "on"

    def stored(status: StatusReply) -> bool:
        kind = "maintenance" if isinstance(request, MaintenanceRequest) else "quarantine"
        about = (kind, request.scope, request.name)
        found = [m.incident for m in status.marks if (m.kind, m.scope, m.name) == about]
        return reply.incident in found if begins else not found

    status = await status_where(bus, stored, STORED_WITHIN)
    late = f"not stored within {STORED_WITHIN:.0f} s; `holdfast maintenance list` tells what is"
    return {
        "done": status is not None,
        "incident": reply.incident,
        "reason": "" if status else late,
    }


def _nobody() -> Unreachable:
    return Unreachable(
        "no decider answered",
        place="ha.admin.decider",
        cure="is there a leader? `holdfast status` tells",
    )
