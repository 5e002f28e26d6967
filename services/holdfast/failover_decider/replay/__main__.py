"""Replays the journals under a folder, or one file, and prints a report as JSON.

Exit codes: 0 the same effects; 1 a difference; 2 something could not be read.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.errors import HoldfastError
from holdfast.events import MAX_EVENT_BYTES, Envelope, MalformedEvent, decode_envelope
from holdfast.failover_decider.inputs.journal import SUFFIX, JournalUnreadable, Segment
from holdfast.failover_decider.replay.public_record import Comparison, compare
from holdfast.failover_decider.replay.run import Replay, SegmentReport

SAME, DIFFERENT, UNREADABLE = 0, 1, 2


class JournalReport(msgspec.Struct, frozen=True, kw_only=True):
    """One decider's journal."""

    journal: str
    segments: list[SegmentReport]
    unreadable: list[str]
    record: Comparison | None
    """None: no public record was given."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was replayed."""

    same: bool
    readable: bool
    journals: list[JournalReport]


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.failover_decider.replay")
    parser.add_argument("where", type=Path, help=f"a folder, or one *{SUFFIX} file")
    parser.add_argument("--events", type=Path, help="a file of `holdfast events --json`")
    given = parser.parse_args()
    try:
        report = replay(given.where, given.events)
    except HoldfastError as error:
        said = {"error": error.problem, "place": error.place, "cure": error.cure}
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        return UNREADABLE
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    if not report.same:
        return DIFFERENT
    return SAME if report.readable else UNREADABLE


def replay(where: Path, events: Path | None) -> Report:
    """Replay all journals found. Raises HoldfastError."""
    record = _deciders(events) if events else None
    journals = [_replay_one(files, record) for files in _journals(where)]
    segments = [segment for journal in journals for segment in journal.segments]
    compared = [journal.record for journal in journals if journal.record is not None]
    return Report(
        same=not any(one.differences for one in segments) and all(one.same for one in compared),
        readable=not any(one.problem for one in segments)
        and not any(journal.unreadable for journal in journals),
        journals=journals,
    )


def _journals(where: Path) -> list[list[Path]]:
    """The segment files of each journal, oldest first. Raises JournalUnreadable."""
    files = [where] if where.is_file() else sorted(where.rglob(f"*{SUFFIX}"))
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent].append(file)
    if not by_folder:
        raise JournalUnreadable(
            "no decider recorded inputs here",
            place=str(where),
            cure="name a place's state folder, or that of `holdfast up`; is `[audit]` "
            "inputs_megabytes 0 in the cluster file?",
        )
    return list(by_folder.values())


def _replay_one(files: list[Path], record: dict[str, list[Envelope]] | None) -> JournalReport:
    run, unreadable, source = Replay(), list[str](), ""
    for file in files:
        try:
            segment = Segment(file)
        except JournalUnreadable as error:
            unreadable.append(f"{error.place}: {error.problem}")
            continue
        source = f"/{segment.head.cluster}/{segment.head.place}/failover_decider"
        run.add(segment)
    return JournalReport(
        journal=str(files[0].parent),
        segments=run.segments,
        unreadable=unreadable,
        record=None if record is None else compare(run.emitted, record.get(source, [])),
    )


def _deciders(events: Path) -> dict[str, list[Envelope]]:
    """The events of each decider. Raises JournalUnreadable."""
    found: dict[str, list[Envelope]] = defaultdict(list)
    for place, line in _lines(events):
        try:
            envelope = decode_envelope(line, place=place)
        except MalformedEvent:
            continue  # whether the record is sound is what `audit verify` says
        if envelope.source.endswith("/failover_decider"):
            found[envelope.source].append(envelope)
    return found


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_EVENT_BYTES + 2):
                number += 1
                yield f"{path}:{number}", line
    except OSError as error:
        raise JournalUnreadable(
            f"cannot be read: {error.strerror}", place=str(path), cure="check its name and mode"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
