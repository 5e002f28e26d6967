"""What the hands report against the record: it was lost, made anew, or is of the past.

Every order is stored before it is sent, so hands that know a higher epoch than the record prove
that the record lost something; nothing is started, stopped or fenced on the word of such a one.
If the hands of all nodes tell, one story comes of it, and the record is made again from that:
`record_rebuilt`. If they do not, an operator must see to it: `record_lost`. If it is the bucket
that is lost, nothing at all is decided until an operator has: `buckets_lost`.
"""

from holdfast.events import Health, Layer
from holdfast.events.fields import service_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider import claims, proofs
from holdfast.failover_decider.messages import PrepareStreams
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Refusal
from holdfast.failover_decider.writing import refuse, write
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace

SETTLE = 2.0
"""Seconds in which the watch may still show the record that the hands know already."""
STUCK = 20.0
"""Seconds after which a write is late for more than a change of the stream's leader."""
ON_ITS_WAY = ("starting", "stopping")
CURE = "see `The ownership records are lost` in docs/failure-guide.md"


def on_buckets_checked(turn: Turn, problem: str) -> None:
    """Put on the record that the buckets are not those that this cluster had, or are again."""
    state = turn.state
    if not state.leading:
        return
    if problem == state.buckets_lost:
        turn.state = replace(state, buckets_checked=True)
        return
    signal = turn.emit(
        HealthSignal(
            layer=Layer.STORAGE,
            node=state.place,
            observer=state.place,
            probe="records",
            state=Health.FAILED if problem else Health.OK,
            previous=Health.OK if problem else Health.FAILED,
            reason=problem[:1000] or "the buckets of the records are those that they were",
        ),
        service_entity(state.place, "failover_decider"),
        state.buckets_signal,
    )
    kept = signal if problem else None
    turn.state = replace(state, buckets_checked=True, buckets_lost=problem, buckets_signal=kept)


def forbids(turn: Turn, view: GroupView) -> bool:
    """Whether the buckets are lost: what would be read or written there means nothing."""
    lost, signal = turn.state.buckets_lost, turn.state.buckets_signal
    if lost and signal is not None:
        refuse(turn, view, Refusal("buckets_lost", lost[:1000], signal, [signal.cause]))
    return bool(lost)


def say_if_stuck(turn: Turn, view: GroupView) -> None:
    """Nothing comes of a decision that is not stored: say so once, and look at the buckets."""
    if view.writing is None or turn.now - view.writing_since <= STUCK:
        return
    intent = view.writing.intent
    after = view.done or (Trail(intent.incident, intent.cause) if intent else turn.state.election)
    reason = (
        f"what is decided is not stored: no compare-and-set on revision {view.revision} has "
        f"succeeded for {STUCK:g} s, and no newer record is seen; {CURE}"
    )
    if after is not None and view.refused != ("record_not_stored", reason):
        refuse(turn, view, Refusal("record_not_stored", reason, after))
        turn.do(PrepareStreams())


def see_to(turn: Turn, view: GroupView) -> bool:
    """Whether the hands contradict the record: then nothing else is done with the group."""
    state = turn.state
    if not claims.above(state, view):
        return False
    after = _cause(state, view)
    since = max(view.phase_since, state.leading_since)
    if after is None or turn.now - since < SETTLE or not state.buckets_checked:
        return True
    record, obstacle = _rebuilt(state, view, turn.now)
    told = claims.told(state, view)
    if record is None:
        text = f"{told}: {obstacle}; {CURE}"[:1000]
        refuse(turn, view, Refusal("record_lost", text, after, [after.cause]))
        return True
    now = f"{record.owner} runs it" if record.owner else "nobody runs it"
    text = f"{told}. All its nodes were heard, and {now}: the record is made again from that"
    refuse(turn, view, Refusal("record_rebuilt", text[:1000], after, [after.cause]))
    write(turn, replace(turn.group(view.group), done=after), record)
    return True


def _cause(state: State, view: GroupView) -> Trail | None:
    """The event of a report that contradicts; failing that, what greeted its node."""
    for node, report in claims.above(state, view):
        if report.event and report.incident:
            return Trail(report.incident, report.event)
        if node.seen is not None:
            return node.seen
    return state.election


def _rebuilt(state: State, view: GroupView, now: float) -> tuple[OwnershipRecord | None, str]:
    """The record that the hands of all nodes tell of; or what keeps it from being made."""
    reports = {node.node: report for node, report in claims.reports(state, view.group)}
    running: list[NodeView] = []
    for name in dict.fromkeys([*state.cluster.groups[view.group].nodes, *reports]):
        node = state.nodes[name]
        if proofs.is_off(node.proof):
            continue
        heard = alive(state, node, now) and now - node.hands_heard < state.timing.ttl
        if name not in reports or not heard:
            return None, f"the hands of {name} do not say what they run"
        if reports[name].state in ON_ITS_WAY:
            return None, f"it is {reports[name].state} on {name}"
        if reports[name].state != "stopped":
            running.append(node)
    if len(running) > 1:
        return None, f"{' and '.join(node.node for node in running)} may run it"
    epoch = max(report.epoch for report in reports.values())
    fresh = OwnershipRecord(group=view.group, epoch=epoch)
    if not running:
        return fresh, ""
    (owner,) = running
    return replace(fresh, owner=owner.node, boot=owner.boot, phase=Phase.ACTIVE), ""
