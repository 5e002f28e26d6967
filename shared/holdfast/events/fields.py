"""Field types shared by many events; each brings its bounds and description into the schemas."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

PATH_PROBE = "path-"

Name = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
NodeName = Annotated[Name, Meta(description="name of a host, as in the configuration")]
GroupName = Annotated[Name, Meta(description="name of a protected group")]
ResourceName = Annotated[Name, Meta(description="name of a resource within its group")]
VolumeName = Annotated[Name, Meta(description="name of a volume")]
ServiceName = Annotated[Name, Meta(description="name of a Holdfast service")]
BootId = Annotated[str, Meta(max_length=100, description="identity of one boot of a node")]
Epoch = Annotated[int, Meta(ge=0, description="ownership epoch of the group; it only rises")]
Term = Annotated[int, Meta(ge=0, description="epoch of a lease; it only rises")]
EventId = Annotated[str, Meta(max_length=36, description="id of another event")]
IntentId = Annotated[str, Meta(max_length=36, description="stored intent; idempotency key")]
Reason = Annotated[str, Meta(max_length=1000, description="why, for people")]
Seconds = Annotated[float, Meta(ge=0, description="duration in seconds, monotonic clock")]


class Layer(StrEnum):
    """Where a signal comes from, bottom up. The lowest failing layer explains those above."""

    HARDWARE = "hardware"
    HYPERVISOR = "hypervisor"
    HOST_OS = "host_os"
    NETWORK = "network"
    STORAGE = "storage"
    GUEST_OS = "guest_os"
    APPLICATION = "application"


class Health(StrEnum):
    """State of one entity as one probe sees it."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"


def cluster_entity(cluster: str) -> str:
    """The `subject` of events about the whole cluster."""
    return f"cluster/{cluster}"


def node_entity(node: str) -> str:
    """The `subject` of events about a node."""
    return f"node/{node}"


def path_probe(network: str) -> str:
    """The probe of signals about the path to a place over one network."""
    return f"{PATH_PROBE}{network}"


def group_entity(group: str) -> str:
    """The `subject` of events about a group."""
    return f"group/{group}"


def resource_entity(group: str, resource: str) -> str:
    """The `subject` of events about a resource."""
    return f"resource/{group}/{resource}"


def volume_entity(volume: str) -> str:
    """The `subject` of events about a volume."""
    return f"volume/{volume}"


def service_entity(place: str, service: str) -> str:
    """The `subject` of events about a Holdfast service itself."""
    return f"service/{place}/{service}"
