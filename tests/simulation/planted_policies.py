"""Bugs to plant in the rules about policies, one at a time; as in planted.py."""

from typing import Any
from unittest.mock import patch

from holdfast.events.ownership import MoveKind
from holdfast.failover_decider import constraints, fencing_phase, maintenance, moves, onward, rules
from holdfast.failover_decider.placement import choose
from tests.simulation.planted import Bug


def maintenance_ignored() -> Any:
    """The decider decides about what somebody works on."""
    return patch.object(moves, "permitted", lambda _state, _view, verdict: verdict)


def maintenance_counts_as_proof() -> Any:
    """A node in maintenance is taken to be off: its groups start elsewhere without a fence."""
    real = fencing_phase.await_proof

    def fencing(turn: Any, view: Any) -> None:
        if maintenance.over(turn.state, view) is not None:
            onward.start_or_hold(turn, view, "fence")
        else:
            real(turn, view)

    return patch.object(moves, "await_proof", fencing)


def separation_ignored() -> Any:
    """Groups that are kept apart are started on one node."""
    return patch.object(constraints, "apart", lambda *_: [])


def only_the_owner_counts() -> Any:
    """A group on its way to a node takes no room there, so two take the last room at once."""
    return patch.object(
        constraints, "_places", lambda view: {view.record.owner} if view.record.owner else set()
    )


def capacity_ignored() -> Any:
    """A node is given more than it bears."""
    return patch.object(constraints, "free", lambda *_: None)


def requirement_ignored() -> Any:
    """A group is started before the one it requires."""
    return patch.object(constraints, "missing", lambda *_: [])


def operators_stop_forgotten() -> Any:
    """A stop that failed is an operator's word no more: once its owner is lost, it is started."""

    def onward(state: Any, view: Any, now: float) -> Any:
        return MoveKind.FAILOVER, choose(state, view.group, now, [])

    return patch.object(rules, "onward", onward)


BUGS: list[Bug] = [
    maintenance_ignored,
    maintenance_counts_as_proof,
    separation_ignored,
    only_the_owner_counts,
    capacity_ignored,
    requirement_ignored,
    operators_stop_forgotten,
]
FOUND_AT: dict[str, tuple[int, ...]] = {
    "maintenance_ignored": (21,),
    "maintenance_counts_as_proof": (366,),
    "separation_ignored": (5,),
    "only_the_owner_counts": (6,),
    "capacity_ignored": (38,),
    "requirement_ignored": (20,),
    "operators_stop_forgotten": (17,),
}
"""Seeds at which they were found when this was written."""
