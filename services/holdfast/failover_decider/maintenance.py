"""What maintenance and quarantine mean for a decision. Pure; docs/operations.md defines them.

Maintenance only takes decisions away. It proves nothing: whoever starts a group elsewhere still
needs the fence proof, and what was begun before it is finished under the same rules.
"""

from holdfast.events.policies import Scope
from holdfast.failover_decider.placement import marked
from holdfast.failover_decider.state import GroupView, State
from holdfast.failover_decider.verdicts import Decision, Refusal, Verdict
from holdfast.standing import Mark


def permitted(state: State, view: GroupView, verdict: Verdict) -> Verdict:
    """The verdict, or, where somebody works on what it is about, the refusal in its place.

    Nor is the group put into quarantine: what fails meanwhile may be the work.
    """
    mark = over(state, view)
    acts = isinstance(verdict, Decision) or (verdict is not None and verdict.quarantine)
    if mark is None or verdict is None or not acts:
        return verdict
    reason = f"{mark.scope} {mark.name} is in maintenance: {mark.reason}"
    told = f"{verdict.rule} would apply, but {reason}"
    return Refusal("in_maintenance", told[:1000], verdict.after, verdict.evidence)


def over(state: State, view: GroupView) -> Mark | None:
    """The maintenance that covers a group: its own, its owner's or the cluster's."""
    return (
        marked(state, "maintenance", Scope.CLUSTER, state.cluster.cluster.name)
        or marked(state, "maintenance", Scope.GROUP, view.group)
        or marked(state, "maintenance", Scope.NODE, view.record.owner)
    )
