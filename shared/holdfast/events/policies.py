"""What operators, and the decider itself, take out of the decider's hands, and give back."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from holdfast.events.fields import Name, Reason, Seconds
from holdfast.events.registry import EventData, event


class Scope(StrEnum):
    """What a maintenance or a quarantine is about."""

    CLUSTER = "cluster"
    NODE = "node"
    GROUP = "group"


Lasts = Annotated[Seconds | None, Meta(description="until it ends by itself; null: it does not")]


@event("maintenance_began")
class MaintenanceBegan(EventData, frozen=True, kw_only=True):
    """An operator works here: the decider leaves it alone until this ends."""

    scope: Scope
    name: Name
    operator: Annotated[str, Meta(max_length=100)]
    reason: Reason
    lasts: Lasts


@event("maintenance_ended")
class MaintenanceEnded(EventData, frozen=True, kw_only=True):
    """The decider decides here again, on what it finds."""

    scope: Scope
    name: Name
    reason: Annotated[Reason, Meta(description="who ended it, or that its time was over")]


@event("quarantine_began")
class QuarantineBegan(EventData, frozen=True, kw_only=True):
    """Too much failed: a group is not moved any more, a node is the last choice for any group."""

    scope: Scope
    name: Name
    reason: Reason
    lasts: Lasts


@event("quarantine_ended")
class QuarantineEnded(EventData, frozen=True, kw_only=True):
    """What failed before is forgotten; the decider tries again."""

    scope: Scope
    name: Name
    reason: Annotated[Reason, Meta(description="who ended it, or that its time was over")]
