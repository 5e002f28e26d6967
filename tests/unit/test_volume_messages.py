"""What members say to each other beside the data: no body, and no frame, can break a process."""

import errno
import tracemalloc
import zlib

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.storage_replication.engine import accepting, handshake
from holdfast.storage_replication.engine.frames import (
    MAX_PAYLOAD,
    Frame,
    FrameError,
    Kind,
    encode,
    parse,
)
from holdfast.storage_replication.engine.messages import Hello, Refusal, Welcome
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.engine.turns import Turns
from tests.simulation.volumes.world import SIZE, World
from tests.support.volume_world import quiet

MIB = 1 << 20
NESTED = b"\x81\xa1x" + b"\x91" * 2000 + b"\xc0"
"""A body whose field `x` is a list in a list in a list, and so on."""
HUGE = b"\xdf\xff\xff\xff\xff" + bytes(100)
"""A body that says that it has four thousand million fields."""

whole = st.integers(-(2**63), 2**64 - 1)
anything = st.recursive(
    st.none() | st.booleans() | whole | st.binary(max_size=50) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
named = st.dictionaries(
    st.sampled_from(["protocol", "uuid", "primary", "member", "size", "intact", "resyncing"])
    | st.sampled_from(["active", "reason", "more"]),
    anything | st.sampled_from(["volume-1", "a", "b", b"", True, SIZE]),
)
bodies = st.binary(max_size=300) | anything.map(msgspec.msgpack.encode)
bodies |= named.map(msgspec.msgpack.encode)


class Ear:
    """A `Link` of which only the end is of interest."""

    def __init__(self) -> None:
        self.closed = False

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        """What is sent can be parsed; after `close` it is for nobody."""
        assert parse(memoryview(frame + bytes(payload))) is not None

    def close(self) -> None:
        self.closed = True


def hello(size: int = SIZE) -> bytes:
    """Of a's, to b."""
    return msgspec.msgpack.encode(Hello(uuid="volume-1", primary="a", member="b", size=size))


def follower() -> tuple[World, Replica]:
    """Member b, whose primary is gone."""
    world, leader = quiet()
    leader.close()
    world.loop.run(world.loop.now + 1.0)
    machine = world.machines["b"]
    disk = machine.disk
    assert disk is not None

    def enlarge(size: int) -> None:
        # As os.ftruncate: some sizes no file has, others the disk has no room for.
        if size >= 1 << 63:
            raise OverflowError("Python int too large to convert to C long")
        if size > 4 * SIZE:
            raise OSError(errno.ENOSPC, "no room")
        machine.data.resize(size)

    turns = Turns(lambda then: world.loop.at(0.0, then))
    return world, Replica(disk, lambda _event: None, enlarge, turns)


@given(bodies)
@example(NESTED)
@example(HUGE)
@settings(deadline=None)
def test_a_body_is_understood_or_not(body: bytes) -> None:
    told = accepting.parse(memoryview(body))
    assert told is None or isinstance(told, Hello)
    assert handshake.refusal(body)


def test_a_reason_that_is_too_long_is_cut() -> None:
    """It is told on: to the service each second, to people, in the record of events."""
    body = msgspec.msgpack.encode(Refusal(reason="x" * MAX_PAYLOAD))
    assert len(handshake.refusal(body)) <= 1000


# The activity log of a WELCOME.


def welcome(active: bytes) -> bytes:
    """Of a member that has forgotten nothing."""
    return msgspec.msgpack.encode(Welcome(intact=True, resyncing=False, active=active))


@pytest.fixture(scope="module")
def leader() -> Primary:
    """Of a quiet volume with 4 extents."""
    return quiet()[1]


@given(bodies | st.binary(max_size=60).map(welcome))
@example(NESTED)
@example(HUGE)
@example(welcome(zlib.compress(b"\xff" * 1000)))
@settings(deadline=None)
def test_a_welcome_that_makes_no_sense_is_refused_whole(leader: Primary, body: bytes) -> None:
    peer = leader.members.peers["b"]
    peer.dirty.fill(False)
    if handshake.welcome(leader.stream, peer, body) is None:
        assert peer.dirty.total() == 0


@given(st.sets(st.integers(0, 3)), st.data())
@settings(deadline=None)
def test_a_part_of_an_activity_log_is_none(
    leader: Primary, active: set[int], data: st.DataObject
) -> None:
    """Or what the rest would have told of is never compared."""
    count = leader.disk.geometry.extents(leader.size)
    assert count == 4
    packed = handshake.pack_active(sorted(active), count)
    peer = leader.members.peers["b"]
    peer.dirty.fill(False)
    cut = data.draw(st.integers(0, len(packed) - 1))
    assert handshake.welcome(leader.stream, peer, welcome(packed[:cut])) is None
    assert handshake.welcome(leader.stream, peer, welcome(packed + b"more")) is None
    assert peer.dirty.total() == 0
    assert handshake.welcome(leader.stream, peer, welcome(packed)) is not None
    per_extent = leader.disk.geometry.extent // leader.disk.geometry.chunk
    assert {chunk // per_extent for chunk in peer.dirty} == active
    assert peer.dirty.total() == len(active) * per_extent


def test_an_activity_log_that_inflates_costs_nothing(leader: Primary) -> None:
    bomb = welcome(zlib.compress(bytes(512 * MIB), 9))
    assert len(bomb) < MAX_PAYLOAD
    peer = leader.members.peers["b"]
    tracemalloc.start()
    try:
        assert handshake.welcome(leader.stream, peer, bomb) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB, f"{peak / MIB:.1f} MiB"


# Frames, whole and well-formed, of somebody who means harm.

near = st.integers(0, 2 * SIZE) | st.sampled_from([SIZE - 1, SIZE, 2**62, 2**63 - 1, 2**63])
numbers = st.integers(0, 50) | st.sampled_from([2**31, 2**63, 2**64 - 1])


@st.composite
def frames(draw: st.DrawFn, kinds: list[Kind], epoch: int) -> tuple[Frame, bytes] | None:
    """As parsed; None: the parser refuses it."""
    kind = draw(st.sampled_from(kinds))
    length, payload = draw(st.integers(0, SIZE)), b""
    if kind is Kind.WRITE:
        payload = draw(st.binary(min_size=1, max_size=2000))
        length = len(payload)
    elif kind is Kind.HELLO:
        payload = draw(bodies | near.map(hello))
    elif kind in (Kind.WELCOME, Kind.REFUSED, Kind.HASHES):
        payload = draw(bodies)
    header = encode(
        kind,
        draw(st.just(epoch) | numbers),
        draw(numbers),
        offset=draw(near),
        length=length,
        payload=payload,
        flags=draw(st.integers(0, 1)),
    )
    try:
        found = parse(memoryview(header + payload))
    except FrameError:
        return None
    assert found is not None
    return found[0], payload


@given(st.lists(frames(list(Kind), 2), max_size=20))
@example([(Frame(Kind.HELLO, 0, 2, 0, 0, 0), hello(2**63))])
@example([(Frame(Kind.HELLO, 0, 2, 0, 0, 0), hello(2**64 - 1))])
@example([(Frame(Kind.BEGIN, 1, 2, 0, 0, 0), b""), (Frame(Kind.WRITE, 0, 2, 1, 1, 1), b"x")])
@settings(max_examples=60, deadline=None)
def test_no_frames_break_a_replica(came: list[tuple[Frame, bytes] | None]) -> None:
    world, replica = follower()
    assert replica.disk.failed == 0
    link = Ear()
    replica.frame_received(link, Frame(Kind.HELLO, 0, 2, 0, 0, 0), memoryview(hello()))
    for one in came:
        if one is not None and not link.closed:
            replica.frame_received(link, one[0], memoryview(one[1]))
            replica.acknowledge()
            world.loop.run(world.loop.now + 0.05)
    assert replica.disk.failed == 0, "its disk is not to blame"
    assert replica.disk.superblock.size <= 4 * SIZE


@given(st.lists(frames(list(Kind), 1), max_size=20))
@settings(max_examples=60, deadline=None)
def test_no_frames_break_a_primary(came: list[tuple[Frame, bytes] | None]) -> None:
    """Whatever a member says: the primary loses it, and has its own data."""
    world, leader = quiet()
    before = leader.disk.file.pread(0, SIZE)
    leader.link_down("b", leader.members.peers["b"].link or Ear())
    link = Ear()
    leader.link_up("b", link)
    epoch = leader.disk.superblock.epoch
    assert epoch == 1
    for one in came:
        if one is not None and leader.members.peers["b"].link is link:
            leader.frame_received("b", link, *one)
            world.loop.run(world.loop.now + 0.01)
    assert leader.disk.failed == 0
    assert leader.disk.file.pread(0, SIZE) == before
