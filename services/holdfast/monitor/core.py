"""From observations to signals: pure, so the same observations always give the same signals.

An observation counts only after its damping (`Observation.failures`, `.hold`); then it is a
change, and a change is an event. A series is one probe on one entity. `state` None means that
nothing has counted yet: after a start, and for a new instance.
"""

from types import MappingProxyType

import msgspec

from holdfast.events import Draft
from holdfast.events.fields import Health
from holdfast.events.health import HealthSignal
from holdfast.ids import Mint
from holdfast.monitor.observation import Observation
from holdfast.wire import SignalSummary

MAX_REASON = 300
"""Characters of a reason, so that a full pulse stays within a message."""
MAX_PULSE_SIGNALS = 64
MAX_PULSE_BYTES = 48 * 1024
_BADNESS = {Health.FAILED: 0, Health.DEGRADED: 1, Health.UNKNOWN: 2, Health.OK: 3}


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One probe on one entity. `signal` is the last reported one that no ok has followed."""

    instance: str = ""
    state: Health | None = None
    signal: SignalSummary | None = None
    deviations: int = 0
    """Observations in a row that differ from `state`."""
    deviates_since: float = 0.0

    @property
    def shown(self) -> SignalSummary | None:
        """What the pulse says of this series; nothing while it is ok or not known yet."""
        return None if self.state in (None, Health.OK) else self.signal


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the monitor knows: by entity, then by probe."""

    observer: str
    entities: MappingProxyType[str, MappingProxyType[str, Series]] = MappingProxyType({})


def observe(
    state: State, seen: Observation, now: float, mint: Mint
) -> tuple[State, tuple[Draft, ...]]:
    """Take one observation in. Returns the new state and the change it made, if any."""
    subject = seen.subject
    probes = state.entities.get(subject.entity, MappingProxyType({}))
    series = _of_instance(probes.get(subject.probe, Series()), subject.instance)
    if seen.state == series.state:
        return _put(state, seen, _settled(series)), ()
    if series.state is None and series.signal is None and seen.state is Health.OK:
        return _put(state, seen, _settled(series, state=Health.OK)), ()
    since = series.deviates_since if series.deviations else now
    count = series.deviations + 1
    enough = seen.state is Health.OK or count >= seen.failures
    if not enough or now - since < seen.hold:
        waiting = msgspec.structs.replace(series, deviations=count, deviates_since=since)
        return _put(state, seen, waiting), ()
    draft = _signal(state, probes, series, seen, mint())
    signal = None if seen.state is Health.OK else _summary(draft, seen, now)
    return _put(state, seen, _settled(series, state=seen.state, signal=signal)), (draft,)


def reset(state: State, entity: str, instance: str) -> State:
    """The entity is now another instance: what its predecessor suffered says nothing about it."""
    probes = state.entities.get(entity)
    if probes is None:
        return state
    fresh = {name: _of_instance(series, instance) for name, series in probes.items()}
    return _put_probes(state, entity, fresh)


def forget(state: State, entity: str) -> State:
    """The entity is no longer observed here: nothing can be said about it."""
    kept = {name: probes for name, probes in state.entities.items() if name != entity}
    return msgspec.structs.replace(state, entities=MappingProxyType(kept))


def pulse_signals(state: State) -> list[SignalSummary]:
    """Every signal that is not ok, worst first, then oldest; bounded in number and in bytes."""
    shown = [
        signal
        for probes in state.entities.values()
        for series in probes.values()
        if (signal := series.shown) is not None
    ]
    shown.sort(key=lambda signal: (_BADNESS[signal.state], signal.since, signal.event))
    room = MAX_PULSE_BYTES
    chosen: list[SignalSummary] = []
    for signal in shown[:MAX_PULSE_SIGNALS]:
        room -= len(msgspec.json.encode(signal)) + 1
        if room < 0:
            break
        chosen.append(signal)
    return chosen


def _of_instance(series: Series, instance: str) -> Series:
    """The series, begun anew if it is about another instance.

    The signal is kept, unseen in the pulse: the new instance's first good look ends its incident.
    """
    if series.instance == instance:
        return series
    return Series(instance=instance, signal=series.signal)


def _settled(series: Series, **changes: object) -> Series:
    return msgspec.structs.replace(series, deviations=0, deviates_since=0.0, **changes)


def _put(state: State, seen: Observation, series: Series) -> State:
    entity, probe = seen.subject.entity, seen.subject.probe
    probes = state.entities.get(entity, MappingProxyType({}))
    if probes.get(probe) == series:
        return state
    return _put_probes(state, entity, {**probes, probe: series})


def _put_probes(state: State, entity: str, probes: dict[str, Series]) -> State:
    entities = {**state.entities, entity: MappingProxyType(probes)}
    return msgspec.structs.replace(state, entities=MappingProxyType(entities))


def _signal(
    state: State,
    probes: MappingProxyType[str, Series],
    series: Series,
    seen: Observation,
    event: str,
) -> Draft:
    subject = seen.subject
    cause = _cause(probes, series, seen)
    return Draft(
        id=event,
        data=HealthSignal(
            layer=subject.layer,
            node=subject.node,
            observer=state.observer,
            probe=subject.probe,
            state=seen.state,
            previous=series.state or Health.UNKNOWN,
            reason=seen.reason[:MAX_REASON],
            instance=subject.instance,
            measurements=seen.measurements,
        ),
        entity=subject.entity,
        incident=cause.incident if cause else None,
        cause=cause.event if cause else None,
    )


def _cause(
    probes: MappingProxyType[str, Series], series: Series, seen: Observation
) -> SignalSummary | None:
    """The signal that this one follows; None if it begins an incident.

    Either the series' own, or the first of the entity's that is still bad. A probe that is merely
    blind (unknown) can stay so for ever, so nothing joins it.
    """
    own = series.signal if seen.state is Health.OK else series.shown
    if own is not None:
        return own
    bad = [
        other.signal
        for other in probes.values()
        if other.state in (Health.FAILED, Health.DEGRADED)
        and other.signal is not None
        and other.signal.instance == seen.subject.instance
    ]
    return min(bad, key=lambda signal: (signal.since, signal.event), default=None)


def _summary(draft: Draft, seen: Observation, now: float) -> SignalSummary:
    subject = seen.subject
    return SignalSummary(
        entity=subject.entity,
        node=subject.node,
        layer=subject.layer,
        probe=subject.probe,
        state=seen.state,
        reason=seen.reason[:MAX_REASON],
        event=draft.id,
        incident=draft.correlation,
        since=now,
        instance=subject.instance,
    )
