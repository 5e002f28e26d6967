"""The spool on a real file system: crashes, damage, bounds. A property test cuts it anywhere."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.cursor import Cursor
from holdfast.events import ChainHead, Envelope, encode_envelope, seal
from holdfast.spool import SEGMENT_BYTES, Spool, SpoolError, SpoolFull
from holdfast.spool_reader import KEPT_ASIDE, SetAside, decode_line, open_spool
from tests.support.events import draft


def append(spool: Spool, count: int, *, size: int = 0) -> list[Envelope]:
    done = []
    for number in range(count):
        event = draft(number, size=size)
        envelope, _ = seal(event, spool.head, source="/c/alpha/test", time="t")
        spool.append(envelope, encode_envelope(envelope))
        done.append(envelope)
    return done


def head_of(envelope: Envelope) -> ChainHead:
    return ChainHead(int(envelope.sequence), envelope.hash)


def waiting(spool: Spool) -> list[int]:
    """Sequence numbers of what is still to be published, as read from disk."""
    lines = [line for part in spool.segments for line in part.path.read_bytes().splitlines()]
    found = [int(decode_line(line, "test")[0].sequence) for line in lines]
    return [number for number in found if number > spool.cursor.head.sequence]


def reopen(folder: Path) -> tuple[Spool, list[SetAside]]:
    """As after a crash: nothing was closed or synced."""
    return open_spool(folder)


def test_a_restart_continues_chain_and_cursor(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 10)
    spool.acknowledge(head_of(events[3]))
    again, aside = reopen(tmp_path)
    assert (again.depth, again.head, aside) == (6, head_of(events[9]), [])
    assert waiting(again) == [5, 6, 7, 8, 9, 10]
    (following,) = append(again, 1)
    assert following.previoushash == events[9].hash


def test_acknowledged_segments_are_deleted(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 30, size=150_000)
    assert len(spool.segments) > 3
    assert all(part.size <= SEGMENT_BYTES for part in spool.segments)
    for envelope in events:
        spool.acknowledge(head_of(envelope))
    assert [part.path for part in spool.segments] == sorted(tmp_path.glob("*.seg"))
    assert len(spool.segments) == 1
    spool.close()
    again, aside = open_spool(tmp_path)
    assert (again.depth, again.head.sequence, aside) == (0, 30, [])


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 3)
    path = spool.segments[0].path
    path.write_bytes(path.read_bytes()[:-20])
    again, aside = reopen(tmp_path)
    assert (again.head, aside) == (head_of(events[1]), [])
    append(again, 1)
    assert waiting(reopen(tmp_path)[0]) == [1, 2, 3]


def damage(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"operator", b"0perator", 1)
    path.write_bytes(b"".join(lines))


def test_damage_among_waiting_events_keeps_what_is_before_it(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 10)
    spool.acknowledge(head_of(events[1]))
    damage(spool.segments[0].path, 6)
    again, (aside,) = reopen(tmp_path)
    assert aside.kept == 4
    assert "line 7" in aside.reason
    assert aside.file.name.endswith(".seg.corrupt-1")
    assert len(aside.file.read_bytes().splitlines()) == 10
    assert waiting(again) == [3, 4, 5, 6]
    assert again.head == head_of(events[5])
    append(again, 1)
    assert reopen(tmp_path)[1] == []


def test_damage_to_acknowledged_events_costs_nothing(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 10)
    spool.acknowledge(head_of(events[5]))
    damage(spool.segments[0].path, 2)
    again, (aside,) = reopen(tmp_path)
    assert aside.kept == 4
    assert waiting(again) == [7, 8, 9, 10]
    assert again.head == head_of(events[9])


def test_damage_to_everything_does_not_fork_the_chain(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 5)
    spool.acknowledge(head_of(events[4]))
    spool.segments[0].path.write_bytes(os.urandom(4096).replace(b"\n", b"x") + b"\n")
    again, aside = reopen(tmp_path)
    assert len(aside) == 1
    (following,) = append(again, 1)
    assert (int(following.sequence), following.previoushash) == (6, events[4].hash)


def test_a_lost_cursor_publishes_what_is_there_again(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 30, size=150_000)
    spool.acknowledge(head_of(events[19]))
    kept = int(events[-1].sequence) - len(waiting(spool))
    (tmp_path / "cursor").write_bytes(b"\0" * 1024)
    again, aside = reopen(tmp_path)
    assert (aside, again.head) == ([], head_of(events[29]))
    assert waiting(again)[-1] == 30
    assert waiting(again)[0] <= kept + 1
    assert again.depth == len(waiting(again))


def test_only_the_newest_damaged_files_are_kept(tmp_path: Path) -> None:
    made: list[Path] = []
    for number in range(KEPT_ASIDE + 3):
        (tmp_path / "00000001.seg").write_bytes(b"damage %d\n" % number)
        _, (aside,) = open_spool(tmp_path)
        made.append(aside.file)
        assert aside.deleted == made[:-KEPT_ASIDE]
        made = made[-KEPT_ASIDE:]
        assert aside.file.read_bytes() == b"damage %d\n" % number
        assert set(tmp_path.glob("*.corrupt-*")) == set(made)


def test_a_forged_record_with_a_right_checksum_is_set_aside(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path)
    append(spool, 2)
    stranger, _ = seal(draft(9), ChainHead(2, "f" * 64), source="/c/alpha/test", time="t")
    spool.append(stranger, encode_envelope(stranger))
    again, (aside,) = reopen(tmp_path)
    assert "does not follow" in aside.reason
    assert waiting(again) == [1, 2]


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True))
def test_cut_anywhere_what_is_whole_is_kept(where: float) -> None:
    with TemporaryDirectory() as folder:
        cut_at(Path(folder), where)


def cut_at(folder: Path, where: float) -> None:
    spool, _ = open_spool(folder)
    append(spool, 6)
    path = spool.segments[0].path
    raw = path.read_bytes()
    cut = int(where * (len(raw) + 1))
    path.write_bytes(raw[:cut])
    again, aside = reopen(folder)
    assert waiting(again) == list(range(1, raw[:cut].count(b"\n") + 1))
    assert aside == []


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_keeps_all_before_it(where: float, bit: int) -> None:
    with TemporaryDirectory() as folder:
        flip_at(Path(folder), where, bit)


def flip_at(folder: Path, where: float, bit: int) -> None:
    spool, _ = open_spool(folder)
    append(spool, 6)
    path = spool.segments[0].path
    raw = bytearray(path.read_bytes())
    at = int(where * len(raw))
    before = raw[:at].count(b"\n")
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    again, aside = reopen(folder)
    assert waiting(again) == list(range(1, before + 1))
    assert len(aside) == (0 if at == len(raw) - 1 else 1), "a last line without end is only torn"


def test_a_full_spool_refuses_and_stays_whole(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path, limit=5_000)
    events = append(spool, 3)
    with pytest.raises(SpoolFull, match="bring the bus back"):
        append(spool, 10)
    refused_at = spool.head
    assert refused_at.sequence > len(events)
    assert sum(part.path.stat().st_size for part in spool.segments) <= 5_000
    assert open_spool(tmp_path)[0].head == refused_at


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, _ = open_spool(tmp_path)
    events = append(spool, 2)
    real = os.write

    def short(file: int, content: bytes) -> int:
        return real(file, content[: len(content) // 2])

    monkeypatch.setattr("holdfast.spool.os.write", short)
    with pytest.raises(SpoolFull, match="free space"):
        append(spool, 1)
    monkeypatch.undo()
    (third,) = append(spool, 1)
    assert third.previoushash == events[1].hash
    assert waiting(reopen(tmp_path)[0]) == [1, 2, 3]


def test_an_unwritable_folder_names_the_cure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SpoolError, match="cure: is the state folder"):
        open_spool(blocked / "spool")


def test_the_cursor_survives_a_torn_slot(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = Cursor(path)
    cursor.advance(ChainHead(1, "a" * 64))
    cursor.advance(ChainHead(2, "b" * 64))
    cursor.close()
    raw = bytearray(path.read_bytes())
    raw[9:30] = b"\0" * 21
    path.write_bytes(raw)
    again = Cursor(path)
    assert again.head == ChainHead(1, "a" * 64)
    again.advance(ChainHead(2, "b" * 64))
    again.advance(ChainHead(3, "c" * 64))
    assert Cursor(path).head == ChainHead(3, "c" * 64)
