"""Rules for a group that runs well, but not where it should: an orderly move with roll-back."""

from holdfast.config.model import Group
from holdfast.events.ownership import MoveKind
from holdfast.events.policies import Scope
from holdfast.failover_decider import constraints, damping
from holdfast.failover_decider.placement import choose, marked
from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.failover_decider.verdicts import (
    Refusal,
    Verdict,
    chosen,
    current_report,
    owner_of,
)
from holdfast.ownership import Phase

MISPLACED_FOR = 3.0
"""Seconds that others are given to come to rest before a group follows them, or makes way."""


def misplaced(state: State, view: GroupView, now: float) -> Verdict:
    """A required affinity does not hold, because another group moved or the file changed."""
    reason = constraints.misplaced_because(state, view)
    if reason is None:
        return None
    owner, report = owner_of(state, view), current_report(state, view, now)
    if report is None or report.state != "active" or owner.seen is None:
        return None
    if now - view.phase_since < MISPLACED_FOR or constraints.missing(state, view.group):
        return None
    avoid = [*view.record.avoid, *filter(None, [owner.boot])]
    choice = choose(state, view.group, now, avoid, orderly=True)
    if choice.target is None:
        told = f"{reason}; no node may run it instead: {choice.reasons()}"
        return Refusal("misplaced", told[:1000], owner.seen, [owner.seen.cause])
    refusal = damping.too_often(state, view, now, owner.seen, healthy=True)
    after = state.nodes[choice.target].seen or owner.seen
    return refusal or chosen("misplaced", MoveKind.SWITCHOVER, Phase.STOPPING, choice, after)


def failback(state: State, view: GroupView, now: float) -> Verdict:
    """A node that comes earlier in the group's preference is well again for long enough."""
    policy = state.cluster.groups[view.group]
    if policy.failback != "automatic" or now - view.phase_since < policy.failback_after:
        return None
    if policy.failback_window is not None and view.group not in state.windows:
        return None
    ready = [
        name
        for name in _before(policy, view.record.owner)
        if _trusted(state, state.nodes[name], now, policy.failback_after)
    ]
    if not ready:
        return None
    report = current_report(state, view, now)
    if report is None or report.state != "active" or constraints.missing(state, view.group):
        return None
    choice = choose(state, view.group, now, view.record.avoid, orderly=True)
    if choice.target not in ready:
        return None
    target = state.nodes[choice.target]
    if target.seen is None:
        return None
    refusal = damping.too_often(state, view, now, target.seen, healthy=True)
    return refusal or chosen("failback", MoveKind.FAILBACK, Phase.STOPPING, choice, target.seen)


def _before(policy: Group, owner: str | None) -> list[str]:
    """The nodes that the group prefers to the one that runs it."""
    if owner not in policy.nodes:
        return []
    return policy.nodes[: policy.nodes.index(owner)]


def _trusted(state: State, view: NodeView, now: float, seconds: float) -> bool:
    if view.well_since <= 0 or now - view.well_since < seconds:
        return False
    return marked(state, "quarantine", Scope.NODE, view.node) is None
