"""The frame every service runs in, as real processes: start, stop, crash, bad environments."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from holdfast import wire
from holdfast.bus import Bus
from holdfast.events import Envelope, decode_data, system
from holdfast.healthcheck import is_alive
from holdfast.store import ensure_streams
from tests.support.buses import MakeBus
from tests.support.cluster_file import write_cluster_file, write_seed
from tests.support.nats import NatsServer
from tests.support.record import assert_whole, stored
from tests.support.waiting import until


class Service:
    """One run of the echo service."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def ended(self, within: float = 15) -> int:
        return await asyncio.wait_for(self.process.wait(), within)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()


Start = Callable[..., "asyncio.Future[Service]"]


@pytest.fixture
async def start(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Start]:
    """`await start(**environment)` runs the echo service of alpha against `nats_server`."""
    services: list[Service] = []
    config = write_cluster_file(tmp_path, [nats_server])
    write_seed(tmp_path / "secrets", "echo")

    async def run(**environment: str) -> Service:
        log = tmp_path / f"log-{len(services)}"
        defaults = {
            "HOLDFAST_CONFIG": str(config),
            "HOLDFAST_PLACE": "alpha",
            "HOLDFAST_STATE": str(tmp_path / "state"),
            "HOLDFAST_SECRETS": str(tmp_path / "secrets"),
        }
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.echo_service"),
                stderr=stderr,
                env={**os.environ, **defaults, **environment},
            )
        services.append(Service(process, log))
        return services[-1]

    yield run  # type: ignore[misc]
    for service in services:
        if service.process.returncode is None:
            service.process.kill()
            await service.process.wait()


@pytest.fixture
async def bus(nats_server: NatsServer, make_bus: MakeBus) -> Bus:
    bus = await make_bus([nats_server])
    await ensure_streams(bus, len(bus.servers))
    return bus


def names(record: list[Envelope]) -> list[str]:
    return [envelope.type.split(".")[1] for envelope in record]


async def test_one_instance_runs_is_healthy_and_stops_in_order(
    start: Start, bus: Bus, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    assert not is_alive(state, "echo")
    first = await start()
    await until(lambda: is_alive(state, "echo"), what="alive file")
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast.healthcheck", "echo"),
        env={**os.environ, "HOLDFAST_STATE": str(state)},
    )
    assert await check.wait() == 0
    second = await start()
    assert await second.ended() == 2
    assert "another process of this service runs here" in second.log
    assert "cure:" in second.log
    assert await first.stop() == 0
    record = await stored(bus)
    assert names(record) == ["service_started", "service_stopped"]
    assert {envelope.source for envelope in record} == {"/test/alpha/echo"}
    third = await start()
    await until(lambda: is_alive(state, "echo"))
    assert await third.stop() == 0
    assert_whole(await stored(bus))


async def test_bad_messages_are_recorded_once(start: Start, bus: Bus, tmp_path: Path) -> None:
    service = await start()
    await until(lambda: is_alive(tmp_path / "state", "echo"))
    while "malformed" not in service.log:
        await bus.client.publish("ha.pulse.beta", b"{")
        await asyncio.sleep(0.01)
    for _ in range(20):
        await bus.client.publish("ha.pulse.beta", b'{"wire": 2}')
    await until(lambda: "unknown_version message 10" in service.log)
    assert await service.stop() == 0
    rejected = [decode_data(envelope) for envelope in await stored(bus)]
    counts = [
        data.count
        for data in rejected
        if isinstance(data, system.MessageRejected) and data.kind == "unknown_version"
    ]
    assert counts == [1, 10]


async def test_a_defect_ends_it_with_1_and_is_recorded(
    start: Start, bus: Bus, tmp_path: Path
) -> None:
    service = await start()
    await until(lambda: is_alive(tmp_path / "state", "echo"))
    while service.process.returncode is None:
        await bus.publish("ha.pulse.beta", wire.MonitorPulse(node="beta", boot="b", now=666))
        await asyncio.sleep(0.01)
    assert service.process.returncode == 1
    assert "KeyError" in service.log
    assert all(line.startswith("20") for line in service.log.splitlines()), "one line each"
    last = decode_data((await stored(bus))[-1])
    assert isinstance(last, system.ServiceStopped)
    assert "KeyError" in last.reason


async def test_a_damaged_spool_is_set_aside_and_said(
    start: Start, bus: Bus, tmp_path: Path
) -> None:
    spool = tmp_path / "state" / "echo" / "spool"
    spool.mkdir(parents=True)
    (spool / "00000001.seg").write_bytes(b"garbage\n")
    service = await start()
    await until(lambda: is_alive(tmp_path / "state", "echo"))
    assert await service.stop() == 0
    assert (spool / "00000001.seg.corrupt-1").read_bytes() == b"garbage\n"
    record = await stored(bus)
    assert names(record) == ["service_started", "spool_set_aside", "service_stopped"]
    assert "set aside" in service.log


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HOLDFAST_PLACE": "gamma"}, "--place must be one of alpha, beta, witness"),
        ({"HOLDFAST_CONFIG": "/nonexistent"}, "/nonexistent"),
        ({"HOLDFAST_SECRETS": "/nonexistent"}, "/nonexistent/echo.nk"),
        ({"HOLDFAST_STATE": "/dev/null/state"}, "create it on a writable file system"),
    ],
)
async def test_a_bad_environment_ends_it_with_2_and_names_the_cure(
    environment: dict[str, str], said: str, start: Start
) -> None:
    service = await start(**environment)
    assert await service.ended() == 2
    assert said in service.log
    assert "cure" in service.log
    assert "Traceback" not in service.log


async def test_without_a_bus_it_says_so_waits_and_can_be_stopped(
    start: Start, nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.kill()
    service = await start()
    await until(lambda: "no connection to the bus yet" in service.log)
    assert f"127.0.0.1:{nats_server.port}" in service.log
    assert not is_alive(tmp_path / "state", "echo")
    assert await service.stop() == 0
    assert service.log.count("no connection to the bus yet") == 1
