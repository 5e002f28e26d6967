"""Asks one nats-server's monitoring port whether it is healthy."""

import asyncio

from holdfast.config.model import Node, Witness
from holdfast.console.bus_config import monitor_host

TIMEOUT = 2.0


async def healthy(place: Node | Witness) -> bool:
    """Whether it answers /healthz with 200: in the cluster, its JetStream up to date."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(
                monitor_host(place.address).strip("[]"), place.bus.monitor_port
            )
            try:
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
