"""Which boot of a node beats. Another one than before is believed once it beats in step with us.

A pulse may be late: repeated, or held back somewhere, and of a boot that is over. Taken for news of
a reboot it would prove "stopped" of groups that run. What is late arrives singly or all at once;
what beats arrives at the pace of its own clock.
"""

from holdfast import subjects
from holdfast.failover_decider.messages import Reject
from holdfast.failover_decider.state import NodeView, Sighting
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import OwnershipRecord
from holdfast.structs import replace
from holdfast.wire import HandsPulse, MonitorPulse

NEXT = 0.75
"""Of the time between two pulses: what two of them are apart at least; pulses of several services
come in between."""
FURTHEST = 4
"""Times between two pulses that may lie between those that are compared, for some are lost."""


def believed(turn: Turn, view: NodeView, pulse: MonitorPulse | HandsPulse) -> NodeView | None:
    """The view that this pulse adds to, a fresh one for another boot; None: not believed so far."""
    if pulse.boot == view.boot:
        return view
    first, every = view.sighting, turn.state.timing.pulse_every
    passed = theirs = -1.0
    if first is not None and first.boot == pulse.boot:
        passed, theirs = turn.now - first.heard, pulse.now - first.clock
    if view.clock > 0 and turn.now - view.heard < turn.state.timing.suspect_after:
        # A real reboot takes its time, and its predecessor is silent meanwhile.
        reason = f"a pulse of boot {pulse.boot}, while boot {view.boot} of {view.node} beats"
        turn.do(Reject(subjects.pulse(view.node), "stale", reason))
    elif in_step(passed, theirs, every):
        return NodeView(view.node, boot=pulse.boot, boot_since=turn.now, failures=view.failures)
    if not (0 <= theirs < NEXT * every and passed < FURTHEST * every):
        sighting = Sighting(boot=pulse.boot, clock=pulse.now, heard=turn.now)
        turn.set_node(replace(view, sighting=sighting))
    return None


def recorded(turn: Turn, before: OwnershipRecord, record: OwnershipRecord) -> None:
    """A record of another leader names a boot of its owner that is not the one known here.

    What is known may be the past: the node is silent until it is heard again, in whichever boot. So
    a boot that is known here, and is not that of the record, was heard after the record was stored.
    """
    owner, boot = record.owner, record.boot
    if (
        owner not in turn.state.nodes
        or boot is None
        or (owner, boot) == (before.owner, before.boot)
    ):
        return
    view = turn.node(owner)
    if view.boot not in (None, boot):
        turn.set_node(unheard(view, boot, turn.now))


def unheard(view: NodeView, boot: str, now: float) -> NodeView:
    """A node of which only a record tells, as of now."""
    return NodeView(view.node, boot=boot, boot_since=now, heard=now, failures=view.failures)


def in_step(passed: float, theirs: float, every: float) -> bool:
    """Whether two pulses arrived as far apart as they were sent, in seconds of either clock."""
    apart = NEXT * every <= theirs <= FURTHEST * every
    return apart and theirs / 2 <= passed <= theirs + every
