"""Clients that flood, stall, leave and talk nonsense, beside one that works."""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from holdfast.nbd_protocol import (
    CLIENT_FLAGS,
    FLAG_FUA,
    GREETING,
    Command,
    Option,
)
from tests.support.data_path import DataPath
from tests.support.nbd_client import Client, connect, exactly, go, option, request, set_context
from tests.volumes.served import Primary

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
MIB = 1024 * 1024
OWN = 256 * MIB
"""From here on the volume is the good client's."""


def good_work(served: DataPath, rounds: int) -> None:
    """Writes, flushes and reads back; nothing may be lost, refused or late by 20 s."""
    source = random.Random(3)
    kept: dict[int, bytes] = {}
    with Client(served.socket) as client:
        for number in range(rounds):
            offset = OWN + source.randrange(64) * 65536
            kept[offset] = source.randbytes(source.choice([512, 4096, 65536]))
            assert client.write(offset, kept[offset], FLAG_FUA if number % 7 == 0 else 0) == 0
            if number % 50 == 0:
                assert client.flush() == 0
            offset = source.choice(list(kept))
            assert client.read(offset, len(kept[offset])) == kept[offset]


@contextlib.contextmanager
def beside(count: int, work: Callable[[int, threading.Event], None]) -> Iterator[None]:
    """`work` in `count` threads until the end."""
    enough = threading.Event()
    threads = [threading.Thread(target=work, args=(n, enough), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def test_floods_harm_nobody_and_memory_is_bounded(served: DataPath) -> None:
    kinds = [
        request(Command.WRITE, MIB, 4096) + bytes(4096),
        request(Command.READ, 0, 4096),
        request(Command.BLOCK_STATUS, 0, 256 * MIB),
        request(Command.FLUSH, 0, 0),
        request(Command.WRITE_ZEROES, 16 * MIB, 16 * MIB),
        request(Command.READ, 0, 32 * MIB),
        request(Command.WRITE, 64 * MIB, 8 * MIB) + bytes(8 * MIB),
        request(77, 0, 0),
    ]

    def flood(number: int, enough: threading.Event) -> None:
        words = kinds[number % len(kinds)]
        words *= max(1, 65536 // len(words))
        with Client(served.socket) as client, contextlib.suppress(OSError):
            client.sock.settimeout(0.2)
            takes = number % 2
            while not enough.is_set():
                with contextlib.suppress(TimeoutError):
                    client.sock.sendall(words)
                with contextlib.suppress(TimeoutError):
                    while takes and not enough.is_set() and client.sock.recv(MIB):
                        pass

    with Client(served.socket) as client:
        for at in range(0, 256 * MIB, MIB):  # holes as many as BLOCK_STATUS may tell
            assert client.write(at, b"x") == 0
    before = served.resident()
    with beside(16, flood):
        good_work(served, 60 if isinstance(served, Primary) else 300)
        grown = served.resident() - before
    assert grown < 16 * 16 * MIB, f"{grown / MIB:.0f} MiB"
    good_work(served, 50)


def test_mutated_conversations_break_nothing(served: DataPath) -> None:
    """Proper conversations with bytes changed, cut and repeated."""
    source = random.Random(11)
    proper = [
        CLIENT_FLAGS.pack(3),
        option(Option.STRUCTURED_REPLY),
        option(Option.LIST),
        set_context(),
        go(),
        request(Command.WRITE, 0, 300) + bytes(300),
        request(Command.READ, 0, 4096),
        request(Command.BLOCK_STATUS, 0, 4096),
        request(Command.TRIM, 4096, 4096),
        request(Command.FLUSH, 0, 0),
        request(Command.DISC, 0, 0),
    ]
    for _ in range(1500):
        words = bytearray(b"".join(proper[: source.randrange(2, len(proper) + 1)]))
        for _ in range(source.randrange(4)):
            at = source.randrange(len(words))
            words[at] = source.choice([0, 1, 127, 255, source.randrange(256)])
        cut = source.randrange(len(words))
        with connect(served.socket) as sock, contextlib.suppress(ConnectionError, EOFError):
            exactly(sock, GREETING.size)
            sock.sendall(words[:cut])
            sock.sendall(words[cut:])
            if source.random() < 0.5:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            elif source.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    good_work(served, 50)
