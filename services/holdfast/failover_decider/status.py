"""What the leader sees, as an answer to an operator."""

from typing import Literal

from holdfast.events.fields import path_probe
from holdfast.failover_decider import constraints, monitors
from holdfast.failover_decider.placement import alive, choose
from holdfast.failover_decider.redundancy import losses
from holdfast.failover_decider.standing import left
from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.ownership import Phase
from holdfast.standing import Mark
from holdfast.wire import (
    GroupStatus,
    LossStatus,
    MarkStatus,
    NodeStatus,
    PathStatus,
    StatusReply,
)
from holdfast.wire.volumes import VolumeStatus


def status(state: State, now: float) -> StatusReply:
    """The whole cluster; pure."""
    return StatusReply(
        cluster=state.cluster.cluster.name,
        leader=state.place,
        leader_term=state.leadership.term,
        silent_voters=sorted(state.silent_voters),
        paths=_paths(state),
        nodes=[_node(state, view, now) for view in state.nodes.values()],
        groups=[_group(state, view, now) for view in state.groups.values()],
        marks=[_mark(state, mark, now) for mark in state.standing.stored.marks],
        volumes=[
            VolumeStatus(node=view.node, heard=alive(state, view, now), pulse=pulse)
            for view in state.nodes.values()
            for pulse in view.volumes
        ],
        unbearable=[
            LossStatus(node=node, reason=reason) for node, reason in losses(state, now).items()
        ],
    )


def _mark(state: State, mark: Mark, now: float) -> MarkStatus:
    return MarkStatus(
        kind=mark.kind,
        scope=mark.scope,
        name=mark.name,
        reason=mark.reason,
        operator=mark.operator,
        incident=mark.incident,
        left=left(state.standing, mark, now),
    )


def _node(state: State, view: NodeView, now: float) -> NodeStatus:
    return NodeStatus(
        node=view.node,
        state=_life(state, view, now),
        boot=view.boot or "",
        silent_for=max(0.0, now - view.heard) if view.boot else 0.0,
        lease_valid=view.hands.lease_valid if view.hands else False,
        term=view.hands.term if view.hands else 0,
        watchdog=view.hands.watchdog if view.hands else None,
        signals=[
            *(signal for signals in view.signals.values() for signal in signals),
            *monitors.shown(state, view, now),
        ],
    )


def _life(
    state: State, view: NodeView, now: float
) -> Literal["alive", "suspected", "dead", "unseen"]:
    if view.boot is None:
        return "unseen"
    if view.revoked is not None or (view.suspicion and view.suspicion.proof):
        return "dead"
    return "alive" if alive(state, view, now) else "suspected"


def _paths(state: State) -> list[PathStatus]:
    networks = state.cluster.network_names()
    return [
        PathStatus(network=network, node=view.node, lost=_lost(view, path_probe(network)))
        for network in networks
        for view in state.nodes.values()
        if len(networks) > 1
    ]


def _lost(view: NodeView, probe: str) -> list[str]:
    """The places at the other ends of the paths that this node's monitor says are lost."""
    signals = view.signals.get("monitor", ())
    return sorted(signal.node for signal in signals if signal.probe == probe)


def _group(state: State, view: GroupView, now: float) -> GroupStatus:
    # What is being stored now is already decided, and what an operator wants to see: all of it, for
    # a phase with the owner of the one before would be what never was.
    record = view.writing or view.record
    owner = state.nodes.get(record.owner) if record.owner else None
    report = owner.report(view.group) if owner else None
    return GroupStatus(
        group=view.group,
        owner=record.owner,
        epoch=record.epoch,
        phase=record.phase,
        reported=report.state if report else "",
        reason=_held_by(state, view, now)
        or record.reason
        or view.refused[1]
        or (report.reason if report else ""),
    )


def _held_by(state: State, view: GroupView, now: float) -> str:
    """Why a group that waits for a node is held by now; its record says what it was at first."""
    record = view.record
    if view.writing is not None or record.phase != Phase.HELD or record.owner is not None:
        return ""
    if record.ordered_down:
        return ""
    if missing := constraints.missing(state, view.group):
        return constraints.waits_for(missing)
    choice = choose(state, view.group, now, record.intent.tried if record.intent else [])
    return choice.nobody() if choice.target is None else ""
