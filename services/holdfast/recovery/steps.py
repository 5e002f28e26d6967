"""The steps of a piece of work, and taking the next one. Pure."""

from holdfast.recovery.state import Phase, Step, Work
from holdfast.recovery.turn import Turn

UNORDERED = ("lease", "confirm")
"""Stops that nobody ordered, so nobody repeats the order: they are tried again from here."""


def stop_steps(names: tuple[str, ...]) -> tuple[Step, ...]:
    """Stop `names`, given in starting order, in reverse order."""
    return tuple(Step("stop", name) for name in reversed(names))


def start_steps(names: tuple[str, ...]) -> tuple[Step, ...]:
    """Start `names` in order, then verify each."""
    return tuple(Step("start", n) for n in names) + tuple(Step("verify", n) for n in names)


def begin(turn: Turn, work: Work, *, phase: Phase) -> None:
    """Replace the work in progress. The new first action makes the shell give up the old one."""
    assert work.steps
    turn.set(
        work=work,
        action=0,
        phase=phase,
        reason=work.reason,
        event=work.last,
        incident=work.incident,
    )
    take_step(turn)


def take_step(turn: Turn) -> None:
    """Begin the first step that is left, or wait for the back-off to pass (`wake_at`)."""
    work = turn.state.work
    assert work is not None
    assert work.steps
    step = work.steps[0]
    if work.kind == "recover" and turn.now < turn.suspended_until and step.verb != "verify":
        _wait_for_maintenance(turn, work, step)
        return
    if turn.now < work.not_before and (step.verb == "start" or work.kind in UNORDERED):
        turn.set(action=0)
        return
    if step.verb == "start":
        known = turn.state.resource(step.resource)
        # The token is in the journal before the process is in the world.
        turn.set_resource(
            step.resource,
            state="starting",
            instance="",
            pid=0,
            token=turn.mint(),
            starts=known.starts + 1,
        )
    turn.run(step, work)


def _wait_for_maintenance(turn: Turn, work: Work, step: Step) -> None:
    """Who works on it may have started it himself, so it is stopped before it is started."""
    again = (Step("stop", step.resource),) if step.verb == "start" else ()
    turn.set_work(steps=(*again, *work.steps), not_before=turn.suspended_until)
    turn.set(action=0)


def next_step(turn: Turn) -> bool:
    """Drop the finished step and take the next; False when there is none left."""
    work = turn.state.work
    assert work is not None
    turn.set_work(steps=work.steps[1:])
    turn.set(action=0)
    if len(work.steps) == 1:
        return False
    take_step(turn)
    return True
