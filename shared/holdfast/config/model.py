"""The cluster file as types: one TOML file per cluster. All durations are seconds."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from holdfast.config.policy import GroupPolicy, Load, Period
from holdfast.config.sections import PRIMARY, Port, Positive, Section
from holdfast.config.volumes import Volume
from holdfast.events.fields import Name

Address = Annotated[str, Meta(min_length=1, max_length=253)]


class _Kind(Section, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every section whose `kind` chooses between types."""


class Profile(StrEnum):
    """Timing profiles, see `holdfast.timing`."""

    FAST = "fast"
    STANDARD = "standard"
    TOLERANT = "tolerant"


class Cluster(Section, frozen=True, kw_only=True):
    """`[cluster]`: identity, voters, timing and the fencing the operator insists on."""

    name: Name
    voters: Annotated[list[Name], Meta(min_length=3, max_length=15)]
    profile: Profile = Profile.STANDARD
    fencing: Literal["required", "lease-only"] = "required"
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    fence_limit: Annotated[int, Meta(ge=1, le=15)] | None = None
    fence_window: Positive = 60.0
    admission: Literal["warn", "enforce"] = "warn"


class FenceDevice(Section, frozen=True, kw_only=True):
    """`[[nodes.<n>.fence]]`: one fence agent that can cut this node's power.

    `options` go to the agent on standard input; `secret_file` holds further `key=value` lines.
    """

    agent: Annotated[str, Meta(min_length=1, max_length=200)]
    level: Annotated[int, Meta(ge=1, le=9)] | None = None
    plug: Annotated[str, Meta(max_length=200)] | None = None
    options: dict[str, str] = {}
    secret_file: str | None = None
    timeout: Positive = 20.0


class Watchdog(Section, frozen=True, kw_only=True):
    """`[nodes.<n>.watchdog]`: resets this node when its hands do not renew their lease in time.

    `device` is a character device of Linux' watchdog interface, or the socket of a simulated one.
    """

    device: Annotated[str, Meta(min_length=1, max_length=200)] = "/dev/watchdog"
    timeout: Annotated[int, Meta(ge=1, le=60)] | None = None


class Bus(Section, frozen=True, kw_only=True):
    """`[nodes.<n>.bus]`: where this place's nats-server listens."""

    client_port: Port = 4222
    route_port: Port = 6222
    monitor_port: Port = 8222


class Network(Section, frozen=True, kw_only=True):
    """`[networks.<n>]`: one more network that joins all places, beside that of `address`.

    It has no keys: each place gives its address in it under `addresses`.
    """


class _Place(Section, frozen=True, kw_only=True):
    """What nodes and witnesses have."""

    address: Address
    addresses: dict[Name, Address] = {}
    bus: Bus = Bus()

    def address_in(self, network: str) -> str:
        """Where it is reached in one of `ClusterFile.network_names`."""
        return self.address if network == PRIMARY else self.addresses[network]

    def all_addresses(self) -> list[str]:
        """Its addresses, the one of the primary network first."""
        return [self.address, *self.addresses.values()]


class Node(_Place, frozen=True, kw_only=True):
    """`[nodes.<n>]`: a host that runs workloads."""

    fence: Annotated[list[FenceDevice], Meta(max_length=8)] = []
    watchdog: Watchdog | None = None
    capacity: Load | None = None
    max_failures: Annotated[int, Meta(ge=1, le=100)] = 5
    failures_window: Period = 3600.0
    quarantine: Period | None = None

    def fence_levels(self) -> list[list[FenceDevice]]:
        """The devices in the order of their use: those of a level only prove something together.

        Without `level` each is a level of its own.
        """
        levels: dict[int, list[FenceDevice]] = {}
        for index, device in enumerate(self.fence):
            levels.setdefault(device.level or index + 1, []).append(device)
        return [levels[level] for level in sorted(levels)]


class Witness(_Place, frozen=True, kw_only=True):
    """`[witnesses.<n>]`: a place with a vote and no workload."""


class ProcessCheck(_Kind, frozen=True, kw_only=True, tag="process"):
    """The process lives; seen through its pidfd at the moment it ends, never polled."""


class TcpCheck(_Kind, frozen=True, kw_only=True, tag="tcp"):
    """A TCP connection opens."""

    host: str
    port: Port
    interval: Positive = 1.0
    deadline: Positive = 2.0
    failures: Annotated[int, Meta(ge=1, le=100)] = 2


class HttpCheck(_Kind, frozen=True, kw_only=True, tag="http"):
    """A GET answers with a 2xx status."""

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=400)]
    interval: Positive = 1.0
    deadline: Positive = 2.0
    failures: Annotated[int, Meta(ge=1, le=100)] = 2


class CommandCheck(_Kind, frozen=True, kw_only=True, tag="command"):
    """A program exits with 0."""

    command: Annotated[list[str], Meta(min_length=1, max_length=64)]
    interval: Positive = 5.0
    deadline: Positive = 5.0
    failures: Annotated[int, Meta(ge=1, le=100)] = 2


Check = ProcessCheck | TcpCheck | HttpCheck | CommandCheck


class LocalRecovery(Section, frozen=True, kw_only=True):
    """`recovery = {...}` of a resource: restarts here before the group moves. 0 attempts: none."""

    attempts: Annotated[int, Meta(ge=0, le=100)] = 3
    window: Positive = 300.0
    backoff: Annotated[float, Meta(ge=0, le=600)] = 0.0
    backoff_factor: Annotated[float, Meta(ge=1, le=10)] = 2.0


class _Resource(_Kind, frozen=True, kw_only=True):
    """What every kind of resource has. `after` names resources that must be started before it."""

    after: Annotated[list[Name], Meta(max_length=32)] = []
    start_timeout: Positive = 20.0
    stop_timeout: Positive = 10.0
    checks: Annotated[list[Check], Meta(max_length=8)] = []
    recovery: LocalRecovery = LocalRecovery()


class ProcessResource(
    _Resource,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="process",
):
    """A program that Holdfast starts, watches and stops (SIGTERM, then SIGKILL to its group).

    `{epoch}`, `{node}` and `{group}` in arguments and environment values are filled in at start.
    """

    command: Annotated[list[str], Meta(min_length=1, max_length=64)]
    environment: dict[str, str] = {}
    directory: str | None = None


class CommandResource(
    _Resource,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="command",
):
    """A resource that commands start, stop and probe: `probe` exits 0 running, 7 not running."""

    start: Annotated[list[str], Meta(min_length=1, max_length=64)]
    stop: Annotated[list[str], Meta(min_length=1, max_length=64)]
    probe: Annotated[list[str], Meta(min_length=1, max_length=64)]


class VolumeResource(_Resource, frozen=True, kw_only=True, tag="volume"):
    """A volume of `[volumes]`, activated on the node at the group's epoch."""

    volume: Name


Resource = ProcessResource | CommandResource | VolumeResource


class Group(GroupPolicy, Section, frozen=True, kw_only=True):
    """`[groups.<g>]`: resources that live together on one node, in order of preference."""

    nodes: Annotated[list[Name], Meta(min_length=1, max_length=15)]
    resources: Annotated[dict[Name, Resource], Meta(min_length=1, max_length=32)]


class Thresholds(Section, frozen=True, kw_only=True):
    """`[monitor]`: when the host's own layers count as degraded, in percent."""

    interval: Positive = 2.0
    pressure_degraded: Positive = 40.0
    memory_available_degraded: Positive = 5.0
    disk_free_degraded: Positive = 5.0
    load_per_core_degraded: Positive = 8.0


class LogChannel(_Kind, frozen=True, kw_only=True, tag="log"):
    """Appends one JSON line per notification to a file; `-` is standard output."""

    path: str = "-"


class WebhookChannel(_Kind, frozen=True, kw_only=True, tag="webhook"):
    """POSTs the CloudEvent to a URL."""

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=400)]
    deadline: Positive = 5.0
    attempts: Annotated[int, Meta(ge=1, le=20)] = 5


Channel = LogChannel | WebhookChannel


class Notifications(Section, frozen=True, kw_only=True):
    """`[notifications]`: which events go where. `events` are event names; empty: the notable."""

    channels: Annotated[dict[Name, Channel], Meta(max_length=16)] = {}
    events: Annotated[list[Name], Meta(max_length=64)] = []


class Telemetry(Section, frozen=True, kw_only=True):
    """`[telemetry]`: OTLP over HTTP; off unless an endpoint is given."""

    endpoint: Annotated[str, Meta(pattern=r"^https?://", max_length=400)] | None = None


class Audit(Section, frozen=True, kw_only=True):
    """`[audit]`: what every decider keeps for `holdfast audit replay`."""

    inputs_megabytes: Annotated[int, Meta(ge=0, le=65_536)] = 256


class ClusterFile(Section, frozen=True, kw_only=True):
    """The whole file."""

    cluster: Cluster
    networks: Annotated[dict[Name, Network], Meta(max_length=3)] = {}
    nodes: Annotated[dict[Name, Node], Meta(min_length=2, max_length=15)]
    witnesses: Annotated[dict[Name, Witness], Meta(max_length=15)] = {}
    volumes: Annotated[dict[Name, Volume], Meta(max_length=64)] = {}
    groups: Annotated[dict[Name, Group], Meta(max_length=64)] = {}
    monitor: Thresholds = Thresholds()
    notifications: Notifications = Notifications()
    telemetry: Telemetry = Telemetry()
    audit: Audit = Audit()

    def places(self) -> dict[str, Node | Witness]:
        """Every place with a nats-server, hosts first, in the file's order."""
        return {**self.nodes, **self.witnesses}

    def network_names(self) -> list[str]:
        """Every network between the places, the primary first; most clusters have only that."""
        return [PRIMARY, *self.networks]
