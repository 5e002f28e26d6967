"""What the pulse says of a volume: the record as it is seen here, and its data path. Pure."""

from typing import Literal

from holdfast.clock import wall_seconds
from holdfast.storage_replication.control import Comparison, MemberState, State
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.transitions import holding
from holdfast.volumes import VolumeRecord
from holdfast.wire.volumes import Comparing, MemberPulse, VolumePulse

Standing = Literal["in_sync", "following", "accepted", "behind", "none"]


def pulse(
    place: Place, record: VolumeRecord | None, state: State | None, problem: str, now: str
) -> VolumePulse:
    """`problem`: why there is no data path, if there is none. `now`: wall time."""
    volume, node = place.volume, place.node
    served = state is not None and state.role == "primary"
    return VolumePulse(
        volume=volume,
        standing=standing(record, node, now),
        problem=(_unusable(record, node, state) if state else problem)[:200],
        intact=state.intact if state else True,
        role=state.role if state else "off",
        epoch=state.epoch if state else 0,
        record=record.epoch if record else 0,
        size=record.size if record else 0,
        frozen=state.frozen[:200] if state else "",
        in_sync=record.in_sync if record else [],
        following=record.following if record else [],
        members=[
            _member(name, one, _behind_since(record, name), now)
            for name, one in (state.members.items() if state else ())
            if record is None or name in record.members
        ],
        clients=state.clients if state else 0,
        socket=str(place.socket) if served else "",
        export=volume if served else "",
    )


def standing(record: VolumeRecord | None, node: str, now: str) -> Standing:
    """What the record says of a member at the wall time `now`."""
    if record is None or node not in record.members:
        return "none"
    if node in record.in_sync:
        return "in_sync"
    if holding(record, node, now):
        return "accepted"
    return "following" if node in record.following else "behind"


def lacking(record: VolumeRecord, name: str, state: MemberState | None) -> str:
    """What its primary has to say against a member; empty: nothing."""
    if not record.counts(name):
        why = state.refusal if state is not None and state.phase == "resyncing" else ""
        return f"it does not have all writes{why and f': {why}'}"
    if state is not None and state.asynchronous and state.phase == "away":
        return f"not connected: it lacks {state.lag_bytes} bytes of {state.lag_seconds:.1f} s"
    if state is not None and state.phase == "away" and state.asked:
        return "not connected: the record still counts on it"
    return f"silent for {state.silent:.1f} s" if state is not None and state.silent else ""


def _unusable(record: VolumeRecord | None, node: str, state: State) -> str:
    if state.failed:
        return f"its disk failed (errno {state.failed})"
    if state.going_back is not None:
        done = 100 * state.going_back.done // max(1, state.going_back.total)
        return f"going back to its last consistent state: {done} %"
    if state.resyncing and record is not None and node not in record.in_sync:
        return "its resync is not complete"
    return ""


def _behind_since(record: VolumeRecord | None, name: str) -> str:
    known = record.members.get(name) if record is not None else None
    return known.in_step if known is not None else ""


def _member(name: str, state: MemberState, since: str, now: str) -> MemberPulse:
    return MemberPulse(
        node=name,
        connected=state.connected,
        phase=state.phase,
        behind=state.behind,
        behind_seconds=wall_seconds(since, now),
        silent=state.silent,
        lag_bytes=state.lag_bytes,
        lag_seconds=state.lag_seconds,
        resync=_comparing(state.resync),
        verify=_comparing(state.verify),
        problem=state.refusal[:200],
    )


def _comparing(comparison: Comparison | None) -> Comparing | None:
    if comparison is None:
        return None
    return Comparing(done=comparison.done, total=comparison.total, eta=comparison.eta)
