"""N+1 admission on a real cluster: a new group is refused while, with it, the loss of a host could
not be borne, and started as soon as it could.
"""

import json
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from tests.support.cluster_fixture import running
from tests.support.policy_cluster import Policy, PolicyCluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.chaos]

PLACES = {
    **{f"[nodes.{node}]": "capacity = 64" for node in ("alpha", "beta")},
    'profile = "standard"': 'admission = "enforce"',
}


class Admitting(PolicyCluster):
    """It is well although one of its groups is not admitted."""

    async def healthy(self) -> None:
        await self.runs(ledger="alpha", first="alpha")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admitting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PolicyCluster]:
    """Either host may run one of the groups that take room, and neither both."""
    made = Admitting(
        tmp_path_factory.mktemp("admission"),
        Policy("first", ("alpha", "beta"), ("load = 40",)),
        Policy("second", ("beta", "alpha"), ("load = 40",)),
        places=PLACES,
    )
    async with running(made) as started:
        yield started
        await started.audit()


async def test_a_group_that_breaks_n_plus_1_waits_until_it_does_not(
    admitting: PolicyCluster,
) -> None:
    file = str(admitting.local.config)
    argv = [sys.executable, "-m", "holdfast.console", "config", "check", file, "--json"]
    code, said = await run(argv, timeout=60)
    assert code == 2, "the file is refused before anybody starts it"
    problems = [one["problem"] for one in json.loads(said)["problems"]]
    assert any("the loss of alpha could not be borne" in one for one in problems)

    refused = await admitting.seen("decision_refused", group="second", rule="not_admitted")
    assert refused.data["reason"].startswith("N+1: with it the loss of ")
    assert "of its capacity of 64 only 24 is free, and it takes 40" in refused.data["reason"]
    code, status = await admitting.command("status")
    assert code == 1
    (second,) = [group for group in status["groups"] if group["group"] == "second"]
    assert (second["owner"], second["epoch"]) == (None, 0)
    assert second["reason"] == refused.data["reason"]
    assert status["unbearable"] == [], "what runs could bear any loss"

    began = wall_time()
    code, said = await admitting.command("stop", "first")
    assert code == 0, said
    await admitting.runs(second="beta", ledger="alpha")
    assert admitting.decided("second", began) == [("start_stopped", None, "beta")]
