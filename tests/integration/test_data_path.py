"""A data path as a process: who asks properly is served, who does not harms nobody else."""

import contextlib
import hashlib
import os
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import nbd_protocol as protocol
from holdfast.nbd_protocol import CLIENT_FLAGS, GREETING, Command, Option
from holdfast.storage_replication.nbd.room import MAX_CONNECTIONS
from tests.support.data_path import DEADLINE, DataPath, running
from tests.support.nbd_client import Client, connect, exactly, go, option, reply, request

MIB = 1024 * 1024
COMMAND = (sys.executable, "-m", "holdfast.storage_replication.data_path")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPath]:
    path = DataPath(tmp_path_factory.mktemp("volume"), size=64 * MIB)
    with running(path, "--tcp", "127.0.0.1:0"):
        yield path


@pytest.mark.parametrize("structured", [True, False])
def test_writes_are_read_back_over_both_sockets(served: DataPath, structured: bool) -> None:
    data = random.Random(7).randbytes(3 * MIB)
    with Client(served.socket, structured=structured) as here:
        assert here.write(12345, data, protocol.FLAG_FUA) == 0
        assert here.flush() == 0
        with Client(("127.0.0.1", served.port), structured=structured) as there:
            assert there.read(12345, len(data)) == data
            assert there.read(16 * MIB, 2 * MIB) == bytes(2 * MIB)


def test_block_status_tells_holes(served: DataPath) -> None:
    with Client(served.socket) as client:
        assert client.write(40 * MIB, b"x" * 4096) == 0
        assert client.call(Command.WRITE_ZEROES, 48 * MIB, 4 * MIB)[0] == 0
        error, told = client.call(Command.BLOCK_STATUS, 40 * MIB, 8 * MIB)
    assert error == 0
    assert list(struct.iter_unpack(">II", told)) == [(4096, 0), (8 * MIB - 4096, 3)]


def test_nonsense_closes_its_own_connection_only(served: DataPath) -> None:
    with Client(served.socket) as good:
        for words in (
            bytes(28),
            b"GET / HTTP/1.1\r\n\r\n" * 10,
            CLIENT_FLAGS.pack(3) + bytes(100),
            CLIENT_FLAGS.pack(3) + option(99) + go() + bytes(28),
            CLIENT_FLAGS.pack(3) + option(Option.GO, bytes(70_000)),
        ):
            with connect(served.socket) as bad:
                bad.sendall(words)
                with contextlib.suppress(ConnectionError):
                    while bad.recv(65536):
                        pass
            assert good.write(0, b"still here") == 0
        assert good.read(0, 10) == b"still here"


def test_clients_that_leave_in_the_middle_harm_nobody(served: DataPath) -> None:
    with Client(served.socket) as good:
        for cut in (
            request(Command.WRITE, 0, 8 * MIB) + bytes(200_000),
            request(Command.WRITE, 20 * MIB, 4096) + bytes(100),
            request(Command.READ, 0, 32 * MIB) * 20,
            request(Command.WRITE_ZEROES, 24 * MIB, 8 * MIB) * 50,
            request(Command.FLUSH, 0, 0) * 300,
        ):
            bad = Client(served.socket)
            bad.sock.sendall(cut)
            bad.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            bad.sock.close()
        assert good.write(20 * MIB, b"good" * 1024, protocol.FLAG_FUA) == 0
        assert good.read(20 * MIB, 4096) == b"good" * 1024


def test_clients_that_take_nothing_stop_only_themselves_and_memory_is_bounded(
    served: DataPath,
) -> None:
    with Client(served.socket) as good:
        assert good.write(0, os.urandom(32 * MIB)) == 0
        before = served.resident()
        bad = [Client(served.socket, structured=number % 2 == 0) for number in range(8)]
        for client in bad:
            client.sock.setblocking(False)
            asked = request(Command.READ, 0, 32 * MIB) * 100 + request(Command.READ, 0, MIB) * 9000
            with contextlib.suppress(BlockingIOError):
                while client.sock.send(asked):
                    pass
        for number in range(200):
            assert good.write(number * 4096, b"%4096d" % number) == 0
            assert good.read(number * 4096, 4096) == b"%4096d" % number
        grown = served.resident() - before
        for client in bad:
            client.sock.close()
    assert grown < len(bad) * 12 * MIB, f"{grown / MIB:.0f} MiB for {len(bad)} clients"


def test_a_client_too_many_is_closed_and_room_is_made_again(served: DataPath) -> None:
    crowd = [Client(served.socket) for _ in range(MAX_CONNECTIONS)]
    try:
        with connect(served.socket) as late, pytest.raises((EOFError, ConnectionError)):
            exactly(late, GREETING.size)
        assert crowd[-1].write(0, b"x") == 0
    finally:
        for client in crowd:
            client.sock.sendall(request(Command.DISC, 0, 0))
            assert client.sock.recv(1) == b""
            client.sock.close()
    with Client(served.socket) as next_one:
        assert next_one.read(0, 1) == b"x"


def test_strangers_who_say_nothing_keep_nobody_away(served: DataPath) -> None:
    """Neither who is on the node, nor who comes over TCP after them and negotiates."""
    there = ("127.0.0.1", served.port)
    with contextlib.ExitStack() as open_ones:
        early = open_ones.enter_context(Client(there))
        for _ in range(MAX_CONNECTIONS + 8):
            open_ones.enter_context(connect(there))
        here = open_ones.enter_context(Client(served.socket))
        assert here.write(0, b"here") == 0
        late = open_ones.enter_context(Client(there))
        assert late.read(0, 4) == b"here"
        assert early.write(0, b"kept") == 0, "who is served stays"


def test_a_crowd_on_one_listener_leaves_room_at_the_other(served: DataPath) -> None:
    there = ("127.0.0.1", served.port)
    with contextlib.ExitStack() as open_ones:
        for _ in range(MAX_CONNECTIONS):
            open_ones.enter_context(Client(there))
        with connect(there) as late, pytest.raises((EOFError, ConnectionError)):
            exactly(late, GREETING.size)
        here = open_ones.enter_context(Client(served.socket))
        assert here.write(0, b"here") == 0


def test_a_kill_and_a_restart_lose_nothing_and_only_one_serves(tmp_path: Path) -> None:
    path = DataPath(tmp_path, size=4 * MIB)
    with running(path):
        with Client(path.socket) as client:
            assert client.write(0, b"before", protocol.FLAG_FUA) == 0
            second = subprocess.run(
                [*COMMAND, "--volume", "v1", "--file", path.file, "--unix", tmp_path / "x"],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            assert second.returncode == 2
            assert "somebody else holds it" in second.stderr
            path.kill()
            with pytest.raises((EOFError, ConnectionError)):
                client.read(0, 6)
        path.start()
        with Client(path.socket) as client:
            assert client.read(0, 6) == b"before"


def test_a_stop_answers_what_is_in_flight(tmp_path: Path) -> None:
    path = DataPath(tmp_path, size=64 * MIB)
    with running(path), Client(path.socket) as client:
        zero = request(Command.WRITE_ZEROES, 0, 64 * MIB, flags=protocol.FLAG_FUA)
        client.sock.sendall(request(Command.WRITE, 0, 4096) + bytes(4096) + zero)
        assert reply(client.sock, 0, 0)[0] == 0, "the one after it is in flight by now"
        assert path.stop() == 0
        assert reply(client.sock, 0, 0)[0] == 0
        assert client.sock.recv(1) == b""
    assert not path.socket.exists()
    assert (
        hashlib.sha256(path.file.read_bytes()).digest() == hashlib.sha256(bytes(64 * MIB)).digest()
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--file", "/nonexistent", "--unix", "/tmp/x"], "No such file"),
        (["--file", "/dev/null"], "at least one of"),
        (["--file", "/dev/null", "--tcp", "0.0.0.0:10809"], "--secrets"),
        (["--file", "/dev/null", "--tcp", "localhost:10809"], "--secrets"),
        (["--file", "/dev/null", "--tcp", "nonsense"], "HOST:PORT"),
        (["--file", "/dev/null", "--unix", "/x", "--secrets", "/nonexistent"], "certificates"),
    ],
)
def test_it_says_why_it_does_not_start(arguments: list[str], reason: str) -> None:
    ended = subprocess.run(
        [*COMMAND, "--volume", "v1", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ended.returncode == 2
    assert reason in ended.stderr
