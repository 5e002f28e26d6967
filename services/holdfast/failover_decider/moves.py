"""One group's way through the phases of its record; docs/design/contracts.md has the table.

Nothing here relies on memory: a new leader reads the record and continues from its phase, sending
the same orders under the same intent ids.
"""

from holdfast.failover_decider import (
    lost_records,
    planned,
    reboots,
    rules,
    strangers,
    unmanaged,
)
from holdfast.failover_decider.fencing_phase import await_proof
from holdfast.failover_decider.maintenance import permitted
from holdfast.failover_decider.onward import changed
from holdfast.failover_decider.ordering_phase import see_order_through
from holdfast.failover_decider.spoiled import put_right
from holdfast.failover_decider.state import GroupView
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.unserved import volume_unserved
from holdfast.failover_decider.verdicts import Refusal, Rule
from holdfast.failover_decider.writing import carry_out, refuse, trail_of, write, write_again
from holdfast.ownership import Phase


def advance(turn: Turn, group: str) -> None:
    """Do what the group's phase calls for now. Leaders only, and never while a write is open."""
    state, view = turn.state, turn.group(group)
    if not state.leading or lost_records.forbids(turn, view) or not state.records_loaded:
        return
    if view.writing is not None:
        lost_records.say_if_stuck(turn, view)
        write_again(turn, turn.group(group))
        return
    if view.spoiled:
        put_right(turn, view)
        return
    if (refusal := strangers.unknown_owner(state, view, turn.now)) is not None:
        carry_out(turn, view, refusal)
        return
    if lost_records.see_to(turn, view):
        return
    match view.record.phase:
        case Phase.STOPPED:
            _first(turn, view, rules.start_stopped)
        case Phase.HELD:
            _held(turn, view)
        case Phase.ACTIVE:
            _active(turn, view)
        case Phase.FENCING:
            await_proof(turn, view)
        case Phase.STOPPING | Phase.STARTING:
            see_order_through(turn, view)


def _held(turn: Turn, view: GroupView) -> None:
    """Held with an owner: nobody could confirm that it stopped there. Without: start it, if any."""
    if view.record.owner is None:
        _first(turn, view, rules.start_stopped)
    elif rules.owner_runs_it_still(turn.state, view, turn.now):
        reason = f"{view.record.owner} runs it, and well: the stop did not come to pass"
        refuse(turn, view, Refusal("owner_runs_it_still", reason, trail_of(view)))
        write(turn, turn.group(view.group), changed(view, phase=Phase.ACTIVE, intent=None))
    else:
        _first(turn, view, *_of_the_owner())


def _active(turn: Turn, view: GroupView) -> None:
    further = (
        unmanaged.unmanaged_at_owner,
        rules.failed_at_owner,
        rules.owner_lost_track,
        volume_unserved,
        planned.misplaced,
        planned.failback,
    )
    _first(turn, view, *_of_the_owner(), *further)


def _of_the_owner() -> tuple[Rule, ...]:
    """What may have become of an owner, whether its group runs or is held there."""
    return (
        rules.owner_lost,
        rules.owner_rebooted,
        reboots.reboot_unconfirmed,
        rules.owner_stopped_it,
    )


def _first(turn: Turn, view: GroupView, *candidates: Rule) -> None:
    """Carry out the first rule that has a verdict. Their order is their priority."""
    for rule in candidates:
        verdict = rule(turn.state, view, turn.now)
        if verdict is not None:
            carry_out(turn, view, permitted(turn.state, view, verdict))
            return
