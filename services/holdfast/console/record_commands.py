"""`holdfast why` and `holdfast audit verify`: the record, explained and proven."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from holdfast.console import audit, record, why
from holdfast.console.whereabouts import find
from holdfast.events import Envelope

State = Annotated[Path | None, Parameter(name=["--state", "-s"])]
Config = Annotated[Path | None, Parameter(name=["--config", "-c"])]


async def explain(
    wanted: str | None = None,
    /,
    *,
    json: bool = False,
    width: int | None = None,
    state: State = None,
    config: Config = None,
    secrets: Path | None = None,
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
    state
        The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast.
    config
        The cluster file, for a cluster that was not started by `holdfast up`.
    secrets
        The folder of `holdfast init`; it needs `operator/operator.nk` only.
    """
    console = Console(highlight=False, width=width, force_terminal=True if width else None)
    found = why.explain(await _whole_record(state, config, secrets), wanted)
    if json:
        console.out(msgspec.json.encode(why.to_json(found)).decode(), highlight=False)
    else:
        why.show(found, console)
    return 0


async def audit_verify(
    *,
    json: bool = False,
    file: Path | None = None,
    state: State = None,
    config: Config = None,
    secrets: Path | None = None,
) -> int:
    """Prove the record: hashes, no gap, no fork, and a cause for every action.

    Exit code 0: proven, 1: something is wrong, 2: the record could not be read.

    Parameters
    ----------
    json
        The report as one line of JSON.
    file
        Verify a file that `holdfast events --json` wrote instead of the cluster's stream.
    state
        The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast.
    config
        The cluster file, for a cluster that was not started by `holdfast up`.
    secrets
        The folder of `holdfast init`; it needs `operator/operator.nk` only.
    """
    console = Console(highlight=False)
    if file is not None:
        return await audit.verify(file, console, as_json=json)
    bus = await find(state, config, secrets).connect()
    try:
        return await audit.verify(bus, console, as_json=json)
    finally:
        await bus.close()


async def _whole_record(
    state: Path | None, config: Path | None, secrets: Path | None
) -> list[Envelope]:
    bus = await find(state, config, secrets).connect()
    try:
        return await record.read_events(bus, lambda _read, _all: None)
    finally:
        await bus.close()
