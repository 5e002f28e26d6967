"""Asking about volumes: what their nodes say of them, and what a node's storage service answers."""

import asyncio

from holdfast import subjects
from holdfast.bus import Bus, BusError, BusUnavailable
from holdfast.clock import monotonic
from holdfast.console.connection import Unreachable
from holdfast.console.status import ask
from holdfast.errors import HoldfastError
from holdfast.wire.volumes import VolumeAnswer, VolumeRequest, VolumeStatus

ASK_TIMEOUT = 60.0
DELIVER_WITHIN = 15.0
"""Seconds: a cluster that has just been started may need them."""
POLL = 0.3


class NotThere(HoldfastError):
    """The cluster has no such volume, or nobody serves it."""


async def tell(bus: Bus, node: str, request: VolumeRequest) -> VolumeAnswer:
    """Ask a node's storage service. Raises Unreachable."""
    deadline = monotonic() + DELIVER_WITHIN
    try:
        while True:
            try:
                return await bus.request(
                    subjects.storage_admin(node), request, VolumeAnswer, timeout=ASK_TIMEOUT
                )
            except BusUnavailable:  # nobody has it, so it may be sent again
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(POLL)
    except BusError as error:
        raise Unreachable(
            f"the storage service of {node} did not answer: {error.problem}",
            place=error.place,
            cure=f"does it run on {node}, with a cluster file that names the volume?",
        ) from error


async def statuses(bus: Bus, volume: str | None) -> list[VolumeStatus]:
    """Every copy of every volume, or of one. Raises Unreachable."""
    reply = await ask(bus)
    return [status for status in reply.volumes if volume in (None, status.pulse.volume)]


async def serving(bus: Bus, volume: str) -> VolumeStatus:
    """What the volume's primary says. Raises NotThere, Unreachable."""
    found = await statuses(bus, volume)
    primaries = _primaries(found)
    if not primaries:
        if not found:
            raise unknown(volume)
        raise NotThere(
            "no node serves it now",
            place=f"volume {volume}",
            cure="start its group: `holdfast start GROUP`",
        )
    return max(primaries, key=lambda one: one.pulse.epoch)


def served(found: list[VolumeStatus]) -> str:
    """Of one volume: who serves it, as a reason why no copy may be set back; empty: nobody."""
    for one in _primaries(found):
        if not one.pulse.problem:  # else its disk failed, and it answers nothing
            return f"{one.node} serves it, and has all that was acknowledged"
    return ""


def _primaries(found: list[VolumeStatus]) -> list[VolumeStatus]:
    return [one for one in found if one.heard and one.pulse.role == "primary"]


def unknown(volume: str) -> NotThere:
    """What there is to say of a name that is none."""
    return NotThere(
        f"there is no replicated volume {volume}",
        place="cluster file",
        cure='`[volumes.<name>]` with `driver = "replicated"` describes one',
    )
