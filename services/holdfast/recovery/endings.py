"""How work ends: done, failed, tried again, or handed to the decider. Pure."""

from holdfast.events.hands import (
    GroupStopped,
    GroupVerified,
    RecoveryExhausted,
    RecoveryStarted,
    RecoverySucceeded,
    ResourceFailed,
)
from holdfast.recovery import policy, steps
from holdfast.recovery.state import Phase, Step, Work
from holdfast.recovery.turn import Turn

MAX_LOOKS = 6
RETIRED = "the cluster file does not have it run here any more, so it is not started again"
LOOK_AGAIN_AFTER = 1.0
"""Seconds before a stop that nobody ordered is tried again; doubled each time."""


def finish(turn: Turn) -> None:
    """Every step succeeded."""
    work = turn.state.work
    assert work is not None
    match work.kind:
        case "start":
            _settle(turn, "active", event=_verified(turn, work))
            turn.set_order(done=True, error="", event=turn.state.event)
        case "recover":
            _settle(turn, "active", event=_recovered(turn, work))
        case "stop":
            _settle(turn, "stopped", event=_group_stopped(turn, work))
            turn.set_order(done=True, error="", event=turn.state.event)
        case "lease" | "confirm":
            # A look that found nothing, at a group never ordered here, is not worth an event.
            event = _group_stopped(turn, work) if work.root else None
            _settle(turn, "stopped", event=event, reason=work.reason)
            if turn.state.order is not None and turn.state.order.action == "stop":
                turn.set_order(done=True, error="", event=event)


def failed(turn: Turn, step: Step, reason: str) -> None:
    """A step failed. What it acted on is from now on `unknown`, never taken for stopped (I4)."""
    work = turn.state.work
    assert work is not None
    if step.verb != "verify":
        turn.set_resource(step.resource, state="unknown")
    event = turn.emit(
        ResourceFailed(
            group=turn.plan.group,
            resource=step.resource,
            node=turn.plan.node,
            epoch=turn.state.epoch,
            action=step.verb,
            reason=reason,
        ),
        incident=work.incident or None,
        cause=work.root or None,
        resource=step.resource,
    )
    told = f"{step.verb} of {step.resource} failed: {reason}"[:1000]
    if work.kind in steps.UNORDERED and work.attempt < MAX_LOOKS:
        again = turn.now + LOOK_AGAIN_AFTER * 2**work.attempt
        turn.set_work(attempt=work.attempt + 1, not_before=again)
        turn.set(action=0, phase="unknown", reason=told, event=event)
    elif work.kind != "recover":
        _settle(turn, "failed" if step.verb != "stop" else "unknown", event=event, reason=told)
        turn.set(incident=work.incident or event)
        turn.set_order(done=True, error=told, event=event)
    elif step.verb == "stop":
        rule = policy.STOP_FAILED
        _escalate(turn, work, cause=event, reason=f"{rule}: {told}"[:1000], phase="unknown")
    else:
        recover(turn, work.resource, event, work.incident, work.began)


def recover(turn: Turn, resource: str, cause: str, incident: str, since: float) -> None:
    """Restart a resource and what depends on it, or escalate. `since`: when it was seen to fail."""
    work = Work(
        kind="recover",
        steps=(),
        root=cause,
        last=cause,
        incident=incident,
        began=since,
        resource=resource,
    )
    if resource not in turn.plan.startable:
        _escalate(turn, work, cause=cause, reason=f"retired: {RETIRED}", phase="failed")
        return
    rules = turn.plan.resources[resource].recovery
    known = turn.state.resource(resource)
    verdict = policy.judge(rules, known.attempts, turn.now)
    if isinstance(verdict, policy.Escalate):
        _escalate(turn, work, cause=cause, reason=verdict.reason, phase="failed")
        return
    attempts = (*policy.within(rules, known.attempts, turn.now), turn.now)
    turn.set_resource(resource, attempts=attempts)
    started = turn.emit(
        RecoveryStarted(
            group=turn.plan.group,
            resource=resource,
            node=turn.plan.node,
            epoch=turn.state.epoch,
            rule=verdict.rule,
            attempt=verdict.attempt,
            attempts_allowed=rules.attempts,
            delay=verdict.delay,
        ),
        incident=incident,
        cause=cause,
        resource=resource,
    )
    touched = turn.plan.with_dependents(resource)
    again = tuple(name for name in touched if name not in turn.plan.retired)
    begun = Work(
        kind="recover",
        steps=steps.stop_steps(touched) + steps.start_steps(again),
        root=started,
        last=started,
        incident=incident,
        began=since,
        not_before=turn.now + verdict.delay,
        resource=resource,
        attempt=verdict.attempt,
        reason=f"{resource} failed; restart {verdict.attempt} of {rules.attempts}",
    )
    steps.begin(turn, begun, phase="recovering")


def _escalate(turn: Turn, work: Work, *, cause: str, reason: str, phase: Phase) -> None:
    event = turn.emit(
        RecoveryExhausted(
            group=turn.plan.group,
            resource=work.resource,
            node=turn.plan.node,
            epoch=turn.state.epoch,
            reason=reason,
        ),
        incident=work.incident,
        cause=cause,
        resource=work.resource,
    )
    _settle(turn, phase, event=event, reason=reason)
    turn.set(incident=work.incident)
    turn.set_order(error=reason, event=event)


def _settle(turn: Turn, phase: Phase, *, event: str | None, reason: str = "") -> None:
    turn.set(work=None, action=0, phase=phase, event=event, reason=reason)


def _verified(turn: Turn, work: Work) -> str:
    data = GroupVerified(
        group=turn.plan.group,
        node=turn.plan.node,
        epoch=turn.state.epoch,
        checks=work.checks,
        took=turn.now - work.began,
    )
    return turn.emit(data, incident=work.incident, cause=work.last)


def _recovered(turn: Turn, work: Work) -> str:
    data = RecoverySucceeded(
        group=turn.plan.group,
        resource=work.resource,
        node=turn.plan.node,
        epoch=turn.state.epoch,
        attempt=work.attempt,
        took=turn.now - work.began,
    )
    return turn.emit(data, incident=work.incident, cause=work.last, resource=work.resource)


def _group_stopped(turn: Turn, work: Work) -> str:
    data = GroupStopped(
        group=turn.plan.group,
        node=turn.plan.node,
        epoch=turn.state.epoch,
        took=turn.now - work.began,
    )
    return turn.emit(data, incident=work.incident, cause=work.last)
