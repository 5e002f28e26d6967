"""Gauges of replicated volumes, each told by the node where the volume is served."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from holdfast.storage_replication.control import MemberState, State
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from holdfast.otlp import Telemetry

VOLUME, MEMBER = "holdfast.volume", "holdfast.member"
"""Attributes."""

Values = Iterable[tuple[float, dict[str, str]]]


class Gauge(NamedTuple):
    """`read` gets what the primary's data path said last, and the record as it is seen there."""

    name: str
    unit: str
    read: Callable[[State, VolumeRecord], Values]


def _each(value: Callable[[MemberState], float]) -> Callable[[State, VolumeRecord], Values]:
    def read(state: State, _: VolumeRecord) -> Values:
        return [(value(one), {MEMBER: name}) for name, one in state.members.items()]

    return read


GAUGES = (
    Gauge("holdfast.volume.lag", "By", _each(lambda member: member.lag_bytes)),
    Gauge("holdfast.volume.lag.age", "s", _each(lambda member: member.lag_seconds)),
    Gauge("holdfast.volume.resync", "By", _each(lambda member: member.behind)),
    Gauge("holdfast.volume.in_sync", "{copy}", lambda _, record: [(len(record.in_sync), {})]),
    Gauge("holdfast.volume.frozen", "1", lambda state, _: [(int(bool(state.frozen)), {})]),
)
"""docs/volumes.md says what they mean."""


def measure(telemetry: "Telemetry", agents: Collection[Agent]) -> None:
    """Report them from now on."""
    for gauge in GAUGES:
        telemetry.gauges(gauge.name, gauge.unit, partial(_read, gauge, agents))


def _read(gauge: Gauge, agents: Collection[Agent]) -> Values:
    """From another thread: each attribute is looked at once."""
    for agent in agents:
        state, record = agent.paths.state, agent.record
        if state is None or record is None or state.role != "primary":
            continue
        for value, attributes in gauge.read(state, record):
            yield value, {VOLUME: agent.volume, **attributes}
