"""The parser of replication frames: strict, bounded, and indifferent to how bytes arrive."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage_replication.engine.frames import (
    MAX_LENGTH,
    MAX_PAYLOAD,
    SIZE,
    Frame,
    FrameError,
    Kind,
    encode,
    parse,
)
from holdfast.storage_replication.receive_buffer import ReceiveBuffer

numbers = st.integers(0, 2**62)


class Stream:
    """What has arrived; `feed` tells which frames are complete now."""

    def __init__(self) -> None:
        self.buffer = ReceiveBuffer(1 << 20)

    def feed(self, data: bytes | bytearray) -> list[tuple[Frame, bytes]]:
        self.buffer.space()[: len(data)] = data
        self.buffer.filled(len(data))
        found: list[tuple[Frame, bytes]] = []
        while (whole := parse(self.buffer.data)) is not None:
            frame, payload = whole
            found.append((frame, bytes(payload)))
            self.buffer.consume(SIZE + len(payload))
        return found


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, Frame, bytes]:
    """A frame as bytes, and what it says."""
    kind = draw(st.sampled_from(Kind))
    epoch, sequence, offset = draw(numbers), draw(numbers), draw(numbers)
    payload = b""
    length = draw(st.integers(1, MAX_LENGTH))
    if kind is Kind.WRITE:
        payload = draw(st.binary(min_size=1, max_size=600))
        length = len(payload)
    elif kind in (Kind.HELLO, Kind.WELCOME, Kind.REFUSED, Kind.HASHES):
        payload = draw(st.binary(max_size=600))
    flags = draw(st.integers(0, 1)) if kind in (Kind.BEGIN, Kind.HASH, Kind.ZERO) else 0
    header = encode(
        kind, epoch, sequence, offset=offset, length=length, payload=payload, flags=flags
    )
    return header + payload, Frame(kind, flags, epoch, sequence, offset, length), payload


@given(st.lists(frames(), max_size=5), st.lists(st.integers(1, 200), max_size=30))
def test_what_is_encoded_is_parsed_however_it_is_cut(
    sent: list[tuple[bytes, Frame, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(raw for raw, _, _ in sent)
    arriving, found = Stream(), []
    for cut in cuts:
        found += arriving.feed(stream[:cut])
        stream = stream[cut:]
    found += arriving.feed(stream)
    assert found == [(frame, payload) for _, frame, payload in sent]


@given(frames(), st.data())
def test_any_changed_bit_is_noticed(sent: tuple[bytes, Frame, bytes], data: st.DataObject) -> None:
    """Either at once, or the frame waits for bytes that never come: nothing wrong is believed."""
    raw = bytearray(sent[0])
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit >> 3] ^= 1 << (bit & 7)
    found: list[tuple[Frame, bytes]] = []
    with suppress(FrameError):
        found = Stream().feed(bytes(raw))
    assert found == []


@given(st.binary(max_size=2000))
def test_garbage_ends_the_connection(garbage: bytes) -> None:
    if len(garbage) >= SIZE:
        with pytest.raises(FrameError):
            Stream().feed(garbage)
    else:
        assert Stream().feed(garbage) == []


def test_a_frame_that_is_too_large_is_refused_before_it_is_collected() -> None:
    header = bytearray(encode(Kind.WRITE, 1, length=MAX_PAYLOAD, payload=bytes(MAX_PAYLOAD)))
    header[36:40] = (MAX_PAYLOAD + 1).to_bytes(4, "big")
    with pytest.raises(FrameError, match="too many"):
        Stream().feed(header)
