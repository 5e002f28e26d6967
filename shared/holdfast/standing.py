"""Standing orders: maintenance and quarantine, one compare-and-set entry for the whole cluster.

It is in the ownership bucket, so that whoever has loaded the records has loaded these, too.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import EventId, Name, Reason
from holdfast.events.policies import Scope

STANDING_KEY = "_standing"
"""No name of a group begins with an underscore."""
MAX_MARKS = 160


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One maintenance or quarantine. At most one of a kind for each thing."""

    kind: Literal["maintenance", "quarantine"]
    scope: Scope
    name: Name
    """The cluster's, the node's or the group's."""
    reason: Reason
    operator: Annotated[str, Meta(max_length=100)] = ""
    id: EventId
    """The operator's request, or the refusal or signal, that it follows from."""
    incident: EventId
    left: Annotated[float, Meta(ge=0)] | None = None
    """Seconds until it ends by itself, counted from when this was stored; None: it does not.

    Whoever reads it counts on a clock of its own from then on, so it may end late, never early.
    """


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The value stored under `_standing` in `ha_ownership`."""

    marks: Annotated[list[Mark], Meta(max_length=MAX_MARKS)] = []
