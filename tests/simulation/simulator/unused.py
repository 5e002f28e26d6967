"""Whether a group that runs nowhere must run nowhere: judged by what is true of the nodes.

A refusal with a reason is rest only if the reason is. So no node stands unused for ever that is
whole and may run the group, has everything of its volumes, and on which it did not fail.
"""

from typing import TYPE_CHECKING

from holdfast.events.hands import RecoveryExhausted, ResourceFailed
from holdfast.events.ownership import MoveFailed
from holdfast.failover_decider import constraints
from holdfast.failover_decider.state import State
from holdfast.ownership import OwnershipRecord, Phase
from tests.simulation.simulator.storage.rest import complete

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

DAMPED = ("moved_too_often", "in_quarantine", "not_admitted", "in_maintenance")


def unused(world: "World", state: State, record: OwnershipRecord, rule: str) -> str:
    """The node, or nothing. `state` is the leader's, `rule` what it refuses with, if anything."""
    owner, group = record.owner, record.group
    if record.ordered_down or rule in DAMPED or constraints.missing(state, group):
        return ""
    if owner is not None and (record.phase == Phase.HELD or not _whole(world, owner)):
        return ""  # nobody can tell what became of it there
    if any(machine.of(group) for machine in world.machines.values()):
        return ""
    failed = _failed(world, group)
    for node in complete(world, group):
        if (
            node not in failed
            and _whole(world, node)
            and not constraints.forbids(state, group, node)
        ):
            return node
    return ""


def _whole(world: "World", node: str) -> bool:
    """Whether its machine, its hands and its monitor are as they should be."""
    place, hands = world.places[node], world.hands(node)
    up = place.powered and not place.paused and place.service("monitor") is not None
    return up and hands is not None and hands.holder.valid(hands.clock())


def _failed(world: "World", group: str) -> set[str]:
    """The nodes on which something of it failed, in whichever boot."""
    found = set()
    for source, draft in world.drafts:
        match draft.data:
            case MoveFailed(node=node) if draft.data.group == group:
                found.add(node)
            case RecoveryExhausted() | ResourceFailed() if draft.data.group == group:
                found.add(source.split("/")[2])
    return found
