"""The command line's own logic: errors, exit codes, what counts as degraded, times."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from holdfast.console import cli
from holdfast.console.events import parse_since
from holdfast.console.status import degradations
from holdfast.console.volume_view import degraded
from holdfast.errors import HoldfastError
from holdfast.wire import GroupStatus, NodeStatus, StatusReply
from holdfast.wire.volumes import MemberPulse, VolumePulse, VolumeStatus

NODE = NodeStatus(
    node="alpha", state="alive", boot="b", silent_for=0.1, lease_valid=True, term=1, signals=[]
)
GROUP = GroupStatus(group="g", owner="alpha", epoch=1, phase="active", reported="active", reason="")
REPLY = StatusReply(cluster="demo", leader="alpha", leader_term=1, nodes=[NODE], groups=[GROUP])


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["holdfast", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_an_error_is_told_with_its_cure_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status", "--state", str(tmp_path)) == 2
    told = capsys.readouterr().err
    assert "no cluster was started from this folder" in told
    assert "cure: give --state" in told
    assert "Traceback" not in told


def test_wrong_usage_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "status", "--nonsense") == 2
    assert run(monkeypatch, "nonsense") == 2


def test_config_check_lists_every_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[cluster]\nname = "x"\nvoters = 3\nprofil = "fast"\n')
    assert run(monkeypatch, "config", "check", str(path), "--json") == 2
    told = msgspec.json.decode(capsys.readouterr().out)
    assert {one["key"] for one in told["problems"]} == {"cluster.voters", "cluster.profil", "nodes"}
    assert all(one["cure"] for one in told["problems"])
    assert run(monkeypatch, "config", "check", str(path)) == 2


def test_init_is_a_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[cluster]\nname = "x"\nvoters = ["a", "b", "w"]\nfencing = "lease-only"\n'
        '[nodes.a]\naddress = "10.0.0.1"\n[nodes.b]\naddress = "10.0.0.2"\n'
        '[witnesses.w]\naddress = "10.0.0.3"\n'
    )
    out = str(tmp_path / "out")
    given = ["-c", str(path), "--out", out, "--tls", "--san", "a=a.example.org"]
    assert run(monkeypatch, "init", *given) == 0
    assert "a/monitor.nk" in capsys.readouterr().out
    assert run(monkeypatch, "init", "-c", str(path), "--out", out, "--san", "a") == 2
    place = ["--place", "a", "--secrets", f"{out}/a", "--store", "/js", "--out", f"{tmp_path}/n"]
    assert run(monkeypatch, "bus-config", "-c", str(path), *place) == 0
    assert f'ca_file: "{out}/a/ca.pem"' in (tmp_path / "n" / "nats.conf").read_text()
    assert (tmp_path / "n" / "routes.conf").stat().st_mode & 0o777 == 0o600


def test_every_command_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in cli._COMMANDS:
        assert run(monkeypatch, command, "--help") == 0
    for group, (_, commands) in cli._GROUPS.items():
        for command in commands:
            assert run(monkeypatch, group, command, "--help") == 0


def test_what_counts_as_degraded() -> None:
    def found(**changes: object) -> list[str]:
        return list(degradations(msgspec.structs.replace(REPLY, **changes)))

    def replaced(one: msgspec.Struct, **changes: object) -> list[msgspec.Struct]:
        return [msgspec.structs.replace(one, **changes)]

    assert found() == []
    assert "suspected" in found(nodes=replaced(NODE, state="suspected"))[0]
    assert "no lease" in found(nodes=replaced(NODE, lease_valid=False))[0]
    assert "held" in found(groups=replaced(GROUP, phase="held", reason="moved too often"))[0]
    assert "reported failed" in found(groups=replaced(GROUP, reported="failed"))[0]


def test_a_copy_that_nobody_hears_is_not_in_sync() -> None:
    replica = VolumePulse(volume="v", standing="in_sync", role="replica", epoch=1, size=4096)
    others = [MemberPulse(node="beta", connected=True, phase="streaming")]
    primary = msgspec.structs.replace(replica, role="primary", members=others)
    serves = VolumeStatus(node="alpha", heard=True, pulse=primary)
    copy = VolumeStatus(node="beta", heard=True, pulse=replica)
    silent = msgspec.structs.replace(copy, heard=False)
    assert list(degraded([serves, copy])) == []
    assert "beta is not heard" in next(degraded([serves, silent]))
    assert "beta is not heard" in next(degraded([serves])), "it never said anything"


def test_since() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_since("all", now) is None
    assert parse_since("10m", now) == now - timedelta(minutes=10)
    assert parse_since("2d", now) == now - timedelta(days=2)
    assert parse_since("2026-01-31T11:00:00Z", now) == now - timedelta(hours=1)
    with pytest.raises(HoldfastError, match="not a time"):
        parse_since("yesterday", now)
