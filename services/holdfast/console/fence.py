"""`holdfast fence confirm`, `fence allow`: an operator's signed word about a node."""

import asyncio
import getpass
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.markup import escape

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.console.connection import Unreachable
from holdfast.console.credentials import seed_file
from holdfast.console.whereabouts import HERE, Which
from holdfast.errors import HoldfastError
from holdfast.signed_word import OPERATOR, sign
from holdfast.wire import Begun, FenceRequest, Refused, StatusReply, StatusRequest

ASK_TIMEOUT = 3.0
EFFECT_WITHIN = 10.0
LOOK_EVERY = 0.5


async def confirm(node: str, /, *, boot: str | None = None, which: Which = HERE) -> int:
    """Vouch that a silent node is off, so that its groups may run elsewhere. Signed with your key.

    Only say so when you have switched it off yourself, or seen it without power: if it still runs,
    its groups run twice. Exit code 0: taken; 1: refused, or its leader is gone: say it again.

    Parameters
    ----------
    node
        The node that is off.
    boot
        The boot that is meant: default the last that was heard.
    """
    return await _say("confirm", node, boot, which)


async def allow(node: str, /, *, boot: str | None = None, which: Which = HERE) -> int:
    """Let a held node be switched off, although many are off already. Signed with your key.

    Exit code 0: its fence devices are told; 1: refused.

    Parameters
    ----------
    node
        The node that may be switched off.
    boot
        The boot that is meant: default the last that was heard.
    """
    return await _say("allow", node, boot, which)


async def _say(
    action: Literal["confirm", "allow"], node: str, boot: str | None, which: Which
) -> int:
    where = which.find()
    bus = await where.connect()
    try:
        request = sign(
            seed_file(where.secrets, OPERATOR),
            cluster=where.cluster.cluster.name,
            action=action,
            node=node,
            boot=boot or await _boot(bus, node),
            operator=getpass.getuser(),
            now=datetime.now(UTC),
        )
        term = (await _status(bus)).leader_term
        reply = await _ask(bus, request)
        taken = isinstance(reply, Begun) and action == "confirm"
        lost = taken and not await _has_effect(bus, request, term)
    finally:
        await bus.close()
    console = Console(highlight=False)
    if isinstance(reply, Refused):
        console.print(f"[bold red]refused:[/] {escape(reply.reason)}")
        return 1
    console.print(f"taken for boot {request.boot}; [dim]incident {reply.incident}[/]")
    if lost:
        console.print(
            "[bold red]the leader that took it leads no more, and it had no effect yet:[/] "
            "if the node is still off, say it again"
        )
        return 1
    return 0


async def _has_effect(bus: Bus, request: FenceRequest, term: int) -> bool:
    """False if the leader of `term`, which alone knows the word, is gone before it was of use.

    True as well if that cannot be seen in time: then groups may wait for something else.
    """
    try:
        async with asyncio.timeout(EFFECT_WITHIN):
            while True:
                await asyncio.sleep(LOOK_EVERY)
                try:
                    status = await _status(bus)
                except Unreachable:
                    continue
                waits = any(
                    one.owner == request.node and one.phase == "fencing" for one in status.groups
                )
                if status.leader_term != term or not waits:
                    return not waits
    except TimeoutError:
        return True


async def _boot(bus: Bus, node: str) -> str:
    """The boot of a node that the leader heard last. Raises HoldfastError."""
    status = await _status(bus)
    found = next((one for one in status.nodes if one.node == node), None)
    if found is None or not found.boot:
        known = ", ".join(one.node for one in status.nodes if one.boot)
        raise HoldfastError("no boot of it is known", place=node, cure=f"known are: {known}")
    return found.boot


async def _status(bus: Bus) -> StatusReply:
    try:
        return await bus.request(
            subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK_TIMEOUT
        )
    except BusError as error:
        raise _unanswered(error) from error


async def _ask(bus: Bus, request: FenceRequest) -> Begun | Refused:
    try:
        reply: Begun | Refused = await bus.request(
            subjects.admin("decider"), request, Begun | Refused, timeout=ASK_TIMEOUT
        )
    except BusError as error:
        raise _unanswered(error) from error
    return reply


def _unanswered(error: BusError) -> Unreachable:
    return Unreachable(
        f"no decider answered: {error.problem}",
        place=error.place,
        cure="without a majority of voters nobody decides: `holdfast status` tells",
    )
