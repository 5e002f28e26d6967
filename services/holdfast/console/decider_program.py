"""Programs of the decider which a command starts and shows: their cores are not the console's."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.errors import HoldfastError


class ProgramFailed(HoldfastError):
    """It did not end with a report."""


async def run(
    name: str, *arguments: str, given: bytes | None = None, timeout: float
) -> tuple[int, dict[str, Any]]:
    """Exit code and report of `python -m holdfast.failover_decider.<name>`, `given` on its stdin.

    `timeout` in seconds. Raises ProgramFailed, also for an error that it reports.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"holdfast.failover_decider.{name}", *arguments),
        stdin=DEVNULL if given is None else PIPE,
        stdout=PIPE,
    )
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate(given)
    except TimeoutError as error:
        cure = "give it less to do: a part of the journal, or more time with --timeout"
        raise ProgramFailed(f"no end within {timeout:.0f} s", place=name, cure=cure) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    report = _report(name, output)
    if "error" in report:
        raise ProgramFailed(report["error"], place=report["place"], cure=report["cure"])
    assert process.returncode is not None
    return process.returncode, report


def _report(name: str, output: bytes) -> dict[str, Any]:
    try:
        report = msgspec.json.decode(output)
    except msgspec.DecodeError as error:
        cure = "its messages are above; this is a defect, please report it"
        raise ProgramFailed("it ended without a report", place=name, cure=cure) from error
    assert isinstance(report, Mapping)
    return dict(report)
