"""The subscribers of docs/examples, as the user `reader` of a real server, see everything."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats.errors
import pytest

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.events import encode_envelope
from holdfast.events.examples import record
from holdfast.streams import ensure_streams
from tests.support.nats import MakeServers, NatsServer
from tests.support.users import authorization

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NODE_PACKAGE = "@nats-io/transport-node@3"
INSTALL_WITHIN = 100.0
RECORD = record()


@pytest.fixture
def server(make_nats: MakeServers, tmp_path: Path) -> NatsServer:
    users = ["reader", "failover_decider@alpha", "monitor@alpha"]
    return make_nats(["alpha"], authorization(users, tmp_path))[0]


@asynccontextmanager
async def connected(server: NatsServer, user: str, folder: Path) -> AsyncIterator[Bus]:
    inbox = f"_INBOX_{user.replace('@', '_')}"
    bus = Bus([server.url], name=user, inbox=inbox, seed=folder / f"{user}.nk")
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


async def _see_everything(command: list[str], server: NatsServer, folder: Path) -> None:
    """Run a subscriber, publish every kind of event as the services do, compare."""
    environment = {
        **os.environ,
        "NATS_URL": server.url,
        "HOLDFAST_NKEY": str(folder / "reader.nk"),
    }
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"listening\n"
            async with connected(server, "failover_decider@alpha", folder) as decider:
                await ensure_streams(decider, len(decider.servers))
            async with connected(server, "monitor@alpha", folder) as bus:
                for envelope in RECORD:
                    subject = subjects.event(envelope.type.split(".")[1])
                    await bus.jetstream().publish(subject, encode_envelope(envelope))
            for envelope in RECORD:
                line = (await process.stdout.readline()).decode().split()
                assert line == [envelope.time, envelope.type, envelope.subject, envelope.id]
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def test_the_python_subscriber_sees_everything(server: NatsServer, tmp_path: Path) -> None:
    await _see_everything([sys.executable, str(EXAMPLES / "subscribe.py")], server, tmp_path)


def _npm_install(folder: Path) -> None:
    """Install NATS' client for Node; where npm or its registry is missing, skip, but not in CI."""
    npm = shutil.which("npm")
    required = bool(os.environ.get("CI"))
    if npm is None or shutil.which("node") is None:
        assert not required, "CI needs node and npm"
        pytest.skip("node or npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", NODE_PACKAGE]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=INSTALL_WITHIN, check=False
        )
        problem = "" if done.returncode == 0 else done.stderr.decode()[-300:]
    except subprocess.TimeoutExpired:
        problem = f"not within {INSTALL_WITHIN:.0f} s"
    if problem:
        assert not required, problem
        pytest.skip(f"npm could not install {NODE_PACKAGE}: {problem}")


@pytest.mark.timeout(180)
async def test_the_node_subscriber_sees_everything(server: NatsServer, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    await asyncio.to_thread(_npm_install, folder)
    script = folder / "subscribe.mjs"
    shutil.copy(EXAMPLES / script.name, script)
    node = shutil.which("node")
    assert node
    await _see_everything([node, str(script)], server, tmp_path)


async def test_a_reader_may_listen_to_events_and_nothing_else(
    server: NatsServer, tmp_path: Path
) -> None:
    async with (
        connected(server, "reader", tmp_path) as reader,
        connected(server, "failover_decider@alpha", tmp_path) as decider,
    ):
        await ensure_streams(decider, len(decider.servers))
        heard: list[str] = []

        async def hear(message: object) -> None:
            heard.append(str(message))

        for subject in ("ha.pulse.*", "ha.lease.*", "ha.commands.>", "ha.>", ">"):
            await reader.client.subscribe(subject, cb=hear)
        for subject in (subjects.event("group_held"), "ha.lease.alpha", "ha.admin.decider"):
            await reader.client.publish(subject, b"{}")
        await reader.flush()
        await decider.client.publish("ha.lease.alpha", b"{}")
        await decider.flush()
        await reader.flush()
        info = await decider.jetstream().stream_info(subjects.EVENT_STREAM)
        assert heard == []
        assert info.state.messages == 0
        with pytest.raises(nats.errors.Error):
            await reader.jetstream(timeout=0.5).stream_info(subjects.EVENT_STREAM)
    assert server.log.count("Publish Violation") >= 3


def test_the_subscribers_are_ten_lines_besides_their_imports() -> None:
    for name in ("subscribe.py", "subscribe.mjs"):
        lines = (EXAMPLES / name).read_text().splitlines()
        code = [
            line for line in lines if line and not line.startswith(('"""', "//", "#", "import"))
        ]
        assert len(code) <= 10, name
