"""`python -m holdfast.console.place`: one place on this machine, in a session of its own.

Standard output tells whoever started it: `ready` or `error <json>`, then what happens here.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from holdfast.config.load import load
from holdfast.console.launcher.host import Host
from holdfast.console.launcher.preflight import lock
from holdfast.errors import HoldfastError


class _Report:
    """Lines to whoever started this place. If nobody reads them any more, they are dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)

    def __call__(self, line: str) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._descriptor, (line.replace("\n", " ") + "\n").encode())


def main() -> int:
    """Run the place until SIGTERM; exit 2 if it cannot be prepared."""
    parser = argparse.ArgumentParser(
        prog="holdfast.console.place", description="One place of a cluster."
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--place", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--secrets", type=Path, required=True)
    options = parser.parse_args()
    report = _Report(sys.stdout.fileno())
    try:
        asyncio.run(_run(options, report))
    except HoldfastError as error:
        problem = {"problem": error.problem, "place": error.place, "cure": error.cure}
        report(f"error {json.dumps(problem)}")
        return 2
    return 0


async def _run(options: argparse.Namespace, report: _Report) -> None:
    cure = "end that process, or `holdfast down`"
    held = lock(options.state / "lock", cure)
    try:
        host = Host(
            load(options.config),
            options.place,
            config=options.config.absolute(),
            state=options.state.absolute(),
            secrets=options.secrets.absolute(),
            report=report,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.stop)
        await host.run()
    finally:
        os.close(held)


if __name__ == "__main__":
    sys.exit(main())
