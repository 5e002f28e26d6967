"""The operators' policies of nodes and groups: where a group may run, with whom, and how often."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import Name

Period = Annotated[float, Meta(gt=0, le=31 * 86_400)]
Load = Annotated[float, Meta(ge=0, le=1e12)]
Others = Annotated[list[Name], Meta(max_length=63)]


class NodePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node can bear, and when what fails on it is too much."""

    capacity: Load | None = None
    max_failures: Annotated[int, Meta(ge=1, le=100)] = 5
    failures_window: Period = 3600.0
    quarantine: Period | None = None


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
