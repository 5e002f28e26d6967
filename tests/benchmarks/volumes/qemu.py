"""Orders to a qemu-storage-daemon over its monitor (QMP)."""

import json
import socket
from pathlib import Path
from typing import Any

WITHIN = 120.0
"""Seconds for any one thing, the first copy of a mirror included."""


class Monitor:
    """One connection."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WITHIN)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._next()  # its greeting
        self.order("qmp_capabilities")

    def order(self, command: str, **arguments: Any) -> None:
        """Raises RuntimeError: it was refused."""
        said = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(said).encode() + b"\n")
        while "event" in (answer := self._next()):
            pass
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']['desc']}")

    def event(self, name: str) -> None:
        """Wait for it. Raises RuntimeError: a job failed meanwhile."""
        while (told := self._next()).get("event") != name:
            if told.get("event") in ("BLOCK_JOB_ERROR", "BLOCK_JOB_COMPLETED"):
                raise RuntimeError(f"{told}")

    def close(self) -> None:
        """The daemon goes on."""
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise RuntimeError("qemu-storage-daemon has gone")
        return dict(json.loads(line))


def mirror(monitor: Path) -> None:
    """Every write of node `f` also to node `t`, before it is answered; ready on return."""
    orders = Monitor(monitor)
    try:
        orders.order(
            "blockdev-mirror",
            **{"job-id": "m", "device": "f", "target": "t", "sync": "full"},
            **{"copy-mode": "write-blocking"},
        )
        orders.event("BLOCK_JOB_READY")
    finally:
        orders.close()
