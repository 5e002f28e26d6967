"""A record that names an owner which the cluster file does not know: taken out of it too early.

What runs there nobody here can see, stop, fence or speak of; so the group is left as it is. A
target, or the node where a move began, claims nothing: without it the move ends elsewhere.
"""

from holdfast.failover_decider.state import GroupView, State
from holdfast.failover_decider.verdicts import Refusal, Verdict


def unknown_owner(state: State, view: GroupView, _now: float) -> Verdict:
    """The record's owner is not in the cluster file: nothing is done with the group."""
    after = view.changed or state.election
    if not stranger(state, view) or after is None:
        return None
    return Refusal("unknown_owner", because(view), after, [after.cause])


def stranger(state: State, view: GroupView) -> bool:
    """Whether the record names an owner that is no node of the cluster file."""
    return view.record.owner is not None and view.record.owner not in state.nodes


def because(view: GroupView) -> str:
    """What is wrong, and the way out."""
    owner = view.record.owner
    return (
        f"its record names {owner}, which is not in the cluster file: put {owner} back, free it as "
        "`Remove a node` in docs/setup.md says, and only then take it out"
    )
