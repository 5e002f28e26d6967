"""One step of the core under way: the state so far, the effects so far."""

import msgspec

from holdfast.events import Draft, EventData
from holdfast.failover_decider.messages import Effect, Emit
from holdfast.failover_decider.state import GroupView, NodeView, State, Suspicion, Trail
from holdfast.ids import Mint
from holdfast.structs import replace


class Turn(msgspec.Struct):
    """Gathers what one input leads to. It lives for one call of `decide` and is never kept."""

    state: State
    now: float
    mint: Mint
    effects: list[Effect] = msgspec.field(default_factory=list)

    def emit(self, data: EventData, entity: str, after: Trail | None = None) -> Trail:
        """Emit an event caused by `after`, or the root of a new incident; returns its trail."""
        draft = Draft(
            id=self.mint(),
            data=data,
            entity=entity,
            incident=after.incident if after else None,
            cause=after.cause if after else None,
        )
        self.effects.append(Emit(draft))
        return Trail(draft.correlation, draft.id)

    def do(self, effect: Effect) -> None:
        """Ask the shell for a side effect."""
        self.effects.append(effect)

    def node(self, name: str) -> NodeView:
        """The view of a configured node."""
        return self.state.nodes[name]

    def group(self, name: str) -> GroupView:
        """The view of a configured group."""
        return self.state.groups[name]

    def set_node(self, view: NodeView) -> None:
        """Replace one node's view."""
        self.state = replace(self.state, nodes={**self.state.nodes, view.node: view})

    def set_group(self, view: GroupView) -> None:
        """Replace one group's view."""
        self.state = replace(self.state, groups={**self.state.groups, view.group: view})

    def set_suspicion(self, node: str, suspicion: Suspicion | None) -> None:
        """Replace the suspicion of one node."""
        self.set_node(replace(self.node(node), suspicion=suspicion))

    def records_loaded(self) -> None:
        """From now on an absent record is one that does not exist."""
        self.state = replace(self.state, records_loaded=True)

    def set_windows(self, open_now: frozenset[str]) -> None:
        """Replace the groups whose failback window is open."""
        self.state = replace(self.state, windows=open_now)
