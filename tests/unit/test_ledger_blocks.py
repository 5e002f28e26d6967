"""The journal's layout on a block device: what a crash may leave out, what damage is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.ledger import blocks, record
from holdfast.ledger.address import DeviceAddress, parse
from holdfast.ledger.blocks import BLOCK, SECTOR
from holdfast.ledger.record import DamagedRecordError, Entry, EpochStart, Record

SIZE = 256 * 1024
texts = st.text(max_size=40) | st.text("é💾x", min_size=400, max_size=900)


@st.composite
def journals(draw: st.DrawFn, min_size: int = 0) -> list[Record]:
    """Any journal that a ledger can have written; long notes take several blocks."""
    records: list[Record] = []
    epoch = 0
    ids = draw(st.lists(st.text(max_size=9), min_size=min_size, max_size=6, unique=True))
    for index, entry_id in enumerate(ids):
        if draw(st.booleans()):
            epoch += draw(st.integers(1, 2**40))
            records.append(EpochStart(index, epoch))
        records.append(Entry(index + 1, epoch, entry_id, draw(texts)))
    return records


def device(records: list[Record]) -> bytearray:
    """What a ledger wrote, on a device that was all zeros."""
    written = blocks.MAGIC + b"".join(blocks.padded(record.encode(one)) for one in records)
    return bytearray(written.ljust(SIZE, b"\0"))


def scan(data: bytes | bytearray) -> blocks.Found:
    return blocks.scan(lambda offset, length: bytes(data[offset : offset + length]), len(data))


def entries_of(records: list[Record]) -> list[Entry]:
    return [one for one in records if isinstance(one, Entry)]


@given(journals())
def test_a_journal_reads_back_as_written(records: list[Record]) -> None:
    found = scan(device(records))
    assert found.entries == entries_of(records)
    assert found.epoch == (records[-1].epoch if records else 0)
    assert (found.torn_bytes, found.is_new) == (0, False)
    assert found.end == BLOCK + sum(len(blocks.padded(record.encode(one))) for one in records)


@given(journals(min_size=1), st.data())
def test_sectors_that_were_never_written_lose_no_complete_record(
    records: list[Record], data: st.DataObject
) -> None:
    content = device(records)
    last = record.encode(records[-1])
    start = scan(content).end - len(blocks.padded(last))
    sectors = range(start, start + len(last), SECTOR)
    missing = data.draw(st.sets(st.sampled_from(sectors)))
    for at in missing:
        content[at : at + SECTOR] = bytes(SECTOR)
    found = scan(content)
    kept = records[:-1] if missing else records
    assert found.entries == entries_of(kept)
    assert found.end == (start if missing else start + len(blocks.padded(last)))
    assert bool(found.torn_bytes) == (0 < len(missing) < len(sectors))


@given(journals(min_size=1), st.data())
def test_any_damaged_byte_of_a_record_is_noticed(
    records: list[Record], data: st.DataObject
) -> None:
    content = device(records)
    position = data.draw(st.integers(BLOCK, BLOCK + len(_written(records)) - 1))
    # A byte alone in its sector that became zero was just as well never written.
    content[position] = data.draw(
        st.integers(1, 255).filter(lambda byte: byte != content[position])
    )
    with pytest.raises(DamagedRecordError) as raised:
        scan(content)
    assert raised.value.offset <= position


def _written(records: list[Record]) -> bytes:
    """All records up to the newline of the last."""
    lines = [record.encode(one) for one in records]
    return b"".join(map(blocks.padded, lines[:-1])) + lines[-1]


@given(journals(min_size=2), st.data())
def test_a_lost_record_in_the_middle_is_noticed(records: list[Record], data: st.DataObject) -> None:
    content = device(records)
    lost = data.draw(st.integers(0, len(records) - 2))
    start = BLOCK + sum(len(blocks.padded(record.encode(one))) for one in records[:lost])
    length = len(blocks.padded(record.encode(records[lost])))
    content[start : start + length] = bytes(length)
    with pytest.raises(DamagedRecordError, match="sound records follow"):
        scan(content)


def test_sound_records_in_an_impossible_order_are_refused() -> None:
    with pytest.raises(DamagedRecordError, match="index 3 where 2 is due"):
        scan(device([Entry(1, 0, "a", ""), Entry(3, 0, "b", "")]))


@pytest.mark.parametrize("at", [0, 100, 1024, 4000, 4096, 65536])
def test_what_is_no_ledgers_is_left_alone(at: int) -> None:
    content = bytearray(SIZE)
    content[at : at + 8] = b"_BHRfS_M"
    with pytest.raises(blocks.ForeignError):
        scan(content)


def test_an_empty_device_is_new_and_a_full_one_is_read_to_its_end() -> None:
    assert scan(bytes(SIZE)) == blocks.Found([], 0, BLOCK, is_new=True)
    full = device([Entry(n, 0, str(n), "") for n in range(1, SIZE // BLOCK)])
    found = scan(full)
    assert (len(found.entries), found.end) == (SIZE // BLOCK - 1, SIZE)


def test_a_scan_reads_large_pieces() -> None:
    content = device([Entry(n, 0, str(n), "") for n in range(1, 200)])
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return bytes(content[offset : offset + length])

    assert len(blocks.scan(read, len(content)).entries) == 199
    assert len(asked) <= 3


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/a:b.sock?export=v1", DeviceAddress("/run/a:b.sock", "v1")),
        ("unix:/run/nbd.sock", DeviceAddress("/run/nbd.sock", "")),
        ("tcp:10.0.0.1:10809?export=v1", DeviceAddress(("10.0.0.1", 10809), "v1")),
        ("tcp:[::1]:10809", DeviceAddress(("::1", 10809), "")),
    ],
)
def test_addresses(text: str, address: DeviceAddress) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "unix:relative", "tcp:host", "tcp:host:x", "tcp::1", "http:a:1", "unix:/a?name=b"],
)
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="export=NAME"):
        parse(text)
