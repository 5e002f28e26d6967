"""Transmission, sans I/O: every command, every refusal, bounds, and that no input breaks it."""

import errno
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import nbd_protocol as protocol
from holdfast.nbd_protocol import (
    CHUNK,
    FLAG_DF,
    FLAG_FUA,
    FLAG_NO_HOLE,
    FLAG_REQ_ONE,
    SIMPLE_REPLY,
    SIMPLE_REPLY_MAGIC,
    Command,
)
from holdfast.storage_replication.nbd import long_read, payload, session
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.output import Piece
from holdfast.storage_replication.nbd.requests import MAX_UNFRAGMENTED, Rules
from holdfast.storage_replication.nbd.session import MAX_BYTES, MAX_REQUESTS, Session
from tests.support.memory_volume import MemoryVolume
from tests.support.nbd_client import request

SIZE = 8 * 1024 * 1024
BUFFER = 256 * 1024


class World:
    """A session, its volume, and a client that takes what is written."""

    def __init__(
        self, *, structured: bool = True, at_once: bool = True, read_only: bool = False
    ) -> None:
        self.volume = MemoryVolume(SIZE, at_once=at_once)
        export = Export(name="v1", size=SIZE, read_only=read_only)
        self.session = Session(
            export, self.volume, self, structured=structured, allocation=structured
        )
        self.sent = bytearray()
        self.kept = b""
        self.awake = self.closed = self.aborted = False

    def write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self.sent += piece

    def wake(self) -> None:
        self.awake = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True
        self.session.lost()

    def say(self, data: bytes) -> None:
        """As a connection does: never more than a buffer at once, nothing while stalled."""
        self.kept += data
        self.go_on()

    def go_on(self) -> None:
        while True:
            self.awake = False
            taken = self.session.receive(memoryview(self.kept)[:BUFFER])
            self.kept = self.kept[taken:]
            if not self.awake and (not taken or self.session.stalled):
                return

    def answer_all(self) -> None:
        while self.volume.waiting:
            self.volume.answer(len(self.volume.waiting) - 1)
            if self.awake:
                self.go_on()

    def replies(self) -> list[tuple[int, int, bytes]]:
        """Cookie, errno and content of each reply without READ data of simple replies."""
        found, at = [], 0
        while at < len(self.sent):
            magic, error, cookie = SIMPLE_REPLY.unpack_from(self.sent, at)
            if magic == SIMPLE_REPLY_MAGIC:
                at += SIMPLE_REPLY.size
                found.append((cookie, error, b""))
                continue
            _, _, kind, cookie, length = CHUNK.unpack_from(self.sent, at)
            at += CHUNK.size + length
            body = bytes(self.sent[at - length : at])
            number = int.from_bytes(body[:4], "big") if kind & 2**15 else 0
            found.append((cookie, number, bytes([kind & 0xFF]) + body))
        self.sent.clear()
        return found


def test_a_write_is_read_back_and_zeroes_travel_as_a_hole() -> None:
    world = World()
    world.say(request(Command.WRITE, 4096, 3, cookie=7, flags=FLAG_FUA) + b"abc")
    world.say(request(Command.READ, 4095, 5, cookie=8) + request(Command.READ, 0, 4096, cookie=9))
    assert world.volume.calls[0] == "write fua"
    offset = struct.pack(">Q", 4095)
    assert world.replies() == [
        (7, 0, b""),
        (8, 0, b"\1" + offset + b"\0abc\0"),
        (9, 0, b"\2" + bytes(8) + struct.pack(">I", 4096)),
    ]


def test_simple_replies_carry_the_data_behind_the_head() -> None:
    world = World(structured=False)
    world.say(request(Command.WRITE, 0, 2) + b"xy" + request(Command.READ, 0, 3, cookie=2))
    assert world.sent == protocol.simple_reply(1) + protocol.simple_reply(2) + b"xy\0"


@pytest.mark.parametrize(
    ("command", "offset", "length", "flags", "expected"),
    [
        (Command.READ, SIZE, 1, 0, errno.EINVAL),
        (Command.READ, 2**64 - 1, 2**32 - 1, 0, errno.EINVAL),
        (Command.READ, 0, 2**32 - 1, 0, errno.EINVAL),
        (Command.READ, 0, MAX_UNFRAGMENTED + 1, FLAG_DF, errno.EOVERFLOW),
        (Command.READ, 0, 1, FLAG_NO_HOLE, errno.EINVAL),
        (Command.WRITE_ZEROES, SIZE - 1, 2, 0, errno.ENOSPC),
        (Command.WRITE_ZEROES, 0, 2, 1 << 4, errno.EINVAL),  # fast zero is not offered
        (Command.TRIM, SIZE - 1, 2, 0, errno.EINVAL),
        (Command.TRIM, 0, 2, FLAG_NO_HOLE, errno.EINVAL),
        (Command.FLUSH, 1, 0, 0, errno.EINVAL),
        (Command.FLUSH, 0, 1, 0, errno.EINVAL),
        (Command.BLOCK_STATUS, 0, 0, 0, errno.EINVAL),
        (Command.BLOCK_STATUS, 0, SIZE + 1, 0, errno.EINVAL),
        (5, 0, 0, 0, errno.EINVAL),
        (8, 0, 0, 0, errno.EINVAL),
        (65535, 0, 0, 0, errno.EINVAL),
    ],
)
def test_a_wrong_request_is_refused_and_the_next_one_counts(
    command: int, offset: int, length: int, flags: int, expected: int
) -> None:
    world = World()
    world.say(request(command, offset, length, flags=flags) + request(Command.FLUSH, 0, 0))
    (_, number, body), (_, fine, _) = world.replies()
    assert (number, fine) == (expected, 0)
    assert len(body) > 8, "the refusal says why"
    assert world.volume.calls == ["flush"]


@pytest.mark.parametrize("length", [1, 100, payload.WHOLE + 5, protocol.MAX_PAYLOAD + 1])
@pytest.mark.parametrize("read_only", [False, True])
def test_the_data_of_a_refused_write_is_skipped(length: int, read_only: bool) -> None:
    world = World(read_only=read_only)
    world.say(request(Command.WRITE, SIZE - 1 if length == 1 else SIZE, length, flags=16))
    for _ in range(length // 65536):
        world.say(bytes(65536))
    world.say(bytes(length % 65536) + request(Command.FLUSH, 0, 0, cookie=2))
    assert [(cookie, bool(number)) for cookie, number, _ in world.replies()] == [
        (1, True),
        (2, False),
    ]


def test_a_long_write_is_applied_in_pieces_and_answered_once() -> None:
    world = World()
    data = bytes(range(256)) * 4096
    world.say(request(Command.WRITE, 512, len(data), flags=FLAG_FUA))
    for at in range(0, len(data), 50_000):
        world.say(data[at : at + 50_000])
    assert world.volume.data[512 : 512 + len(data)] == data
    writes = world.volume.calls.count("write")
    assert 2 < writes <= len(data) // payload.PIECE + 1
    assert world.volume.calls[writes:] == ["flush"], "FUA of a long write covers all its pieces"
    assert world.replies() == [(1, 0, b"")]


def test_an_error_of_any_piece_is_the_error_of_the_write() -> None:
    world = World()
    data = bytes(1024 * 1024)
    world.say(request(Command.WRITE, 0, len(data)) + data[: payload.WHOLE])
    world.volume.failing = errno.EDQUOT
    world.say(data[payload.WHOLE : 2 * payload.WHOLE])
    world.volume.failing = 0
    world.say(data[2 * payload.WHOLE :])
    assert [(cookie, number) for cookie, number, _ in world.replies()] == [(1, errno.ENOSPC)]


@pytest.mark.parametrize("structured", [True, False])
def test_a_long_read_comes_in_pieces_and_stops_while_nobody_takes_them(structured: bool) -> None:
    world = World(structured=structured)
    world.volume.data[:] = bytes(range(1, 256)) * (SIZE // 255) + bytes(SIZE % 255)
    world.session.paused = True
    world.say(request(Command.READ, 0, SIZE) + request(Command.FLUSH, 0, 0, cookie=2))
    assert world.session.stalled
    assert not world.sent
    world.session.paused = False
    world.go_on()
    assert world.volume.calls == ["read"] * (SIZE // long_read.PIECE) + ["flush"]
    if structured:
        chunks = [body[9:] for cookie, _, body in world.replies() if cookie == 1]
        assert b"".join(chunks) == world.volume.data
    else:
        assert world.sent[16:-16] == world.volume.data


def test_a_long_simple_read_waits_until_it_is_alone_and_breaks_off_with_its_connection() -> None:
    world = World(structured=False, at_once=False)
    world.say(request(Command.FLUSH, 0, 0, cookie=1) + request(Command.READ, 0, SIZE, cookie=2))
    assert world.volume.calls == ["flush"], "its data must not be interrupted by another reply"
    world.volume.answer()
    assert world.awake
    world.go_on()
    world.volume.answer()
    world.go_on()
    world.volume.failing = errno.EIO
    world.volume.answer()
    world.go_on()
    assert world.aborted, "an error after the head can't be told"


def test_an_error_in_a_long_structured_read_is_told() -> None:
    world = World(at_once=False)
    world.say(request(Command.READ, 0, SIZE))
    world.volume.failing = errno.EIO
    world.volume.answer()
    world.go_on()
    assert [number for _, number, _ in world.replies()] == [errno.EIO]


def test_block_status_tells_the_extents() -> None:
    world = World()
    world.say(request(Command.BLOCK_STATUS, 0, 8192))
    world.say(request(Command.BLOCK_STATUS, 0, 8192, flags=FLAG_REQ_ONE))
    (_, _, both), (_, _, one) = world.replies()
    assert both[5:] == struct.pack(">IIII", 4096, 0, 4096, 3)
    assert one[5:] == struct.pack(">II", 4096, 0)


def test_zeroes_keep_their_space_if_asked_to() -> None:
    world = World()
    for command, flags in (
        (Command.TRIM, 0),
        (Command.WRITE_ZEROES, 0),
        (Command.WRITE_ZEROES, FLAG_NO_HOLE),
    ):
        world.say(request(command, 0, 4096, flags=flags))
    assert world.volume.calls == ["punch", "punch", "zero"]


def test_empty_ranges_are_answered() -> None:
    world = World()
    for command in (Command.READ, Command.WRITE, Command.TRIM, Command.WRITE_ZEROES):
        world.say(request(command, 0, 0))
    assert [number for _, number, _ in world.replies()] == [0] * 4
    assert not world.volume.calls


def test_what_is_in_flight_is_bounded_in_number_and_bytes() -> None:
    world = World(at_once=False)
    world.say(request(Command.FLUSH, 0, 0) * (2 * MAX_REQUESTS))
    assert len(world.volume.waiting) == MAX_REQUESTS
    world.answer_all()
    assert len(world.replies()) == 2 * MAX_REQUESTS
    world.say(request(Command.READ, 0, 1024 * 1024) * 64)
    assert len(world.volume.waiting) == MAX_BYTES // (1024 * 1024)
    world.answer_all()
    assert len(world.replies()) == 64


def test_a_client_with_much_to_ask_lets_others_have_their_turn() -> None:
    world = World()
    world.kept = request(Command.BLOCK_STATUS, 0, 4096) * 100
    taken = world.session.receive(memoryview(world.kept))
    assert taken < len(world.kept) // 10
    assert world.session.stalled
    assert world.awake


def test_a_disconnect_waits_for_what_is_in_flight() -> None:
    world = World(at_once=False)
    world.say(request(Command.FLUSH, 0, 0) + request(Command.DISC, 0, 0) + b"nonsense")
    assert not world.closed
    world.volume.answer()
    assert world.closed
    assert world.replies() == [(1, 0, b"")]


def test_a_lost_connection_gets_no_answer() -> None:
    world = World(at_once=False)
    data = bytes(payload.WHOLE * 2)
    world.say(request(Command.FLUSH, 0, 0) + request(Command.READ, 0, 1))
    world.say(request(Command.WRITE, 0, len(data)) + data[:-1])
    world.session.lost()
    while world.volume.waiting:
        world.volume.answer()
    assert not world.sent


def test_a_wrong_magic_ends_the_connection() -> None:
    world = World()
    world.say(bytes(28))
    assert world.aborted


requests = st.builds(
    lambda command, offset, length, flags, cookie, data: (
        request(command, offset, len(data) or length, flags=flags, cookie=cookie) + data
    ),
    st.sampled_from([*Command, 5, 77]),
    st.one_of(st.integers(0, SIZE + 10), st.integers(0, 2**64 - 1)),
    st.one_of(st.integers(0, 10_000), st.integers(0, 2**32 - 1)),
    st.sampled_from([0, 0, 1, 2, 4, 8, 16, 0xFFFF]),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=20),
)


@given(
    st.lists(st.one_of(requests, st.binary(max_size=60)), max_size=12),
    st.integers(1, 200),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_no_input_in_any_split_breaks_it(
    said: list[bytes], split: int, structured: bool, at_once: bool, choice: st.DataObject
) -> None:
    world = World(structured=structured, at_once=at_once)
    stream = b"".join(said)
    for at in range(0, len(stream), split):
        world.say(stream[at : at + split])
        assert len(world.kept) <= len(stream)
        if choice.draw(st.booleans()) and world.volume.waiting:
            world.volume.answer(choice.draw(st.integers(0, len(world.volume.waiting) - 1)))
            world.go_on()
        if world.closed or world.aborted:
            break
    world.answer_all()
    assert not world.volume.waiting
    assert len(world.sent) <= (len(said) + 1) * protocol.MAX_PAYLOAD


@given(st.lists(st.tuples(st.integers(0, 64), st.integers(1, 8), st.booleans()), max_size=20))
def test_what_is_read_is_what_was_written(steps: list[tuple[int, int, bool]]) -> None:
    world, model = World(), bytearray(80 * 512)
    for number, (block, blocks, zero) in enumerate(steps, 1):
        offset, length = block * 512, blocks * 512
        if zero:
            world.say(request(Command.WRITE_ZEROES, offset, length))
            model[offset : offset + length] = bytes(length)
        else:
            data = bytes([number]) * length
            world.say(request(Command.WRITE, offset, length) + data)
            model[offset : offset + length] = data
    world.replies()
    world.say(request(Command.READ, 0, len(model), flags=FLAG_DF))
    ((_, _, body),) = world.replies()
    content = body[9:] if body[0] == protocol.CHUNK_OFFSET_DATA else bytes(len(model))
    assert content == model


def test_the_limits_leave_room_for_what_clients_use() -> None:
    assert session.MAX_REQUESTS >= 128
    assert payload.WHOLE + protocol.REQUEST.size < BUFFER - payload.PIECE


@pytest.mark.parametrize("structured", [True, False])
def test_nothing_is_written_for_a_client_that_is_gone(structured: bool) -> None:
    """A connection that is gone takes nothing: writing to it is an error."""
    world = World(structured=structured, at_once=False)
    world.volume.data[:] = b"x" * SIZE
    world.say(request(Command.READ, 0, 2 * long_read.PIECE))
    world.session.lost()
    world.volume.answer()
    assert world.sent == b""
    assert not world.volume.waiting


def test_a_read_that_is_too_long_is_told_so_by_the_error_of_its_kind() -> None:
    """EOVERFLOW says "without DF it would do": nothing else may say that."""
    export = Export(name="v1", size=1 << 30)
    rules = Rules(export, structured=True, allocation=False)
    for flags, length, expected in (
        (0, protocol.MAX_PAYLOAD + 1, errno.EINVAL),
        (FLAG_DF, protocol.MAX_PAYLOAD + 1, errno.EINVAL),
        (FLAG_DF, protocol.MAX_PAYLOAD, errno.EOVERFLOW),
    ):
        refused = rules.refusal(Command.READ, flags, 0, length)
        assert refused is not None
        assert refused[0] == expected
    assert rules.refusal(Command.READ, 0, 0, protocol.MAX_PAYLOAD) is None
