"""The journal: what a crash may cut off, what damage it must notice, when it must refuse."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.ledger import file_log, record
from holdfast.ledger.errors import (
    CorruptJournalError,
    JournalLockedError,
    StaleEpochError,
    StorageError,
    UnavailableError,
)
from holdfast.ledger.file_log import FILE_NAME
from holdfast.ledger.journal import Journal
from holdfast.ledger.record import Entry, EpochStart, Record

texts = st.text(max_size=40)


@st.composite
def journals(draw: st.DrawFn, min_size: int = 0) -> list[Record]:
    """Any journal that a ledger can have written."""
    records: list[Record] = []
    epoch = 0
    ids = draw(st.lists(texts, min_size=min_size, max_size=8, unique=True))
    for index, entry_id in enumerate(ids):
        if draw(st.booleans()):
            epoch += draw(st.integers(1, 2**40))
            records.append(EpochStart(index, epoch))
        records.append(Entry(index + 1, epoch, entry_id, draw(texts)))
    return records


def entries_of(records: list[Record]) -> list[Entry]:
    return [one for one in records if isinstance(one, Entry)]


@given(journals())
def test_a_journal_reads_back_as_written(records: list[Record]) -> None:
    data = b"".join(map(record.encode, records))
    found = record.scan(data)
    assert found.entries == entries_of(records)
    assert found.epoch == (records[-1].epoch if records else 0)
    assert (found.good_bytes, found.torn_bytes) == (len(data), 0)


@given(journals(min_size=1), st.data())
def test_a_cut_anywhere_loses_no_complete_record(
    records: list[Record], data: st.DataObject
) -> None:
    lines = [record.encode(one) for one in records]
    cut = data.draw(st.integers(0, sum(map(len, lines))))
    zeros = data.draw(st.sampled_from([0, 1, 4096]))
    complete, used = [], 0
    for one, line in zip(records, lines, strict=True):
        if used + len(line) > cut:
            break
        used += len(line)
        complete.append(one)
    found = record.scan(b"".join(lines)[:cut])
    assert found.entries == entries_of(complete)
    assert (found.good_bytes, found.torn_bytes) == (used, cut - used)
    # A power loss may leave zeros in place of the rest. Where only the newline is gone, a zero may
    # just as well be damage, and is refused.
    only_newline_missing = cut > used and cut - used == len(lines[len(complete)]) - 1
    if not only_newline_missing:
        zeroed = record.scan(b"".join(lines)[:cut] + bytes(zeros))
        assert zeroed.entries == entries_of(complete)


@given(journals(min_size=1), st.data())
def test_any_damaged_byte_is_noticed(records: list[Record], data: st.DataObject) -> None:
    content = bytearray(b"".join(map(record.encode, records)))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(record.DamagedRecordError) as raised:
        record.scan(bytes(content))
    assert raised.value.offset <= position


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([Entry(2, 0, "a", "")], "index 2 where 1 is due"),
        ([Entry(1, 5, "a", ""), Entry(2, 4, "b", "")], "epoch 4 after epoch 5"),
        ([Entry(1, 0, "a", ""), Entry(2, 0, "a", "")], "'a' occurs twice"),
        ([EpochStart(3, 1)], "index 3 where 0 is due"),
    ],
)
def test_sound_lines_in_an_impossible_order_are_refused(records: list[Record], reason: str) -> None:
    with pytest.raises(record.DamagedRecordError, match=reason):
        record.scan(b"".join(map(record.encode, records)))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_torn(data: bytes) -> None:
    try:
        assert record.scan(data).entries == []
    except record.DamagedRecordError:
        assert data


def test_entries_survive_reopening_and_ids_are_unique(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    first, new = journal.append("a", "one")
    assert (first, new) == (Entry(1, 0, "a", "one"), True)
    size = (tmp_path / FILE_NAME).stat().st_size
    assert journal.append("a", "other") == (first, False)
    assert (tmp_path / FILE_NAME).stat().st_size == size
    journal.close()
    again = Journal.open(tmp_path)
    assert again.entries(0, 10) == [first]
    assert again.append("a", "") == (first, False)
    again.close()


def test_a_torn_record_is_cut_off_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal.open(tmp_path)
    entry, _ = journal.append("a", "")
    journal.close()
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + record.encode(Entry(2, 0, "b", ""))[:-4])
    journal = Journal.open(tmp_path)
    assert journal.entries(0, 10) == [entry]
    assert path.read_bytes() == whole
    assert "never acknowledged" in capsys.readouterr().err
    journal.close()


def test_damage_in_the_middle_names_file_line_and_cure(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    for entry_id in "abc":
        journal.append(entry_id, "")
    journal.close()
    path = tmp_path / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"b"', b'"x"'))
    with pytest.raises(CorruptJournalError) as raised:
        Journal.open(tmp_path)
    offset = len(record.encode(Entry(1, 0, "a", "")))
    assert raised.value.place == str(path)
    assert f"line 2 (byte {offset})" in raised.value.problem
    assert f"truncate -s {offset} {path}" in raised.value.cure


def test_one_journal_has_one_holder(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    with pytest.raises(JournalLockedError, match="another ledger"):
        Journal.open(tmp_path)
    journal.close()
    Journal.open(tmp_path).close()


def test_an_epoch_counts_before_its_first_entry(tmp_path: Path) -> None:
    Journal.open(tmp_path, 7).close()
    with pytest.raises(StaleEpochError, match="epoch 6"):
        Journal.open(tmp_path, 6)
    journal = Journal.open(tmp_path)
    assert journal.append("a", "")[0].epoch == 7
    journal.close()
    size = (tmp_path / FILE_NAME).stat().st_size
    Journal.open(tmp_path, 7).close()
    assert (tmp_path / FILE_NAME).stat().st_size == size


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="must exist"):
        Journal.open(tmp_path / "unmounted")
    assert list(tmp_path.iterdir()) == []


def test_after_a_failed_fsync_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path)
    kept, _ = journal.append("a", "")

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UnavailableError, match="cannot fsync"):
            journal.append("b", "")
    # fsync works again, but what it failed to write may be gone for good.
    for entry_id in ("b", "a"):
        with pytest.raises(UnavailableError, match="restart"):
            journal.append(entry_id, "")
    assert "cannot fsync" in (journal.trouble() or "")
    journal.close()
    reopened = Journal.open(tmp_path)
    assert reopened.entries(0, 10) == [kept]
    reopened.close()


def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    journal.append("a", "")
    assert journal.trouble() is None
    (tmp_path / FILE_NAME).unlink()
    successor = Journal.open(tmp_path)
    assert "removed or replaced" in (journal.trouble() or "")
    with pytest.raises(UnavailableError, match="removed or replaced"):
        journal.append("b", "")
    successor.close()
    journal.close()


def test_the_journal_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_log, "MAX_JOURNAL_BYTES", 200)
    journal = Journal.open(tmp_path)
    journal.append("a", "x" * 50)
    with pytest.raises(UnavailableError, match="limit"):
        journal.append("b", "x" * 100)
    assert len(journal) == 1
    journal.close()
