"""The proof by watchdog: a node that was seen to have armed one has been reset with its lease.

The hands pet it only after a majority renewed the lease, and only while its time-out ends before
the lease does; they arm it before their first start and disarm it when nothing runs. So once a
majority's promises have run out, which the revocation sees to, nothing of that boot runs.
"""

from holdfast.failover_decider.state import NodeView, State
from holdfast.wire import WatchdogExpired


def armed(state: State, view: NodeView) -> bool:
    """Whether its hands said last that it is, at the epoch of all that the records give it."""
    said = view.hands.watchdog if view.hands else None
    if said is None or not said.armed or said.timeout > state.timing.ttl - state.timing.margin:
        return False
    for group in state.groups.values():
        record = group.record
        if record.owner != view.node or record.boot != view.boot:
            continue
        report = view.report(group.group)
        if report is None or report.epoch != record.epoch:
            return False
    return True


def expired(state: State, view: NodeView, now: float) -> WatchdogExpired | None:
    """The proof, if the node has been silent long enough for it. Its lease is revoked next.

    A monitor that is still heard says that no watchdog has acted, whatever the hands had said.
    """
    suspicion = view.suspicion
    assert suspicion is not None
    if suspicion.hands_only or now - suspicion.since < state.timing.ttl or not armed(state, view):
        return None
    assert view.boot is not None
    assert view.hands is not None
    assert view.hands.watchdog is not None
    return WatchdogExpired(node=view.node, boot=view.boot, timeout=view.hands.watchdog.timeout)
