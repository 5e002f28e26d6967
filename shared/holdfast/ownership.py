"""The ownership record of a group: owner, epoch and stored intent in one compare-and-set entry."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    EventId,
    GroupName,
    IntentId,
    NodeName,
    Reason,
)
from holdfast.events.ownership import MoveKind


class Phase(StrEnum):
    """Where the group stands; docs/design/contracts.md has the table of what leads where."""

    STOPPED = "stopped"
    FENCING = "fencing"
    STOPPING = "stopping"
    STARTING = "starting"
    ACTIVE = "active"
    HELD = "held"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A move in progress, stored before its first side effect."""

    id: IntentId
    step: IntentId
    """Idempotency key of the current order: one move may stop, start, and start again elsewhere."""
    kind: MoveKind
    target: NodeName | None
    """Where it shall run; None: nowhere, the move only stops it."""
    incident: EventId
    cause: EventId
    """The decision's event."""
    tried: Annotated[list[BootId], Meta(max_length=15)] = []
    """Boots on which this move already failed; a node that reboots may be tried again."""
    excused: Annotated[list[BootId], Meta(max_length=15)] = []
    """Boots on which a start of this move ended with the lease: each may be tried again, once."""
    origin: NodeName | None = None
    """Where it ran when an orderly move began: there it goes back if the target fails."""
    interrupted: bool = False
    """Its owner was silent before it could say that it carried out the order of a phase."""
    spent: Annotated[dict[str, float], Meta(max_length=16)] = {}
    """Seconds spent in finished phases, for the timeline; carried from leader to leader."""


class OwnershipRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The value stored under the group's name in `ha_ownership`."""

    group: GroupName
    epoch: Epoch = 0
    owner: NodeName | None = None
    """The node that runs it, may run it, or is being emptied of it. None: surely nobody."""
    boot: BootId | None = None
    phase: Phase = Phase.STOPPED
    intent: Intent | None = None
    reason: Reason = ""
    """Why it is held; in `fencing`, why the owner must be fenced although it is still heard; in
    `stopping`, why it was held before an operator asked for the stop once more."""
    avoid: Annotated[list[BootId], Meta(max_length=15)] = []
    """Boots on which the group failed: it does not move back there by itself."""

    @property
    def ordered_down(self) -> bool:
        """Whether an operator stopped it, or wants it stopped: an operator starts it again."""
        return self.intent is not None and self.intent.kind == MoveKind.STOP
