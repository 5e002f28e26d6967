"""Replicated volumes as operators see them. Pure."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from holdfast.wire.volumes import Comparing, MemberPulse, VolumePulse, VolumeStatus


def volumes(statuses: list[VolumeStatus]) -> Table:
    """A row for every copy."""
    table = Table("volume", "node", "role", "copy", "epoch", "state")
    for status in statuses:
        copy, seen = status.pulse, as_seen(statuses, status)
        good = status.heard and copy.standing in ("in_sync", "following") and not copy.problem
        table.add_row(
            copy.volume,
            status.node,
            copy.role if status.heard else f"{copy.role}, not heard now",
            f"[{'green' if good else 'red'}]{copy.standing.replace('_', ' ')}[/]",
            str(copy.epoch),
            escape("; ".join(_said(copy, seen))),
        )
    return table


def as_seen(statuses: list[VolumeStatus], status: VolumeStatus) -> MemberPulse | None:
    """What the volume's primary, if one is heard, says of a copy."""
    primaries = [
        other.pulse
        for other in statuses
        if other.heard and other.pulse.role == "primary"
        if (other.pulse.volume, other.node != status.node) == (status.pulse.volume, True)
    ]
    latest = max(primaries, key=lambda one: one.epoch, default=None)
    members = latest.members if latest else []
    return next((member for member in members if member.node == status.node), None)


def _said(copy: VolumePulse, seen: MemberPulse | None) -> Iterator[str]:
    if copy.problem:
        yield copy.problem
    if copy.frozen:
        yield f"writes wait: {copy.frozen}"
    if copy.role == "primary":
        yield f"{size(copy.size)}, {copy.clients} clients"
    if seen is None:
        return
    if not seen.connected:
        yield "not connected" + (f": {seen.problem}" if seen.problem else "")
    elif seen.silent:
        yield f"silent for {seen.silent:.1f} s"
    if copy.standing == "following" or seen.lag_bytes:
        yield f"lag {size(seen.lag_bytes)}, {seen.lag_seconds:.1f} s"
    if seen.resync is not None:
        yield f"resync {_progress(seen.resync)}"
    elif seen.behind and copy.standing == "behind":
        since = f", {seen.behind_seconds:.0f} s" if seen.behind_seconds else ""
        yield f"at most {size(seen.behind)} behind{since}"
    if seen.verify is not None:
        yield f"verify {_progress(seen.verify)}"


def _progress(work: Comparing) -> str:
    share = 100 * work.done / work.total if work.total else 100.0
    left = f", {work.eta:.0f} s left" if work.eta is not None else ""
    return f"{share:.0f} % of {size(work.total)}{left}"


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def degraded(statuses: list[VolumeStatus]) -> Iterator[str]:
    """Everything about volumes that is not as it should be, one sentence each."""
    for status in statuses:
        copy = status.pulse
        where = f"volume {copy.volume} on {status.node}"
        if not status.heard:
            yield f"{where} is not heard: nobody knows how that copy is"
            continue
        if copy.role == "primary":
            yield from _unknown(statuses, copy)
        if copy.problem:
            yield f"{where}: {copy.problem}"
        elif copy.standing not in ("in_sync", "following"):
            yield f"{where} is {copy.standing}: it does not have all writes"
        if copy.frozen:
            yield f"{where}: writes wait: {copy.frozen}"


def _unknown(statuses: list[VolumeStatus], primary: VolumePulse) -> Iterator[str]:
    """Of members whose node never said anything to the leading decider."""
    told = {status.node for status in statuses if status.pulse.volume == primary.volume}
    for member in primary.members:
        if member.node not in told:
            yield f"volume {primary.volume} on {member.node} is not heard: it has told nothing yet"
