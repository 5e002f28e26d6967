"""Whether the monitor of a node that beats is heard: without it nobody sees what fails there.

A silent one moves nothing, for what runs there may be well. It is a signal of the leader, shown in
`status` as long as it lasts. Of a node that is silent as a whole `liveness` tells.
"""

from holdfast.events.fields import Health, Layer, service_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.state import NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace
from holdfast.wire import MonitorPulse, SignalSummary

PROBE = "monitor"
SILENT_FOR = 20.0
"""Seconds: more than one that hangs needs to be ended and started again."""
UNSEEN = "its hands beat, but its monitor does not: what fails there is not seen"


def heard(view: NodeView, pulse: object, now: float) -> float:
    """When the node's monitor was heard last, given a pulse of this boot."""
    speaks = isinstance(pulse, MonitorPulse) and pulse.service == "monitor"
    return now if speaks else view.monitor_heard


def on_tick(turn: Turn) -> None:
    """Say, once, whose monitor is not heard, and when it is heard again. Leaders only."""
    for view in turn.state.nodes.values():
        told = turn.state.silent_monitors.get(view.node)
        silent = turn.now - _since(turn.state, view)
        if told is None and silent >= SILENT_FOR and alive(turn.state, view, turn.now):
            said = _signal(turn, view, Health.FAILED, f"{UNSEEN}, for {silent:.0f} s", None)
            _keep(turn, {**turn.state.silent_monitors, view.node: said})
        elif told is not None and turn.now - view.monitor_heard < turn.state.timing.suspect_after:
            _signal(turn, view, Health.OK, "its monitor is heard", told)
            others = turn.state.silent_monitors.items()
            _keep(turn, {node: trail for node, trail in others if node != view.node})


def shown(state: State, view: NodeView, now: float) -> list[SignalSummary]:
    """It as a signal, for `status`."""
    node, told = view.node, state.silent_monitors.get(view.node)
    if told is None or not alive(state, view, now):
        return []
    return [
        SignalSummary(
            entity=service_entity(node, "monitor"),
            node=node,
            layer=Layer.HOST_OS,
            probe=PROBE,
            state=Health.FAILED,
            reason=UNSEEN,
            event=told.cause,
            incident=told.incident,
            since=view.monitor_heard,
        )
    ]


def _since(state: State, view: NodeView) -> float:
    """Since when it is silent, as far as this leader can tell."""
    return max(view.monitor_heard, view.boot_since, state.leading_since)


def _keep(turn: Turn, silent: dict[str, Trail]) -> None:
    turn.state = replace(turn.state, silent_monitors=silent)


def _signal(turn: Turn, view: NodeView, health: Health, reason: str, after: Trail | None) -> Trail:
    failed = health is Health.FAILED
    return turn.emit(
        HealthSignal(
            layer=Layer.HOST_OS,
            node=view.node,
            observer=turn.state.place,
            probe=PROBE,
            state=health,
            previous=Health.OK if failed else Health.FAILED,
            reason=reason,
            instance=view.boot or "",
        ),
        service_entity(view.node, "monitor"),
        after,
    )
