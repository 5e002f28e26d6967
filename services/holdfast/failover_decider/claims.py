"""What the hands of all nodes report of a group, held against its record. Pure."""

from holdfast.config.model import VolumeResource
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.wire import GroupReport


def runs_somewhere(state: State, view: GroupView, now: float) -> str:
    """Which living node does not say that the group is stopped there; empty: each one does.

    The owner of the record does not count: what becomes of it is its phase's matter.
    """
    for node, report in reports(state, view.group):
        if node.node != view.record.owner and report.state != "stopped" and alive(state, node, now):
            return f"{node.node} reports it as {report.state}, at epoch {report.epoch}"
    return ""


def next_epoch(state: State, view: GroupView) -> int:
    """Above the record's, and above all that hands and copies of its volumes have seen."""
    volumes = {
        resource.volume
        for resource in state.cluster.groups[view.group].resources.values()
        if isinstance(resource, VolumeResource)
    }
    copies = [one for node in state.nodes.values() for one in node.volumes if one.volume in volumes]
    told_of = [report.epoch for _, report in reports(state, view.group)]
    return max([view.record.epoch, *told_of, *(one.epoch for one in copies)]) + 1


def reports(state: State, group: str) -> list[tuple[NodeView, GroupReport]]:
    """What the hands of each node that was heard last said of the group."""
    found = [(node, node.report(group)) for node in state.nodes.values()]
    return [(node, report) for node, report in found if report is not None]


def above(state: State, view: GroupView) -> list[tuple[NodeView, GroupReport]]:
    """The reports at a higher epoch than the record's, of which there should be none."""
    known = view.record.epoch
    return [(n, report) for n, report in reports(state, view.group) if report.epoch > known]


def told(state: State, view: GroupView) -> str:
    """The sentence about `above`."""
    said = ", ".join(
        f"{node.node} reports it as {report.state} at epoch {report.epoch}"
        for node, report in above(state, view)
    )
    return f"its record says epoch {view.record.epoch}, but {said}"
