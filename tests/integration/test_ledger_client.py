"""The outside observer against a ledger that works and servers that do everything wrong."""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.ledger.client import LedgerClient
from holdfast.ledger.journal import Journal
from holdfast.ledger.server import LedgerServer

DEADLINE = 10.0
OK = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
REPLIES = [
    b"",
    b"HTTP/1.1 20",
    OK + b'Content-Length: 100\r\n\r\n{"id": "half',
    OK + b"Content-Length: 2\r\n\r\n[]",
    OK + b'Content-Length: 26\r\n\r\n{"id":"foreign","index":1} ',
    b"\x00\xff garbage\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
]


class HostileServer:
    """Gives connections one bad reply after the other; resets every second, ignores every tenth."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections = 0
        self._counted = threading.Condition()
        self._silent: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._counted:
                turn, self._connections = self._connections, self._connections + 1
                self._counted.notify_all()
            if turn % 10 == 9:
                self._silent.append(connection)
                continue
            with connection, contextlib.suppress(OSError):
                if turn % 2:
                    reset = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                else:
                    connection.recv(65536)
                    connection.sendall(REPLIES[turn // 2 % len(REPLIES)])

    def wait_connections(self, count: int) -> bool:
        with self._counted:
            return self._counted.wait_for(lambda: self._connections >= count, DEADLINE)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)
        for connection in self._silent:
            connection.close()


class RunningServer:
    """A ledger within this process."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.journal = Journal.open(folder)
        server = LedgerServer(("127.0.0.1", port), self.journal)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=server.serve_until, args=[self._wake])
        self._thread.start()

    def close(self) -> None:
        self._waker.send(b"x")
        self._thread.join(DEADLINE)
        self.journal.close()
        self._wake.close()
        self._waker.close()


def test_the_observer_survives_every_bad_reply(tmp_path: Path) -> None:
    hostile = HostileServer()
    url = f"http://127.0.0.1:{hostile.port}"
    client = LedgerClient([url], request_timeout=0.3)
    try:
        client.start()
        assert hostile.wait_connections(2 * len(REPLIES) + 10)
        assert client.acknowledged == 0
    finally:
        hostile.close()
    good = RunningServer(tmp_path, hostile.port)
    try:
        assert client.wait_acknowledged(3, DEADLINE)
        report = client.finish()
        # What was tried again and again is one entry.
        assert len(good.journal) == report.acknowledged
    finally:
        good.close()
    assert report.ok, report
    assert report.failed_requests >= 2 * len(REPLIES) + 9


def test_no_ledger_at_all_is_reported_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.ledger.client.READ_BACK_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = LedgerClient([f"http://127.0.0.1:{port}"])
    client.start()
    assert not client.wait_acknowledged(1, 0.2)
    report = client.finish()
    assert (report.ok, report.verdict, report.acknowledged) == (False, None, 0)
    assert report.longest_outage >= 0.2
    assert "refused" in str(report.last_error)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "https://x", "http://", "http://x/path"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not http://HOST:PORT"):
        LedgerClient([url])


@pytest.mark.parametrize("how_long", [["--seconds", "0.5"], ["--until-stdin-closes"]])
def test_the_command_ends_with_its_report_as_json(tmp_path: Path, how_long: list[str]) -> None:
    good = RunningServer(tmp_path)
    command = [sys.executable, "-m", "holdfast.ledger.client", "--url", good.url, *how_long]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if how_long == ["--until-stdin-closes"]:
                seen = LedgerClient([good.url])
                seen.start()
                assert seen.wait_acknowledged(10, DEADLINE)
                assert seen.finish().ok
            output, _ = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
            good.close()
    report = json.loads(output.splitlines()[-1])
    assert process.returncode == 0
    assert (report["ok"], report["verdict"]["lost"]) == (True, 0)
    assert report["acknowledged"] > 0
