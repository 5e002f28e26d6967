"""What stays wrong when all else is well again: a host off for good, or one without its hands.

Drawn apart, so that what else a seed draws does not depend on it.
"""

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World


def stays_wrong(world: "World") -> None:
    """After the last fault: in some seeds one host never comes back whole."""
    chance = Random(f"what stays of {world.seed}")
    (kind,) = chance.choices(["", "host off", "hands gone"], [6, 2, 2])
    place = world.places[chance.choice(list(world.file.nodes))]
    node = world.file.nodes[place.name]
    if kind == "host off" and _can_be_missed(world, place.name):
        world.seen["a host stays off"] += 1
        world.off_for_good.add(place.name)
        world.power_off(place, "loses power for good")
    # With the lease alone, hands that stay dead are not covered: DESIGN.md of recovery.
    if kind == "hands gone" and (node.fence or node.watchdog):
        world.seen["a host stays without hands"] += 1
        world.without_hands.add(place.name)
        hands = world.hands(place.name)
        if hands is not None:
            world.crash(hands)


def _can_be_missed(world: "World", name: str) -> bool:
    """Voters without memory need the others to learn from."""
    others = [place for other, place in world.places.items() if other != name]
    voters = [place for place in others if place.name in world.voters]
    return all(place.votes is not None and not place.votes_lost for place in voters)
