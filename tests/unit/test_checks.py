"""Active checks against real sockets and programs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast import checks
from holdfast.checks import http
from holdfast.config.model import CommandCheck, HttpCheck, TcpCheck
from tests.support.waiting import gone, until

PATIENCE = 20.0
"""Seconds after which a test gives up; nothing here takes one."""


@asynccontextmanager
async def serving(answer: bytes, *, hang: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives one answer to every connection and then closes it, or hangs."""
    requests: list[bytes] = []
    release = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if hang:
                await release.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        release.set()
        server.close()
        await server.wait_closed()


async def get(port: int, path: str = "/", deadline: float = PATIENCE) -> checks.CheckResult:
    return await checks.run(HttpCheck(url=f"http://127.0.0.1:{port}{path}", deadline=deadline))


async def test_a_2xx_answer_is_ok() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (port, requests):
        result = await get(port, "/health?deep=1 x\N{SNOWMAN}")
    assert result.ok
    assert result.measurements["status"] == 200
    assert requests[0].startswith(b"GET /health?deep=1%20x%E2%98%83 HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "status 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "status 302"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"", "closed after 0 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed after 27 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "ended after 4 of 10 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * http.MAX_HEAD, "header is longer"),
    ],
)
async def test_anything_else_is_not(answer: bytes, reason: str) -> None:
    async with serving(answer) as (port, _):
        result = await get(port)
    assert not result.ok
    assert reason in result.reason


async def test_a_large_body_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    async with serving(head + b"x" * http.MAX_BODY, hang=True) as (port, _):
        assert (await get(port)).ok


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_an_answer_that_hangs_is_a_failure_at_the_deadline(answer: bytes) -> None:
    async with serving(answer, hang=True) as (port, _):
        result = await get(port, deadline=0.2)
    assert not result.ok
    assert "within 0.2 s" in result.reason


@pytest.mark.parametrize(
    "url", ["http://", "http://x:99999/", "http://user:secret@127.0.0.1/", "http://[::1/"]
)
async def test_an_unusable_url_is_a_failure_that_tells_no_secret(url: str) -> None:
    result = await checks.run(HttpCheck(url=url))
    assert not result.ok
    assert "secret" not in result.reason


async def test_tcp() -> None:
    async with serving(b"") as (port, _):
        assert (await checks.run(TcpCheck(host="127.0.0.1", port=port))).ok
    refused = await checks.run(TcpCheck(host="127.0.0.1", port=port))
    assert not refused.ok
    assert str(port) in refused.reason


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-c", code, *args]


async def run_command(command: list[str], deadline: float = PATIENCE) -> checks.CheckResult:
    return await checks.run(CommandCheck(command=command, deadline=deadline))


async def test_exit_zero_is_ok() -> None:
    result = await run_command(["true"])
    assert result.ok
    assert result.measurements["exit_code"] == 0


async def test_the_last_line_said_is_the_reason() -> None:
    result = await run_command(
        python("import sys; print('x' * 10**6); print('no quorum\\x1b', file=sys.stderr); exit(3)")
    )
    assert not result.ok
    assert result.reason == "exit 3: no quorum"
    assert result.measurements["exit_code"] == 3


async def test_arguments_are_not_interpreted() -> None:
    result = await run_command(python("import sys; print(sys.argv[1:]); exit(1)", "$HOME", "; x"))
    assert result.reason == "exit 1: ['$HOME', '; x']"


async def test_a_program_that_is_not_there() -> None:
    result = await run_command(["/nowhere/check"])
    assert not result.ok
    assert "/nowhere/check" in result.reason


def family(pids: Path, then: str) -> list[str]:
    """A program that defies SIGTERM, has a child, tells both pids, and then does `then`."""
    script = f"""
        trap "" TERM
        sleep 1000 &
        echo "$$ $!" > "$1.new"
        mv "$1.new" "$1"
        {then}
    """
    return ["/bin/sh", "-c", script, "family", str(pids)]


async def test_a_hanging_program_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = asyncio.create_task(run_command(family(pids, "wait"), deadline=1.5))
    await until(pids.exists)
    members = [int(pid) for pid in pids.read_text().split()]
    assert not any(gone(pid) for pid in members)
    result = await running
    assert not result.ok
    assert "within 1.5 s" in result.reason
    await until(lambda: all(gone(pid) for pid in members))


async def test_children_left_behind_are_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    result = await run_command(family(pids, "exit 0"))
    assert result.ok
    members = [int(pid) for pid in pids.read_text().split()]
    await until(lambda: all(gone(pid) for pid in members))


async def test_a_cancelled_check_leaves_nothing(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = asyncio.create_task(run_command(family(pids, "wait")))
    await until(pids.exists)
    descriptors = len(os.listdir("/proc/self/fd"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    members = [int(pid) for pid in pids.read_text().split()]
    await until(lambda: all(gone(pid) for pid in members))
    assert len(os.listdir("/proc/self/fd")) < descriptors
