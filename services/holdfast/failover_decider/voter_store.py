"""A voter's durable memory: the terms it agreed to, on disk before it answers.

Beside them lies its pledge: how long its promises may last and among whom it votes, on disk before
its first answer.
"""

import logging
import os
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import HoldfastError
from holdfast.structs import replace
from holdfast.timing import LONGEST_TTL
from holdfast.wire import LeaseTerm


class VoterStoreError(HoldfastError):
    """The voter's memory cannot be written; without it no vote may be given."""


class Pledge(msgspec.Struct, frozen=True, kw_only=True):
    """What binds a voter, whatever the cluster file says by now: see `lease.VoterState`."""

    longest_ttl: float
    electorate: str
    unnamed: bool = False


_log = logging.getLogger("holdfast.voter")
_decoder = msgspec.json.Decoder(list[LeaseTerm])
_pledges = msgspec.json.Decoder(Pledge)


def load(path: Path) -> dict[str, LeaseTerm] | None:
    """The stored terms by lease; None when there are none, or they do not read: then it is blank.

    A damaged file is set aside. Losing it is safe: a blank voter learns from the others first.
    """
    terms = _read(path, _decoder)
    return None if terms is None else {term.lease: term for term in terms}


def store(path: Path, terms: dict[str, LeaseTerm]) -> None:
    """Write all terms atomically and durably. Raises VoterStoreError."""
    write(path, list(terms.values()))


def load_all(
    path: Path, *, max_ttl: float, electorate: str
) -> tuple[dict[str, LeaseTerm] | None, Pledge]:
    """The terms, and the pledge with which a voter of this profile and cluster file begins.

    Terms without a pledge are of a version that wrote none. A pledge without terms is of a voter
    that lost them, or was made to forget: it may vote among others now, but what it promised for
    is promised. Terms beside a pledge that does not read are taken for lost, too.
    """
    beside = pledge_of(path)
    written = beside.exists()
    pledge, terms = _read(beside, _pledges), load(path)
    if written and pledge is None:
        return None, Pledge(longest_ttl=LONGEST_TTL, electorate=electorate)
    if pledge is None:
        older = terms is not None
        longest = LONGEST_TTL if older else max_ttl
        return terms, Pledge(longest_ttl=longest, electorate=electorate, unnamed=older)
    if terms is None:
        pledge = replace(pledge, electorate=electorate, unnamed=False)
    return terms, replace(pledge, longest_ttl=max(max_ttl, pledge.longest_ttl))


def store_pledge(path: Path, pledge: Pledge) -> None:
    """Write the pledge beside the terms at `path`, as they are. Raises VoterStoreError."""
    write(pledge_of(path), pledge)


def pledge_of(path: Path) -> Path:
    """Where the pledge lies that belongs to the terms at `path`."""
    return path.with_name("pledge.json")


def _read(path: Path, decoder: msgspec.json.Decoder[Any]) -> Any:
    """What is there; None if nothing is, or it does not read: then it is set aside."""
    try:
        return decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        aside = path.with_suffix(".corrupt")
        path.replace(aside)
        _log.error("the voter's memory did not read (%s): set aside as %s", error, aside)
        return None


def write(path: Path, what: Any) -> None:
    """Replace a file by this, as JSON; durable when it returns. Raises VoterStoreError."""
    beside = path.with_suffix(".new")
    try:
        with open(beside, "wb") as file:
            file.write(msgspec.json.encode(what))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise VoterStoreError(
            f"cannot be stored: {error}",
            place=str(path),
            cure="free space on, or repair, the file system of the state folder",
        ) from error
