"""Where a group's replicated volumes may be promoted, as far as pulses tell. Pure.

A hint: the storage service that is ordered to promote asks the record, which alone decides (I5).
"""

from collections.abc import Iterator

from holdfast.config.model import VolumeResource
from holdfast.config.volume_check import replicated
from holdfast.config.volumes import MaxLag, ReplicatedVolume
from holdfast.failover_decider.state import NodeView, State
from holdfast.wire.volumes import MemberPulse, VolumePulse


def forbid(state: State, group: str, view: NodeView, *, orderly: bool = False) -> str | None:
    """Why a volume of the group cannot be promoted on a node; None when nothing is known.

    `orderly`: it is stopped first where it runs, and a copy that follows gets all by that.
    """
    for name, volume in volumes(state, group):
        copy = view.copy(name)
        if copy is None:
            return f"its storage service has not told how its copy of volume {name} is"
        if copy.problem:
            return f"its copy of volume {name} cannot be used: {copy.problem}"
        if copy.standing == "none":
            return f"it has no copy of volume {name} on record"
        if newer := _newer(state, view, copy):
            return f"its record of volume {name} is of the past (epoch {copy.record}): {newer}"
        if copy.standing == "behind" or _lags(state, view, volume, copy, orderly):
            return f"its copy of volume {name} {_lacks(state, view, name, copy)}{_cure(copy)}"
    return None


def _newer(state: State, view: NodeView, copy: VolumePulse) -> str:
    """Another copy that has accepted a later epoch than the record has: a bucket went back in time,
    as one that was restored, and who is in sync by it may lack acknowledged writes."""
    for other in state.nodes.values():
        seen = other.copy(copy.volume) if other.node != view.node else None
        if seen and 0 < copy.record < seen.epoch and other.boot and other.suspicion is None:
            return f"the copy on {other.node} is of epoch {seen.epoch}"
    return ""


def _lags(
    state: State, view: NodeView, config: ReplicatedVolume, copy: VolumePulse, orderly: bool
) -> bool:
    """Whether a copy that follows may lack more than may be lost. One that is away gets nothing by
    an orderly stop; one that lost power may lack more than its primary knows."""
    if copy.standing != "following":
        return False
    if orderly:
        member = _as_its_primary_sees_it(state, view.node, copy.volume, copy)
        return member is not None and member.phase != "streaming"
    return config.max_lag is None or not copy.intact


def misgivings(state: State, group: str, view: NodeView) -> list[str]:
    """What would be lost, or may have been, if the group's volumes were promoted on the node."""
    found = []
    for name, volume in volumes(state, group):
        copy = view.copy(name)
        if copy is not None and not copy.intact and copy.standing in ("in_sync", "following"):
            found.append(f"its copy of volume {name} lost power since it was compared")
        if copy is not None and copy.standing != "in_sync":
            found.append(f"its copy of volume {name} {_lacks(state, view, name, copy)}")
            if volume.max_lag is not None:
                found[-1] += f", {_allowed(volume.max_lag)}"
    return found


def volumes(state: State, group: str) -> Iterator[tuple[str, ReplicatedVolume]]:
    """The replicated volumes of a group, by name."""
    known = replicated(state.cluster)
    for resource in state.cluster.groups[group].resources.values():
        if isinstance(resource, VolumeResource) and resource.volume in known:
            yield resource.volume, known[resource.volume]


def _lacks(state: State, view: NodeView, volume: str, copy: VolumePulse) -> str:
    """In words, with bytes and seconds where the primary told them."""
    member = _as_its_primary_sees_it(state, view.node, volume, copy)
    if copy.standing == "following":
        if member is None:
            return "follows, how closely nobody tells"
        more = "" if copy.intact else "it lost power: more than "
        return f"follows: {more}{member.lag_bytes} bytes of {member.lag_seconds:.1f} s may be lost"
    if copy.standing == "accepted":
        return "is behind, which an operator accepted"
    known = f", by at most {member.behind} bytes" if member is not None else ""
    if member is not None and member.behind_seconds:
        known += f" of the last {member.behind_seconds:.1f} s"
    return f"is behind{known}: it lacks acknowledged writes"


def _as_its_primary_sees_it(
    state: State, node: str, volume: str, copy: VolumePulse
) -> MemberPulse | None:
    """What the primary of the record that the copy knows last said of it, alive or not."""
    primaries = [
        seen
        for other in state.nodes.values()
        if other.node != node and (seen := other.copy(volume)) and seen.role == "primary"
    ]
    latest = max(primaries, key=lambda seen: seen.epoch, default=None)
    if latest is None or latest.epoch < copy.epoch:
        return None
    return next((member for member in latest.members if member.node == node), None)


def _allowed(lag: MaxLag) -> str:
    return f"which is within the {lag.bytes} and {lag.seconds:g} s that `max_lag` allows"


def _cure(copy: VolumePulse) -> str:
    whole = ", ".join(copy.in_sync)
    return f"; {whole} has all; only an operator may accept that (`--accept-loss`)"
