"""nats-server's configuration: what it grants, what it hides, and that the real server takes it."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from holdfast.config.model import ClusterFile
from holdfast.console import credentials
from holdfast.console.bus_config import ROUTES_FILE, TlsFiles, quote, render, render_routes
from holdfast.console.launcher.preflight import find_nats_server
from holdfast.console.permissions import grant, inbox, users
from holdfast.errors import HoldfastError

CLUSTER = msgspec.convert(
    {
        "cluster": {"name": "demo", "voters": ["alpha", "beta", "w"], "fencing": "lease-only"},
        "nodes": {
            "alpha": {"address": "127.0.30.1"},
            "beta": {"address": "beta.example"},
        },
        "witnesses": {"w": {"address": "::1"}},
    },
    ClusterFile,
)
KEYS = {user: f"U{number:055d}" for number, user in enumerate(users(CLUSTER))}


def test_every_user_has_its_own_grant() -> None:
    assert set(users(CLUSTER)) == {
        *(f"{s}@{n}" for n in ("alpha", "beta") for s in
          ("monitor", "recovery", "storage_replication", "failover_decider", "notifier")),
        "failover_decider@w", "notifier@w", "operator", "reader",
    }  # fmt: skip
    inboxes = [inbox(user) for user in users(CLUSTER)]
    assert len(set(inboxes)) == len(inboxes)
    for user in users(CLUSTER):
        mine = [one for one in grant(CLUSTER, user).subscribe if one.startswith("_INBOX")]
        assert mine == ([] if user == "reader" else [f"{inbox(user)}.>"])


def test_nobody_may_everything() -> None:
    for user in users(CLUSTER):
        allowed = grant(CLUSTER, user)
        for subject in [*allowed.publish, *allowed.subscribe]:
            assert subject not in (">", "*")
            assert not subject.startswith(("*", "$SYS", "$JS.API.>", "_INBOX.>", "_INBOX_*"))
            assert not subject.startswith(("$JS.API.STREAM.DELETE", "$JS.API.STREAM.PURGE"))


def test_orders_come_from_deciders_and_pulses_from_their_node() -> None:
    def may_publish(subject: str) -> set[str]:
        return {user for user in users(CLUSTER) if subject in grant(CLUSTER, user).publish}

    assert may_publish("ha.commands.*.recovery") == {
        f"failover_decider@{p}" for p in CLUSTER.places()
    }
    assert may_publish("ha.commands.alpha.monitor") == {"recovery@alpha"}
    assert may_publish("ha.commands.alpha.storage_replication") == {"recovery@alpha"}
    assert {user.partition("@")[2] for user in may_publish("ha.pulse.alpha")} == {"alpha"}
    assert may_publish("$KV.ha_ownership.*") == {f"failover_decider@{p}" for p in CLUSTER.places()}
    assert may_publish("ha.admin.*") == {"operator"}
    assert grant(CLUSTER, "reader").publish == []
    assert grant(CLUSTER, "reader").subscribe == ["ha.events.*"]


def test_the_routes_secret_is_only_in_its_own_file() -> None:
    main = render(CLUSTER, "alpha", KEYS, store="/var/lib/js")
    routes = render_routes(CLUSTER, "alpha", "s3cret")
    assert "s3cret" not in main
    assert f'include "{ROUTES_FILE}"' in main
    assert '"nats-route://route:s3cret@beta.example:6222"' in routes
    assert '"nats-route://route:s3cret@[::1]:6222"' in routes
    assert "127.0.30.1:6222" not in routes


def test_monitoring_stays_on_loopback() -> None:
    assert 'http: "127.0.30.1:8222"' in render(CLUSTER, "alpha", KEYS, store="/x")
    assert 'http: "127.0.0.1:8222"' in render(CLUSTER, "beta", KEYS, store="/x")


def test_writes_are_synced() -> None:
    assert "sync_interval: always" in render(CLUSTER, "alpha", KEYS, store="/x")


def test_quoting() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    with pytest.raises(HoldfastError, match="control character"):
        quote("a\nport: 1")


def test_a_user_without_key_is_an_error() -> None:
    with pytest.raises(HoldfastError, match=r"monitor@alpha.*no key"):
        render(CLUSTER, "alpha", {}, store="/x")


@pytest.mark.parametrize("with_tls", [False, True])
def test_the_real_server_accepts_it(tmp_path: Path, with_tls: bool) -> None:
    secrets = tmp_path / 'se "crets'
    credentials.initialise(CLUSTER, secrets, tls=with_tls)
    place = secrets / "alpha"
    tls = credentials.server_tls(place)
    assert (tls is not None) == with_tls
    assert accepted(tmp_path, place, tls) == ""


def test_the_real_server_refuses_a_wrong_one(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path / "secrets", tls=False)
    tls = TlsFiles(ca="/absent", certificate="/absent", key="/absent")
    assert "/absent" in accepted(tmp_path, tmp_path / "secrets" / "alpha", tls)


def accepted(folder: Path, secrets: Path, tls: TlsFiles | None) -> str:
    """What `nats-server -t` says against it; empty when it is fine."""
    keys = credentials.read_register(secrets)
    store = str(folder / 'st "o\\re')
    (folder / "nats.conf").write_text(render(CLUSTER, "alpha", keys, store=store, tls=tls))
    token = credentials.read_route_token(secrets)
    (folder / ROUTES_FILE).write_text(render_routes(CLUSTER, "alpha", token, tls=tls))
    command = [str(find_nats_server()), "-t", "-c", str(folder / "nats.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "refused"
