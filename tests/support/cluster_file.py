"""A small cluster file for services under test, and the folders they need."""

import os
from pathlib import Path

import nkeys  # type: ignore[import-untyped]

from tests.support.nats import NatsServer, free_ports

_HEAD = """
[cluster]
name = "test"
voters = ["alpha", "beta", "witness"]
fencing = "lease-only"
"""
_PLACE = """
[{kind}.{name}]
address = "127.0.0.1"
bus = {{ client_port = {client}, route_port = {route}, monitor_port = {monitor} }}
"""
_PLACES = [("nodes", "alpha"), ("nodes", "beta"), ("witnesses", "witness")]


def write_cluster_file(folder: Path, servers: list[NatsServer], *, extra: str = "") -> Path:
    """Alpha, beta and the witness with one server each; nobody listens where none is given."""
    ports = free_ports(9)
    clients = [server.port for server in servers] + ports[6:]
    places = [
        _PLACE.format(kind=kind, name=name, client=client, route=route, monitor=monitor)
        for (kind, name), client, route, monitor in zip(
            _PLACES, clients[:3], ports[:3], ports[3:6], strict=True
        )
    ]
    path = folder / "cluster.toml"
    path.write_text(_HEAD + "".join(places) + extra)
    return path


def write_seed(secrets: Path, service: str) -> str:
    """A fresh nkey for a service; returns its public half."""
    secrets.mkdir(parents=True, exist_ok=True)
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    (secrets / f"{service}.nk").write_bytes(seed)
    public = bytes(nkeys.from_seed(bytearray(seed)).public_key)
    return public.decode()
