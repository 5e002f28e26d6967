"""The outbox against real servers that die and freeze, and producers that are killed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.bus import Bus
from holdfast.events import CONTENT_TYPE
from holdfast.outbox import Outbox
from holdfast.store import ensure_streams
from tests.support.buses import MakeBus
from tests.support.events import draft
from tests.support.nats import MakeServers, NatsServer
from tests.support.record import assert_whole, stored
from tests.support.waiting import until

SOURCE = "/test/alpha/test"
MakeOutbox = Callable[[Bus], Awaitable[Outbox]]


@pytest.fixture
async def make_outbox(tmp_path: Path) -> AsyncIterator[MakeOutbox]:
    """A running outbox; a second one takes over the first one's spool as after a crash."""
    running: list[tuple[asyncio.Task[None], Outbox]] = []

    async def make(bus: Bus) -> Outbox:
        outbox = Outbox(tmp_path / "spool", source=SOURCE, bus=bus)
        running.append((asyncio.create_task(outbox.run()), outbox))
        return outbox

    yield make
    for task, outbox in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        outbox.close()


async def test_everything_arrives_in_order_with_its_headers(
    nats_server: NatsServer, make_bus: MakeBus, make_outbox: MakeOutbox
) -> None:
    bus = await make_bus([nats_server])
    await ensure_streams(bus, len(bus.servers))
    seen: list[dict[str, str]] = []

    async def see(message: object) -> None:
        seen.append(getattr(message, "headers", None) or {})

    await bus.client.subscribe("ha.events.operator_request", cb=see)
    outbox = await make_outbox(bus)
    ids = [outbox.emit(draft(number)).id for number in range(300)]
    assert outbox.depth == 300
    assert await outbox.flush(20)
    assert outbox.depth == 0
    record = await stored(bus)
    assert [envelope.id for envelope in record] == ids
    assert_whole(record)
    assert [headers["Nats-Msg-Id"] for headers in seen] == ids
    assert {headers["Content-Type"] for headers in seen} == {CONTENT_TYPE}


async def test_waits_for_a_stream_that_does_not_exist_yet(
    nats_server: NatsServer, make_bus: MakeBus, make_outbox: MakeOutbox
) -> None:
    bus = await make_bus([nats_server])
    outbox = await make_outbox(bus)
    outbox.emit(draft(1))
    assert not await outbox.flush(0.3)
    await ensure_streams(bus, len(bus.servers))
    assert await outbox.flush(10)
    assert len(await stored(bus)) == 1


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_an_outage_loses_reorders_and_repeats_nothing(
    how: str, nats_server: NatsServer, make_bus: MakeBus, make_outbox: MakeOutbox
) -> None:
    bus = await make_bus([nats_server])
    await ensure_streams(bus, len(bus.servers))
    outbox = await make_outbox(bus)
    down = asyncio.Event()
    bus.on_disconnected.append(down.set)
    for number in range(100):
        outbox.emit(draft(number))
    await until(lambda: outbox.depth < 70)
    nats_server.kill() if how == "kill" else nats_server.freeze()
    for number in range(100):
        outbox.emit(draft(100 + number))
    await asyncio.wait_for(down.wait(), 10)
    assert outbox.depth >= 100
    nats_server.start() if how == "kill" else nats_server.thaw()
    outbox.emit(draft(200))
    assert await outbox.flush(30)
    record = await stored(bus)
    assert len(record) == 201
    assert_whole(record)


async def test_the_death_of_the_stream_leader_loses_nothing(
    nats_cluster: list[NatsServer], make_bus: MakeBus, make_outbox: MakeOutbox
) -> None:
    bus = await make_bus(nats_cluster)
    await ensure_streams(bus, len(bus.servers))
    outbox = await make_outbox(bus)
    for victim in nats_cluster[:2]:
        before = outbox.depth
        for number in range(50):
            outbox.emit(draft(number))
        await until(lambda before=before: outbox.depth < before + 40, within=30)  # type: ignore[misc]
        victim.kill()
        for number in range(50):
            outbox.emit(draft(number))
        assert await outbox.flush(40)
        victim.start()
    record = await stored(bus)
    assert len(record) == 200
    assert_whole(record)


async def test_killed_producers_leave_a_whole_chain(
    make_nats: MakeServers, make_bus: MakeBus, tmp_path: Path
) -> None:
    server = make_nats(["alpha"])[0]
    bus = await make_bus([server])
    await ensure_streams(bus, len(bus.servers))
    emitted: list[str] = []
    for lives in (5, 40, 150):
        emitted += await run_and_kill(server.url, tmp_path / "spool", after=lives)
    outbox = Outbox(tmp_path / "spool", source="/test/alpha/producer", bus=bus)
    publishing = asyncio.create_task(outbox.run())
    assert await outbox.flush(20)
    publishing.cancel()
    outbox.close()
    record = await stored(bus)
    assert_whole(record)
    assert set(emitted) <= {envelope.id for envelope in record}
    assert outbox.set_aside == []


async def run_and_kill(url: str, folder: Path, *, after: int) -> list[str]:
    """Run a producer, kill it once it has emitted `after` events; the ids it had emitted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.producer",
        url,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ids = [await asyncio.wait_for(process.stdout.readline(), 10) for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    await process.wait()
    lines = b"".join(ids) + rest
    return lines.decode().rpartition("\n")[0].split("\n")
