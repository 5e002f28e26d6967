"""A node runs another boot than a record names: what is left of the group, and who can tell.

By then the boot of the record is over (`boots.py`), and so is all that it ran. The new boot was
never ordered to start the group, for such an order would be in the record. But the machine may have
begun something by itself, and only its hands can tell: `stopped` is the proof (`owner_rebooted`).
Hands that do not say so in time are ordered to stop it, and the record then names their boot:
from there on it is a stop like any other, that is confirmed, or fails, or ends in a fence.
"""

from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.failover_decider.verdicts import Decision, Verdict, onward, owner_of
from holdfast.ownership import OwnershipRecord, Phase

HANDS_START = 20.0
"""Seconds that hands may come up later than their monitor when a machine boots. What runs then is
nothing of ours; to wait costs less than to switch off a machine that is about to answer."""


def rebooted(owner: NodeView, record: OwnershipRecord) -> bool:
    """Whether the boot that the record names is over, since the node runs another one."""
    return owner.boot not in (None, record.boot)


def confirmed(owner: NodeView, group: str) -> bool:
    """Whether the hands of the boot that is known say that the group is stopped."""
    report = owner.report(group)
    return report is not None and report.state == "stopped"


def reboot_unconfirmed(state: State, view: GroupView, now: float) -> Verdict:
    """The owner runs a new boot, of which nobody confirms that the group is stopped there."""
    owner = owner_of(state, view)
    reason = unconfirmed(state, view, now)
    suspicion = owner.suspicion
    after = suspicion.trail if suspicion is not None else owner.seen
    if not reason or after is None:
        return None
    kind, choice = onward(state, view, now)
    return Decision(
        rule="reboot_unconfirmed",
        kind=kind,
        phase=Phase.STOPPING,
        target=choice.target,
        boot=owner.boot,
        after=after,
        evidence=[after.cause],
        alternatives=choice.alternatives,
    )


def unconfirmed(state: State, view: GroupView, now: float) -> str:
    """Why the hands of the new boot are waited for no longer; empty while they are."""
    owner = owner_of(state, view)
    if not rebooted(owner, view.record) or confirmed(owner, view.group):
        return ""
    ttl = state.timing.ttl
    patience = ttl if owner.hands_heard else max(ttl, HANDS_START)
    if owner.suspicion is None and now - owner.boot_since < patience:
        return ""
    report = owner.report(view.group)
    said = f"its hands report it as {report.state}" if report else "its hands say nothing of it"
    silent = ", and it is silent" if owner.suspicion is not None else ""
    return (
        f"{owner.node} runs boot {owner.boot}, {said}{silent}: "
        "it is to be stopped there before it starts anywhere"
    )
