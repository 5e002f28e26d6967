"""The console's own connection to the bus, with a deadline."""

import asyncio
from pathlib import Path

from holdfast.bus import Bus
from holdfast.config.model import ClusterFile
from holdfast.credentials import bus_of
from holdfast.errors import HoldfastError


class Unreachable(HoldfastError):
    """No nats-server of the cluster let us in."""


async def connect(cluster: ClusterFile, secrets: Path, user: str, *, timeout: float) -> Bus:
    """Connected as `operator`, `reader` or `<service>@<place>`; `secrets` is init's folder.

    `timeout` in seconds. Raises Unreachable.
    """
    service, _, place = user.partition("@")
    folder = place or service
    bus = bus_of(cluster, folder, service, secrets / folder)
    try:
        async with asyncio.timeout(timeout):
            await bus.connect()
    except TimeoutError as error:
        await bus.close()
        raise Unreachable(
            f"no nats-server let `{user}` in within {timeout:.0f} s",
            place=", ".join(bus.servers),
            cure="is the cluster running (`holdfast up`), and do these keys belong to it?",
        ) from error
    return bus
