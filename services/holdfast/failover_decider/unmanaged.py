"""An owner whose hands say nothing of its group: they run with a file that does not have it there.

They neither stop it with the lease nor restart it, and what they do not report may run. So silence
of that node is no proof for this group, and an operator is told.
"""

from holdfast.failover_decider import proofs, watchdog
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.failover_decider.verdicts import Refusal, Verdict, owner_of

SETTLE = 10.0
"""Seconds for which a pulse without the group may be of hands that are just coming up."""


def managed(owner: NodeView, group: str) -> bool:
    """Whether the hands of this boot told of the group, or were not heard at all."""
    return owner.hands is None or owner.report(group) is not None


def unmanaged_at_owner(state: State, view: GroupView, now: float) -> Verdict:
    """The living owner's hands say nothing of the group."""
    owner = owner_of(state, view)
    if owner.seen is None or owner.boot != view.record.boot or managed(owner, view.group):
        return None
    if not alive(state, owner, now) or owner.hands_heard < view.phase_since + SETTLE:
        return None
    return Refusal("unmanaged_at_owner", because(owner), owner.seen, [owner.seen.cause])


def silent(state: State, view: GroupView) -> str:
    """Why the silence of such an owner does not let the group start elsewhere; empty if it does."""
    owner = owner_of(state, view)
    if managed(owner, view.group) or watchdog.endable(state, owner):
        return ""
    return "" if proofs.suffices(owner.proof, view.record, managed=False) else because(owner)


def because(owner: NodeView) -> str:
    """What is wrong, and the way out."""
    return (
        f"the hands of {owner.node} say nothing of it, so they would not stop it: put "
        f"{owner.node} back into its `nodes` and restart recovery there, or make sure that it is "
        f"off and say so, `holdfast fence confirm {owner.node}`"
    )
