"""Bugs to plant in the cores, one at a time. Each is a mistake somebody could make."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from holdfast.failover_decider import (
    fence_agent,
    fence_answers,
    fencing,
    leadership,
    onward,
    ordering_phase,
    patience,
    proofs,
    reboots,
    rules,
    state,
    writing,
)
from holdfast.failover_decider import orders as sending
from holdfast.lease import holder, voter
from holdfast.recovery import core as hands_core
from holdfast.recovery import orders as receiving
from holdfast.recovery import resume, watchdog, work
from holdfast.recovery.messages import Resumed
from holdfast.standing import Standing
from holdfast.structs import replace
from holdfast.wire import LeaseExpired
from tests.simulation.simulator import deadman, store

Bug = Callable[[], Any]


def voter_votes_at_once_after_restart() -> Any:
    """The promises made before a restart are forgotten, and nobody waits for them to run out."""
    return patch.object(
        voter, "_free_at", lambda state, stored: state.promised_until.get(stored.lease, 0.0)
    )


def voter_does_not_store_its_term() -> Any:
    """A term is agreed to, and gone with the voter's process."""
    real = voter._adopt

    def adopt(*args: Any) -> Any:
        return replace(real(*args), store=None)

    return patch.object(voter, "_adopt", adopt)


def voter_breaks_its_promise() -> Any:
    """A claim with a higher term is granted, promise or not."""
    return patch.object(voter, "_free_at", lambda *_: 0.0)


def margin_dropped() -> Any:
    """The holder counts its lease as long as the voter does, whatever their clocks' rates."""
    real = holder.HolderState._count

    def count(self: Any, *args: Any) -> Any:
        return replace(real(replace(self, margin=0.0), *args), margin=self.margin)

    return patch.object(holder.HolderState, "_count", count)


def lease_counts_from_the_answer() -> Any:
    """A vote that took its time counts from when it arrived."""
    real = holder.HolderState._count

    def count(self: Any, vote: Any, round_: Any) -> Any:
        latest = max(r.asked_at for r in self.rounds.values())
        return real(self, vote, replace(round_, asked_at=latest))

    return patch.object(holder.HolderState, "_count", count)


def minority_is_enough() -> Any:
    """Half of the voters count as a majority."""
    return patch.object(holder, "majority", lambda voters: voters // 2)


def fence_timeout_counts_as_off() -> Any:
    """Whatever a fence device does not deny is taken for success."""
    real = fencing.on_fence_done

    def done(turn: Any, seen: Any) -> None:
        real(turn, replace(seen, outcome="off") if seen.outcome == "failed" else seen)

    return patch.object(fencing, "on_fence_done", done)


def fenced_without_stored_intent() -> Any:
    """A silent node is switched off before anybody stored that it shall be."""
    return patch.object(fencing, "wanted_off", lambda *_: True)


def suspicion_counts_as_proof() -> Any:
    """A node that is silent past its ttl is taken for dead, though it has a fence device."""
    real = fencing._seek_proof

    def seek(turn: Any, view: Any, suspicion: Any) -> None:
        if patience.silent_past_ttl(turn.state, suspicion, turn.now):
            proof = LeaseExpired(node=view.node, boot=view.boot)
            trail = suspicion.trail
            turn.set_suspicion(view.node, replace(suspicion, proof=proof, proof_trail=trail))
        else:
            real(turn, view, suspicion)

    return patch.object(fencing, "_seek_proof", seek)


def revocation_skipped() -> Any:
    """A node silent for a ttl is followed by a start elsewhere, without a majority's word."""
    real = fencing._revoke

    def revoke(turn: Any, view: Any) -> None:
        real(turn, view)
        turn.set_node(replace(turn.node(view.node), revoked=view.suspicion.trail))

    return patch.object(fencing, "_revoke", revoke)


def failed_stop_counts_as_stopped() -> Any:
    """The decider believes any answer to its stop."""
    real = ordering_phase.on_order_answered

    def answered(turn: Any, answer: Any) -> None:
        stop = answer.order.action == "stop" and answer.reply.done
        reply = msgspec.structs.replace(answer.reply, error="") if stop else answer.reply
        real(turn, replace(answer, reply=reply))

    return patch.object(ordering_phase, "on_order_answered", answered)


def overdue_stop_counts_as_stopped() -> Any:
    """A stop that does not end in time is assumed to have worked."""
    real = onward.step_failed

    def failed(turn: Any, view: Any, reason: str, **more: Any) -> None:
        if sending.action_of(view) == "stop":
            onward.start_or_hold(turn, view, "stop")
        else:
            real(turn, view, reason, **more)

    return patch.object(ordering_phase, "step_failed", failed)


def unknown_counts_as_stopped_at_owner() -> Any:
    """An owner that lost track of a group is taken to have stopped it."""
    real = rules.owner_stopped_it

    def stopped(state: Any, view: Any, now: float) -> Any:
        owner = state.nodes[view.record.owner]
        if owner.hands is None:
            return None
        said = [
            msgspec.structs.replace(g, state="stopped") if g.state == "unknown" else g
            for g in owner.hands.groups
        ]
        heard = replace(owner, hands=msgspec.structs.replace(owner.hands, groups=said))
        return real(replace(state, nodes={**state.nodes, owner.node: heard}), view, now)

    return patch.object(rules, "owner_stopped_it", stopped)


def revision_ignored() -> Any:
    """Ownership is set without comparing."""
    real = store.Store._arrive

    def arrive(self: Any, place: str, record: Any, revision: int, done: Any) -> None:
        if isinstance(record, Standing):
            real(self, place, record, revision, done)
            return
        current = self.current.get(record.group)
        real(self, place, record, current[1] if current else 0, done)

    return patch.object(store.Store, "_arrive", arrive)


def acts_before_it_is_stored() -> Any:
    """A decision has effects at once, and is stored when the store gets to it."""
    real = writing.write

    def write(turn: Any, view: Any, record: Any) -> None:
        real(turn, view, record)
        writing._adopt(turn, turn.group(view.group), record, view.revision)

    return patch.object(writing, "write", write)


def leader_never_steps_down() -> Any:
    """Whoever was elected once goes on deciding."""

    def check(turn: Any) -> None:
        state = turn.state
        if state.leading and not state.leadership.valid(turn.now):
            longer = replace(state.leadership, valid_until=turn.now + 1.0)
            turn.state = replace(state, leadership=longer)

    return patch.object(leadership, "check", check)


def order_epoch_not_checked() -> Any:
    """The hands obey orders of any epoch."""
    return _receiving_without("epoch")


def order_boot_not_checked() -> Any:
    """The hands obey orders meant for another boot."""
    return _receiving_without("boot")


def order_expiry_not_checked() -> Any:
    """The hands obey orders however late."""
    return _receiving_without("not_after")


def order_without_lease_obeyed() -> Any:
    """The hands start what they are told to, lease or not, and the switch lets them."""
    return _both(_receiving_without("act_until"), executes_when_the_switch_is_due())


def executes_when_the_switch_is_due() -> Any:
    """Hands that stood still go on with what they were about to execute."""
    return patch.object(deadman.DeadMan, "due", lambda _: False)


def predecessors_order_repeated_unseen() -> Any:
    """A new leader obeys the record that its watch shows, which may be one of the past."""
    return patch.object(state.GroupView, "confirmed", True)


def _receiving_without(*checks: str) -> Any:
    real = receiving._refusal

    def refusal(turn: Any, received: Any) -> Any:
        order, known = received.order, turn.state
        pleasing = {
            "epoch": max(order.epoch, known.epoch + 1),
            "boot": turn.plan.boot,
            "not_after": 1e9,
        }
        fine = {name: value for name, value in pleasing.items() if name in checks}
        seen = replace(received, order=msgspec.structs.replace(order, **fine))
        return real(turn, replace(seen, act_until=1e9) if "act_until" in checks else seen)

    return patch.object(receiving, "_refusal", refusal)


def hands_do_not_stop_with_the_lease() -> Any:
    """The end of the lease is nobody's business."""
    return patch.object(hands_core, "_lease_ended", lambda *_: None)


def dead_man_disarmed() -> Any:
    """What did not stop in time goes on after the lease."""
    return patch.object(deadman.DeadMan, "_look", lambda *_: None)


def neither_self_stop_nor_dead_man() -> Any:
    """Nothing ends with the lease: the two protect each other, so both are taken away."""
    return _both(hands_do_not_stop_with_the_lease(), dead_man_disarmed())


def adopts_after_the_lease_ended() -> Any:
    """A restarted service keeps what runs, though its lease ran out meanwhile, and the switch lets
    it go on with what was under way."""
    real = resume.resume

    def resumed(turn: Any, seen: Resumed) -> None:
        real(turn, replace(seen, adopt=True))

    return _both(patch.object(resume, "resume", resumed), executes_when_the_switch_is_due())


def failed_stop_at_hands_counts_as_stopped() -> Any:
    """The hands take a stop that did not work for one that did."""
    real = work.action_done

    def done(turn: Any, ended: Any) -> None:
        known = turn.state.work
        stop = known is not None and known.steps and known.steps[0].verb == "stop"
        real(turn, replace(ended, ok=True) if stop else ended)

    return patch.object(work, "action_done", done)


def journal_written_after_the_deed() -> Any:
    """The hands act first and remember later."""
    real = hands_core.decide

    def decide(*args: Any) -> Any:
        state, effects = real(*args)
        return state, sorted(effects, key=lambda effect: type(effect).__name__ == "Journal")

    return patch.object(hands_core, "decide", decide)


def repeated_order_acts_again() -> Any:
    """A repetition of an order is taken for a new one."""
    return _both(
        patch.object(receiving, "_same", lambda *_: False),
        _receiving_without("epoch"),
    )


def epoch_not_raised() -> Any:
    """A group is started elsewhere at the epoch it had."""
    real = writing._decide

    def decide(turn: Any, view: Any, decision: Any) -> None:
        lower = msgspec.structs.replace(view.record, epoch=max(0, view.record.epoch - 1))
        raised = view.record.epoch > 0
        real(turn, replace(view, record=lower) if raised else view, decision)

    return patch.object(writing, "_decide", decide)


def fence_forgets_its_cause() -> Any:
    """Something is switched off, and the record does not say why."""
    return patch.object(fencing, "_cause", lambda *_: None)


def restart_stops_what_runs() -> Any:
    """A restarted service stops what it finds running, though its lease lasts."""
    real = resume.resume

    def resumed(turn: Any, seen: Resumed) -> None:
        real(turn, replace(seen, adopt=False))

    return patch.object(resume, "resume", resumed)


def dead_man_kills_early() -> Any:
    """The dead man's switch goes off while the lease lasts."""
    real = deadman.DeadMan.arm

    def arm(self: Any, kill_at: float) -> None:
        real(self, kill_at - 5.0)

    return patch.object(deadman.DeadMan, "arm", arm)


def silence_counts_after_a_failed_stop() -> Any:
    """With the lease alone, a host that falls silent is taken to have ended what a stop did not."""
    return patch.object(proofs, "stop_failed", lambda _: False)


def a_new_boot_is_waited_for_for_ever() -> Any:
    """A node that rebooted is left alone until its hands say "stopped", though they never may."""
    return patch.object(reboots, "unconfirmed", lambda *_: "")


def one_outlet_of_two_is_enough() -> Any:
    """Of the devices of a level, one that says off is taken for all."""
    return patch.object(
        fence_agent, "together", lambda answers, _: "off" if "off" in answers else "failed"
    )


def watchdog_petted_without_renewal() -> Any:
    """The watchdog is petted as long as the hands live, lease or not."""
    real = watchdog.Watchdog.look

    def look(self: Any, _: float, now: float, **owns: Any) -> None:
        real(self, now + 100.0, now, **owns)

    return patch.object(watchdog.Watchdog, "look", look)


def mass_fencing_not_held() -> Any:
    """However many nodes fall silent, all of them are switched off."""
    return patch.object(fencing, "restraint", lambda *_: "")


def starts_without_its_watchdog() -> Any:
    """A start goes on although the watchdog could not be armed."""
    return patch.object(watchdog.Watchdog, "arm", lambda *_, **__: "")


def off_is_believed_of_what_beats() -> Any:
    """A fence device's `off` is a proof, whatever the node itself says."""

    def believe(turn: Any, view: Any, suspicion: Any) -> None:
        off = suspicion.said_off
        if off is not None:
            proven = replace(suspicion, proof=off.proof, proof_trail=off.said)
            turn.set_suspicion(view.node, proven)

    return patch.object(fence_answers, "believe", believe)


def start_never_taken_counts_as_active() -> Any:
    """A start that a stall interrupted is taken for done; and where it was not, for a failure."""
    remembered, emptied = writing.next_intent, rules._emptied

    def intent(*args: Any, **changes: Any) -> Any:
        return remembered(*args, **{**changes, "interrupted": False})

    def failed(state: Any, view: Any, *rest: Any) -> Any:
        said: Any = (*rest[:-1], [view.record.boot])
        return emptied(state, view, *said)

    return _both(
        patch.object(ordering_phase, "next_intent", intent),
        patch.object(rules, "_emptied", failed),
    )


@contextmanager
def _both(*patches: Any) -> Iterator[None]:
    with patches[0], patches[1]:
        yield


FOUND_AT: dict[str, tuple[int, ...]] = {
    "voter_votes_at_once_after_restart": (39,),
    "voter_does_not_store_its_term": (52,),
    "voter_breaks_its_promise": (0,),
    "margin_dropped": (9,),
    "lease_counts_from_the_answer": (151,),
    "minority_is_enough": (0,),
    "fence_timeout_counts_as_off": (22,),
    "fenced_without_stored_intent": (1,),
    "suspicion_counts_as_proof": (4,),
    "revocation_skipped": (0,),
    "failed_stop_counts_as_stopped": (47,),
    "overdue_stop_counts_as_stopped": (47,),
    "unknown_counts_as_stopped_at_owner": (72,),
    "revision_ignored": (2,),
    "acts_before_it_is_stored": (0,),
    "leader_never_steps_down": (2,),
    "order_epoch_not_checked": (93,),
    "order_boot_not_checked": (67,),
    "order_expiry_not_checked": (3,),
    "order_without_lease_obeyed": (57,),
    "executes_when_the_switch_is_due": (13310, 15937, 25258),
    "predecessors_order_repeated_unseen": (25280,),
    "hands_do_not_stop_with_the_lease": (98,),
    "dead_man_disarmed": (538,),
    "neither_self_stop_nor_dead_man": (24,),
    "adopts_after_the_lease_ended": (211,),
    "failed_stop_at_hands_counts_as_stopped": (47,),
    "journal_written_after_the_deed": (0,),
    "repeated_order_acts_again": (0,),
    "epoch_not_raised": (0,),
    "fence_forgets_its_cause": (1,),
    "silence_counts_after_a_failed_stop": (60,),
    "a_new_boot_is_waited_for_for_ever": (29,),
    "one_outlet_of_two_is_enough": (622,),
    "mass_fencing_not_held": (136,),
    "restart_stops_what_runs": (3,),
    "dead_man_kills_early": (0,),
    "off_is_believed_of_what_beats": (75,),
    "start_never_taken_counts_as_active": (120,),
}
"""Seeds at which they were found when this was written."""
BUGS: list[Bug] = [
    voter_votes_at_once_after_restart,
    voter_does_not_store_its_term,
    voter_breaks_its_promise,
    margin_dropped,
    lease_counts_from_the_answer,
    minority_is_enough,
    fence_timeout_counts_as_off,
    fenced_without_stored_intent,
    suspicion_counts_as_proof,
    revocation_skipped,
    failed_stop_counts_as_stopped,
    overdue_stop_counts_as_stopped,
    unknown_counts_as_stopped_at_owner,
    revision_ignored,
    acts_before_it_is_stored,
    leader_never_steps_down,
    order_epoch_not_checked,
    order_boot_not_checked,
    order_expiry_not_checked,
    order_without_lease_obeyed,
    executes_when_the_switch_is_due,
    predecessors_order_repeated_unseen,
    hands_do_not_stop_with_the_lease,
    dead_man_disarmed,
    neither_self_stop_nor_dead_man,
    adopts_after_the_lease_ended,
    failed_stop_at_hands_counts_as_stopped,
    journal_written_after_the_deed,
    repeated_order_acts_again,
    epoch_not_raised,
    fence_forgets_its_cause,
    silence_counts_after_a_failed_stop,
    a_new_boot_is_waited_for_for_ever,
    one_outlet_of_two_is_enough,
    watchdog_petted_without_renewal,
    mass_fencing_not_held,
    starts_without_its_watchdog,
    restart_stops_what_runs,
    dead_man_kills_early,
    off_is_believed_of_what_beats,
    start_never_taken_counts_as_active,
]
