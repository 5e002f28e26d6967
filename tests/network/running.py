"""A cluster in a lab, for as long as a test module needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.network.cluster import PLACES, Fencing, NetworkCluster
from tests.support.cluster_fixture import running
from tests.support.lab import LAN, Lab, inside, missing


@contextlib.asynccontextmanager
async def lab_cluster(
    factory: pytest.TempPathFactory,
    *,
    fencing: Fencing,
    shared: bool = True,
    networks: Sequence[str] = (LAN,),
    kind: type[NetworkCluster] = NetworkCluster,
) -> AsyncIterator[NetworkCluster]:
    """Started in a lab of its own; skips where none can be made, except in CI, where it fails."""
    if reason := missing():
        pytest.skip(reason)
    folder = factory.mktemp("lab")
    # The test itself is the observer: whatever it opens is opened there.
    with Lab.make(PLACES, networks) as lab, inside(lab.observer), ThreadPoolExecutor() as threads:
        # A thread stays in the namespace in which it was born: those of another lab will not do.
        asyncio.get_running_loop().set_default_executor(threads)
        made = kind(folder, lab, fencing=fencing, shared=shared)
        async with running(made):
            yield made
