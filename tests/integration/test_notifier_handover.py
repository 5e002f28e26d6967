"""Two notifiers as processes share the record; what one of them dies over, the other one tells."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from holdfast import subjects
from holdfast.events import encode_envelope
from holdfast.events.examples import record
from holdfast.healthcheck import is_alive
from holdfast.notifier.intake import ACK_WAIT
from holdfast.streams import ensure_streams
from tests.support.buses import MakeBus
from tests.support.cluster_file import write_cluster_file, write_seed
from tests.support.nats import NatsServer
from tests.support.waiting import until
from tests.support.webhooks import receiver

pytestmark = pytest.mark.chaos  # the server waits half a minute before it gives an event again

SUSPECTED = next(event for event in record() if "node_suspected" in event.type)
CHANNEL = """
[notifications]
events = ["node_suspected"]
[notifications.channels.hook]
kind = "webhook"
deadline = 3600.0
url = "{url}"
"""
Start = Callable[[str, str], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Start]:
    """`await start(place, url)`: a notifier of that place which tells that webhook."""
    processes: list[asyncio.subprocess.Process] = []
    write_seed(tmp_path / "secrets", "notifier")

    async def run(place: str, url: str) -> asyncio.subprocess.Process:
        state = tmp_path / place
        config = write_cluster_file(tmp_path, [nats_server], extra=CHANNEL.format(url=url))
        environment = {
            "HOLDFAST_CONFIG": str(config),
            "HOLDFAST_PLACE": place,
            "HOLDFAST_STATE": str(state),
            "HOLDFAST_SECRETS": str(tmp_path / "secrets"),
        }
        command = (sys.executable, "-m", "holdfast.notifier")
        made = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
        processes.append(made)
        await until(lambda: is_alive(state, "notifier"), within=30, what=f"notifier of {place}")
        return made

    yield run
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_what_a_notifier_dies_over_another_one_tells(
    start: Start, nats_server: NatsServer, make_bus: MakeBus
) -> None:
    bus = await make_bus([nats_server])
    await ensure_streams(bus, len(bus.servers))
    async with receiver() as hook:
        hook.answer = lambda number: "" if number == 1 else "200 OK"
        first = await start("alpha", hook.url)
        await bus.jetstream().publish(subjects.event("node_suspected"), encode_envelope(SUSPECTED))
        await until(lambda: len(hook.requests) == 1, within=30, what="the first notifier tells it")
        await start("beta", hook.url.replace("127.0.0.1", "localhost"))
        first.send_signal(signal.SIGKILL)
        await until(lambda: len(hook.requests) == 2, within=ACK_WAIT * 3, what="the second one")
    told = [msgspec.json.decode(request.body)["id"] for request in hook.requests]
    assert told == [SUSPECTED.id, SUSPECTED.id]
    assert hook.requests[1].headers["host"].startswith("localhost")
