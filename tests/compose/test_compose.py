"""The demonstration in containers, for real: its promises, and what its containers may do."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import DEMO, ENVIRONMENT, ROOT, docker, existing

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]

HOSTS = ("alpha", "beta")
SERVICES = {
    "setup",
    "console",
    "notifier",
    "witness-decider",
    *(f"nats-{place}" for place in (*HOSTS, "witness")),
    *(f"{host}{part}" for host in HOSTS for part in ("", "-monitor", "-storage", "-decider")),
}
WITHOUT_HEALTH = {"setup", "console"}
"""`setup` ends; the operator's container serves nobody."""
MOST_OUTAGE = 30.0
"""The lease of 6 s, an election of JetStream (8.5 s at worst) and a slow machine."""
LIST_SECRETS = """
import json, pathlib
found = [p for p in pathlib.Path("/secrets").rglob("*") if p.suffix in (".nk", ".key", ".token")]
print(json.dumps({str(p): p.read_text() for p in found}))
"""


def test_everything_promised_happened(outcome: dict[str, Any]) -> None:
    assert outcome["kept"] is True
    assert outcome["failure"] == ""
    promises = {promise["text"]: promise for promise in outcome["promises"]}
    assert len(promises) == 8
    assert [text for text, promise in promises.items() if not promise["kept"]] == []
    written = promises["no acknowledged entry is lost, none is written twice"]["seen"]
    counted = re.fullmatch(r"(\d+) acknowledged, 0 lost, 0 twice", written)
    assert counted is not None
    assert int(counted[1]) >= 60
    moved = promises["a lost host's group runs on the other one"]["seen"]
    longest = re.search(r"on beta; longest outage ([\d.]+) s", moved)
    assert longest is not None
    # Less than the lease would mean that beta did not wait for it.
    assert 4.0 < float(longest[1]) < MOST_OUTAGE


def test_every_service_is_there_and_healthy(containers: dict[str, Any]) -> None:
    assert set(containers) == SERVICES
    assert containers["setup"]["State"]["ExitCode"] == 0
    for service in SERVICES - {"setup"}:
        assert containers[service]["State"]["Status"] == "running", service
    for service in SERVICES - WITHOUT_HEALTH:
        assert containers[service]["Config"]["Healthcheck"]["Test"][0] == "CMD", service
        assert containers[service]["State"]["Health"]["Status"] == "healthy", service


def test_no_container_was_given_any_privilege(containers: dict[str, Any]) -> None:
    for service, container in containers.items():
        host = container["HostConfig"]
        assert container["Config"]["User"] == "10001:10001", service
        assert host["Privileged"] is False, service
        assert not host["CapAdd"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["ReadonlyRootfs"] is True, service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert not host["Devices"], service
        assert not host["PortBindings"], service
        assert "host" not in (host["PidMode"], host["NetworkMode"], host["IpcMode"]), service
        bound = {m["Destination"]: m for m in container["Mounts"] if m["Type"] == "bind"}
        assert set(bound) <= {"/etc/holdfast/cluster.toml"}, service
        assert not any(mount["RW"] for mount in bound.values()), service


def test_the_kernel_agrees(containers: dict[str, Any]) -> None:
    for service in SERVICES - {"setup"}:
        status = Path(f"/proc/{containers[service]['State']['Pid']}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == ["10001"] * 4, service
        assert fields["NoNewPrivs"] == "1", service
        for capabilities in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert int(fields[capabilities], 16) == 0, f"{service} {capabilities}"


def test_each_place_sees_only_its_own_secrets(containers: dict[str, Any]) -> None:
    for service in SERVICES - {"setup"}:
        secret = {
            mount["Destination"]: mount["RW"]
            for mount in containers[service]["Mounts"]
            if mount["Destination"].startswith("/secrets")
        }
        if service == "console":
            place = "operator"
        elif service == "notifier":
            place = "witness"
        else:
            place = next(p for p in (*HOSTS, "witness") if p in service)
        assert secret == {f"/secrets/{place}": False}, service


def test_secrets_are_in_no_image_argument_log_or_event(
    containers: dict[str, Any], image: str
) -> None:
    setup = containers["setup"]["Id"]
    python = ["--network", "none", "--entrypoint", "python", image, "-c", LIST_SECRETS]
    held = json.loads(docker("run", "--rm", "--volumes-from", setup, *python))
    secrets = [_secret_part(text) for text in held.values()]
    # Seeds of 5 services on each of 2 hosts, 2 at the witness and 2 people; a token per place and
    # its origin; keys of the CA, 3 servers and 5 clients.
    assert len([name for name in held if name.endswith(".nk")]) == 14
    assert len([name for name in held if name.endswith(".token")]) == 4
    assert len([name for name in held if name.endswith(".key")]) == 9
    assert docker("run", "--rm", "--entrypoint", "find", image, "/secrets", "-type", "f") == ""
    running = [one["Id"] for one in containers.values() if one["State"]["Running"]]
    console = containers["console"]["Id"]
    shown = {
        "image": docker("image", "inspect", image) + docker("history", "--no-trunc", image),
        "containers": docker("inspect", *(one["Id"] for one in containers.values())),
        "processes": "".join(docker("top", one, "-eo", "pid,args") for one in running),
        "logs": "".join(docker("logs", one["Id"]) for one in containers.values()),
        "events": docker("exec", console, "holdfast", "events", "--json", "--since", "all"),
    }
    assert "holdfast.ledger" in shown["processes"]
    assert "connected to the bus" in shown["logs"]
    assert "move_completed" in shown["events"]
    for where, text in shown.items():
        assert [name for name, secret in zip(held, secrets, strict=True) if secret in text] == [], (
            where
        )


def test_a_demonstration_left_running_is_not_touched(containers: dict[str, Any]) -> None:
    before = existing()
    done = subprocess.run(
        DEMO, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "left running" in done.stderr
    assert "down --volumes" in done.stderr
    assert existing() == before
    assert len(before) == len(containers)


def _secret_part(text: str) -> str:
    """What must be seen nowhere: of a PEM file its longest line, else the whole text."""
    return max(text.split(), key=len)
