"""What a data path says to its service."""

from typing import Literal

import msgspec

from holdfast.storage_replication.control.message import Message
from holdfast.storage_replication.engine.ports import (
    Deposed,
    Differences,
    DiskFailed,
    FallbackLost,
    FellBack,
    Frozen,
    MemberJoined,
    MemberLost,
    MemberRefused,
    MemberSilent,
    Repaired,
    ResyncDone,
    ResyncStarted,
    Thawed,
    VerifyCut,
)


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """An order was carried out."""

    id: int
    warning: str = ""
    complete: list[str] = []
    """Of a Demote: the async members that have everything which was written, durably."""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """An order was not carried out, as a HoldfastError. `id` 0: a line that was no message."""

    id: int
    problem: str
    place: str
    cure: str


class Ask(Message, frozen=True, kw_only=True, tag="ask"):
    """Compare-and-set the record, provided that it names this node as the primary at `epoch`.

    Carried out one after another in the order of arrival, also across connections and starts of
    the data path. One may be left out if a later one about the same member has come. Repeated,
    with a higher number, until it is answered; only the answer to the latest is heeded.
    """

    ask: int
    epoch: int
    member: str
    change: Literal["take_in", "take_out"]
    """Into or out of the in-sync set; async: the members that follow within their bound."""
    asynchronous: bool
    instance: str = ""
    """`Member.instance` of whom this is about. Empty: not known."""


What = (
    MemberLost
    | MemberRefused
    | MemberSilent
    | MemberJoined
    | Frozen
    | Thawed
    | ResyncStarted
    | ResyncDone
    | Deposed
    | DiskFailed
    | FallbackLost
    | FellBack
    | Differences
    | VerifyCut
    | Repaired
)


class Happened(Message, frozen=True, kw_only=True, tag="happened"):
    """Once each; at a crash of the service perhaps never."""

    number: int
    """Rises by one; a gap tells how many were not kept."""
    time: str
    """Wall clock, RFC 3339, for display."""
    epoch: int
    what: What


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A resync or a verify."""

    done: int
    total: int
    """Bytes to be looked at."""
    sent: int = 0
    eta: float | None = None
    """Seconds; None: nobody knows yet."""


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """What a primary knows of a member."""

    connected: bool
    counts: bool
    """In sync or following, as far as the record is known here."""
    asynchronous: bool
    instance: str = ""
    """As in `Member`."""
    phase: str
    """engine.peer.Phase: away, greeting, waiting, reconciling, resyncing, streaming."""
    behind: int
    """Bytes that may differ."""
    silent: float = 0.0
    """Seconds without a word, once that is remarkable."""
    lag_bytes: int = 0
    lag_seconds: float = 0.0
    """Async: acknowledged here, not applied there."""
    resync: Comparison | None = None
    verify: Comparison | None = None
    refusal: str = ""
    """Why it did not take part when it was last asked."""
    asked: Literal["", "take_in", "take_out"] = ""
    """What the service was asked and has not answered."""


class State(Message, frozen=True, kw_only=True, tag="state"):
    """Told to a service that connects, on a change, and at least each second."""

    volume: str
    uuid: str
    member: str
    pid: int
    role: Literal["replica", "primary"]
    epoch: int
    """The highest accepted."""
    primary: str
    """Whose epoch that is; empty: nobody's yet."""
    size: int
    frozen: str = ""
    """Why writes wait; empty: they don't."""
    members: dict[str, MemberState] = {}
    """Of a primary."""
    clients: int = 0
    """NBD connections."""
    nbd_port: int = 0
    """For NBD clients on TCP; 0: none is served."""
    port: int
    """At which it listens for other members."""
    connected: bool = False
    """A replica: it follows a primary."""
    intact: bool
    """Nothing that this member said it had is lost; False after a power loss, until compared."""
    resyncing: bool
    """The data is between two states: not usable."""
    fallback: bool
    """While `resyncing`: it can go back to the last consistent state."""
    going_back: Comparison | None = None
    """It does so now."""
    failed: int = 0
    """The errno after which the disk is not used any more; 0: it is fine."""
