"""What a place hears of its services' heartbeats, from real processes."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial

import pytest

from holdfast.console.launcher.beats import START_LIMIT, Beats
from holdfast.heartbeat import ADDRESS
from tests.support.waiting import until

LIMIT = 10.0
BEATS = """
import asyncio, os
from holdfast.heartbeat import Heartbeat

async def main():
    Heartbeat(60.0).start()
    print("NOTIFY_SOCKET" in os.environ, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def beats() -> AsyncIterator[Beats]:
    made = Beats(LIMIT)
    yield made
    made.close()


async def beating(beats: Beats) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BEATS),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, ADDRESS: beats.address},
    )


class Looks:
    """Looks at it once a second, of a time of its own."""

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._now = 0.0

    def after(self, seconds: float) -> list[int]:
        """What stands still after so many seconds without a turn of this test's loop."""
        self._now += 100.0
        still: list[int] = []
        for _ in range(int(seconds) + 1):
            still = self._beats.still(self._now)
            self._now += 1.0
        return still


async def test_a_service_that_beats_and_then_stops_is_found(beats: Beats) -> None:
    process = await beating(beats)
    try:
        beats.expect(process.pid)
        looks = Looks(beats)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"False\n", "nothing that it starts gets it"
        found = partial(looks.after, LIMIT)
        await until(lambda: found() == [process.pid], within=30, what="it has beaten")
        os.kill(process.pid, signal.SIGSTOP)
        assert found() == [process.pid]
        beats.forget(process.pid)
        assert found() == []
    finally:
        process.kill()
        await process.wait()


async def test_a_start_may_take_longer_than_a_beat(beats: Beats) -> None:
    beats.expect(4711)
    assert Looks(beats).after(START_LIMIT - 1) == []
    assert Looks(beats).after(START_LIMIT) == [4711]


async def test_only_the_process_itself_can_beat(beats: Beats) -> None:
    mine, other = os.getpid(), os.getppid()
    beats.expect(mine)
    beats.expect(other)
    looks = Looks(beats)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for words in (b"READY=1", b"WATCHDOG=1 ", b"x" * 5000, b""):
            sender.sendto(words, beats.address.replace("@", "\0", 1))
        for _ in range(5):  # what was sent is there at once
            await asyncio.sleep(0)
        assert looks.after(LIMIT) == []
        sender.sendto(b"STATUS=well\nWATCHDOG=1", beats.address.replace("@", "\0", 1))
    await until(lambda: looks.after(LIMIT) == [mine], within=30)
