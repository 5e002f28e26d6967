"""A replicated volume on two nodes, alpha the primary, both in sync. A pytest plugin."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.store import ensure_streams
from tests.support.buses import MakeBus
from tests.support.nats import NatsServer
from tests.support.volume_agents import Host, hosts


@pytest.fixture
async def two(
    nats_cluster: list[NatsServer], make_bus: MakeBus, tmp_path: Path
) -> AsyncIterator[tuple[Host, Host]]:
    """alpha and beta."""
    bus = await make_bus(nats_cluster)
    await ensure_streams(bus, len(bus.servers))
    async with hosts(bus, tmp_path, "alpha", "beta") as made:
        yield made["alpha"], made["beta"]
