"""What the end of an action means for the work it was part of. Pure."""

from holdfast.events import Health, Layer
from holdfast.events.hands import GroupStarted, ResourceStarted, ResourceStopped
from holdfast.events.health import HealthSignal
from holdfast.recovery import endings, steps
from holdfast.recovery.messages import ActionDone
from holdfast.recovery.state import Step, Work
from holdfast.recovery.turn import Turn


def go_on(turn: Turn) -> None:
    """The back-off may have passed: take the step that waited for it."""
    if turn.state.work is not None and turn.state.action == 0:
        steps.take_step(turn)


def action_done(turn: Turn, done: ActionDone) -> None:
    """Take note of an action's end and go on. Ends of actions that were given up mean nothing."""
    work = turn.state.work
    if work is None or done.number == 0 or done.number != turn.state.action:
        return
    step = work.steps[0]
    if not done.ok:
        endings.failed(turn, step, done.reason or "no reason was given")
        return
    match step.verb:
        case "start":
            _started(turn, work, step, done)
        case "stop":
            _stopped(turn, work, step, done)
        case "verify":
            turn.set_work(checks=work.checks + done.checks)
    if not steps.next_step(turn):
        endings.finish(turn)


def _started(turn: Turn, work: Work, step: Step, done: ActionDone) -> None:
    turn.set_resource(step.resource, state="running", instance=done.instance)
    last = turn.emit(
        ResourceStarted(
            group=turn.plan.group,
            resource=step.resource,
            node=turn.plan.node,
            epoch=turn.state.epoch,
            instance=done.instance,
            took=done.took,
        ),
        incident=work.incident,
        cause=work.root,
        resource=step.resource,
    )
    if work.kind == "start" and not any(s.verb == "start" for s in work.steps[1:]):
        last = turn.emit(
            GroupStarted(
                group=turn.plan.group,
                node=turn.plan.node,
                epoch=turn.state.epoch,
                took=turn.now - work.began,
            ),
            incident=work.incident,
            cause=last,
        )
    turn.set_work(last=last)


def _stopped(turn: Turn, work: Work, step: Step, done: ActionDone) -> None:
    before = turn.state.resource(step.resource)
    turn.set_resource(step.resource, state="stopped", instance="", pid=0, token="")
    if not done.found:
        return
    if not work.root:
        work = _found_unordered(turn, step, before.instance)
    last = turn.emit(
        ResourceStopped(
            group=turn.plan.group,
            resource=step.resource,
            node=turn.plan.node,
            epoch=turn.state.epoch,
            took=done.took,
            killed=done.killed,
        ),
        incident=work.incident,
        cause=work.root,
        resource=step.resource,
    )
    turn.set_work(last=last)


def _found_unordered(turn: Turn, step: Step, instance: str) -> Work:
    """Something runs that no order known here started: that finding begins the incident."""
    signal = turn.emit(
        HealthSignal(
            layer=Layer.APPLICATION,
            node=turn.plan.node,
            observer=turn.plan.node,
            probe="resource",
            state=Health.FAILED,
            previous=Health.UNKNOWN,
            reason="it ran although nothing in this node's journal ordered it to; it was stopped",
            instance=instance,
        ),
        incident=None,
        cause=None,
        resource=step.resource,
    )
    return turn.set_work(root=signal, last=signal, incident=signal)
