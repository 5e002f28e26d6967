"""`holdfast status`: the cluster as its leading decider sees it."""

import asyncio
from collections.abc import Iterator

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.console import volume_view
from holdfast.console.connection import Unreachable
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire import StatusReply, StatusRequest

ASK_TIMEOUT = 3.0
WATCH_EVERY = 1.0


async def status(
    *,
    json: bool = False,
    watch: bool = False,
    which: Which = HERE,
) -> int:
    """Show nodes and groups. Exit code 0: healthy, 1: degraded, 2: nobody could be asked.

    Parameters
    ----------
    json
        Print the reply as JSON.
    watch
        Show it anew every second until Ctrl-C.
    """
    console = Console(highlight=False)
    bus = await which.connect()
    try:
        if watch:
            await _watch(bus, console)
        reply = await ask(bus)
    finally:
        await bus.close()
    if json:
        console.out(msgspec.json.encode(reply).decode())
    else:
        console.print(_render(reply))
    return 1 if any(degradations(reply)) else 0


def degradations(reply: StatusReply) -> Iterator[str]:
    """Everything that is not as it should be, one sentence each. Pure."""
    for voter in reply.silent_voters:
        yield f"the voter of {voter} is silent: fewer further losses leave a majority"
    for mark in reply.marks:
        yield f"{mark.scope} {mark.name} is in {mark.kind}{_ends(mark.left)}: {mark.reason}"
    for loss in reply.unbearable:
        yield f"the loss of {loss.node} could not be borne: {loss.reason}"
    for node in reply.nodes:
        if node.state != "alive":
            yield f"node {node.node} is {node.state}, silent for {node.silent_for:.1f} s"
        elif not node.lease_valid:
            yield f"node {node.node} holds no lease: it may run nothing"
        if node.watchdog is not None and node.watchdog.problem:
            yield f"the watchdog of {node.node} cannot be armed: {node.watchdog.problem}"
        for signal in node.signals:
            probe = f"{signal.layer}, {signal.probe}"
            yield f"{signal.entity} is {signal.state} ({probe}): {signal.reason}"
    for group in reply.groups:
        if group.phase != "active" or group.reported != "active":
            why = f": {group.reason}" if group.reason else ""
            yield f"group {group.group} is {group.phase}, reported {group.reported}{why}"
    yield from volume_view.degraded(reply.volumes)


def _ends(left: float | None) -> str:
    return "" if left is None else f" for {left / 60:.0f} min more"


async def ask(bus: Bus) -> StatusReply:
    """What the leading decider sees. Raises Unreachable."""
    try:
        return await bus.request(
            subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK_TIMEOUT
        )
    except BusError as error:
        raise Unreachable(
            f"no decider answered: {error.problem}",
            place=error.place,
            cure="without a leader nothing is decided: are most voters running and connected? "
            "A change of leader takes a few seconds: ask again",
        ) from error


async def _watch(bus: Bus, console: Console) -> None:
    """Until Ctrl-C, which ends the command."""
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            try:
                live.update(_render(await ask(bus)), refresh=True)
            except Unreachable as error:
                live.update(escape(str(error)), refresh=True)
            await asyncio.sleep(WATCH_EVERY)


def _render(reply: StatusReply) -> Group:
    wrong = [f"[yellow]![/] {escape(one)}" for one in degradations(reply)]
    verdict = wrong or ["[green]healthy[/]"]
    head = f"cluster [bold]{reply.cluster}[/], led by {reply.leader} (term {reply.leader_term})"
    paths = [_paths(reply)] if reply.paths else []
    copies = [volume_view.volumes(reply.volumes)] if reply.volumes else []
    return Group(head, _nodes(reply), *paths, _groups(reply), *copies, *verdict)


def _nodes(reply: StatusReply) -> Table:
    table = Table("node", "state", "heard", "lease", "term", "boot")
    for node in reply.nodes:
        table.add_row(
            node.node,
            _coloured(node.state, good=node.state == "alive"),
            f"{node.silent_for:.1f} s ago" if node.boot else "never",
            _coloured("valid" if node.lease_valid else "none", good=node.lease_valid),
            str(node.term),
            escape(node.boot[:8]),
        )
    return table


def _paths(reply: StatusReply) -> Table:
    table = Table("network", "from", "paths")
    for path in reply.paths:
        state = f"lost to {', '.join(path.lost)}" if path.lost else "all up"
        table.add_row(path.network, path.node, _coloured(state, good=not path.lost))
    return table


def _groups(reply: StatusReply) -> Table:
    table = Table("group", "owner", "phase", "reported", "epoch", "reason")
    for group in reply.groups:
        table.add_row(
            group.group,
            group.owner or "nobody",
            _coloured(group.phase, good=group.phase == "active"),
            _coloured(group.reported, good=group.reported == "active"),
            str(group.epoch),
            escape(group.reason),
        )
    return table


def _coloured(text: str, *, good: bool) -> str:
    return f"[{'green' if good else 'red'}]{escape(text)}[/]"
