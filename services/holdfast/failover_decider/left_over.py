"""A new group with resources that run as part of another one: renamed, or taken over from there.

Hands tell of what their file has them run no more, and that may run still. Who writes a group under
another name, or a resource into another group, does not want it to run twice. So a group that never
ran waits until that is stopped; an operator who knows better starts it.
"""

from holdfast.failover_decider import proofs
from holdfast.failover_decider.state import GroupView, State, Trail
from holdfast.failover_decider.verdicts import Refusal


def left_running(state: State, view: GroupView, after: Trail) -> Refusal | None:
    """A group that never ran is not started while its resources may run under another name."""
    mine = state.cluster.groups[view.group].resources
    for node in state.nodes.values():
        if node.hands is None or proofs.is_off(node.proof):
            continue
        for report in node.hands.groups:
            names = ", ".join(name for name in report.left if name in mine)
            if names and report.group != view.group:
                reason = (
                    f"{node.node} runs {names} still, as part of {report.group}, by an earlier "
                    f"cluster file: stop {report.group} first, with that file if this one lacks "
                    f"it; is it something else, `holdfast start {view.group}`"
                )
                return Refusal("left_running", reason[:1000], after, [after.cause])
    return None
