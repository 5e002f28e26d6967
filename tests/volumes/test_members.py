"""Members of a replicated volume in use: changed, behind, frozen, over TLS; real processes."""

import signal
import socket
import ssl
from pathlib import Path
from random import Random

import pytest

from holdfast.config.load import load
from holdfast.console.certificates import issue_missing
from holdfast.storage_replication.control import Bounds, Failed, FallBack, Resize, SetMembers
from holdfast.storage_replication.engine.ports import Deposed, MemberLost, ResyncDone, ResyncStarted
from tests.support.cluster_file import write_cluster_file
from tests.support.nbd_client import Client
from tests.support.replicated import MIB, Volume, running

pytestmark = pytest.mark.volumes
BLOCK = 64 << 10


def _blocks(seed: int, count: int) -> list[bytes]:
    random = Random(seed)
    return [random.randbytes(BLOCK) for _ in range(count)]


def _lag(volume: Volume) -> int:
    state = volume.primary.state
    assert state is not None
    return state.members["b"].lag_bytes


def test_the_loss_of_an_async_member_is_within_what_was_reported(tmp_path: Path) -> None:
    bounds = Bounds(member_timeout=60.0)
    with running(Volume(tmp_path, asynchronous=("b",), bounds=bounds)) as volume:
        volume.settled()
        assert volume.record.following == {"b"}
        replica = volume.nodes["b"]
        blocks = _blocks(1, 128)
        with volume.client() as client:
            replica.send_signal(signal.SIGSTOP)
            for number, data in enumerate(blocks):
                assert client.write(number * BLOCK, data) == 0
        volume.until(lambda: _lag(volume) == len(blocks) * BLOCK, "the lag is told")
        state = volume.primary.state
        assert state is not None
        reported = state.members["b"].lag_bytes
        assert state.members["b"].lag_seconds > 0
        volume.nodes["a"].end()
        replica.send_signal(signal.SIGCONT)
        volume.fail_over("b", accept_loss=True)
        with volume.client() as client:
            there = [client.read(n * BLOCK, BLOCK) == data for n, data in enumerate(blocks)]
        # In order: what is lost is the end of it.
        assert there == sorted(there, reverse=True)
        assert there.count(False) * BLOCK <= reported
        volume.restart("a")
        volume.settled()
        volume.same()


@pytest.mark.parametrize("hold", [True, False])
def test_an_async_member_over_its_bound(tmp_path: Path, hold: bool) -> None:
    bounds = Bounds(member_timeout=60.0, max_lag_bytes=MIB, hold_when_behind=hold)
    with running(Volume(tmp_path, asynchronous=("b",), bounds=bounds)) as volume:
        volume.settled()
        primary, replica = volume.primary, volume.nodes["b"]
        replica.send_signal(signal.SIGSTOP)
        with volume.client() as client:
            for number in range(17):
                client.send_write(number * BLOCK, bytes(BLOCK))
            if hold:
                volume.until(
                    lambda: primary.state and "bound" in primary.state.frozen, "writes are held"
                )
                assert _lag(volume) <= MIB
                replica.send_signal(signal.SIGCONT)
            for _ in range(17):
                assert client.reply() == 0
            if not hold:
                volume.until(lambda: not volume.record.following, "recorded as behind")
                (lost,) = primary.soon(MemberLost)
                assert lost.reason == "behind its bound"
                replica.send_signal(signal.SIGCONT)
            volume.settled()
        volume.same()


def test_it_grows_while_it_is_used(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        with volume.client() as old:
            volume.primary.done(Resize(id=volume.id(), size=40 * MIB))
            assert old.write(0, b"old") == 0
            with volume.client() as new:
                assert new.write(39 * MIB, b"new") == 0
                assert new.flush() == 0
        assert isinstance(volume.primary.order(Resize(id=volume.id(), size=MIB)), Failed)
        volume.same()
        volume.demote("a")
        volume.promote("b")
        with volume.client() as client:
            assert client.read(39 * MIB, 3) == b"new"


def test_members_leave_and_come(tmp_path: Path) -> None:
    with running(Volume(tmp_path, ("a", "b", "c"))) as volume:
        volume.settled()
        primary = volume.primary
        others = volume.others("a")
        without = {name: member for name, member in others.items() if name != "c"}
        primary.done(SetMembers(id=volume.id(), members=without))
        volume.until(
            lambda: primary.state and list(primary.state.members) == ["b"], "c is forgotten"
        )
        assert volume.record.in_sync == {"a", "b"}
        assert isinstance(primary.order(SetMembers(id=volume.id(), members=others)), Failed), (
            "one that comes cannot count"
        )
        with volume.client() as client:
            assert client.write(MIB, b"without c") == 0
            primary.done(SetMembers(id=volume.id(), members=volume.others("a")))
            volume.settled()
            assert client.write(2 * MIB, b"with c") == 0
            assert client.flush() == 0
        volume.same()


@pytest.mark.parametrize("asynchronous", [(), ("a", "b")], ids=["sync", "async"])
def test_an_old_primary_that_was_killed_gets_what_changed(
    tmp_path: Path, asynchronous: tuple[str, ...]
) -> None:
    size = 256 * MIB
    with running(Volume(tmp_path, size=size, asynchronous=asynchronous)) as volume:
        volume.settled()
        with volume.client() as client:
            for number, data in enumerate(_blocks(1, 64)):
                assert client.write(number * BLOCK, data) == 0
            assert client.write(9 * MIB, b"the last word of a") == 0
            assert client.flush() == 0
        volume.nodes["a"].end()
        volume.fail_over("b", accept_loss=bool(asynchronous))
        with volume.client() as client:
            assert client.read(9 * MIB, 18) == b"the last word of a"
            assert client.write(101 * MIB, b"written without a") == 0
        volume.restart("a")
        volume.settled()
        (started,) = volume.nodes["b"].soon(ResyncStarted)
        (done,) = volume.nodes["b"].soon(ResyncDone)
        assert 0 < started.bytes <= 12 * MIB, "of 256: the extents that are active"
        assert 0 < done.bytes <= 64 << 10, "of them, what differs"
        volume.same()


def test_an_unfinished_resync_is_undone(tmp_path: Path) -> None:
    with running(Volume(tmp_path, size=64 * MIB)) as volume:
        volume.settled()
        replica, old = volume.nodes["b"], _blocks(1, 512)
        with volume.client() as client:
            for number, data in enumerate(old):
                assert client.write(number * 2 * BLOCK, data) == 0
            replica.end()
            for number, data in enumerate(_blocks(2, 512)):
                assert client.write(number * 2 * BLOCK, data) == 0
        volume.restart("b")
        volume.until(lambda: replica.state and replica.state.resyncing, "a resync is under way")
        volume.nodes["a"].end()
        volume.until(lambda: replica.state and not replica.state.connected, "alone")
        assert replica.state is not None
        assert replica.state.fallback
        replica.done(FallBack(id=volume.id(), epoch=replica.state.epoch))
        volume.fail_over("b", accept_loss=True)
        with volume.client() as client:
            for number, data in enumerate(old):
                assert client.read(number * 2 * BLOCK, BLOCK) == data
            volume.restart("a")
            volume.settled()
        (*_, last) = replica.soon(ResyncStarted)
        assert last.member == "a"
        volume.same()


def test_members_know_each_other_by_their_certificates(tmp_path: Path) -> None:
    places = load(write_cluster_file(tmp_path, [])).places()
    for cluster in ("ours", "theirs"):
        for place in places:
            (tmp_path / cluster / place).mkdir(parents=True)
        issue_missing(places, ["operator"], tmp_path / cluster, {})
    first, second = list(places)[:2]
    with running(Volume(tmp_path, (first, second), secrets=tmp_path / "ours"), first) as volume:
        volume.settled()
        with volume.client() as client:
            assert client.write(0, b"over TLS") == 0
        volume.same()
        where = ("127.0.0.1", volume.nodes[second].port)
        with socket.create_connection(where, 20) as plain:
            plain.sendall(b"HFv1" + bytes(100))
            assert not _answer(plain)
        stranger = ssl.create_default_context(cafile=str(tmp_path / "ours" / first / "ca.pem"))
        folder = tmp_path / "theirs" / first
        stranger.load_cert_chain(folder / "server.pem", folder / "server.key")
        with socket.create_connection(where, 20) as raw:
            assert not _told(raw, stranger, second)
        with Client(volume.primary.nbd) as client:
            assert client.read(0, 8) == b"over TLS"


def test_a_frozen_member_is_lost_and_returns(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        replica = volume.nodes["b"]
        replica.send_signal(signal.SIGSTOP)
        with volume.client() as client:
            assert client.write(MIB, b"without b") == 0
            assert volume.record.in_sync == {"a"}
            replica.send_signal(signal.SIGCONT)
            volume.settled()
        volume.same()


def test_a_frozen_primary_that_wakes_finds_itself_replaced(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        old = volume.nodes["a"]
        with volume.client() as client:
            assert client.write(0, b"first") == 0
            old.send_signal(signal.SIGSTOP)
            client.send_write(0, b"stale")
            volume.fail_over("b")
            with Client(volume.nodes["b"].nbd) as other:
                assert other.read(0, 5) == b"first"
                assert other.write(0, b"newer") == 0
                old.send_signal(signal.SIGCONT)
                with pytest.raises((EOFError, ConnectionError)):
                    client.reply()
                volume.settled()
                assert other.read(0, 5) == b"newer"
        assert old.soon(Deposed)
        volume.same()


def _answer(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1)
    except ConnectionError:
        return b""


def _told(raw: socket.socket, context: ssl.SSLContext, name: str) -> bytes:
    """With TLS 1.3 a refused certificate is noticed with the first bytes."""
    try:
        with context.wrap_socket(raw, server_hostname=name) as wrapped:
            wrapped.sendall(b"HFv1" + bytes(100))
            return wrapped.recv(1)
    except (ssl.SSLError, ConnectionError):
        return b""
