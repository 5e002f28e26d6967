"""The handshake, sans I/O: what it answers, and that no input breaks it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import nbd_protocol as protocol
from holdfast.nbd_protocol import (
    CLIENT_FLAGS,
    OPTION,
    OPTION_MAGIC,
    OPTION_REPLY,
    Info,
    Option,
    OptionReply,
    Transmission,
)
from holdfast.storage_replication.nbd.negotiation import (
    MAX_OPTION,
    MAX_OPTIONS,
    Negotiation,
    Next,
    Tls,
)
from holdfast.storage_replication.nbd.options import Export
from tests.support.nbd_client import go, option, set_context

EXPORT = Export(name="v1", size=1 << 30)
STRUCTURED = option(Option.STRUCTURED_REPLY)


def begun(tls: Tls = Tls.NOT_OFFERED, flags: int = 3) -> Negotiation:
    negotiation = Negotiation(EXPORT, tls)
    step = negotiation.receive(memoryview(CLIENT_FLAGS.pack(flags)))
    assert step is not None
    assert step.next is Next.OPTIONS
    return negotiation


def answer(negotiation: Negotiation, words: bytes) -> tuple[list[tuple[int, bytes]], Next]:
    step = negotiation.receive(memoryview(words))
    assert step is not None
    assert step.consumed == len(words)
    found, at = [], 0
    while at < len(step.reply):
        _, _, kind, length = OPTION_REPLY.unpack_from(step.reply, at)
        at += OPTION_REPLY.size + length
        found.append((kind, step.reply[at - length : at]))
    return found, step.next


def test_go_tells_the_size_the_flags_and_the_block_sizes() -> None:
    negotiation = begun()
    answer(negotiation, STRUCTURED)
    replies, following = answer(negotiation, go())
    assert following is Next.TRANSMISSION
    assert replies[-1] == (OptionReply.ACK, b"")
    told = {int.from_bytes(data[:2], "big"): data for kind, data in replies[:-1]}
    _, size, flags = struct.unpack(">HQH", told[Info.EXPORT])
    assert size == EXPORT.size
    assert flags & Transmission.CAN_MULTI_CONN
    assert flags & Transmission.SEND_DF
    assert struct.unpack(">HIII", told[Info.BLOCK_SIZE])[1:] == (1, 4096, 32 * 1024 * 1024)


def test_without_structured_replies_there_is_no_df() -> None:
    _, size_and_flags = begun(), b""
    step = begun(flags=1).receive(memoryview(option(Option.EXPORT_NAME, b"v1")))
    assert step is not None
    size_and_flags = step.reply
    assert step.next is Next.TRANSMISSION
    assert len(size_and_flags) == 134  # this client wants its zeroes
    assert not int.from_bytes(size_and_flags[8:10], "big") & Transmission.SEND_DF
    short = begun(flags=3).receive(memoryview(option(Option.EXPORT_NAME, b"")))
    assert short is not None
    assert len(short.reply) == 10


def test_a_read_only_export_offers_no_change() -> None:
    flags = Export(name="v1", size=1, read_only=True).flags(structured=True)
    assert flags & Transmission.READ_ONLY
    assert not flags & (Transmission.SEND_TRIM | Transmission.SEND_WRITE_ZEROES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (option(99), OptionReply.ERR_UNSUP),
        (go(b"other"), OptionReply.ERR_UNKNOWN),
        (option(Option.GO, b"\xff\xff\xff\xff"), OptionReply.ERR_INVALID),
        (option(Option.GO, b"\0\0\0\2v1\0\5"), OptionReply.ERR_INVALID),
        (option(Option.INFO, b""), OptionReply.ERR_INVALID),
        (option(Option.LIST, b"x"), OptionReply.ERR_INVALID),
        (option(Option.STRUCTURED_REPLY, b"x"), OptionReply.ERR_INVALID),
        (option(Option.STARTTLS), OptionReply.ERR_POLICY),
        (set_context(), OptionReply.ERR_INVALID),  # structured replies come first
    ],
)
def test_a_wrong_option_is_refused_and_the_next_one_counts(words: bytes, expected: int) -> None:
    negotiation = begun()
    replies, following = answer(negotiation, words)
    assert following is Next.OPTIONS
    assert [kind for kind, _ in replies] == [expected]
    assert replies[0][1], "the refusal says why"
    assert answer(negotiation, go())[1] is Next.TRANSMISSION


@pytest.mark.parametrize(
    "queries",
    [b"\0\0\0\1", b"\0\0\0\1\0\0\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\0x"],
)
def test_malformed_queries_are_refused(queries: bytes) -> None:
    negotiation = begun()
    answer(negotiation, STRUCTURED)
    replies, _ = answer(negotiation, option(Option.LIST_META_CONTEXT, b"\0\0\0\2v1" + queries))
    assert replies[0][0] == OptionReply.ERR_INVALID


def test_the_context_counts_for_the_export_it_was_asked_for() -> None:
    for name, counts in ((b"v1", True), (b"", False)):
        negotiation = begun()
        answer(negotiation, STRUCTURED)
        replies, _ = answer(negotiation, set_context(name=b"v1"))
        assert replies[0] == (OptionReply.META_CONTEXT, b"\0\0\0\1base:allocation")
        answer(negotiation, go(name))
        assert negotiation.allocation is counts


def test_a_context_that_fails_replaces_the_one_before() -> None:
    negotiation = begun()
    answer(negotiation, STRUCTURED)
    answer(negotiation, set_context())
    answer(negotiation, set_context(query=b"base:"))  # not a wildcard when setting
    answer(negotiation, go())
    assert not negotiation.allocation


def test_listing_knows_the_wildcard() -> None:
    negotiation = begun()
    answer(negotiation, STRUCTURED)
    body = b"\0\0\0\2v1" + struct.pack(">II", 1, 5) + b"base:"
    replies, _ = answer(negotiation, option(Option.LIST_META_CONTEXT, body))
    assert replies[0][1][4:] == protocol.ALLOCATION
    nothing = b"\0\0\0\2v1" + struct.pack(">II", 1, 7) + b"qemu:x:"
    replies, _ = answer(negotiation, option(Option.LIST_META_CONTEXT, nothing))
    assert [kind for kind, _ in replies] == [OptionReply.ACK]


def test_before_tls_nothing_is_told() -> None:
    negotiation = begun(Tls.REQUIRED)
    for words in (option(Option.LIST), go(), STRUCTURED, option(99)):
        assert answer(negotiation, words)[0][0][0] == OptionReply.ERR_TLS_REQD
    assert answer(begun(Tls.REQUIRED), option(Option.EXPORT_NAME, b"v1"))[1] is Next.CLOSE
    assert answer(negotiation, option(Option.STARTTLS)) == (
        [(OptionReply.ACK, b"")],
        Next.START_TLS,
    )
    negotiation.tls_started()
    assert answer(negotiation, option(Option.STARTTLS))[0][0][0] == OptionReply.ERR_INVALID
    assert answer(negotiation, go())[1] is Next.TRANSMISSION


@pytest.mark.parametrize("flags", [0, 2, 7, 2**31])
def test_flags_that_were_not_offered_close(flags: int) -> None:
    step = Negotiation(EXPORT, Tls.NOT_OFFERED).receive(memoryview(CLIENT_FLAGS.pack(flags)))
    assert step is not None
    assert step.next is Next.CLOSE


def test_what_is_too_much_closes() -> None:
    huge = OPTION.pack(OPTION_MAGIC, Option.GO, MAX_OPTION + 1)
    step = begun().receive(memoryview(huge))
    assert step is not None
    assert step.next is Next.CLOSE
    negotiation = begun()
    for _ in range(MAX_OPTIONS):
        assert answer(negotiation, option(Option.LIST))[1] is Next.OPTIONS
    assert answer(negotiation, option(Option.LIST))[1] is Next.CLOSE


words = st.one_of(
    st.binary(max_size=40),
    st.builds(option, st.integers(0, 12), st.binary(max_size=40)),
    st.sampled_from([STRUCTURED, go(), set_context(), option(Option.STARTTLS), go(b"x")]),
)


@given(st.lists(words, max_size=8), st.sampled_from(list(Tls)), st.integers(1, 50), st.booleans())
def test_no_input_in_any_split_breaks_it(
    said: list[bytes], tls: Tls, split: int, proper: bool
) -> None:
    negotiation = Negotiation(EXPORT, tls)
    stream = (CLIENT_FLAGS.pack(3) if proper else b"") + b"".join(said)
    kept = b""
    for at in range(0, len(stream), split):
        kept += stream[at : at + split]
        while (step := negotiation.receive(memoryview(kept))) is not None:
            assert 0 < step.consumed <= len(kept)
            assert len(step.reply) < 4096
            kept = kept[step.consumed :]
            if step.next is not Next.OPTIONS:
                return
        assert len(kept) < OPTION.size + MAX_OPTION
