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
    kind: MoveKind
    target: NodeName | None
    """Where it shall run; None: nowhere, the move only stops it."""
    incident: EventId
    cause: EventId
    """The decision's event."""
    tried: Annotated[list[NodeName], Meta(max_length=15)] = []
    """Nodes on which this move already failed."""
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
    moves: Annotated[int, Meta(ge=0)] = 0
    """Moves within the current window, for damping."""
