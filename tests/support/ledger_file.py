"""The cluster file of hosts alpha and beta and a witness, each at an address of its own, with the
ledger on a shared folder."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

_FILE = """\
[cluster]
name = "{name}"
voters = ["alpha", "beta", "witness"]
profile = "{profile}"
fencing = "{fencing}"

[nodes.alpha]
{alpha}
[nodes.beta]
{beta}
[witnesses.witness]
{witness}
{networks}
{devices}
[volumes.ledger]
driver = "directory"
path = "{data}"

[groups.ledger]
nodes = ["alpha", "beta"]
max_moves = 100

[groups.ledger.resources.store]
kind = "volume"
volume = "ledger"

[groups.ledger.resources.web]
kind = "process"
after = ["store"]
command = ["{python}", "-m", "holdfast.ledger", "--listen", "0.0.0.0:{port}",
           "--data", "{journal}", "--epoch", "{{epoch}}"]
checks = [{{ kind = "process" }}, {{ kind = "http", url = "http://127.0.0.1:{port}/healthz" }}]
recovery = {{ attempts = {attempts}, window = 300 }}
"""


def ledger_file(
    name: str,
    *,
    places: Mapping[str, str],
    data: Path,
    port: int,
    profile: str = "standard",
    journal: str = "",
    networks: Iterable[str] = (),
    devices: Iterable[str] = (),
    attempts: int = 3,
) -> str:
    """Its text. `places`: the lines of each place, its address at least; `devices`: tables of
    fence devices, without any the cluster is lease-only; `journal`: default in `data`.
    """
    devices = "".join(devices)
    return _FILE.format(
        name=name,
        profile=profile,
        fencing="required" if devices else "lease-only",
        networks="".join(f"[networks.{one}]\n" for one in networks),
        devices=devices,
        data=data,
        journal=journal or data,
        python=sys.executable,
        port=port,
        attempts=attempts,
        **places,
    )
