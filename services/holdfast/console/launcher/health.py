"""Asks one nats-server's monitoring port how it is."""

import asyncio
import json

from holdfast.config.model import Node, Witness
from holdfast.console.bus_config import monitor_host

TIMEOUT = 2.0
MAX_ANSWER = 65_536


async def healthy(place: Node | Witness) -> bool:
    """Whether it answers /healthz with 200: in the cluster, its JetStream up to date."""
    return await complaint(place) == ""


async def complaint(place: Node | Witness) -> str:
    """What /healthz says is wrong; "" if nothing is. No answer is a complaint, too."""
    try:
        status, body = await _get(place, "/healthz")
    except (OSError, TimeoutError) as error:
        return f"no answer: {error or type(error).__name__}"
    if " 200 " in status:
        return ""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        return status or "no answer"


async def answers(place: Node | Witness) -> bool:
    """Whether it says anything at all, whatever its JetStream waits for."""
    try:
        status, _ = await _get(place, "/")
    except (OSError, TimeoutError):
        return False
    return bool(status)


async def _get(place: Node | Witness, path: str) -> tuple[str, bytes]:
    """The status line and the body. Raises OSError, TimeoutError."""
    host = monitor_host(place.address).strip("[]")
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(host, place.bus.monitor_port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            status, _, rest = (await reader.read(MAX_ANSWER)).partition(b"\r\n")
            rest += await reader.read(MAX_ANSWER)
        finally:
            writer.close()
            await writer.wait_closed()
    return status.decode(errors="replace"), rest.rpartition(b"\r\n\r\n")[2]
