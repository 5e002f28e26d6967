"""I10: no workload is stopped but for an order, its own failure, or a lease that demands it.

Judged when a stop is about to reach something that truly runs. That the end of a service ends no
process is not judged but given: processes are the machine's, whatever becomes of their parents.
"""

from typing import TYPE_CHECKING

from holdfast.ownership import OwnershipRecord
from holdfast.recovery.messages import (
    ActionDone,
    Input,
    LeaseEnded,
    Resumed,
    RunAction,
    SignalHeard,
)
from holdfast.recovery.state import Work
from tests.simulation.simulator.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.simulator.hands import Actor, HandsService
    from tests.simulation.simulator.world import World

ORDERED = ("start", "stop")


class Workloads:
    """Why hands may stop what runs. `ordered` are the stored records by the id of their step."""

    def __init__(self, world: "World", ordered: dict[str, OwnershipRecord]) -> None:
        self._world, self._ordered = world, ordered
        self._excused: set[tuple[str, str, str, float]] = set()
        """Work that a lapsed lease or a dead process began: its boot, group, kind and time."""

    def on_turn(self, hands: "HandsService", actor: "Actor", event: Input) -> None:
        """Remember work that began for a reason that is true."""
        work = actor.state.work
        if work is None:
            return
        match event:
            case LeaseEnded() | Resumed(adopt=False):
                excused = not self._lasts(hands, hands.world.timing.stop_before)
            case SignalHeard():
                excused = not self._runs(hands, actor, work.resource)
            case _:
                excused = isinstance(event, ActionDone) and not event.ok
        if excused:
            self._excused.add(_name(hands, actor, work))

    def on_stop(self, hands: "HandsService", actor: "Actor", action: RunAction) -> None:
        """A stop begins. It may, if nothing runs; else somebody must have wanted it."""
        work, order = actor.state.work, actor.state.order
        assert work is not None
        if not self._runs(hands, actor, action.resource):
            return
        if work.kind in ORDERED:
            stored = self._ordered.get(order.intent) if order is not None else None
            wanted = stored is not None and (stored.group, stored.owner) == (
                action.group,
                hands.place.name,
            )
        else:
            wanted = _name(hands, actor, work) in self._excused
        if not wanted:
            text = f"{action.group}/{action.resource} runs on {hands.place.name} and is stopped"
            raise Violation("I10", f"{text} for no reason: {work.kind}, {work.reason or 'no word'}")
        if work.kind == "lease":
            self._world.seen["self-stop"] += 1

    def on_dead_man(self, hands: "HandsService") -> None:
        """The dead man's switch is about to kill what it holds."""
        if self._lasts(hands, self._world.timing.kill_before):
            raise Violation("I10", f"{hands.place.name} kills its workloads while its lease lasts")

    def _runs(self, hands: "HandsService", actor: "Actor", resource: str) -> bool:
        machine = self._world.machines[hands.place.name]
        return any(process.resource == resource for process in machine.of(actor.state.group))

    def _lasts(self, hands: "HandsService", before_its_end: float) -> bool:
        return hands.clock() < hands.holder.valid_until - before_its_end


def _name(hands: "HandsService", actor: "Actor", work: Work) -> tuple[str, str, str, float]:
    return hands.place.boot, actor.state.group, work.kind, work.began
