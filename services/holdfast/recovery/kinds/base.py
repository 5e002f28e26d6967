"""What every kind of resource can do."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from holdfast.recovery.messages import RunAction
from holdfast.recovery.state import ResourceState


class ActionFailed(Exception):
    """An action did not succeed. Its text is the reason, for people; it stands in the event."""


@dataclass(frozen=True, slots=True)
class Running:
    """A start's result. `died` is set, with `how`, if the process ends while it is checked."""

    instance: str
    died: asyncio.Event | None = None
    how: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop's result: confirmed. `found`: something ran; `killed`: it had to be killed."""

    found: bool
    killed: bool = False


class Kind(Protocol):
    """One configured resource. Both actions may be cancelled at any await, and repeated."""

    async def start(self, action: RunAction) -> Running:
        """Bring it to life. The caller limits the time. Raises ActionFailed."""
        ...

    async def stop(self, action: RunAction) -> Stopped:
        """End it, or find that it does not run, within `action.timeout` and a grace for killing.

        Raises ActionFailed unless it saw that nothing runs.
        """
        ...

    def alive(self, known: ResourceState) -> bool:
        """Whether the known instance is there, as far as can be told without waiting."""
        ...


def epoch_instance(action: RunAction) -> str:
    """The instance of a kind that has no process: its epoch, and which start of it."""
    return f"epoch:{action.epoch}.{action.known.starts}"
