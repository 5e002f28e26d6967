"""`[volumes.<v>]`: `driver` chooses between the types."""

from typing import Annotated, Literal

from msgspec import Meta

from holdfast.config.sections import PRIMARY, Port, Positive, Section
from holdfast.events.fields import Name

MAX_MEMBERS = 5
SECTOR = 4096
"""Bytes; a volume's size is a multiple."""

StoragePath = Annotated[str, Meta(min_length=1, max_length=400)]
Size = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}(KiB|MiB|GiB|TiB)$")]

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def size_in_bytes(size: str) -> int:
    """Of a `Size`, which its type has checked."""
    return int(size[:-3]) * _UNITS[size[-3:]]


class DirectoryVolume(Section, frozen=True, kw_only=True, tag_field="driver", tag="directory"):
    """One folder that every node reaches (NFS, or one machine)."""

    path: StoragePath
    probe_interval: Positive = 5.0
    probe_deadline: Positive = 3.0


class MaxLag(Section, frozen=True, kw_only=True):
    """`max_lag = {...}` of an async volume: the most that a failover may lose."""

    bytes: Size = "256MiB"
    seconds: Positive = 30.0


class VolumeMember(Section, frozen=True, kw_only=True):
    """`[volumes.<v>.members.<node>]`: one node's copy, and where its data path is reached."""

    path: StoragePath
    port: Port
    network: Name = PRIMARY
    socket: Annotated[str, Meta(min_length=1, max_length=107)] | None = None
    nbd_port: Port | None = None


class ReplicatedVolume(Section, frozen=True, kw_only=True, tag_field="driver", tag="replicated"):
    """A block device kept on several nodes; the one that owns the group serves it over NBD."""

    size: Size
    members: Annotated[dict[Name, VolumeMember], Meta(min_length=1, max_length=MAX_MEMBERS)]
    mode: Literal["sync", "async"] = "sync"
    max_lag: MaxLag | None = None
    on_full: Literal["bitmap", "hold"] = "bitmap"
    member_timeout: Annotated[float, Meta(ge=0.5, le=60)] | None = None


Volume = DirectoryVolume | ReplicatedVolume
