"""Connected buses, closed at the end of the test. A pytest plugin."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from holdfast.bus import Bus
from tests.support.nats import NatsServer

MakeBus = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def make_bus() -> AsyncIterator[MakeBus]:
    """`await make_bus(servers, name)`: connected to the first server, the others to fall back."""
    buses: list[Bus] = []

    async def make(servers: Sequence[NatsServer], name: str = "test") -> Bus:
        bus = Bus([server.url for server in servers], name=name, inbox=f"_INBOX_{name}")
        faults: list[BaseException] = []
        bus.on_fault = faults.append
        buses.append(bus)
        await bus.connect()
        return bus

    yield make
    for bus in buses:
        await bus.close()
