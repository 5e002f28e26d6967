"""The ledger as a real process: crashes, conflicts, full disks, bad requests, an orderly stop."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.ledger import record
from holdfast.ledger.client import LedgerClient
from holdfast.ledger.file_log import FILE_NAME
from tests.support.ledgers import DEADLINE, Ledger, ledger, refused_start


def test_entries_are_acknowledged_once_and_listed(tmp_path: Path) -> None:
    with ledger(tmp_path, "--epoch", "3") as running:
        assert running.post("a", "one") == (201, {"id": "a", "index": 1, "epoch": 3})
        assert running.post("b", "zwei é 💾") == (201, {"id": "b", "index": 2, "epoch": 3})
        assert running.post("a", "other") == (200, {"id": "a", "index": 1, "epoch": 3})
        status, listed = running.get("/entries?after=0&limit=1")
        assert (status, listed["next"], listed["total"]) == (200, 1, 2)
        _, listed = running.get("/entries?after=1&limit=500")
        entry = {"index": 2, "epoch": 3, "id": "b", "note": "zwei é 💾"}
        assert listed == {"entries": [entry], "next": None, "total": 2}
        health = {"entries": 2, "epoch": 3, "pid": running.process.pid}
        assert running.get("/healthz") == (200, health)


def test_nothing_acknowledged_is_lost_when_killed_in_the_middle_of_writes(tmp_path: Path) -> None:
    with ledger(tmp_path, "--epoch", "1") as first:
        address = first.address
        client = LedgerClient([first.url])
        client.start()
        assert client.wait_acknowledged(10, DEADLINE)
        client.mark("killed")
        first.kill()
    for epoch in ("2", "3", "4"):
        with ledger(tmp_path, "--epoch", epoch, listen=address) as next_one:
            assert client.wait_acknowledged(5, DEADLINE)
            next_one.kill()
    with ledger(tmp_path, listen=address):
        assert client.wait_acknowledged(5, DEADLINE)
        outage = client.mark("quiet").longest_outage
        assert client.wait_acknowledged(5, DEADLINE)
        report = client.finish()
    assert report.ok, report
    assert report.acknowledged >= 35
    assert report.failed_requests > 0
    assert 0 < outage == report.longest_outage
    assert [phase.label for phase in report.phases] == ["start", "killed", "quiet"]
    assert sum(phase.acknowledged for phase in report.phases) == report.acknowledged


def test_the_observer_notices_what_a_broken_ledger_loses(tmp_path: Path) -> None:
    journal = tmp_path / FILE_NAME
    with ledger(tmp_path) as first:
        client = LedgerClient([first.url])
        client.start()
        assert client.wait_acknowledged(6, DEADLINE)
        first.kill()
        acknowledged = client.acknowledged
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: acknowledged - 3]))
    with ledger(tmp_path, listen=first.address):
        assert client.wait_acknowledged(3, DEADLINE)
        report = client.finish()
    assert report.verdict is not None
    assert (report.verdict.lost, report.ok) == (3, False)


def test_a_torn_tail_is_cut_off_at_the_next_start(tmp_path: Path) -> None:
    with ledger(tmp_path) as first:
        first.post("a")
        first.kill()
    torn = record.encode(record.Entry(2, 0, "b", "never ended"))[:-7]
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(torn)
    with ledger(tmp_path) as second:
        assert second.get("/healthz")[1]["entries"] == 1
        assert second.post("b")[1]["index"] == 2
        second.kill()
        assert second.process.stderr is not None
        assert f"cutting off {len(torn)} bytes" in second.process.stderr.read()


def test_a_corrupt_line_in_the_middle_refuses_to_start(tmp_path: Path) -> None:
    with ledger(tmp_path) as running:
        for entry_id in ("a", "b", "c"):
            running.post(entry_id)
    journal = tmp_path / FILE_NAME
    journal.write_bytes(journal.read_bytes().replace(b'"b"', b'"B"'))
    code, error = refused_start(tmp_path)
    assert code == 5
    assert str(journal) in error
    assert "line 2" in error
    assert "cure: restore" in error


def test_a_second_ledger_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    with ledger(tmp_path, "--epoch", "1") as first:
        code, error = refused_start(tmp_path, "--epoch", "2")
        assert (code, "another ledger holds this journal" in error) == (3, True)
        assert first.post("a")[0] == 201
        first.process.send_signal(signal.SIGSTOP)
        assert refused_start(tmp_path, "--epoch", "2")[0] == 3
        first.kill()
    with ledger(tmp_path, "--epoch", "2") as second:
        assert second.get("/healthz")[1]["entries"] == 1


def test_an_overtaken_epoch_is_refused_for_good(tmp_path: Path) -> None:
    with ledger(tmp_path, "--epoch", "5"):
        pass  # killed before its first entry
    code, error = refused_start(tmp_path, "--epoch", "4")
    assert (code, "at epoch 5" in error) == (4, True)
    with ledger(tmp_path) as same:
        assert same.get("/healthz")[1]["epoch"] == 5


def test_wrong_places_and_arguments_are_said_clearly(tmp_path: Path) -> None:
    assert refused_start(tmp_path / "missing")[0] == 6
    with ledger(tmp_path) as running:
        (tmp_path / "other").mkdir()
        code, error = refused_start(tmp_path / "other", listen=running.address)
    assert (code, running.address in error, "cure:" in error) == (7, True, True)
    assert refused_start(tmp_path, listen="nowhere")[0] == 2
    assert refused_start(tmp_path, "--epoch", "-1")[0] == 2


def test_a_full_disk_is_said_and_heals(tmp_path: Path) -> None:
    """The limit on the file's size lets a part of the record be written, as a full disk does."""
    with ledger(tmp_path) as running:
        running.post("a")
        size = (tmp_path / FILE_NAME).stat().st_size
        unlimited = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size + 10, unlimited[1]))
        status, answer = running.post("b")
        assert (status, "cannot write" in str(answer["error"])) == (503, True)
        assert running.get("/healthz")[0] == 503
        assert running.get("/entries")[1]["total"] == 1
        assert running.post("a")[0] == 200
        assert (tmp_path / FILE_NAME).stat().st_size == size
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert running.post("b")[1]["index"] == 2
        assert running.get("/healthz")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_file_system_acknowledges_nothing_it_does_not_keep(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=32k tmpfs {tmp_path} && exec "$@"'
    in_own_mounts = ["unshare", "--mount", "sh", "-c", script, "sh"]
    with ledger(tmp_path, prefix=in_own_mounts) as running:
        statuses = [running.post(f"entry-{n}", "x" * 3000)[0] for n in range(15)]
        kept = statuses.count(201)
        assert 0 < kept < 15
        assert statuses == [201] * kept + [503] * (15 - kept)
        assert running.get("/healthz")[0] == 503
        assert running.get("/entries")[1]["total"] == kept


def test_a_removed_journal_is_not_written_any_more(tmp_path: Path) -> None:
    with ledger(tmp_path) as running:
        running.post("a")
        (tmp_path / FILE_NAME).unlink()
        assert running.get("/healthz")[0] == 503
        assert running.post("b")[0] == 503


def test_sigterm_ends_the_request_in_flight_and_exits_clean(tmp_path: Path) -> None:
    body = json.dumps({"id": "last", "note": ""}).encode()
    head = f"POST /entries HTTP/1.1\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with ledger(tmp_path) as running, running.connect() as connection, running.connect() as other:
        assert health_over(other) == (200, None)
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)
        running.process.terminate()
        # Requests on an open connection show when the stop has begun: the last one is told so.
        answer_to_other = next(seen for _ in range(10_000) if (seen := health_over(other))[1])
        assert answer_to_other in [(503, "close"), (200, "close")]
        connection.sendall(body)
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert (answer.status, answer.getheader("Connection")) == (201, "close")
        assert running.process.wait(DEADLINE) == 0
        with pytest.raises(ConnectionRefusedError):
            running.connect()
    with ledger(tmp_path) as again:
        assert again.post("last")[0] == 200


def health_over(connection: socket.socket) -> tuple[int, str | None]:
    """Status and `Connection` header of one more request on an open connection."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        answer.read()
        return answer.status, answer.getheader("Connection")


def test_a_request_that_never_ends_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with ledger(tmp_path) as running, running.connect() as connection:
        connection.sendall(b"POST /entries HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        running.get("/healthz")
        running.process.terminate()
        assert running.process.wait(3.0) == 0


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("POST /entries HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + "x" * 5000, 413),
        ("POST /entries HTTP/1.1\r\nContent-Length: 1\r\n\r\n{", 400),
        ('POST /entries HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"id":"a" }', 400),
        ('POST /entries HTTP/1.1\r\nContent-Length: 20\r\n\r\n{"id":"","note":"a" }', 400),
        ("POST /entries HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /entries HTTP/1.1\r\n\r\n", 411),
        ("POST /entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
        ("DELETE /entries HTTP/1.1\r\n\r\n", 501),
        ("GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        ("GET /entries?limit=501 HTTP/1.1\r\n\r\n", 400),
        ("GET /entries?after=-1 HTTP/1.1\r\n\r\n", 400),
        ("GET /entries?befor=1 HTTP/1.1\r\n\r\n", 400),
        ("GET /" + "x" * 70000 + " HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_a_bad_request_is_refused_and_changes_nothing(
    ledger_for_bad_requests: Ledger, request_text: str, status: int
) -> None:
    with ledger_for_bad_requests.connect() as connection:
        connection.sendall(request_text.encode())
        with http.client.HTTPResponse(connection) as response:
            response.begin()
            assert response.status == status
            assert json.loads(response.read())["error"]
    assert ledger_for_bad_requests.get("/healthz")[1]["entries"] == 0


@pytest.fixture(scope="module")
def ledger_for_bad_requests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger(tmp_path_factory.mktemp("bad")) as running:
        yield running


def test_connections_are_bounded(tmp_path: Path) -> None:
    with ledger(tmp_path) as running, contextlib.ExitStack() as open_ones:
        for _ in range(64):
            open_ones.enter_context(running.connect())
        assert running.get("/healthz")[0] == 503
        open_ones.close()
        # The slots come free as the server sees the connections end.
        assert any(try_health(running) == 200 for _ in range(1000))


def try_health(running: Ledger) -> int:
    with contextlib.suppress(Exception):
        return running.get("/healthz")[0]
    return 0
