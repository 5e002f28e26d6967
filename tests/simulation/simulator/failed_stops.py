"""With the lease alone: a stop fails, the group is held for it, and then its host falls silent.

What SIGKILL does not end outlives the lease, and no software covers that (DESIGN.md of recovery),
but where a failed stop is on record: from there on nobody may take silence for its end. Drawn
apart, so that what else a seed draws does not depend on it.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Literal

from holdfast.failover_decider.messages import GroupAsked
from holdfast.ownership import Phase
from holdfast.wire import GroupRequest
from tests.simulation.simulator.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

LOOKS, LOOK_EVERY = 40, 0.5
NUMBER = 900_000
"""Of the operator's question; others count from 0."""
Isolate = Callable[[list[str], float], None]


class FailedStops:
    """Part of the faults of a seed without fence devices."""

    def __init__(self, world: "World", ask: Callable[[GroupAsked], None], isolate: Isolate) -> None:
        self._world, self._ask, self._isolate = world, ask, isolate
        self._chance = Random(f"failed stops of {world.seed}")

    def plan(self) -> None:
        """In a third of these seeds."""
        if self._world.lease_only and self._chance.random() < 0.33:
            self._world.engine.at(self._chance.uniform(8.0, 35.0), self._begin)

    def _begin(self) -> None:
        world = self._world
        active = [g for g, (r, _) in world.store.current.items() if r.phase == Phase.ACTIVE]
        if not active:
            return
        group = self._chance.choice(active)
        owner = world.store.current[group][0].owner
        assert owner is not None
        machine = world.machines[owner]
        world.note(machine.place, f"what runs of {group} hangs in the kernel", fault=True)
        machine.stuck.add(group)
        verb: Literal["switchover", "stop"] = self._chance.choice(("switchover", "stop"))
        request = GroupRequest(action=verb, group=group, operator="sim")
        self._ask(GroupAsked(NUMBER, request))
        world.engine.after(LOOK_EVERY, self._look, group, machine, LOOKS)

    def _look(self, group: str, machine: Machine, looks: int) -> None:
        world = self._world
        if group not in machine.stuck:
            return  # all is over
        if machine.held_for_its_stop(group):
            world.seen["silent after a failed stop"] += 1
            seconds = self._chance.uniform(10.0, 25.0)
            self._isolate([machine.place.name], seconds)
            world.engine.after(seconds + self._chance.uniform(0.0, 5.0), self._free, group, machine)
        elif looks:
            world.engine.after(LOOK_EVERY, self._look, group, machine, looks - 1)
        else:
            self._free(group, machine)

    def _free(self, group: str, machine: Machine) -> None:
        machine.stuck.discard(group)
