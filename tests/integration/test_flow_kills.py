"""Kill any one process at any step of what is no failover, local recovery or operator's move: a
self-stop, a failback, a roll-back, a stop that fails, a reboot, an operator's word.

Every step and every victim are enumerated, and that no step is missing is checked.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster_fixture import running
from tests.support.flow_cluster import FlowCluster
from tests.support.flows import FLOWS
from tests.support.kills import assert_one_owner_at_a_time
from tests.support.kills_in_flows import Flow, killed_in, unkilled

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
    pytest.mark.chaos,
]


@pytest.fixture(scope="module")
def flow(request: pytest.FixtureRequest) -> Flow:
    """Each has a cluster of its own."""
    return FLOWS[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proven(
    flow: Flow, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FlowCluster]:
    """At the end, the record must prove everything that was done to it."""
    async with running(flow.made(tmp_path_factory.mktemp("flow"))) as cluster:
        yield cluster
        await cluster.audit()
        assert_one_owner_at_a_time(cluster)


@pytest.mark.parametrize("flow", FLOWS, indirect=True)
async def test_these_are_all_the_steps(proven: FlowCluster, flow: Flow) -> None:
    assert await unkilled(flow, proven) == set(flow.steps)


CASES = [
    pytest.param(name, step, victim, id=f"{name}-{victim}-{step}")
    for name, each in FLOWS.items()
    for step, victim in each.cases()
]


@pytest.mark.parametrize(("flow", "step", "victim"), CASES, indirect=["flow"])
async def test_a_flow_ends(proven: FlowCluster, flow: Flow, step: str, victim: str) -> None:
    await killed_in(flow, proven, step, victim)
