"""`holdfast why` and `holdfast audit verify`: the record, explained and proven."""

from pathlib import Path

import msgspec
from rich.console import Console

from holdfast.console import audit, record, why
from holdfast.console.whereabouts import HERE, Which
from holdfast.errors import HoldfastError
from holdfast.events import Envelope
from holdfast.signed_word import REGISTER, operators


async def explain(
    wanted: str | None = None,
    /,
    *,
    json: bool = False,
    width: int | None = None,
    which: Which = HERE,
) -> int:
    """Why something happened: an incident's events by cause, with rules and evidence.

    Parameters
    ----------
    wanted
        An incident's or event's id, the beginning of one, or a group. Default: the last incident.
    json
        One JSON document instead of a picture.
    width
        Columns to use: default those of the terminal.
    """
    console = Console(highlight=False, width=width, force_terminal=True if width else None)
    found = why.explain(await _whole_record(which), wanted)
    if json:
        console.out(msgspec.json.encode(why.to_json(found)).decode(), highlight=False)
    else:
        why.show(found, console)
    return 0


async def audit_verify(
    *,
    json: bool = False,
    file: Path | None = None,
    which: Which = HERE,
) -> int:
    """Prove the record: hashes, no gap, no fork, a cause for every action, and operators' words.

    Their signatures are compared with `public_keys.json` in the secrets folder, if it is there.
    Exit code 0: proven, 1: something is wrong, 2: the record could not be read.

    Parameters
    ----------
    json
        The report as one line of JSON.
    file
        Verify a file that `holdfast events --json` wrote instead of the cluster's stream.
    """
    console = Console(highlight=False)
    if file is not None:
        return await audit.verify(file, console, as_json=json, operators=_operators(which))
    bus = await which.connect()
    try:
        return await audit.verify(bus, console, as_json=json, operators=_operators(which))
    finally:
        await bus.close()


def _operators(which: Which) -> frozenset[str] | None:
    """The operators' public keys; None where no cluster and no register of it is at hand."""
    try:
        return operators(which.find().secrets / REGISTER)
    except HoldfastError:
        return None


async def _whole_record(which: Which) -> list[Envelope]:
    bus = await which.connect()
    try:
        return await record.read_events(bus, lambda _read, _all: None)
    finally:
        await bus.close()
