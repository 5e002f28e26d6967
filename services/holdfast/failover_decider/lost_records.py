"""What the hands report against the record: it was lost, made anew, or is of the past.

Every order is stored before it is sent, so hands that know a higher epoch than the record prove
that the record lost something; nothing is started, stopped or fenced on the word of such a one.
If the hands of all nodes tell, one story comes of it, and the record is made again from that:
`record_rebuilt`. If they do not, an operator must see to it: `record_lost`.
"""

from holdfast.failover_decider import claims
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Refusal
from holdfast.failover_decider.writing import refuse, write
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace
from holdfast.wire import FencedOff, OperatorWord

SETTLE = 2.0
"""Seconds in which the watch may still show the record that the hands know already."""
ON_ITS_WAY = ("starting", "stopping")
CURE = "see `The ownership records are lost` in docs/failure-guide.md"


def see_to(turn: Turn, view: GroupView) -> bool:
    """Whether the hands contradict the record: then nothing else is done with the group."""
    state = turn.state
    if not claims.above(state, view):
        return False
    after = _cause(state, view)
    since = max(view.phase_since, state.leading_since)
    if after is None or turn.now - since < SETTLE:
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
        if _over(node):
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


def _over(node: NodeView) -> bool:
    """Whether the boot that reported is proven to be over."""
    proof = node.suspicion.proof if node.suspicion else None
    return isinstance(proof, FencedOff | OperatorWord)
