"""Whoever reaches the port of replication and is no member, or is one that has gone mad.

What a volume promises meanwhile: its clients are served, its members come back, its data is the
same, no process dies, and its memory stays below a bound that is said here.
"""

import contextlib
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from holdfast.clock import monotonic
from holdfast.config.load import load
from holdfast.console.certificates import issue_missing
from holdfast.storage_replication.data_path.listener import HANDSHAKE, MAX_LINKS
from holdfast.storage_replication.engine.frames import Kind, encode
from holdfast.storage_replication.engine.messages import Hello
from tests.support.cluster_file import write_cluster_file
from tests.support.data_path import resident
from tests.support.replicated import MIB, Volume, running
from tests.support.replicated_member import Node

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
LOOPBACK = "127.0.0.1"
MORE = 64 * MIB
"""Of memory that a data path may take for strangers: 16 links of a buffer each, and what Python
keeps."""
SLACK = 20
"""Sockets that are just being closed."""


def frame(kind: Kind, epoch: int, payload: bytes = b"") -> bytes:
    """On the wire."""
    return encode(kind, epoch, payload=payload) + payload


def hello(node: Node, epoch: int, *, primary: str = "a", uuid: str = "7f3c") -> bytes:
    """As the primary would say it to this member."""
    told = Hello(uuid=uuid, primary=primary, member=node.name, size=node.volume.size)
    return frame(Kind.HELLO, epoch, msgspec.msgpack.encode(told))


NESTED = frame(Kind.HELLO, 1, b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0")
WRITE = frame(Kind.HELLO, 1, bytes(MIB))


def silent(_: Node) -> Iterator[bytes]:
    """Says nothing."""
    yield from ()


def half_a_header(_: Node) -> Iterator[bytes]:
    """And waits."""
    yield WRITE[:20]


def half_a_frame(_: Node) -> Iterator[bytes]:
    """A HELLO of a MiB that does not come to its end."""
    yield WRITE[: MIB // 2]


def garbage(_: Node) -> Iterator[bytes]:
    """For as long as it is taken."""
    while True:
        yield random.randbytes(65536)


def nested(_: Node) -> Iterator[bytes]:
    """A HELLO that is deep, and nothing else."""
    yield NESTED


def refused(node: Node) -> Iterator[bytes]:
    """Over and over again, and does not listen to why."""
    while True:
        yield 100 * hello(node, 10_000, uuid="another")


def past(node: Node) -> Iterator[bytes]:
    """Of an epoch that is over."""
    yield hello(node, 0)


STRANGERS: list[Callable[[Node], Iterator[bytes]]] = [
    silent, half_a_header, half_a_frame, garbage, nested, refused, past,
]  # fmt: skip


@contextlib.contextmanager
def beset(node: Node, count: int, kinds: list[Callable[[Node], Iterator[bytes]]]) -> Iterator[None]:
    """By so many at a time, who come again when they are cut off."""
    over = threading.Event()

    def one(number: int) -> None:
        while not over.is_set():
            with (
                contextlib.suppress(OSError),
                socket.create_connection((node.host, node.port), 5) as sock,
            ):
                sock.settimeout(0.2)
                _say(sock, kinds[number % len(kinds)](node), over)
            over.wait(0.05)

    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def _say(sock: socket.socket, words: Iterator[bytes], over: threading.Event) -> None:
    """All of it; then wait until the other side has enough, or the test."""
    for word in words:
        left = memoryview(word)
        while left:
            if over.is_set():
                return
            with contextlib.suppress(TimeoutError):
                left = left[sock.send(left) :]
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            if not sock.recv(1):  # one byte at a time: what is said to it piles up
                return


def good_work(volume: Volume, rounds: int) -> None:
    """Nothing is lost or refused."""
    source = random.Random(rounds)
    kept: dict[int, bytes] = {}
    with volume.client() as client:
        for number in range(rounds):
            offset = source.randrange(volume.size // 65536) * 65536
            kept[offset] = source.randbytes(source.choice([512, 4096, 65536]))
            assert client.write(offset, kept[offset]) == 0
            if number % 50 == 0:
                assert client.flush() == 0
            offset = source.choice(list(kept))
            assert client.read(offset, len(kept[offset])) == kept[offset]


def sockets(pid: int) -> int:
    """How many a process holds."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return count


def unharmed(volume: Volume, pids: list[int]) -> None:
    """Everybody is in step, in the same processes, which complained of nothing unexpected."""
    volume.settled()
    good_work(volume, 20)
    volume.same()
    assert [node.pid for node in volume.nodes.values()] == pids
    for node in volume.nodes.values():
        assert node.process is not None
        assert node.process.poll() is None
        assert "Traceback" not in node.log.read_text()


@pytest.mark.parametrize("beset_one", ["a", "b"], ids=["primary", "replica"])
def test_strangers_harm_nobody(tmp_path: Path, beset_one: str) -> None:
    with running(Volume(tmp_path, ("a", "b", "c"))) as volume:
        volume.settled()
        good_work(volume, 50)
        epoch, pids = volume.record.epoch, [node.pid for node in volume.nodes.values()]
        before = {name: resident(node.pid) for name, node in volume.nodes.items()}
        node = volume.nodes[beset_one]
        with beset(node, 100, STRANGERS):
            began = monotonic()
            while monotonic() - began < HANDSHAKE / 2:
                good_work(volume, 50)
                assert volume.record.in_sync == {"a", "b", "c"}, "nobody was taken for lost"
                assert sockets(node.pid) <= 2 * MAX_LINKS + SLACK
            for name, member in volume.nodes.items():
                grown = resident(member.pid) - before[name]
                assert grown < MORE, f"{name}: {grown / MIB:.0f} MiB"
        assert (volume.record.epoch, volume.record.primary) == (epoch, "a")
        unharmed(volume, pids)


def test_a_member_returns_while_strangers_hold_its_port(tmp_path: Path) -> None:
    """They come first, and say nothing, or what is refused: who is a member is let in."""
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        node = volume.nodes["b"]
        pids = [one.pid for one in volume.nodes.values()]
        strangers = beset(node, 2 * MAX_LINKS, [silent, past, half_a_frame])
        with strangers, contextlib.ExitStack() as held:
            for _ in range(MAX_LINKS):
                sock = held.enter_context(socket.create_connection((node.host, node.port)))
                with contextlib.suppress(OSError):
                    sock.sendall(hello(node, 0))
            with socket.create_connection((node.host, node.port)) as rival:
                # It speaks as the primary does, so the real one loses its place.
                rival.sendall(hello(node, volume.record.epoch))
                volume.until(lambda: "b" not in volume.record.in_sync, "the primary is cut")
            good_work(volume, 50)
            volume.settled()
        unharmed(volume, pids)


def test_a_primary_gone_mad(tmp_path: Path) -> None:
    """A valid HELLO of the very primary, then anything; again and again."""

    def mad(node: Node) -> Iterator[bytes]:
        yield hello(node, node.volume.record.epoch)
        yield random.choice(
            [
                random.randbytes(65536),
                frame(Kind.PING, 1) * 1000,
                frame(Kind.BEGIN, node.volume.record.epoch)[:30],
                hello(node, node.volume.record.epoch) * 100,
                frame(Kind.WELCOME, node.volume.record.epoch, b"what?"),
                encode(Kind.RESIZE, node.volume.record.epoch, offset=1 << 62),
            ]
        )

    with running(Volume(tmp_path, ("a", "b", "c"))) as volume:
        volume.settled()
        pids = [node.pid for node in volume.nodes.values()]
        before = {name: resident(node.pid) for name, node in volume.nodes.items()}
        with beset(volume.nodes["b"], 4, [mad]):
            good_work(volume, 300)
            assert "c" in volume.record.in_sync, "the other one is left alone"
            for name, member in volume.nodes.items():
                grown = resident(member.pid) - before[name]
                assert grown < MORE, f"{name}: {grown / MIB:.0f} MiB"
        unharmed(volume, pids)


def test_handshakes_of_tls_that_stand_still_are_bounded(tmp_path: Path) -> None:
    places = load(write_cluster_file(tmp_path, [])).places()
    for place in places:
        (tmp_path / "secrets" / place).mkdir(parents=True)
    issue_missing(places, ["operator"], tmp_path / "secrets", {})
    one, other = list(places)[:2]
    with running(Volume(tmp_path, (one, other), secrets=tmp_path / "secrets"), one) as volume:
        volume.settled()
        node = volume.nodes[other]
        pids = [member.pid for member in volume.nodes.values()]
        before = resident(node.pid)
        with contextlib.ExitStack() as held:
            for number in range(400):
                sock = held.enter_context(socket.create_connection((node.host, node.port), 20))
                with contextlib.suppress(OSError):
                    sock.sendall(b"\x16\x03\x01\x02\x00" if number % 2 else b"")
            good_work(volume, 50)
            assert sockets(node.pid) <= 2 * MAX_LINKS + SLACK
            assert resident(node.pid) - before < MORE
            # The primary comes anew, as after a loss of the network, and is let in.
            node.end()
            volume.until(lambda: other not in volume.record.in_sync, "it is lost")
            volume.restart(other)
            pids = [member.pid for member in volume.nodes.values()]
            for _ in range(400):
                held.enter_context(socket.create_connection((node.host, node.port), 20))
            volume.settled()
        unharmed(volume, pids)
