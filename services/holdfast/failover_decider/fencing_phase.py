"""The phase `fencing`: the owner must be proven dead before the group starts elsewhere."""

from holdfast.failover_decider import fencing, proofs, reboots, rules, unmanaged
from holdfast.failover_decider.onward import (
    changed,
    confirm,
    owner_rebooted,
    start_or_hold,
)
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.restraint import restraint
from holdfast.failover_decider.state import GroupView, NodeView, Suspicion, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Refusal, owner_of
from holdfast.failover_decider.writing import next_intent, refuse, trail_of, write
from holdfast.ownership import Phase
from holdfast.structs import replace


def await_proof(turn: Turn, view: GroupView) -> None:
    """Wait for the proof; then start elsewhere. Call it off if a node that was silent is back."""
    owner = owner_of(turn.state, view)
    if reboots.rebooted(owner, view.record):
        owner_rebooted(turn, view, owner, "fence")
    elif owner.revoked is not None and _is_out(owner, view):
        view = replace(view, done=_within(view, owner.revoked))
        turn.set_group(view)
        start_or_hold(turn, view, "fence")
    elif not view.confirmed:
        confirm(turn, view)
    elif held := _held_back(turn, owner):
        refuse(turn, view, Refusal("mass_fencing", held, trail_of(view)))
    elif owner.suspicion is not None and owner.suspicion.failures:
        reason = f"{owner.node} may be alive: {owner.suspicion.last_answer}"
        refuse(turn, view, Refusal("fence_unproven", reason, trail_of(view)))
    elif unended := rules.hands_silent(turn.state, owner):
        refuse(turn, view, Refusal("hands_silent", unended, trail_of(view)))
    elif view.record.reason and turn.state.cluster.nodes[owner.node].fence:
        _fence_although_heard(turn, view, owner)
    elif alive(turn.state, owner, turn.now):
        _call_off(turn, view, owner)


def _is_out(owner: NodeView, view: GroupView) -> bool:
    told = unmanaged.managed(owner, view.group)
    return proofs.suffices(owner.proof, view.record, managed=told)


def _call_off(turn: Turn, view: GroupView, owner: NodeView) -> None:
    """The owner lives. Where a stop failed before it was silent, the group is held as it was.

    Of an order that its silence interrupted nobody knows whether it was taken: the group is emptied
    there, in the same epoch, and the move goes on. Only what merely ran there is left to it.
    """
    reason = f"{owner.node} is heard again, in the same boot"
    refuse(turn, view, Refusal("owner_came_back", reason, trail_of(view)))
    view = turn.group(view.group)
    if proofs.stop_failed(view.record):
        intent = next_intent(turn, view, "fence")
        write(turn, view, changed(view, phase=Phase.HELD, intent=intent))
    elif view.record.intent is not None and view.record.intent.interrupted:
        intent = next_intent(turn, view, "fence")
        write(turn, view, changed(view, phase=Phase.STOPPING, intent=intent))
    else:
        write(turn, view, changed(view, phase=Phase.ACTIVE, intent=None))


def _held_back(turn: Turn, owner: NodeView) -> str:
    """Why the owner's fence devices are not told to switch it off; empty if they are."""
    seeking = owner.suspicion is not None and owner.suspicion.proof is None
    devices = turn.state.cluster.nodes[owner.node].fence
    return restraint(turn.state, owner, turn.now) if seeking and devices else ""


def _fence_although_heard(turn: Turn, view: GroupView, owner: NodeView) -> None:
    """A stop failed on a node that is well enough to talk: it is suspected for that alone."""
    if owner.suspicion is not None or owner.boot != view.record.boot:
        return
    after = trail_of(view)
    suspicion = Suspicion(trail=after, signal=after.cause, since=owner.heard, raised=turn.now)
    turn.set_suspicion(owner.node, suspicion)
    fencing.on_tick(turn)


def _within(view: GroupView, trail: Trail) -> Trail:
    """An event about the node, as a cause within this group's incident."""
    return Trail(trail_of(view).incident, trail.cause)
