"""What runs at a place: its nats-server and its services. Pure."""

import sys
from pathlib import Path

from holdfast.config.model import ClusterFile
from holdfast.console.launcher.supervision import Program

BUS = "nats-server"
_NODE = ("monitor", "recovery", "storage_replication", "failover_decider")
_WITNESS = ("failover_decider",)


def programs(
    cluster: ClusterFile, place: str, *, nats_server: Path, bus_config: Path
) -> list[Program]:
    """Every program of a place in order of start; services find the rest in their environment."""
    services = _NODE if place in cluster.nodes else _WITNESS
    if place == notifier_place(cluster):
        services = (*services, "notifier")
    # Exit code 2 of a Go program is a panic, which a restart may well cure.
    bus = Program(name=BUS, argv=[str(nats_server), "-c", str(bus_config)], is_service=False)
    return [
        bus,
        *(Program(name=name, argv=[sys.executable, "-m", f"holdfast.{name}"]) for name in services),
    ]


def notifier_place(cluster: ClusterFile) -> str:
    """One place runs the notifier: a witness, which no workload can starve, else the first node."""
    return next(iter(cluster.witnesses), next(iter(cluster.nodes)))
