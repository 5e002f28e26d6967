"""Who may publish and subscribe what: the table of docs/design/contracts.md, as data. Pure."""

import msgspec

from holdfast import subjects
from holdfast.config.model import ClusterFile
from holdfast.config.volume_check import replicated

NODE_SERVICES = ("monitor", "recovery", "storage_replication", "failover_decider", "notifier")
WITNESS_SERVICES = ("failover_decider", "notifier")
PEOPLE = ("operator", "reader")

OWNERSHIP_STREAM = f"KV_{subjects.OWNERSHIP_BUCKET}"
VOLUMES_STREAM = f"KV_{subjects.VOLUMES_BUCKET}"
NOTIFIER_CONSUMER = "notifier"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one user may do. `answers`: reply to requests it receives, and to nothing else."""

    publish: list[str] = []
    subscribe: list[str] = []
    answers: bool = False


def users(cluster: ClusterFile) -> list[str]:
    """Every user of the bus: `<service>@<place>` and the people."""
    names = [
        f"{service}@{place}" for place in cluster.places() for service in services(cluster, place)
    ]
    return [*names, *PEOPLE]


def services(cluster: ClusterFile, place: str) -> tuple[str, ...]:
    """The services that may run at a place."""
    return NODE_SERVICES if place in cluster.nodes else WITNESS_SERVICES


def inbox(user: str) -> str:
    """The prefix of a user's reply subjects; nobody else may subscribe to them."""
    service, _, place = user.partition("@")
    return f"_INBOX_{service}_{place or service}"


def grant(cluster: ClusterFile, user: str) -> Grant:
    """The permissions of one user of `users`."""
    if user == "reader":
        return Grant(subscribe=[subjects.EVENTS])
    service, _, place = user.partition("@")
    granted = _GRANTS[service](place)
    if service == "storage_replication":
        granted = msgspec.structs.replace(
            granted, publish=[*granted.publish, *_volume_records(cluster, place)]
        )
    return msgspec.structs.replace(granted, subscribe=[*granted.subscribe, f"{inbox(user)}.>"])


def _monitor(node: str) -> Grant:
    return Grant(
        publish=[subjects.EVENTS, subjects.pulse(node), subjects.path_pulse(node, "*", "*")],
        subscribe=[
            subjects.PULSES,
            subjects.path_pulse("*", node, "*"),
            subjects.command(node, "monitor"),
        ],
        answers=True,
    )


def _recovery(node: str) -> Grant:
    return Grant(
        publish=[
            subjects.EVENTS,
            subjects.pulse(node),
            subjects.path_pulse(node, "*", "*"),
            subjects.lease("*"),
            subjects.command(node, "monitor"),
            subjects.command(node, "storage_replication"),
        ],
        subscribe=[subjects.pulse(node), subjects.command(node, "recovery")],
        answers=True,
    )


def _storage_replication(node: str) -> Grant:
    return Grant(
        publish=[subjects.EVENTS, subjects.pulse(node)],
        subscribe=[
            subjects.command(node, "storage_replication"),
            subjects.storage_admin(node),
        ],
        answers=True,
    )


def _volume_records(cluster: ClusterFile, node: str) -> list[str]:
    """Changing the records of the volumes of which the node has a copy, and watching them."""
    keys = [
        f"$KV.{subjects.VOLUMES_BUCKET}.{name}"
        for name, volume in replicated(cluster).items()
        if node in volume.members
    ]
    return [*keys, f"$JS.API.CONSUMER.CREATE.{VOLUMES_STREAM}.>"] if keys else []


def _failover_decider(place: str) -> Grant:
    return Grant(
        publish=[
            subjects.EVENTS,
            subjects.lease("*"),
            subjects.command("*", "recovery"),
            f"$KV.{subjects.OWNERSHIP_BUCKET}.*",
            f"$JS.API.CONSUMER.CREATE.{OWNERSHIP_STREAM}.>",
            *_administer(subjects.EVENT_STREAM),
            *_administer(OWNERSHIP_STREAM),
            *_administer(VOLUMES_STREAM),
        ],
        subscribe=[
            subjects.PULSES,
            subjects.path_pulse("*", place, "*"),
            subjects.lease(place),
            subjects.admin("decider"),
        ],
        answers=True,
    )


def _notifier(place: str) -> Grant:
    stream, consumer = subjects.EVENT_STREAM, NOTIFIER_CONSUMER
    return Grant(
        publish=[
            subjects.EVENTS,
            f"$JS.API.STREAM.INFO.{stream}",
            f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{consumer}",
            f"$JS.API.CONSUMER.CREATE.{stream}.{consumer}",
            f"$JS.API.CONSUMER.CREATE.{stream}.{consumer}.>",
            f"$JS.API.CONSUMER.INFO.{stream}.{consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}",
            f"$JS.ACK.{stream}.{consumer}.>",
        ],
        subscribe=[subjects.EVENTS],
    )


def _operator(_: str) -> Grant:
    stream = subjects.EVENT_STREAM
    return Grant(
        publish=[
            subjects.admin("*"),
            *_lead(stream),
            *_lead(OWNERSHIP_STREAM),
            *_lead(VOLUMES_STREAM),
            *_consume(stream),
        ],
        subscribe=[subjects.EVENTS, subjects.PULSES],
    )


def _lead(stream: str) -> list[str]:
    return [f"$JS.API.STREAM.{call}.{stream}" for call in ("INFO", "LEADER.STEPDOWN")]


def _administer(stream: str) -> list[str]:
    return [
        f"$JS.API.STREAM.{call}.{stream}"
        for call in ("INFO", "CREATE", "UPDATE", "LEADER.STEPDOWN")
    ]


def _consume(stream: str) -> list[str]:
    """Reading through consumers of one's own, flow control included."""
    return [
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        f"$JS.FC.{stream}.>",
    ]


_GRANTS = {
    "monitor": _monitor,
    "recovery": _recovery,
    "storage_replication": _storage_replication,
    "failover_decider": _failover_decider,
    "notifier": _notifier,
    "operator": _operator,
}
