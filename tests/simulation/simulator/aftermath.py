"""What stays wrong when all else is well again: a host off for good, or one without its hands.

Then what only shows in the calm: the only host left stalls between an order and taking it, until
its fence is stored; a fence device is set to another's outlet, which is off. Drawn apart, so that
what else a seed draws does not depend on it.
"""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from holdfast.ownership import OwnershipRecord, Phase
from tests.simulation.simulator.places import Place, Service

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

CALM_AFTER = 4.0
"""True seconds until everybody hears everybody. Of a host that is not heard, a wrong plug is
believed, and no software survives that."""
STALLS_AT_MOST = 20.0


def stays_wrong(world: "World") -> None:
    """After the last fault: in some seeds one host never comes back whole."""
    chance, apart = Random(f"what stays of {world.seed}"), Random(f"and then {world.seed}")
    (kind,) = chance.choices(["", "host off", "hands gone"], [6, 2, 2])
    place = world.places[chance.choice(list(world.file.nodes))]
    node = world.file.nodes[place.name]
    if kind == "host off" and _can_be_missed(world, place.name):
        world.seen["a host stays off"] += 1
        world.off_for_good.add(place.name)
        world.power_off(place, "loses power for good")
        if apart.random() < 0.6 and not world.lease_only:
            world.on_record = partial(_stall_at_a_start, world)
    # With the lease alone, hands that stay dead are not covered: DESIGN.md of recovery.
    if kind == "hands gone" and (node.fence or node.watchdog):
        world.seen["a host stays without hands"] += 1
        world.without_hands.add(place.name)
        if len(node.fence) == 1 and apart.random() < 0.5:
            world.rests_from = world.engine.now + CALM_AFTER + 1.0
            world.engine.after(CALM_AFTER, _gone_behind_a_wrong_plug, world, place)
        else:
            _hands_gone(world, place)


def _hands_gone(world: "World", place: Place) -> None:
    hands = world.hands(place.name)
    if hands is not None:
        world.crash(hands)


def _gone_behind_a_wrong_plug(world: "World", place: Place) -> None:
    world.seen["a plug of another outlet"] += 1
    world.note(place, "its fence device is set to another outlet, which is off", fault=True)
    world.fences.lies_off.add(place.name)
    _hands_gone(world, place)


def _stall_at_a_start(world: "World", record: OwnershipRecord) -> None:
    """A start is stored, and before its order arrives its host stands still; not its voter."""
    if record.phase != Phase.STARTING or record.owner is None:
        return
    place = world.places[record.owner]
    stalled = [s for s in map(place.service, ("hands", "monitor")) if s is not None]
    world.note(place, f"stalls before it takes the order to start {record.group}", fault=True)
    world.fences.mode.update(dict.fromkeys(world.fences.devices(place.name), "fails"))
    for service in stalled:
        service.freeze()
    world.on_record = partial(_until_its_fence, world, place, stalled)
    world.engine.after(STALLS_AT_MOST, _goes_on, world, place, stalled)


def _until_its_fence(
    world: "World", place: Place, stalled: list[Service], record: OwnershipRecord
) -> None:
    if record.phase == Phase.FENCING and record.owner == place.name:
        world.seen["a stall from an order to a fence"] += 1
        _goes_on(world, place, stalled)


def _goes_on(world: "World", place: Place, stalled: list[Service]) -> None:
    world.on_record = lambda _: None
    for service in stalled:
        if service.frozen:
            world.note(place, f"its {service.title} goes on")
            service.thaw()
    world.fences.mode.update(dict.fromkeys(world.fences.devices(place.name), ""))


def _can_be_missed(world: "World", name: str) -> bool:
    """Voters without memory need the others to learn from."""
    others = [place for other, place in world.places.items() if other != name]
    voters = [place for place in others if place.name in world.voters]
    return all(place.votes is not None and not place.votes_lost for place in voters)
