"""`dataclasses.replace` without its checks: a third of a run's time is spent in it otherwise.

Used for runs of many seeds only; a test proves that a seed's history is the same without it.
"""

import dataclasses
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any

_KNOWN: dict[type, tuple[tuple[str, ...], Callable[[Any], Any]]] = {}


def replace(obj: Any, /, **changes: Any) -> Any:
    """A copy of a dataclass instance with other values for some fields."""
    kind = obj.__class__
    known = _KNOWN.get(kind)
    if known is None:
        names = tuple(field.name for field in dataclasses.fields(obj))
        known = _KNOWN[kind] = (names, attrgetter(*names))
    names, values = known
    if len(names) == 1:
        return kind(**{names[0]: values(obj), **changes})
    return kind(**{**dict(zip(names, values(obj), strict=True)), **changes})


def install() -> None:
    """Let the cores use it, in this process."""
    for name, module in list(sys.modules.items()):
        ours = name.startswith(("holdfast.", "tests.simulation."))
        if ours and getattr(module, "replace", None) is dataclasses.replace:
            module.__dict__["replace"] = replace
