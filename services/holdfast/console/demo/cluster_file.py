"""The cluster file of the demonstration on one machine."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

SERVICE = "127.77.0.10"
ADDRESSES = {"alpha": "127.77.0.1", "beta": "127.77.0.2", "witness": "127.77.0.3"}

_TEMPLATE = """\
# Made by `holdfast demo`: two hosts and a witness, each a set of processes on this machine.
[cluster]
name = "demo"
voters = ["alpha", "beta", "witness"]
profile = "standard"
fencing = "required"

{places}
[volumes.ledger]
driver = "replicated"      # a copy on each host; what is acknowledged is on both
size = "64MiB"

{members}
[groups.ledger]
nodes = ["alpha", "beta"]  # in order of preference

[groups.ledger.resources.store]
kind = "volume"
volume = "ledger"

[groups.ledger.resources.web]
kind = "process"
after = ["store"]
command = ["{python}", "-m", "holdfast.ledger", "--listen", "{service}:{port}", "--nbd",
           "unix:{run_dir}/{{node}}/storage_replication/ledger/nbd.sock?export=ledger",
           "--epoch", "{{epoch}}"]
checks = [{{ kind = "process" }}, {{ kind = "http", url = "http://{service}:{port}/healthz" }}]
recovery = {{ attempts = 3, window = 300 }}

[notifications.channels.log]
kind = "log"
path = "{notifications}"
"""

_PLACE = """\
[{section}.{name}]
address = "{address}"
bus = {{ client_port = {client}, route_port = {route}, monitor_port = {monitor} }}
"""

_MEMBER = """\
[volumes.ledger.members.{name}]
path = "{path}"
port = {port}
"""

_FENCE = """\
[[nodes.{name}.fence]]     # the "power switch" of a host that is a session of processes
agent = "fence_holdfast_host"
options = {{ run_dir = "{run_dir}" }}
"""


def write(folder: Path) -> tuple[Path, str]:
    """Write `cluster.toml` into the folder; returns it and the ledger's URL.

    Ports that are free now are taken, so that a demonstration can run beside anything else.
    """
    client, route, service, member, *monitors = _free_ports(4 + len(ADDRESSES))
    run_dir, disks = folder / "state" / "places", folder / "disks"
    disks.mkdir(parents=True, exist_ok=True)
    places, members = [], []
    for (name, address), monitor in zip(ADDRESSES.items(), monitors, strict=True):
        section = "witnesses" if name == "witness" else "nodes"
        places.append(
            _PLACE.format(
                section=section,
                name=name,
                address=address,
                client=client,
                route=route,
                monitor=monitor,
            )
        )
        if section == "nodes":
            places.append(_FENCE.format(name=name, run_dir=run_dir))
            members.append(_MEMBER.format(name=name, path=disks / f"{name}.raw", port=member))
    text = _TEMPLATE.format(
        places="\n".join(places),
        members="\n".join(members),
        run_dir=run_dir,
        python=sys.executable,
        service=SERVICE,
        port=service,
        notifications=folder / "notifications.jsonl",
    )
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return path, f"http://{SERVICE}:{service}"


def _free_ports(count: int) -> list[int]:
    """Ports free on every address at once."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("0.0.0.0", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports
