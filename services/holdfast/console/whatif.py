"""`holdfast whatif`: the live state, the deciders' own cores, and one change."""

import asyncio
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.console import decider_program
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire import Refused, SnapshotReply, SnapshotRequest

ASK_TIMEOUT = 3.0


async def whatif(
    *question: str,
    json: bool = False,
    timeout: float = 120.0,
    which: Which = HERE,
) -> int:
    """Say what would happen: decisions with their rules, refusals, times, what stays unserved.

    The deciders' own cores run ahead from their live state; nothing is changed.
    Exit code 0: every group would be served in the end, 1: not every one, 2: no answer.

    Parameters
    ----------
    question
        E.g. "node alpha lost", "node alpha silent", "network partition alpha", "witness W lost",
        "group G fails", "switchover G to beta", "stop G", "start G on alpha".
    json
        The answer as one line of JSON.
    timeout
        Seconds it may take to work it out.
    """
    console = Console(highlight=False)
    where = which.find()
    bus = await where.connect()
    try:
        told = await asyncio.gather(*(_ask(bus, voter) for voter in where.cluster.cluster.voters))
    finally:
        await bus.close()
    snapshots = [reply for reply in told if isinstance(reply, SnapshotReply)]
    for reply in told:
        if isinstance(reply, Refused):
            console.print(Text(reply.reason, "yellow"))
    _, answer = await decider_program.run(
        "whatif", *question, given=msgspec.json.encode(snapshots), timeout=timeout
    )
    if json:
        console.out(msgspec.json.encode(answer).decode(), highlight=False)
    else:
        show(answer, console)
    return 1 if answer["unserved"] else 0


async def _ask(bus: Bus, voter: str) -> SnapshotReply | Refused | None:
    """What one decider knows; None if it does not answer."""
    request = SnapshotRequest(place=voter)
    try:
        reply: SnapshotReply | Refused = await bus.request(
            subjects.admin("decider"), request, SnapshotReply | Refused, timeout=ASK_TIMEOUT
        )
    except BusError:
        return None
    return reply


def show(answer: dict[str, Any], console: Console) -> None:
    """Print what would happen, in order, and how it would end."""
    console.print(Text.assemble(("what if: ", "dim"), (answer["question"], "bold")))
    if answer["missing"]:
        missing = ", ".join(answer["missing"])
        console.print(Text(f"not asked, taken for lost already: {missing}", "yellow"))
    if answer["answer"]:
        console.print(f"the operator is told: {answer['answer']}")
    told = [(one["at"], _decision(one)) for one in answer["decisions"]]
    told += [(one["at"], _refusal(one)) for one in answer["refusals"]]
    told += [(one["at"], _move(one)) for one in answer["moves"]]
    for at, text in sorted(told, key=lambda one: one[0]):
        console.print(Text(f"{at:7.1f} s  ", "dim") + text)
    if not told:
        console.print("no decision would be made")
    if answer["leader_after"] != answer["leader"]:
        console.print(f"led by {answer['leader']} now, by {answer['leader_after']} then")
    console.print(_groups(answer["groups"]))
    if answer["at_rest_after"] is None:
        console.print(Text("it does not come to rest", "yellow"))
    console.print(Text("Taken for granted:", "dim"))
    for assumption in answer["assumptions"]:
        console.print(Text(f"- {assumption}", "dim"))


def _decision(made: dict[str, Any]) -> Text:
    way = f"from {made['source'] or 'nowhere'} to {made['target'] or 'nowhere'}"
    text = Text.assemble(
        (f"{made['group']}: {made['kind']} {way}", "bold"), f", by rule {made['rule']}"
    )
    for other in made["alternatives"]:
        text.append(f"\n           not {other['choice']}: {other['rejected_because']}", "dim")
    return text


def _refusal(refused: dict[str, Any]) -> Text:
    return Text.assemble(
        (f"{refused['group']}: nothing is done", "yellow"),
        f", by rule {refused['rule']}: {refused['reason']}",
    )


def _move(moved: dict[str, Any]) -> Text:
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in moved["phases"].items())
    return Text.assemble((f"{moved['group']} runs on {moved['node']}", "green"), f" ({phases})")


def _groups(groups: list[dict[str, Any]]) -> Table:
    table = Table("group", "now", "then", "phase", "reason", box=None, padding=(0, 2, 0, 0))
    for group in groups:
        table.add_row(
            group["group"],
            group["before"] or "nobody",
            group["owner"] or "nobody",
            Text(group["phase"], "green" if group["served"] else "bold red"),
            Text(group["reason"]),
        )
    return table
