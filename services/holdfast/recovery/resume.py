"""Beginning again with what the journal held: adopt, go on, stop, or find out. Pure."""

from holdfast.events.hands import ResourceStarted
from holdfast.recovery import endings, steps
from holdfast.recovery.messages import Resumed
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.state import ResourceState, Step, Work
from holdfast.recovery.turn import Turn

LEASE_PASSED = "the lease ran out while the recovery service was away"
ADDED = "the cluster file has more of it now: finding out whether that runs"


def resume(turn: Turn, resumed: Resumed) -> None:
    """Fit the journal to the configuration, then decide what to do with what may be running."""
    state = turn.state
    same_boot = state.boot == resumed.boot
    turn.set(
        boot=resumed.boot,
        action=0,
        resources={
            name: _carried(state.resource(name), same_boot=same_boot) for name in turn.plan.names
        },
    )
    if not same_boot:
        _confirm(turn, "a new boot: finding out whether anything still runs")
    elif resumed.adopt:
        _adopt(turn, resumed)
    elif state.work is not None or not turn.state.all_stopped():
        _confirm(turn, LEASE_PASSED)


def _carried(known: ResourceState, *, same_boot: bool) -> ResourceState:
    """Of an older boot nothing is known any more, and its monotonic times mean nothing."""
    if same_boot:
        return known
    return ResourceState(instance=known.instance, token=known.token, starts=known.starts)


def _adopt(turn: Turn, resumed: Resumed) -> None:
    """The lease lasts. Finish what was begun; what runs is left to run (I10)."""
    state = turn.state
    work = state.work
    for name in turn.plan.names:
        known = state.resource(name)
        if known.state == "running" and name in resumed.alive:
            turn.emit(
                ResourceStarted(
                    group=turn.plan.group,
                    resource=name,
                    node=turn.plan.node,
                    epoch=state.epoch,
                    instance=known.instance,
                    took=0.0,
                    adopted=True,
                ),
                incident=state.incident,
                cause=state.event,
                resource=name,
            )
    if work is not None:
        head, left = work.steps[0], _planned(turn.plan, work)
        begun = head.verb == "start" and head.resource in turn.plan.resources
        if begun and state.resource(head.resource).state == "starting":
            # How far that start came nobody knows: undo it, then do it again.
            left = (Step("stop", head.resource), *left)
        turn.set_work(steps=left)
        if left:
            steps.take_step(turn)
        else:
            endings.finish(turn)
    elif state.phase == "stopped" and not state.all_stopped():
        _confirm(turn, ADDED)


def _planned(plan: GroupPlan, work: Work) -> tuple[Step, ...]:
    """The steps that are left to do, but no start of what the file does not have any more."""
    return tuple(
        step
        for step in work.steps
        if step.resource in (plan.resources if step.verb == "stop" else plan.startable)
    )


def _confirm(turn: Turn, reason: str) -> None:
    """Look at each resource, and stop what runs: without a lasting lease it is not ours."""
    state = turn.state
    known = state.event or ""
    if state.order is not None and state.order.action == "start":
        turn.set_order(done=True, error=reason, lease_ended=True)
    steps.begin(
        turn,
        Work(
            kind="confirm",
            steps=steps.stop_steps(turn.plan.names),
            root=known,
            last=known,
            incident=state.incident or "",
            began=turn.now,
            reason=reason,
        ),
        phase="unknown",
    )
