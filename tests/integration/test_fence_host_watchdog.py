"""The watchdog of a simulated host, and clients that are killed."""

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

from tests.support.waiting import until


async def test_a_client_that_is_killed_before_it_reads_an_answer_does_not_end_it() -> None:
    with tempfile.TemporaryDirectory() as short:  # a socket's path has at most 107 characters
        path = Path(short) / "watchdog"
        program = [sys.executable, "-m", "holdfast.fence_host.watchdog"]
        program += ["--run-dir", short, "--host", "alpha", "--socket", str(path)]
        watchdog = await asyncio.create_subprocess_exec(*program)
        try:
            for _ in range(3):
                await until(lambda: _answers(path, read=True), within=30, what="an answer")
                await until(lambda: _answers(path, read=False), within=30, what="another")
            await until(lambda: _answers(path, read=True), within=30, what="the last answer")
            assert watchdog.returncode is None
        finally:
            watchdog.kill()
            await watchdog.wait()


def _answers(path: Path, *, read: bool) -> bool:
    """Whether it takes a client and answers a word that means nothing yet; it takes one at a time.

    Without `read` the client is gone before it has read the answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(30)
            client.connect(str(path))
            client.send(b"K")
            return client.recv(16, 0 if read else socket.MSG_PEEK) == b"no"
    except (FileNotFoundError, ConnectionError):
        return False
