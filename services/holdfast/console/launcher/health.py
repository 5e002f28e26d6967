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
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(
                monitor_host(place.address).strip("[]"), place.bus.monitor_port
            )
            try:
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                status, _, rest = (await reader.read(MAX_ANSWER)).partition(b"\r\n")
                rest += await reader.read(MAX_ANSWER)
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return f"no answer: {error or type(error).__name__}"
    if b" 200 " in status:
        return ""
    try:
        return str(json.loads(rest.rpartition(b"\r\n\r\n")[2])["error"])
    except (ValueError, TypeError, KeyError):
        return status.decode(errors="replace") or "no answer"
