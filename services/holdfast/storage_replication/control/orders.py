"""What the service says to a data path."""

import msgspec

from holdfast.storage_replication.control.message import Message, Order


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Another member, as the record has it."""

    host: str
    """Where its data path listens (`--listen`). Empty: nobody knows; it is not connected to."""
    port: int
    instance: str = ""
    """Which copy it is: only this one is taken for it, and what is known of another one is not
    believed of it. Empty: it has not been started yet."""
    counts: bool
    """In the in-sync set; async: following."""
    asynchronous: bool = False
    before: bool = False
    """The record that was replaced counted on it, and on this node."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of a primary."""

    member_timeout: float = 1.5
    """A member that says nothing for so long is lost."""
    max_lag_bytes: int = 256 << 20
    max_lag_seconds: float = 30.0
    """What an async member may lack; over it, it is taken out, or writes are held."""
    hold_when_behind: bool = False


class Promote(Order, frozen=True, kw_only=True, tag="promote"):
    """Be the primary. The record says so already, durably; the fields are what it says.

    An in-sync member that is `State.intact` must be preferred to one that is not: the latter may
    have lost, with its power, what was acknowledged and not flushed.

    Done: NBD is served. At an epoch at which it is the primary already, nothing changes. At a
    higher one its clients are disconnected and come back. Failed: it is not the primary.
    """

    epoch: int
    counted: bool
    """The record that was replaced had this node in its in-sync set."""
    kept_from: int = 0
    """The epoch of the record that was replaced, if this node was its primary; else 0. The same
    epoch for a data path that died and was started again."""
    members: dict[str, Member]
    """Without this node."""
    accept_loss: bool = False
    """An operator accepts that this member lacks acknowledged writes."""
    valid_until: float
    """As in `Lease`."""
    bounds: Bounds = Bounds()


class Demote(Order, frozen=True, kw_only=True, tag="demote"):
    """Be no primary. Takes no new clients, answers what is in flight, flushes at every member,
    and waits for async ones to have all.

    Done even if that did not succeed in time (`Done.warning`): nothing is served in any case.
    """

    deadline: float = 10.0
    """Seconds, not a point in time."""


class SetMembers(Order, frozen=True, kw_only=True, tag="set_members"):
    """The members without this node. Primary only.

    Repeated until `State` shows them. New ones: `counts` must be False; done when their dirty map,
    which says that they have nothing, is durable. Missing ones: they are asked about (`take_out`)
    if they count, and forgotten once the record agreed. One that is another `instance` is both.
    Others: a changed address is used from the next connection on, `counts` is not looked at.
    """

    members: dict[str, Member]


class Resize(Order, frozen=True, kw_only=True, tag="resize"):
    """Grow to `size`. Primary only. Done when all members that count and this one have; clients
    see it when they connect anew. The record may say so after that. Already so large: done."""

    size: int


class Verify(Order, frozen=True, kw_only=True, tag="verify"):
    """Compare a member in the background. Primary only, the member in sync. Done: it has begun;
    `State` tells how far it is, `Happened(Differences)` what was found."""

    member: str
    repair: bool = False
    """Overwrite what differs on the member with what the primary has."""


class FallBack(Order, frozen=True, kw_only=True, tag="fall_back"):
    """Undo an unfinished resync: back to the last consistent state. A replica only, on which the
    record does not count. Done: durable; or, with a `Done.warning`, it goes on, for hours
    perhaps: `State.going_back` tells how far it is, `Happened(FellBack)` the end."""

    epoch: int
    """Of the member when the record was asked. At a later one it may have been taken in since."""
    incident: str = ""
    cause: str = ""
    """The request for it, for `Happened(FellBack)`: who asked may have died by then."""


class Lease(Message, frozen=True, kw_only=True, tag="lease"):
    """The node's lease lasts until then (V7). Heeded by the primary at `epoch`."""

    epoch: int
    valid_until: float


class Answer(Message, frozen=True, kw_only=True, tag="answer"):
    """To an `Ask`."""

    ask: int
    agreed: bool
    """The record says so now. False: it could not be changed, or nobody knows whether it was."""
    reason: str = ""
    """Why not; for people."""
