"""Messages that must change nothing: who may send them, to which subject, who must refuse them."""

import json
from dataclasses import dataclass
from typing import Any

from holdfast import ids, subjects
from holdfast.wire import MAX_MESSAGE_BYTES
from tests.support.cluster import GROUP, HOSTS

DECIDERS = tuple(f"{place}/failover_decider" for place in (*HOSTS, "witness"))
MONITORS = tuple(f"{host}/monitor" for host in HOSTS)


@dataclass(frozen=True)
class Family:
    """One family of subjects on the owner's side, with a message that only its version spoils."""

    name: str
    sender: str
    subject: str
    receivers: tuple[str, ...]
    message: dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What a well-informed sender knows."""

    owner: str
    boot: str
    epoch: int
    incident: str
    cause: str


def families(now: Facts) -> list[Family]:
    """Every family but events and records, which have tests of their own."""
    owner, boot = now.owner, now.boot
    identity = {"node": owner, "boot": boot}
    order = {**identity, "epoch": now.epoch, "intent": ids.uuid7()}
    trail = {"incident": now.incident, "cause": now.cause}
    hands = f"recovery@{owner}"
    return [
        Family(
            "pulse",
            f"monitor@{owner}",
            subjects.pulse(owner),
            (*DECIDERS, *MONITORS, f"{owner}/recovery"),
            {"type": "monitor", **identity, "now": 0.0},
        ),
        Family(
            "lease",
            hands,
            subjects.lease("witness"),
            ("witness/failover_decider",),
            {"type": "claim", "lease": f"node/{owner}", "holder": owner, "boot": boot}
            | {"term": 1, "ttl": 6.0, "round": 1},
        ),
        Family(
            "recovery",
            "failover_decider@witness",
            subjects.command(owner, "recovery"),
            (f"{owner}/recovery",),
            {"type": "order", "action": "stop", "group": GROUP, **order, **trail}
            | {"not_after": 0.0, "leader_term": 1},
        ),
        Family(
            "monitor",
            hands,
            subjects.command(owner, "monitor"),
            (f"{owner}/monitor",),
            {"type": "watch", **identity, "resources": []},
        ),
        Family(
            "storage_replication",
            hands,
            subjects.command(owner, "storage_replication"),
            (f"{owner}/storage_replication",),
            {"type": "volume_order", "action": "release", "volume": GROUP, **order, **trail},
        ),
        Family(
            "admin",
            "operator",
            subjects.admin("decider"),
            DECIDERS,
            {"type": "lead", "place": "witness", "operator": "mallory"},
        ),
    ]


def spoiled(family: Family) -> dict[str, bytes]:
    """By the kind under which it must be rejected."""
    good = json.dumps({"wire": 1, **family.message}).encode()
    future = json.dumps({**family.message, "wire": 2}).encode()
    return {
        "malformed": good[:-2],
        "oversized": good + b" " * MAX_MESSAGE_BYTES,
        "unknown_version": future,
    }


def stale(now: Facts) -> list[tuple[Family, dict[str, Any]]]:
    """Well-formed messages of another boot, another time or a past epoch; all are `stale`."""
    by_name = {family.name: family for family in families(now)}
    far = 1e9
    changes: dict[str, list[dict[str, Any]]] = {
        "pulse": [{"boot": "00000000-dead-4000-8000-000000000000"}],
        "recovery": [
            {"epoch": now.epoch - 1, "not_after": far},
            {"action": "start", "not_after": far},
            {"boot": "00000000-dead-4000-8000-000000000000", "not_after": far},
            {"not_after": 0.001},
        ],
        "monitor": [{"boot": "00000000-dead-4000-8000-000000000000"}],
        "storage_replication": [{"boot": "00000000-dead-4000-8000-000000000000"}],
    }
    return [
        (by_name[name], {"wire": 1, **by_name[name].message, "intent": ids.uuid7(), **change})
        for name, variants in changes.items()
        for change in variants
    ]
