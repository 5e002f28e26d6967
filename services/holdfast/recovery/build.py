"""Making a group's actor from the configuration and the journal."""

import asyncio
from collections.abc import Awaitable, Callable

from holdfast.bus import Bus
from holdfast.config.model import CommandResource, ProcessResource, Resource, VolumeResource
from holdfast.recovery.actor import Actor, Inputs
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.executor import Executor
from holdfast.recovery.journal import Journal
from holdfast.recovery.kinds.base import Kind
from holdfast.recovery.kinds.changed import ChangedKind
from holdfast.recovery.kinds.command import CommandKind
from holdfast.recovery.kinds.process import ProcessKind
from holdfast.recovery.kinds.volume import VolumeKind
from holdfast.recovery.messages import Resumed, Spawned
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.recorder import Recorder
from holdfast.recovery.state import GroupState, blank
from holdfast.recovery.suspended import Suspended


class Builder:
    """What all groups of the node share."""

    def __init__(
        self,
        *,
        bus: Bus,
        journal: Journal,
        dead_man: DeadMan,
        recorder: Recorder,
        changed: Callable[[], None],
        suspended: Suspended,
    ) -> None:
        self._bus, self._journal, self._dead_man = bus, journal, dead_man
        self._recorder, self._changed, self._suspended = recorder, changed, suspended

    def actor(self, plan: GroupPlan, *, lease_lasts: bool) -> Actor:
        """A group as the journal left it. What it may have left running is held at once."""
        state = self._journal.load(plan.group) or blank(plan.group, plan.names)
        inputs = Inputs()
        kinds: dict[str, Kind] = {
            n: self._kind(plan, n, c, inputs.tell) for n, c in plan.resources.items()
        }
        kept = {**plan.resources, **plan.former}
        for name, config in plan.former.items():
            former = self._kind(plan, name, config, inputs.tell)
            kinds[name] = ChangedKind(former, kinds[name], self._forgetting(plan, name, kept))
        executor = Executor(kinds, plan.resources)
        actor = Actor(
            plan,
            state,
            inputs,
            executor,
            self._journal,
            self._recorder,
            self._changed,
            lambda: self._suspended.until(plan.group),
        )
        actor.tell(self._resumed(plan, state, kinds, lease_lasts=lease_lasts))
        return actor

    def _resumed(
        self, plan: GroupPlan, state: GroupState, kinds: dict[str, Kind], *, lease_lasts: bool
    ) -> Resumed:
        alive = set()
        for name, kind in kinds.items():
            known = state.resource(name)
            if isinstance(kind, ProcessKind | CommandKind | ChangedKind):
                kind.hold(known)
            if known.state == "running" and kind.alive(known):
                alive.add(name)
        return Resumed(boot=plan.boot, adopt=lease_lasts, alive=frozenset(alive))

    def _forgetting(
        self, plan: GroupPlan, name: str, kept: dict[str, Resource]
    ) -> Callable[[], Awaitable[None]]:
        async def forget() -> None:
            kept[name] = plan.resources[name]
            await asyncio.to_thread(self._journal.store_plan, plan.group, dict(kept))

        return forget

    def _kind(
        self, plan: GroupPlan, name: str, config: Resource, spawned: Callable[[Spawned], None]
    ) -> Kind:
        log = self._journal.logs / f"{plan.group}.{name}.log"
        match config:
            case ProcessResource():
                return ProcessKind(
                    config, node=plan.node, log=log, dead_man=self._dead_man, spawned=spawned
                )
            case CommandResource():
                return CommandKind(
                    config, node=plan.node, log=log, dead_man=self._dead_man, spawned=spawned
                )
            case VolumeResource():
                return VolumeKind(config, node=plan.node, boot=plan.boot, bus=self._bus)
