"""The story's two outside observers, each a process of its own that is read line by line."""

import asyncio
import contextlib
import json
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.console.demo.failure import DemoFailed
from holdfast.events import MAX_EVENT_BYTES, Envelope, decode_envelope

LINE_TIMEOUT = 20.0
END_TIMEOUT = 30.0
MAX_KEPT = 10_000


class Observer:
    """The ledger's client: writes all the time and counts from outside."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, command: list[str]) -> None:
        """Begin to write."""
        self._process = await _spawn(command, stdin=PIPE)

    async def mark(self, label: str) -> dict[str, Any]:
        """Begin a phase; what was seen in the one before: `longest_outage`, `acknowledged`."""
        return await self._ask(label)

    async def acknowledged(self) -> int:
        """How many entries have been promised so far."""
        return int((await self._ask(""))["acknowledged"])

    async def finish(self) -> dict[str, Any]:
        """Stop writing, read everything back; the verdict."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()
        lines = [await _line(process, END_TIMEOUT)]
        await process.wait()
        return json.loads(lines[-1])  # type: ignore[no-any-return]

    async def kill(self) -> None:
        """End it, whatever it does."""
        await _end(self._process)

    async def _ask(self, line: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(line.encode() + b"\n")
        await process.stdin.drain()
        return json.loads(await _line(process, LINE_TIMEOUT))  # type: ignore[no-any-return]

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "start it first"
        return self._process


class Watcher:
    """`holdfast events --follow --json`: what the cluster itself says, as it says it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self.seen: list[Envelope] = []

    async def start(self, command: list[str]) -> None:
        """Begin to follow, the past included."""
        self._process = await _spawn(command)
        self._reader = asyncio.create_task(self._read())

    async def wait_for(
        self, what: str, wanted: Callable[[Envelope], bool], *, since: int, timeout: float
    ) -> Envelope:
        """The first event from index `since` of `seen` on that fits. Raises DemoFailed."""

        def found() -> Envelope | None:
            return next((event for event in self.seen[since:] if wanted(event)), None)

        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise DemoFailed(f"{what} did not happen within {timeout:.0f} s") from None
        event = found()
        assert event is not None
        return event

    async def kill(self) -> None:
        """Stop following."""
        await _end(self._process)
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._changed:
                self.seen.append(decode_envelope(line.strip(), place="holdfast events"))
                assert len(self.seen) < MAX_KEPT, "a demonstration makes far fewer events"
                self._changed.notify_all()


def is_event(name: str, **wanted: object) -> Any:
    """A predicate: events of this name whose data has these values."""

    def fits(event: Envelope) -> bool:
        if event.type != f"holdfast.{name}.v1":
            return False
        data = fields(event)
        return all(data.get(key) == value for key, value in wanted.items())

    return fits


def fields(event: Envelope) -> dict[str, Any]:
    """What it says."""
    return msgspec.json.decode(event.data)  # type: ignore[no-any-return]


async def run(command: list[str], *, timeout: float) -> tuple[int, str]:
    """Run a command to its end; exit code and what it printed. Raises DemoFailed."""
    process = await _spawn(command, stderr=STDOUT)
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        await _end(process)
        raise DemoFailed(f"`{' '.join(command)}` took longer than {timeout:.0f} s") from None
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def _spawn(
    command: list[str], stdin: int = DEVNULL, stderr: int | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=PIPE, stderr=stderr, limit=2 * MAX_EVENT_BYTES
    )


async def _line(process: asyncio.subprocess.Process, timeout: float) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout):
            line = await process.stdout.readline()
    except TimeoutError:
        raise DemoFailed(f"the observer said nothing for {timeout:.0f} s") from None
    if not line:
        raise DemoFailed("the observer ended unexpectedly")
    return line.decode()


async def _end(process: asyncio.subprocess.Process | None) -> None:
    if process is not None and process.returncode is None:
        process.kill()
        await process.wait()
