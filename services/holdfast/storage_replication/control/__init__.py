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
[--tcp HOST:PORT] [--blank]`. It is a replica until it is promoted; NBD is served by a primary only.

Times are seconds, sizes bytes, clocks holdfast.clock.monotonic.
"""

from typing import TypeVar

import msgspec

from holdfast.errors import HoldfastError
from holdfast.storage_replication.control.message import Message, Order
from holdfast.storage_replication.control.orders import (
    Answer,
    Bounds,
    Demote,
    FallBack,
    Lease,
    Member,
    Promote,
    Resize,
    SetMembers,
    Verify,
)
from holdfast.storage_replication.control.told import (
    Ask,
    Comparison,
    Done,
    Failed,
    Happened,
    MemberState,
    State,
    What,
)

__all__ = [
    "MAX_KEPT",
    "MAX_LINE",
    "MAX_ORDERS",
    "SOCKET",
    "Answer",
    "Ask",
    "BadControl",
    "Bounds",
    "Comparison",
    "Demote",
    "Done",
    "Failed",
    "FallBack",
    "FromDataPath",
    "FromService",
    "Happened",
    "Lease",
    "Member",
    "MemberState",
    "Message",
    "Order",
    "Promote",
    "Resize",
    "SetMembers",
    "State",
    "Verify",
    "What",
    "encode",
    "from_data_path",
    "from_service",
]

SOCKET = "control.sock"
MAX_LINE = 1 << 20
MAX_ORDERS = 64
MAX_KEPT = 256

T = TypeVar("T")


class BadControl(HoldfastError):
    """A line that is no message of this protocol, or none for this side."""


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
