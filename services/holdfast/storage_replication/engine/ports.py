"""What the engine is told, and what it asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from holdfast.storage_replication.engine.turns import Turns


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds. Times in seconds, sizes in bytes."""

    member_timeout: float = 3.0
    """A member that says nothing for so long is lost."""
    ping_interval: float = 0.5
    suspect_after: float = 1.5
    """One that says nothing for so long is told of; writes wait for it."""
    stall: float = 10.0
    """One that answers, but gets nothing done for so long, is lost."""
    ask_again: float = 1.0
    """After the service refused."""
    window: int = 64 << 20
    """Written and not yet acknowledged; more is held."""
    held: int = 256 << 20
    """Of writes that wait; more is answered with ENOBUFS."""
    hot_extents: int = 256
    """Active at a time: what a crash makes members compare."""
    idle: float = 5.0
    """Without a write for so long, extents become inactive."""
    resync_window: int = 16
    """Chunks compared at a time."""
    checkpoint: int = 1024
    """Chunks after which a resync makes durable what it did."""
    max_lag_bytes: int = 256 << 20
    max_lag_seconds: float = 30.0
    hold_when_behind: bool = False
    """An async member over its bound: hold writes; else record it as behind and go on."""


class Event(msgspec.Struct, frozen=True, tag_field="event"):
    """Something happened that people want to know."""


class MemberLost(Event, frozen=True):
    member: str
    reason: str


class MemberSilent(Event, frozen=True):
    """It may yet answer: it is not lost."""

    member: str
    seconds: float


class Frozen(Event, frozen=True):
    """Writes wait for these members, or until the service has taken them out."""

    members: list[str]


class Thawed(Event, frozen=True):
    pass


class ResyncStarted(Event, frozen=True):
    member: str
    bytes: int
    """At most so many differ."""
    in_place: bool


class ResyncDone(Event, frozen=True):
    member: str
    bytes: int
    """Sent."""


class MemberJoined(Event, frozen=True):
    """In the in-sync set, or following."""

    member: str


class MemberRefused(Event, frozen=True):
    member: str
    reason: str


class Deposed(Event, frozen=True):
    """Somebody else is primary, at this epoch: nothing is acknowledged any more."""

    epoch: int


class DiskFailed(Event, frozen=True):
    """The local disk: nothing is answered any more but EIO."""

    error: int


class FallbackLost(Event, frozen=True):
    """The undo log is full or broken: no consistent copy here until the resync is done."""


class FellBack(Event, frozen=True):
    """This copy is what it was before its resync began, durably."""

    incident: str = ""
    cause: str = ""
    """The request for it."""


class Differences(Event, frozen=True):
    """Verify found them: (offset, length), the first MAX_RANGES."""

    member: str
    ranges: list[tuple[int, int]]
    unreadable: list[tuple[int, int]] = []
    """What the primary cannot read on its own disk, and so did not compare; as many."""
    complete: bool = True
    """False: there is more of either than that."""


class VerifyCut(Event, frozen=True):
    """A verify ended before all was compared: nothing is known of the rest."""

    member: str
    reason: str


class Repaired(Event, frozen=True):
    """What verify found was overwritten, or not."""

    member: str
    ranges: int
    problem: str = ""
    """Why not; empty: it was."""


class Ask(Protocol):
    def __call__(self, member: str, counts: bool, ticket: int) -> None:
        """Change the record: count on the member (in sync; following) or not.

        Answered with `agreed` or `refused` and the same ticket, perhaps never. Tickets rise; the
        service carries them out in that order, and never an earlier one after it has answered a
        later one: only the answer to the latest is heeded.
        """


@dataclass(frozen=True)
class Ports:
    """What a primary is given."""

    now: Callable[[], float]
    """Monotonic seconds (holdfast.clock.monotonic)."""
    ask: Ask
    report: Callable[[Event], None]
    turns: Turns
