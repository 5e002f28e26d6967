"""Reading a spool back: after a restart, and for publishing.

A last line without its end is a write that a crash cut short: it was never emitted, and is cut
off. Any other damage is set aside: the file is renamed `*.corrupt-<n>`, and what can be trusted
before the damage (checksum and chain hold) is kept in a fresh segment. Damage to records that are
acknowledged already costs nothing, for the cursor knows the chain's head after them. Of the files
that were set aside, the newest KEPT_ASIDE are kept.
"""

import os
import zlib
from pathlib import Path

import msgspec

from holdfast.cursor import Cursor
from holdfast.events import ChainHead, Envelope, MalformedEvent, decode_envelope
from holdfast.events.chain import head_after
from holdfast.events.envelope import compute_hash
from holdfast.spool import SPOOL_BYTES, Segment, Spool, unusable

KEPT_ASIDE = 8


class SetAside(msgspec.Struct, frozen=True):
    """A file that did not verify: its new name, why, and how many waiting events were kept.

    `deleted`: files set aside earlier that it took the place of.
    """

    file: Path
    reason: str
    kept: int
    deleted: list[Path]


def open_spool(folder: Path, *, limit: int = SPOOL_BYTES) -> tuple[Spool, list[SetAside]]:
    """Open or create the spool in `folder`. Raises SpoolError when the folder is not usable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cursor = Cursor(folder / "cursor")
        return _Recovery(folder, cursor).run(limit)
    except OSError as error:
        raise unusable(folder, error) from error


def decode_line(line: bytes, place: str) -> tuple[Envelope, bytes]:
    """One record: the envelope and its bytes. Raises MalformedEvent."""
    checksum, _, payload = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(payload):
        raise MalformedEvent("checksum does not match", place=place, cure="see spool_set_aside")
    return decode_envelope(payload, place=place), payload


class _Recovery:
    """One pass over the segments in order, following the chain."""

    def __init__(self, folder: Path, cursor: Cursor) -> None:
        self._folder, self._cursor = folder, cursor
        self._head: ChainHead | None = cursor.head if cursor.known else None
        self._segments: list[Segment] = []
        self._aside: list[SetAside] = []

    def run(self, limit: int) -> tuple[Spool, list[SetAside]]:
        for path in sorted(self._folder.glob("*.seg")):
            self._read(path)
        head = self._head or ChainHead()
        return Spool(self._folder, self._segments, head, self._cursor, limit), self._aside

    def _read(self, path: Path) -> None:
        raw = path.read_bytes()
        whole, torn = _split_torn(raw)
        if torn:
            os.truncate(path, len(raw) - torn)
        kept: list[bytes] = []
        reason = ""
        for number, line in enumerate(whole, 1):
            try:
                envelope, _ = decode_line(line, f"{path}:{number}")
            except MalformedEvent as error:
                reason = reason or f"line {number}: {error.problem}"
                continue
            verdict = self._follow(envelope)
            if verdict == "waiting":
                kept.append(line + b"\n")
            elif verdict:
                reason = reason or f"line {number}: {verdict}"
        if reason:
            self._set_aside(path, reason, kept)
        elif whole:
            assert self._head is not None
            self._segments.append(Segment(path, self._head.sequence, len(raw) - torn))
        else:
            path.unlink()

    def _follow(self, envelope: Envelope) -> str:
        """Advance the chain. "waiting": to be published; "": acknowledged; else what is wrong."""
        sequence = int(envelope.sequence)
        if self._cursor.head.sequence >= sequence:
            return ""
        if envelope.hash != compute_hash(envelope):
            return "hash does not match its content"
        if self._head is None:  # the cursor was lost: what is here is published again
            self._head = ChainHead(sequence - 1, envelope.previoushash)
            self._cursor.advance(self._head)
        if sequence != self._head.sequence + 1 or envelope.previoushash != self._head.hash:
            return "does not follow the event before it"
        self._head = head_after(envelope)
        return "waiting"

    def _set_aside(self, path: Path, reason: str, kept: list[bytes]) -> None:
        number = 1
        while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
            number += 1  # few are kept, so one of the first few numbers is free
        path.rename(aside)
        if kept:
            _write_whole(path, b"".join(kept))
            assert self._head is not None
            self._segments.append(Segment(path, self._head.sequence, sum(map(len, kept))))
        self._aside.append(SetAside(aside, reason, len(kept), _delete_oldest(self._folder)))


def _delete_oldest(folder: Path) -> list[Path]:
    """Make the files set aside KEPT_ASIDE at most; a rename sets ctime, so that is their order."""
    aside = sorted(folder.glob("*.corrupt-*"), key=lambda path: path.stat().st_ctime_ns)
    deleted = aside[:-KEPT_ASIDE]
    for path in deleted:
        path.unlink()
    return deleted


def _split_torn(raw: bytes) -> tuple[list[bytes], int]:
    """The whole lines, and the length of an unfinished last one."""
    *whole, rest = raw.split(b"\n")
    return whole, len(rest)


def _write_whole(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
