"""A voter's durable memory: the terms it agreed to, on disk before it answers."""

import logging
import os
from pathlib import Path

import msgspec

from holdfast.errors import HoldfastError
from holdfast.wire import LeaseTerm

_log = logging.getLogger("holdfast.voter")
_decoder = msgspec.json.Decoder(list[LeaseTerm])


class VoterStoreError(HoldfastError):
    """The voter's memory cannot be written; without it no vote may be given."""


def load(path: Path) -> dict[str, LeaseTerm] | None:
    """The stored terms by lease; None when there are none, or they do not read: then it is blank.

    A damaged file is set aside. Losing it is safe: a blank voter learns from the others first.
    """
    try:
        return {term.lease: term for term in _decoder.decode(path.read_bytes())}
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        aside = path.with_suffix(".corrupt")
        path.replace(aside)
        _log.error("the voter's memory did not read (%s): set aside as %s", error, aside)
        return None


def store(path: Path, terms: dict[str, LeaseTerm]) -> None:
    """Write all terms atomically and durably. Raises VoterStoreError."""
    beside = path.with_suffix(".new")
    try:
        with open(beside, "wb") as file:
            file.write(msgspec.json.encode(list(terms.values())))
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
            f"cannot store a vote: {error}",
            place=str(path),
            cure="free space on, or repair, the file system of the state folder",
        ) from error
