"""Accepting a loss: the operator's word goes into the record of each volume of a group."""

import getpass

from rich.console import Console
from rich.markup import escape

from holdfast.bus import Bus
from holdfast.config.model import ClusterFile, VolumeResource
from holdfast.config.volume_check import replicated
from holdfast.console.ask import status_where
from holdfast.console.status import ask
from holdfast.console.volume_ask import NotThere, served, tell
from holdfast.console.volume_view import size
from holdfast.wire import StatusReply
from holdfast.wire.volumes import AcceptLoss, MemberPulse, VolumeStatus

TOLD_WITHIN = 10.0


async def accepted(bus: Bus, cluster: ClusterFile, group: str, node: str | None) -> bool:
    """Put it on record for every volume whose copy on `node` lacks something, and say what.

    False if one was refused, as it is while the volume is served: what its primary acknowledges
    from now on would be lost unstated. Returns when the leading decider knows.
    Raises HoldfastError.
    """
    if node is None:
        raise NotThere("no node is named", place="--accept-loss", cure="add `--on NODE`")
    console = Console(highlight=False, soft_wrap=True, stderr=True)
    for name in _volumes(cluster, group):
        statuses = [one for one in (await ask(bus)).volumes if one.pulse.volume == name]
        mine = next((one for one in statuses if one.node == node), None)
        if mine is not None and mine.pulse.standing == "in_sync":
            continue
        if reason := served(statuses):
            console.print(f"[bold red]refused:[/] volume {name}: {escape(reason)}")
            return False
        stated = _stated(statuses, node)
        console.print(f"[yellow]volume {name} on {node}:[/] {escape(stated)}")
        request = AcceptLoss(volume=name, operator=getpass.getuser(), stated=stated)
        answer = await tell(bus, node, request)
        if not answer.ok:
            console.print(f"[bold red]refused:[/] {escape(answer.text)}")
            return False
        if not await _known(bus, name, node):
            console.print("[bold red]the leader does not know of it in time[/]; ask again")
            return False
    return True


def _volumes(cluster: ClusterFile, group: str) -> list[str]:
    resources = cluster.groups[group].resources if group in cluster.groups else {}
    return [
        resource.volume
        for resource in resources.values()
        if isinstance(resource, VolumeResource) and resource.volume in replicated(cluster)
    ]


def _stated(statuses: list[VolumeStatus], node: str) -> str:
    """What the last primary said that the copy lacks."""
    said = [
        member
        for status in sorted(statuses, key=lambda one: -one.pulse.epoch)
        for member in status.pulse.members
        if status.pulse.role == "primary" and member.node == node
    ]
    if not said:
        return "how much it lacks is not known"
    seconds = max(said[0].lag_seconds if said[0].lag_bytes else 0.0, said[0].behind_seconds)
    lag = f", the last {seconds:.1f} s" if seconds else ""
    return f"when its primary was last heard, it lacked {size(_lacked(said[0]))}{lag}"


def _lacked(member: MemberPulse) -> int:
    return max(member.behind, member.lag_bytes)


async def _known(bus: Bus, volume: str, node: str) -> bool:
    def known(reply: StatusReply) -> bool:
        return any(
            (one.node, one.pulse.volume) == (node, volume)
            and one.pulse.standing in ("accepted", "in_sync")  # promoted already
            for one in reply.volumes
        )

    return await status_where(bus, known, TOLD_WITHIN) is not None
