"""The monitor as it runs: real processes, sockets and bus; its signals, pulses and refusals."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.events import decode_data
from holdfast.events.system import MessageRejected
from holdfast.wire import HandsPulse, WatchedResource
from tests.support.buses import MakeBus
from tests.support.monitored import PATIENCE, Monitored, monitored, watched, workload
from tests.support.nats import NatsServer
from tests.support.waiting import until


@pytest.fixture
async def bus(nats_server: NatsServer, make_bus: MakeBus) -> Bus:
    return await make_bus([nats_server])


@pytest.fixture
async def host(nats_server: NatsServer, bus: Bus, tmp_path: Path) -> AsyncIterator[Monitored]:
    async with monitored(nats_server, bus, tmp_path / "alpha") as running:
        yield running


async def test_a_killed_process_is_signalled_by_event_and_pulse(host: Monitored) -> None:
    with workload() as process:
        assert (await host.watch(watched(process))).ok
        process.kill()
        shown = await host.shows("process", "failed")
        event, data = await host.signal("process", "failed")
        assert (shown.event, shown.incident) == (event.id, event.correlationid) == (event.id,) * 2
        assert (shown.entity, data.instance) == ("resource/web/server", shown.instance)
        assert data.instance.startswith(f"{process.pid}:")
        # It is dead and not reaped: the monitor must not have taken its exit status away.
        assert process.wait(PATIENCE) == -signal.SIGKILL


async def test_a_process_that_is_gone_already_is_signalled(host: Monitored) -> None:
    with workload() as process:
        gone = watched(process)
        process.kill()
        process.wait(PATIENCE)
    await host.watch(gone)
    assert "gone" in (await host.shows("process", "failed")).reason


async def test_another_process_with_the_same_pid_is_not_the_one_meant(host: Monitored) -> None:
    with workload() as process:
        earlier = msgspec.structs.replace(watched(process), instance=f"{process.pid}:1")
        await host.watch(earlier)
        assert "another" in (await host.shows("process", "failed")).reason


async def test_a_new_instance_ends_the_incident_and_what_is_not_watched_is_forgotten(
    host: Monitored,
) -> None:
    with workload() as first, workload() as second:
        await host.watch(watched(first))
        first.kill()
        failed, _ = await host.signal("process", "failed")
        await host.watch(watched(second))
        ok, data = await host.signal("process", "ok")
        assert (ok.correlationid, ok.causationid) == (failed.id, failed.id)
        assert data.instance == watched(second).instance
        await host.pulse(lambda signals: not signals)
        second.kill()
        await host.shows("process", "failed")
        await host.watch()
        await host.pulse(lambda signals: not signals)


async def test_a_watch_for_another_boot_is_refused_and_reported(host: Monitored) -> None:
    with workload() as process:
        reply = await host.watch(watched(process), boot="boot-0")
        assert not reply.ok
        assert "boot-0" in reply.error
        wrong = msgspec.structs.replace(watched(process), instance="1:1")
        assert not (await host.watch(wrong)).ok
        process.kill()
    await until(lambda: len(_rejections(host)) == 2, within=PATIENCE)
    assert [data.kind for data in _rejections(host)] == ["stale", "malformed"]
    assert host.signals("process", "failed") == []


def _rejections(host: Monitored) -> list[MessageRejected]:
    decoded = [decode_data(event) for event in host.events]
    return [data for data in decoded if isinstance(data, MessageRejected)]


async def test_a_resource_without_process_or_configuration_is_said_to_be_unknown(
    host: Monitored,
) -> None:
    await host.watch(WatchedResource(group="web", resource="other", instance="epoch:1"))
    assert "cluster file" in (await host.shows("checks", "unknown")).reason


async def test_the_silence_of_a_peer(host: Monitored) -> None:
    pulse = HandsPulse(node="beta", boot="b", now=1.0, term=1, lease_valid=True)
    await host.bus.publish(subjects.pulse("beta"), pulse)
    shown = await host.shows("pulse", "failed")
    assert (shown.entity, shown.node, shown.layer) == ("node/beta", "beta", "network")
    assert shown.reason.startswith("no pulse for ")
    await host.bus.publish(subjects.pulse("beta"), pulse)
    event, data = await host.signal("pulse", "ok")
    assert event.correlationid == shown.incident
    assert data.observer == "alpha"


async def test_a_pulse_of_a_stranger_is_reported(host: Monitored) -> None:
    pulse = HandsPulse(node="mallory", boot="b", now=1.0, term=1, lease_valid=True)
    await host.bus.publish(subjects.pulse("mallory"), pulse)
    await until(lambda: bool(_rejections(host)), within=PATIENCE)
    assert "mallory" in _rejections(host)[0].reason


async def test_a_hanging_service_is_seen_and_delays_nothing(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    answering = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    checks = (
        f'{{ kind = "http", url = "http://127.0.0.1:{port}/", '
        "interval = 0.2, deadline = 2.0, failures = 2 }"
    )
    async with server, monitored(nats_server, bus, tmp_path / "alpha", checks) as host:
        with workload() as process:
            await host.watch(watched(process))
            before = len(host.pulses)
            failed, data = await host.signal("http-1", "failed")
            assert "within 2 s" in data.reason
            # 2 x 2 s of hanging, a pulse every 0.2 s: it pulsed on while it waited.
            assert len(host.pulses) - before > 5
            process.kill()
            died, _ = await host.signal("process", "failed")
            assert (died.correlationid, died.causationid) == (failed.id, failed.id)
            answering.set()
            recovered, _ = await host.signal("http-1", "ok")
            assert recovered.causationid == failed.id


async def test_what_happens_while_the_bus_is_away_is_told_afterwards(
    host: Monitored, nats_server: NatsServer
) -> None:
    with workload() as process:
        await host.watch(watched(process))
        nats_server.kill()
        await until(lambda: not host.bus.connected, within=PATIENCE)
        process.kill()
        process.wait(PATIENCE)
        host.pulses.clear()
        nats_server.start()
        shown = await host.shows("process", "failed")
        assert (await host.recorded(shown.event)).subject == shown.entity
        assert [signal.probe for signal in host.pulses[-1].signals] == ["process"]


async def test_a_disk_that_takes_nothing_delays_the_record_and_not_the_pulse(
    host: Monitored,
) -> None:
    with workload() as process:
        await host.watch(watched(process))
        limits = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        process.kill()
        shown = await host.shows("process", "failed")
        assert host.signals("process", "failed") == []
        resource.prlimit(host.pid, resource.RLIMIT_FSIZE, limits)
        event, _ = await host.signal("process", "failed")
        assert event.id == shown.event
