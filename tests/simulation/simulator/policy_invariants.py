"""What must hold of every decision that starts a group, of what is in maintenance, or was stopped.

Judged by the deciding leader's own view: several records change one by one, so what is kept apart
can meet for a moment when a late write of a former leader lands. It is put right afterwards.
"""

from typing import TYPE_CHECKING

from holdfast.events import Draft
from holdfast.events.ownership import DecisionMade
from holdfast.failover_decider.state import State
from holdfast.ownership import OwnershipRecord, Phase

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World


class PolicyBroken(Exception):
    """A policy that the cluster file demands is not kept. `name` says which."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class PolicyInvariants:
    """Watches decisions; raises PolicyBroken."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._seen: set[str] = set()
        self._asked: set[str] = set()
        """Intents that an operator asked for."""

    def on_write(self, state: State, record: OwnershipRecord) -> None:
        """A start that is about to be stored; repetitions of the write are let pass."""
        intent = record.intent
        if record.phase != Phase.STARTING or intent is None or intent.step in self._seen:
            return
        self._seen.add(intent.step)
        there = [
            other
            for other, view in state.groups.items()
            if other != record.group and (view.writing or view.record).owner == record.owner
        ]
        self._apart(record, there)
        self._room(record, there)
        for other in self._world.file.groups[record.group].requires:
            if state.groups[other].record.phase != Phase.ACTIVE:
                text = f"{record.group} is started while {other}, which it requires, is not active"
                raise PolicyBroken("requires", text)

    def on_stored(self, before: OwnershipRecord, record: OwnershipRecord) -> None:
        """What an operator stopped is not moved or started by anybody else's word.

        But it is active again if the stop failed and all of it runs well: nothing is done then.
        """
        intent = record.intent
        if not before.ordered_down or intent is None or record.ordered_down:
            return
        if intent.id not in self._asked:
            text = f"an operator stopped {record.group}, and nobody asked for its {intent.kind}"
            raise PolicyBroken("word", text)

    def _apart(self, record: OwnershipRecord, there: list[str]) -> None:
        groups = self._world.file.groups
        for other in there:
            if other in groups[record.group].apart_from or record.group in groups[other].apart_from:
                text = f"{record.group} is started on {record.owner}, where {other} is"
                raise PolicyBroken("apart", text)

    def _room(self, record: OwnershipRecord, there: list[str]) -> None:
        assert record.owner is not None
        capacity = self._world.file.nodes[record.owner].capacity
        load = sum(self._world.file.groups[group].load for group in [record.group, *there])
        if capacity is not None and load > capacity:
            text = f"{record.owner} bears {capacity:g} and shall run {load:g}"
            raise PolicyBroken("capacity", text)

    def on_decision(self, state: State, draft: Draft) -> None:
        """Nobody but an operator decides about what is in maintenance."""
        made = draft.data
        if not isinstance(made, DecisionMade):
            return
        if made.rule.startswith("operator_"):
            self._asked.add(made.intent)
            return
        about = {
            ("cluster", self._world.file.cluster.name),
            ("group", made.group),
            ("node", made.source),
            ("node", made.target),
        }
        for mark in state.standing.stored.marks:
            if mark.kind == "maintenance" and (mark.scope, mark.name) in about:
                text = f"{made.rule} is decided for {made.group}; {mark.scope} {mark.name} is not"
                raise PolicyBroken("maintenance", f"{text} to be touched")
