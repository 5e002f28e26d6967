"""The recovery service as a process, with real workloads, voters and a nats-server."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast import clock
from holdfast.events import decode_data
from holdfast.events.hands import (
    GroupStopped,
    GroupVerified,
    LeaseLost,
    OrderRefused,
    RecoveryExhausted,
    RecoveryStarted,
    RecoverySucceeded,
    ResourceFailed,
    ResourceStarted,
    ResourceStopped,
)
from holdfast.events.health import HealthSignal
from holdfast.timing import PROFILES
from tests.support.buses import MakeBus
from tests.support.hands_host import BOOT, PATIENCE, Host, host, workloads
from tests.support.nats import NatsServer, free_ports
from tests.support.waiting import gone, until

SERVER = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/usr/bin/env", "python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
directory = "{folder}"
environment = {{ TEST_FOLDER = "{folder}", WHERE = "{{node}}/{{group}}/{{epoch}}" }}
stop_timeout = 5.0
checks = [{{ kind = "process" }}, {{ kind = "http", url = "http://127.0.0.1:{port}/" }}]
recovery = {{ attempts = 2 }}
"""

# Takes no SIGTERM, and has a child that takes none either and has left the process group.
STUBBORN = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 1000 & while :; do sleep 1; done"]
environment = {{ TEST_FOLDER = "{folder}" }}
stop_timeout = 0.3
"""


def environment_of(pid: int) -> bytes:
    """The environment a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


@pytest.fixture
async def alpha(nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path) -> AsyncIterator[Host]:
    """Host alpha, whose group `web` is one HTTP server with checks."""
    groups = SERVER.format(port=free_ports(1)[0], folder=tmp_path)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        yield made


async def test_start_verify_stop(alpha: Host, tmp_path: Path) -> None:
    reply = await alpha.done("start", 3, "a")
    assert reply.error == ""
    verified = await alpha.event(GroupVerified)
    assert reply.event == verified.id
    data = decode_data(verified)
    assert isinstance(data, GroupVerified)
    assert data.checks == 2
    pid = await alpha.pid()
    assert os.getpgid(pid) == pid, "a process group of its own"
    assert os.getsid(pid) == os.getsid(0), "in our session"
    environment = environment_of(pid)
    assert b"WHERE=alpha/web/3" in environment
    assert b"HOLDFAST_SECRETS" not in environment

    reply = await alpha.done("stop", 3, "b")
    assert reply.event == (await alpha.event(GroupStopped)).id
    assert gone(pid)
    assert workloads(tmp_path) == []
    assert (await alpha.group("stopped")).epoch == 3


async def test_a_past_epoch_is_refused_and_recorded_once(alpha: Host) -> None:
    await alpha.done("start", 3, "a")
    pid = await alpha.pid()
    for _ in range(3):
        assert not (await alpha.order("stop", 2, "old")).accepted
    assert not (await alpha.order("stop", 4, "x", boot="boot-0")).accepted
    await alpha.event(OrderRefused, 2)
    assert len(alpha.all(OrderRefused)) == 2
    assert not gone(pid)


async def test_a_killed_workload_is_restarted_here_then_escalated(alpha: Host) -> None:
    await alpha.done("start", 1, "a")
    for attempt in (1, 2):
        pid = await alpha.pid()
        os.kill(pid, signal.SIGKILL)
        event = await alpha.failed()
        begun = await alpha.event(RecoveryStarted, attempt)
        assert (begun.causationid, begun.correlationid) == (event, event)
        done = await alpha.event(RecoverySucceeded, attempt)
        data = decode_data(done)
        assert isinstance(data, RecoverySucceeded)
        assert (data.attempt, data.epoch) == (attempt, 1)
        await until(lambda old=pid: alpha.watches[-1].resources[0].pid != old)  # type: ignore[misc]
        await alpha.group("active")
    event = await alpha.failed()
    report = await alpha.group("failed")
    assert "attempts_used_up" in report.reason
    assert report.event == (await alpha.event(RecoveryExhausted)).id
    assert report.incident == event


async def test_a_start_that_dies_fails_with_its_last_words(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = f"""
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/bin/sh", "-c", "echo no licence found; exit 3"]
start_timeout = 60.0
checks = [{{ kind = "tcp", host = "127.0.0.1", port = {free_ports(1)[0]} }}]
"""
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        reply = await made.done("start", 1, "a")
        assert "exited with 3: no licence found" in reply.error
        assert reply.event == (await made.event(ResourceFailed)).id
        assert (await made.group("failed")).reason == reply.error


async def test_a_stubborn_workload_is_killed_with_all_its_processes(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = STUBBORN.format(folder=tmp_path)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        await made.done("start", 1, "a")
        await until(lambda: len(workloads(tmp_path)) >= 3, what="the shell and both sleeps")
        await made.done("stop", 1, "b")
        assert workloads(tmp_path) == []
        stopped = decode_data(await made.event(ResourceStopped))
        assert isinstance(stopped, ResourceStopped)
        assert stopped.killed
        assert stopped.took >= 0.3


async def test_a_killed_service_adopts_what_it_finds(alpha: Host) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    await alpha.end(signal.SIGKILL)
    assert not gone(pid)
    alpha.start()
    await alpha.group("active")
    adopted = decode_data(await alpha.event(ResourceStarted, 2))
    assert isinstance(adopted, ResourceStarted)
    assert adopted.adopted
    assert await alpha.pid() == pid
    await alpha.leased()
    # It is still ours to stop, though no longer our child.
    await alpha.done("stop", 1, "b")
    assert gone(pid)


async def test_an_orderly_end_leaves_the_workload(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = SERVER.format(port=free_ports(1)[0], folder=tmp_path)
    bus = await make_bus([nats_server])
    # A lease that outlasts a slow end: what a lapsed one demands is another test's matter.
    async with host(bus, nats_server, tmp_path, groups, profile="tolerant") as alpha:
        await alpha.done("start", 1, "a")
        pid = await alpha.pid()
        assert await alpha.end(signal.SIGTERM) == 0, alpha.log()
        assert not gone(pid)


async def test_without_a_majority_it_stops_in_time_and_stays_stopped(alpha: Host) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    alpha.voters.silent = {"beta"}
    renewed = alpha.voters.states["witness"].promised_until["node/alpha"]
    await until(
        lambda: alpha.voters.states["witness"].promised_until["node/alpha"] > renewed,
        what="a renewal without beta",
    )
    assert not gone(pid)
    alpha.voters.silent = {"beta", "witness"}
    promised = alpha.voters.states["witness"].promised_until["node/alpha"]
    await until(lambda: gone(pid), within=PATIENCE, what="the self-stop")
    assert clock.monotonic() < promised, "it must be dead while no takeover can be granted"
    lost = await alpha.event(LeaseLost)
    await alpha.group("stopped")
    stopped = await alpha.event(GroupStopped)
    assert stopped.correlationid == lost.correlationid
    assert isinstance(decode_data(alpha.all(HealthSignal)[-1]), HealthSignal)
    assert "lease" in (await alpha.order("start", 2, "b")).error
    alpha.voters.silent = set()
    await alpha.leased()
    assert not (await alpha.order("start", 1, "c")).accepted
    assert (await alpha.group("stopped")).epoch == 1
    await alpha.done("start", 2, "d")


async def test_a_stubborn_workload_dies_before_the_lease_does(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = STUBBORN.format(folder=tmp_path).replace("stop_timeout = 0.3", "stop_timeout = 60.0")
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        await made.done("start", 1, "a")
        await until(lambda: len(workloads(tmp_path)) >= 3)
        made.voters.silent = {"beta", "witness"}
        promised = made.voters.states["witness"].promised_until["node/alpha"]
        await until(lambda: workloads(tmp_path) == [], within=PATIENCE, what="the kill")
        assert clock.monotonic() < promised
        stopped = decode_data(await made.event(ResourceStopped))
        assert isinstance(stopped, ResourceStopped)
        assert stopped.killed


async def test_back_without_a_bus_after_the_lease_everything_is_stopped(
    alpha: Host, nats_server: NatsServer, tmp_path: Path
) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    await alpha.end(signal.SIGKILL)
    nats_server.kill()
    over = clock.monotonic() + PROFILES["fast"].ttl
    await until(lambda: clock.monotonic() > over, what="the lease is over")
    assert not gone(pid), "nobody was there to stop it: that is what fencing is for"
    alpha.start()
    await until(lambda: workloads(tmp_path) == [], within=PATIENCE, what=alpha.log())
    nats_server.start()
    assert (await alpha.group("stopped")).epoch == 1
    stopped = await alpha.event(GroupStopped)
    assert stopped.causationid is not None


async def test_a_new_boot_reports_stopped_at_the_old_epoch(alpha: Host) -> None:
    await alpha.done("start", 7, "a")
    pid = await alpha.pid()
    await alpha.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    alpha.start(boot="boot-2")
    assert (await alpha.group("stopped")).epoch == 7
    assert not (await alpha.order("start", 7, "b", boot="boot-2")).accepted
    assert not (await alpha.order("start", 8, "c", boot=BOOT)).accepted


async def test_without_a_bus_it_stops_in_time(alpha: Host, nats_server: NatsServer) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    nats_server.kill()
    promised = alpha.voters.states["witness"].promised_until["node/alpha"]
    await until(lambda: gone(pid), within=PATIENCE, what="the self-stop")
    assert clock.monotonic() < promised
    nats_server.start()
    await alpha.leased()
    stopped = await alpha.event(GroupStopped)
    assert stopped.correlationid == (await alpha.event(LeaseLost)).correlationid


async def test_what_cannot_be_stored_is_not_promised_but_a_stop_stops(
    alpha: Host, tmp_path: Path
) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    groups = tmp_path / "state" / "recovery" / "groups"
    groups.rename(groups.with_name("away"))
    reply = await alpha.order("stop", 1, "b")
    assert not reply.accepted
    assert "journal cannot be written" in reply.error
    await until(lambda: gone(pid), within=PATIENCE, what="stopped all the same")
    assert "journal" in (await alpha.group("unknown")).reason
    assert not (await alpha.order("start", 2, "c")).accepted
    await until(lambda: bool(alpha.all(ResourceFailed)), within=PATIENCE, what="no start")
    groups.with_name("away").rename(groups)
    await alpha.group("failed")
    await alpha.done("start", 3, "d")
    assert await alpha.pid() != pid


@pytest.mark.parametrize("left", [b"{", None], ids=["corrupt", "lost"])
async def test_without_its_journal_it_finds_and_stops_what_runs(
    alpha: Host, tmp_path: Path, left: bytes | None
) -> None:
    await alpha.done("start", 1, "a")
    pid = await alpha.pid()
    await alpha.end(signal.SIGKILL)
    journal = tmp_path / "state" / "recovery" / "groups" / "web.json"
    journal.unlink()
    if left is not None:
        journal.write_bytes(left)
    assert not gone(pid)
    alpha.start()
    await alpha.group("stopped")
    assert gone(pid)
    assert workloads(tmp_path) == []
