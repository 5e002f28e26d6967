"""Starting and stopping a volume: the real executor and kind of recovery, as part of the hands."""

import asyncio
from typing import TYPE_CHECKING, Any

from holdfast.config.model import VolumeResource
from holdfast.recovery.executor import Executor
from holdfast.recovery.kinds.volume import VolumeKind
from holdfast.recovery.messages import ActionDone, RunAction
from holdfast.structs import replace
from tests.simulation.simulator.actions import Action
from tests.simulation.simulator.storage.loop import VirtualLoop
from tests.simulation.simulator.storage.service import LocalBus

if TYPE_CHECKING:
    from tests.simulation.simulator.hands import Actor, HandsService


class VolumeAction:
    """One action in flight. Given up, its answer is nobody's; what it did stays done."""

    def __init__(self, hands: "HandsService", actor: "Actor", order: RunAction) -> None:
        self._hands, self._actor, self._order = hands, actor, order
        self._task: asyncio.Task[Any] | None = None
        self._ended = False

    def begin(self) -> None:
        """Ask the storage service."""
        hands, order = self._hands, self._order
        if hands.volumes is None:
            hands.volumes = VirtualLoop(hands, hands.world.volumes.wires)
        config = self._actor.plan.resources[order.resource]
        assert isinstance(config, VolumeResource)
        bus: Any = LocalBus(hands, hands.volumes)
        kind = VolumeKind(config, node=hands.place.name, boot=hands.place.boot, bus=bus)
        executor = Executor({order.resource: kind}, {order.resource: config})
        hands.after(0.0005, hands.volumes.enter, self._run, executor)

    def _run(self, executor: Executor) -> None:
        assert self._hands.volumes is not None
        if not self._ended:
            self._task = self._hands.volumes.work(self._carry_out(executor), self._order.verb)

    async def _carry_out(self, executor: Executor) -> None:
        done = await executor.run(self._order)
        if not self._ended:
            self._hands.after(0.0, self._tell, replace(done, number=self._order.number))

    def _tell(self, done: ActionDone) -> None:
        if not self._ended:
            self._ended = True
            self._hands.turn(self._actor, done)

    def give_up(self) -> None:
        """Another action takes its place."""
        self._ended = True
        if self._task is not None:
            self._hands.after(0.0, self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and self._hands.volumes is not None:
            self._hands.volumes.enter(self._task.cancel)


def action(hands: "HandsService", actor: "Actor", order: RunAction) -> Action | VolumeAction:
    """By the kind of the resource."""
    if isinstance(actor.plan.resources[order.resource], VolumeResource):
        return VolumeAction(hands, actor, order)
    return Action(hands, actor, order)


def is_volume(actor: "Actor", resource: str) -> bool:
    """Whether the storage service watches it, not the monitor."""
    return isinstance(actor.plan.resources[resource], VolumeResource)
