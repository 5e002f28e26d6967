"""What a member must know of itself before it looks at anything else."""

import zlib

import msgspec

from holdfast.storage_replication.disk.errors import DiskRefused
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.interfaces import Store

NAME = "superblock"
FORMAT = 1
_MAGIC = b"holdfast-superblock"
_CURE = (
    "if it comes from a newer Holdfast, start that one; else take this member out of the volume, "
    "move its folder away, and add it again with --overwrite, which copies the volume to it afresh"
)


class Superblock(msgspec.Struct, frozen=True, kw_only=True):
    """One member's state; replaced as a whole."""

    format: int = FORMAT
    uuid: str
    member: str
    size: int
    """Of the volume, in bytes."""
    geometry: Geometry = Geometry()
    epoch: int = 0
    """The highest accepted; lower ones are refused for good."""
    primary: str = ""
    """Whose epoch that is."""
    boot: str = ""
    """The boot in which the data was last open: while it lasts, so does the page cache."""
    clean: bool = True
    """Closed with everything durable."""
    intact: bool = True
    """Nothing that this member said it had applied is lost. False after a power loss, until it has
    been compared with a primary."""
    resyncs: int = 0
    """How many resyncs have begun; numbers the undo log."""
    resyncing: bool = False
    """The data is between two states: not usable."""
    fallback: bool = False
    """While `resyncing`: the undo log leads back to the last consistent state."""
    maps: dict[str, int] = {}
    """Member: the epoch at which this node, as primary, has kept its dirty map without a gap."""
    copies: dict[str, str] = {}
    """Member: which copy of it (`control.Member.instance`) that map is about."""


def load(store: Store, place: str) -> Superblock | None:
    """None: this folder holds no member. Raises DiskRefused, OSError. `place` is for messages."""
    raw = store.read(NAME)
    if raw is None:
        return None
    head, _, body = raw.partition(b"\n")
    if head != _head(body):
        raise DiskRefused("its checksum is wrong", place=f"{place}/{NAME}", cure=_CURE)
    try:
        found = msgspec.json.decode(body, type=Superblock)
    except msgspec.DecodeError as error:
        raise DiskRefused(str(error), place=f"{place}/{NAME}", cure=_CURE) from error
    if found.format != FORMAT:
        raise DiskRefused(
            f"format {found.format}, this Holdfast knows {FORMAT}",
            place=f"{place}/{NAME}",
            cure=_CURE,
        )
    return found


def save(store: Store, superblock: Superblock) -> None:
    """Durable on return. Raises OSError."""
    body = msgspec.json.encode(superblock)
    store.replace(NAME, _head(body) + b"\n" + body)


def _head(body: bytes) -> bytes:
    return b"%s %08x" % (_MAGIC, zlib.crc32(body))
