"""A group that runs well where its volume is served no more. Pure.

What runs there may not notice: its reads and writes wait. So nobody waits for its checks to fail.
"""

from holdfast.events.fields import Health, volume_entity
from holdfast.events.ownership import Alternative, MoveKind
from holdfast.failover_decider import copies, damping
from holdfast.failover_decider.placement import Choice, choose
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.verdicts import Verdict, chosen, current_report, nowhere, owner_of
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import SignalSummary

UNSERVED_FOR = 10.0
"""Seconds that a data path is given to come back: some five starts of it."""


def volume_unserved(state: State, view: GroupView, now: float) -> Verdict:
    """The owner's copy cannot be used: the group runs where one can, if there is one."""
    owner, report = owner_of(state, view), current_report(state, view, now)
    if report is None or report.state != "active":
        return None
    signal = _signal(state, view.group, owner)
    if signal is None or owner.clock - signal.since < UNSERVED_FOR:
        return None
    after = Trail(signal.incident, signal.event)
    there = [owner.boot] if owner.boot else []
    found = choose(state, view.group, now, there)
    choice = Choice(found.target, [_why_not(owner, signal, one) for one in found.alternatives])
    if choice.target is None:
        return nowhere("volume_unserved", choice, after)
    move = chosen("volume_unserved", MoveKind.RELOCATE, Phase.STOPPING, choice, after)
    return damping.too_often(state, view, now, after) or replace(move, failed=there)


def _why_not(owner: NodeView, signal: SignalSummary, other: Alternative) -> Alternative:
    """The group has not failed at its owner: its volume has."""
    if other.choice != owner.node:
        return other
    return Alternative(choice=owner.node, rejected_because=signal.reason)


def _signal(state: State, group: str, owner: NodeView) -> SignalSummary | None:
    """What the owner's storage service says against a volume that it does not serve. One that is
    served, and whose writes wait, is not meant: they would wait elsewhere, too."""
    for name, _ in copies.volumes(state, group):
        copy = owner.copy(name)
        if copy is None or (copy.role == "primary" and not copy.problem):
            continue
        for signal in owner.signals.get("storage_replication", ()):
            about = (signal.entity, signal.probe, signal.state)
            if about == (volume_entity(name), "volume", Health.FAILED):
                return signal
    return None
