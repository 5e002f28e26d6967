"""The power switch: a device of its own that fence agents reach whatever becomes of the network."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.failover.node.machine import Node

MAX_LINE = 200
DEADLINE = 10.0


class PowerSwitch:
    """Serves `off|on|status NODE` on a Unix socket, one line there and one back.

    `off` is the same as a power cut and is answered when nothing of the node lives. `on` gives
    the outlet power again; the node boots when its operator, the benchmark, starts it.
    """

    def __init__(self, path: Path, nodes: Mapping[str, Node]) -> None:
        self.path = path
        self._nodes = nodes
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Answer from now on. Does nothing if it does already."""
        if self._server is None:
            self._server = await asyncio.start_unix_server(
                self._serve, str(self.path), limit=MAX_LINE
            )

    async def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                line = (await reader.readline()).decode(errors="replace")
                writer.write(f"{await self._answer(line)}\n".encode())
                await writer.drain()
        except (ValueError, OSError, TimeoutError):
            pass  # whoever asked got no answer, which proves nothing
        finally:
            writer.close()

    async def _answer(self, line: str) -> str:
        action, _, name = line.strip().partition(" ")
        if action == "list":
            return " ".join(self._nodes)
        node = self._nodes.get(name)
        if node is None:
            return f"there is no outlet {name!r}"
        match action:
            case "off":
                await asyncio.to_thread(node.cut_power)
                return "off"
            case "on":
                return "on"
            case "status":
                return "on" if node.on else "off"
        return f"cannot do {action!r}"
