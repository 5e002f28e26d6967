"""A place in the model: its decider's and its voter's real state, and its clock. Pure."""

from holdfast.failover_decider.inputs.codec import Snapshot
from holdfast.failover_decider.state import State
from holdfast.structs import replace


class Place:
    """A place with a decider and a voter."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.state, self.voter = _unfinished_again(snapshot.state), snapshot.voter
        self._clock_at_start = snapshot.now

    def clock(self, now: float) -> float:
        """This place's own monotonic seconds."""
        return self._clock_at_start + now


def _unfinished_again(state: State) -> State:
    """What was under way when the state was taken is begun again: its end is not known here."""
    groups = {
        name: replace(view, in_flight=False, retry_at=0.0) for name, view in state.groups.items()
    }
    nodes = {
        name: replace(view, suspicion=replace(view.suspicion, fencing=None))
        if view.suspicion
        else view
        for name, view in state.nodes.items()
    }
    standing = replace(state.standing, in_flight=False, retry_at=0.0)
    return replace(state, groups=groups, nodes=nodes, standing=standing)
