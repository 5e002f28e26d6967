"""The operators' policies of a group: where it may run, with whom, and how often."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import Name

Period = Annotated[float, Meta(gt=0, le=31 * 86_400)]
Load = Annotated[float, Meta(ge=0, le=1e12)]
Others = Annotated[list[Name], Meta(max_length=63)]


class GroupPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a group needs of nodes and of other groups, when it moves back, and how often it may."""

    load: Load = 0.0
    requires: Others = []
    together_with: Others = []
    prefer_together_with: Others = []
    apart_from: Others = []
    prefer_apart_from: Others = []
    failback: Literal["manual", "automatic"] = "manual"
    failback_after: Period = 300.0
    failback_window: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    max_moves: Annotated[int, Meta(ge=1, le=100)] = 5
    moves_window: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    quarantine: Period | None = None
