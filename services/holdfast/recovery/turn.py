"""One turn of a group's core: the state as it changes, and the effects in their safe order."""

from typing import Any

import msgspec

from holdfast.events import Draft, EventData
from holdfast.events.fields import group_entity, resource_entity
from holdfast.ids import Mint
from holdfast.recovery.messages import Effect, Emit, Journal, RunAction
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.state import GroupState, OrderState, ResourceState, Step, Work


class Turn:
    """Collects what one input leads to. Lives for one call of `core.decide`, hence still pure."""

    def __init__(
        self,
        plan: GroupPlan,
        state: GroupState,
        now: float,
        mint: Mint,
        suspended_until: float = 0.0,
    ) -> None:
        self.plan = plan
        self.state = state
        self.now = now
        self.mint = mint
        self.suspended_until = suspended_until
        """Until when nothing is restarted here, as far as is known."""
        self._before = state
        self._emits: list[Emit] = []
        self._later: list[Effect] = []

    def finish(self) -> tuple[GroupState, list[Effect]]:
        """Events first (their ids are in the journal), then the journal, then what touches things.

        A crash in between repeats an event at worst; it never acts on what was not stored.
        """
        changed = self.state != self._before
        journal: list[Effect] = [Journal(self.state)] if changed else []
        return self.state, [*self._emits, *journal, *self._later]

    def set(self, **changes: Any) -> None:
        """Change fields of the group's state."""
        self.state = msgspec.structs.replace(self.state, **changes)

    def set_resource(self, name: str, **changes: Any) -> ResourceState:
        """Change fields of one resource's state."""
        resource = msgspec.structs.replace(self.state.resource(name), **changes)
        self.set(resources={**self.state.resources, name: resource})
        return resource

    def set_work(self, **changes: Any) -> Work:
        """Change fields of the work in progress."""
        assert self.state.work is not None
        work = msgspec.structs.replace(self.state.work, **changes)
        self.set(work=work)
        return work

    def set_order(self, **changes: Any) -> None:
        """Record how the last order stands; nothing if there was none."""
        if self.state.order is not None:
            order: OrderState = msgspec.structs.replace(self.state.order, **changes)
            self.set(order=order)

    def emit(
        self, data: EventData, *, incident: str | None, cause: str | None, resource: str = ""
    ) -> str:
        """Emit an event about the group, or about one of its resources. Returns its id."""
        entity = (
            resource_entity(self.plan.group, resource)
            if resource
            else group_entity(self.plan.group)
        )
        draft = Draft(id=self.mint(), data=data, entity=entity, incident=incident, cause=cause)
        self._emits.append(Emit(draft))
        return draft.id

    def later(self, effect: Effect) -> None:
        """An effect to follow the journal."""
        self._later.append(effect)

    def run(self, step: Step, work: Work) -> None:
        """Begin one action; it replaces the one in flight."""
        config = self.plan.resources[step.resource]
        number = self.state.actions + 1
        self.set(action=number, actions=number)
        timeout = config.stop_timeout if step.verb == "stop" else config.start_timeout
        self.later(
            RunAction(
                number=number,
                verb=step.verb,
                group=self.plan.group,
                resource=step.resource,
                epoch=self.state.epoch,
                known=self.state.resource(step.resource),
                timeout=timeout,
                incident=work.incident,
                cause=work.root,
            )
        )
