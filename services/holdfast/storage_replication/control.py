"""What a node's service and a volume's data path say to each other: docs/design/volumes.md.

A unix socket, `<folder>/control.sock`, mode 0600, at which the data path listens. Both sides send
one JSON object a line, at most MAX_LINE bytes. There is one service: a newer connection replaces
an older one. An `Order` has an `id` of the service's choice and is answered once, in any order, by
`Done` or `Failed` with that id, over the connection it came by; up to MAX_ORDERS may be open.
Orders are idempotent: one that lost its answer is repeated. `Lease` and `Answer` are not answered.

The data path needs no service to move data. While none is connected, questions wait, and writes
with them if they must; the open ones are asked again as soon as one connects. What happened
meanwhile is kept, the last MAX_KEPT, and told then.

How the data path of a member is started, always with the same arguments; at the first start it
makes its superblock, and the file if that is missing, with `--uuid` and `--size`:
`python -m holdfast.storage_replication.data_path --volume NAME --file PATH --folder DIR
--member NODE --uuid UUID --size BYTES --listen HOST:PORT [--secrets DIR] [--unix PATH]
[--tcp HOST:PORT]`. It is a replica until it is promoted; NBD is served by a primary only.

Times are seconds, sizes bytes, clocks holdfast.clock.monotonic.
"""

from typing import Literal, TypeVar

import msgspec

from holdfast.errors import HoldfastError
from holdfast.storage_replication.engine.ports import (
    Deposed,
    Differences,
    DiskFailed,
    FallbackLost,
    Frozen,
    MemberJoined,
    MemberLost,
    MemberRefused,
    MemberSilent,
    ResyncDone,
    ResyncStarted,
    Thawed,
)

SOCKET = "control.sock"
MAX_LINE = 1 << 20
MAX_ORDERS = 64
MAX_KEPT = 256

T = TypeVar("T")


class BadControl(HoldfastError):
    """A line that is no message of this protocol, or none for this side."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """One line."""


# From the service.


class Order(Message, frozen=True, kw_only=True):
    """Something to be done, answered with `Done` or `Failed`."""

    id: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Another member, as the record has it."""

    host: str
    """Where its data path listens (`--listen`)."""
    port: int
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

    New ones: `counts` must be False; done when their dirty map is durable, and only then may the
    record name them. Missing ones: they are asked about (`take_out`) if they count, and forgotten
    once the record agreed: then `State` names them no more. Others: a changed address is used from
    the next connection on, `counts` is not looked at.
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
    record does not count. Done: durable."""

    epoch: int
    """Of the member when the record was asked. At a later one it may have been taken in since."""


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


# From the data path.


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
    | Differences
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
    resync_rate: float = 0.0
    """Bytes per second that resyncs may compare."""
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
    failed: int = 0
    """The errno after which the disk is not used any more; 0: it is fine."""


FromService = Promote | Demote | SetMembers | Resize | Verify | FallBack | Lease | Answer
FromDataPath = State | Ask | Happened | Done | Failed

_encoder = msgspec.json.Encoder()
_from_service: msgspec.json.Decoder[FromService] = msgspec.json.Decoder(FromService)
_from_data_path: msgspec.json.Decoder[FromDataPath] = msgspec.json.Decoder(FromDataPath)


def encode(message: Message) -> bytes:
    """One line."""
    return _encoder.encode(message) + b"\n"


def from_service(line: bytes) -> FromService:
    """Raises BadControl."""
    return _decode(_from_service, line)


def from_data_path(line: bytes) -> FromDataPath:
    """Raises BadControl."""
    return _decode(_from_data_path, line)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadControl(
            f"not a message: {error}",
            place=SOCKET,
            cure="service and data path must run the same version of Holdfast",
        ) from error
