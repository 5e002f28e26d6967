"""A watchdog for each host of a cluster, outside of it, that really kills its host."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.support.waiting import until

PATIENCE = 60.0


class Watchdogs:
    """One per host, and what they said. `folder`: of the sockets, whose paths must be short."""

    def __init__(self, folder: Path, run_dir: Path, hosts: Iterable[str]) -> None:
        self._folder, self._run_dir, self._hosts = folder, run_dir, tuple(hosts)
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> None:
        """Each of them listens."""
        for host in self._hosts:
            with self._log(host).open("wb") as log:
                program = [sys.executable, "-m", "holdfast.fence_host.watchdog"]
                program += ["--run-dir", str(self._run_dir), "--host", host]
                program += ["--socket", str(self.socket(host))]
                process = await asyncio.create_subprocess_exec(*program, stdout=log, stderr=log)
            self._running[host] = process
            await until(self.socket(host).exists, within=PATIENCE, what=f"the watchdog of {host}")

    async def stop(self) -> None:
        """None is left; one that ended by itself, as it does when a host outlives it, is told."""
        ended = [host for host, one in self._running.items() if one.returncode is not None]
        for process in self._running.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        assert not ended, [self.said(host) for host in ended]

    def socket(self, host: str) -> Path:
        """The device of a host."""
        return self._folder / f"{host}.socket"

    def said(self, host: str) -> str:
        """All that its watchdog said."""
        return self._log(host).read_text()

    def _log(self, host: str) -> Path:
        return self._folder / f"{host}.log"
