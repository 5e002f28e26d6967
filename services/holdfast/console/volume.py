"""`holdfast volume`: an operator's word about replicated volumes."""

import getpass
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape

from holdfast.bus import Bus
from holdfast.config.volume_check import replicated
from holdfast.config.volumes import ReplicatedVolume
from holdfast.console import volume_view
from holdfast.console.ask import status_where
from holdfast.console.volume_ask import (
    NotThere,
    served,
    serving,
    statuses,
    tell,
    unknown,
)
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire import StatusReply
from holdfast.wire.volumes import (
    ChangeMember,
    CreateVolume,
    FallBackVolume,
    ResizeVolume,
    VerifyVolume,
    VolumeRequest,
)


async def show(volume: str | None = None, /, *, json: bool = False, which: Which = HERE) -> int:
    """Show every copy of every volume, or of one. Exit code 0: all in sync; 1: not all.

    Parameters
    ----------
    volume
        The volume to show: default all.
    json
        Print it as JSON.
    """
    console = Console(highlight=False)
    bus = await which.connect()
    try:
        found = await statuses(bus, volume)
    finally:
        await bus.close()
    if volume is not None and not found:
        raise unknown(volume)
    if json:
        console.out(msgspec.json.encode(found).decode())
    else:
        console.print(volume_view.volumes(found))
    return 1 if any(volume_view.degraded(found)) else 0


async def create(
    volume: str,
    /,
    *,
    content_of: str | None = None,
    overwrite: bool = False,
    timeout: float = 60.0,
    which: Which = HERE,
) -> int:
    """Make a volume that the cluster file describes: files where they are missing, and its record.

    One copy's content is the volume's; the others are made equal to it. One whose file or device
    holds something already is not started; `holdfast volume status` says so. Exit code 0: it is on
    record, and the copy with the content is ready; 1: refused or not ready in time.

    Parameters
    ----------
    volume
        A name of `[volumes]`.
    content_of
        The node whose file or device has the content: default the first member.
    overwrite
        Start the others anyway: all that their files or devices hold is lost.
    timeout
        Seconds to wait until that copy is ready.
    """
    config = _configured(which, volume)
    node = content_of or next(iter(config.members))
    if node not in config.members:
        raise NotThere(
            f"{node} is no member of volume {volume}",
            place="--content-of",
            cure=f"choose one of {', '.join(config.members)}",
        )
    bus = await which.connect()
    try:
        request = CreateVolume(volume=volume, operator=getpass.getuser(), overwrite=overwrite)
        code = await _carry_out(bus, node, request)
        return code or await _ready(bus, volume, node, timeout)
    finally:
        await bus.close()


async def members(
    action: Literal["add", "remove"],
    volume: str,
    node: str,
    /,
    *,
    overwrite: bool = False,
    which: Which = HERE,
) -> int:
    """Add a copy on a node that the cluster file names, or remove one. Exit code 1: refused.

    A copy is not started on a file or device that holds something, unless that was this volume's
    copy there; `holdfast volume status` says so.

    Parameters
    ----------
    action
        What to do.
    volume
        The volume.
    node
        Where the copy is, or shall be.
    overwrite
        Start an added copy anyway: all that its file or device holds is lost.
    """
    bus = await which.connect()
    try:
        request = ChangeMember(
            action=action,
            volume=volume,
            member=node,
            operator=getpass.getuser(),
            overwrite=overwrite,
        )
        return await _carry_out(bus, await _primary(bus, volume), request)
    finally:
        await bus.close()


async def verify(volume: str, node: str, /, *, repair: bool = False, which: Which = HERE) -> int:
    """Compare a copy with the primary's in the background. Exit code 0: begun; 1: refused.

    Parameters
    ----------
    volume
        The volume.
    node
        Whose copy.
    repair
        Overwrite what differs with what the primary has.
    """
    bus = await which.connect()
    try:
        request = VerifyVolume(
            volume=volume, member=node, repair=repair, operator=getpass.getuser()
        )
        return await _carry_out(bus, await _primary(bus, volume), request)
    finally:
        await bus.close()


async def resize(volume: str, /, *, which: Which = HERE) -> int:
    """Grow a volume to the size in the cluster file, while it is used. Exit code 1: refused.

    Parameters
    ----------
    volume
        The volume.
    """
    bus = await which.connect()
    try:
        request = ResizeVolume(volume=volume, operator=getpass.getuser())
        return await _carry_out(bus, await _primary(bus, volume), request)
    finally:
        await bus.close()


async def fallback(volume: str, node: str, /, *, which: Which = HERE) -> int:
    """Undo an unfinished resync: the copy is as it was before. Exit code 1: refused.

    Refused while the volume is served: who serves it has newer data, and gives it to that copy.

    Parameters
    ----------
    volume
        The volume.
    node
        Whose copy.
    """
    bus = await which.connect()
    try:
        if reason := served(await statuses(bus, volume)):
            Console(highlight=False).print(f"[bold red]refused:[/] {escape(reason)}")
            return 1
        request = FallBackVolume(volume=volume, operator=getpass.getuser())
        return await _carry_out(bus, node, request)
    finally:
        await bus.close()


async def _carry_out(bus: Bus, node: str, request: VolumeRequest) -> int:
    console = Console(highlight=False, soft_wrap=True)
    answer = await tell(bus, node, request)
    if not answer.ok:
        console.print(f"[bold red]refused:[/] {escape(answer.text)}")
        return 1
    console.print(f"[green]{request.volume}:[/] {escape(answer.text)}")
    console.print(f"[dim]incident {answer.incident}[/]")
    return 0


async def _ready(bus: Bus, volume: str, node: str, timeout: float) -> int:
    def ready(reply: StatusReply) -> bool:
        return any(
            (one.node, one.pulse.volume, one.pulse.standing) == (node, volume, "in_sync")
            and not one.pulse.problem
            for one in reply.volumes
        )

    if await status_where(bus, ready, timeout):
        return 0
    Console().print("[bold red]not ready in time[/]; see `holdfast volume status`")
    return 1


async def _primary(bus: Bus, volume: str) -> str:
    return (await serving(bus, volume)).node


def _configured(which: Which, volume: str) -> ReplicatedVolume:
    known = replicated(which.find().cluster)
    if volume not in known:
        raise unknown(volume)
    return known[volume]
