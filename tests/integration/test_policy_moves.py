"""A switchover that fails is rolled back, and a group that fails everywhere is put aside: real
services, on a real cluster, by the commands that an operator uses."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.follower import Seen, event
from tests.support.policy_cluster import Policy, PolicyCluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.chaos]

MOVES = 3
# A window so long that only the operator ends it.
RESTLESS = Policy("restless", HOSTS, (f"max_moves = {MOVES}", "moves_window = 3600"), attempts=1)
WRITES, WRITES_WITHIN = 20, 10
ENDED = "it ended while it was starting: it exited with 1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PolicyCluster]:
    """The ledger and a group that may not move often; at the end the record must prove it all."""
    async with running(PolicyCluster(tmp_path_factory.mktemp("moves"), RESTLESS)) as started:
        yield started
        await started.audit()


async def test_a_switchover_to_a_host_that_cannot_start_it_is_rolled_back(
    moving: PolicyCluster,
) -> None:
    before = await moving.of("ledger")
    source = before.owner or ""
    target = next(host for host in HOSTS if host != source)
    moving.broken(target).touch()
    began = wall_time()
    async with moving.observed() as ledger:
        code, said = await moving.command("switchover", "ledger", "--to", target)
        assert code == 1
        assert (said["done"], said["phase"], said["owner"]) == (False, "active", source)
        assert f"did not come to run on {target}" in said["reason"]
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, WRITES_WITHIN)

        steps = [
            await moving.seen("decision_made", since=began, rule="operator_switchover"),
            await moving.seen("group_stopped", since=began, node=source),
            await moving.seen("order_sent", since=began, node=target, action="start"),
            await moving.seen("move_failed", since=began, node=target, step="start"),
            await moving.seen("ownership_changed", since=began, owner=source, phase="starting"),
            await moving.seen("group_verified", since=began, node=source),
            await moving.seen("move_completed", since=began, node=source, kind="switchover"),
        ]
        assert _in_order(steps)
        assert {step.envelope.correlationid for step in steps} == {said["incident"]}
        (passed_over,) = steps[0].data["alternatives"]
        assert passed_over == {"choice": source, "rejected_because": "it runs there now"}
        assert steps[3].data["reason"] == f"start of web failed: {ENDED}"
        rolled_back = await moving.of("ledger")
        assert (rolled_back.owner, rolled_back.epoch) == (source, before.epoch + 2)

        code, why = await run(moving.holdfast("why", said["incident"]), timeout=60)
        assert code == 0
        assert ENDED in " ".join(why.split())

        moving.broken(target).unlink()
        code, said = await moving.command("switchover", "ledger", "--to", target)
        assert code == 0, said
        assert (said["done"], said["phase"], said["owner"]) == (True, "active", target)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, WRITES_WITHIN)
    await moving.runs(ledger=target)


async def test_a_group_that_dies_again_and_again_is_quarantined_until_an_operator_clears_it(
    moving: PolicyCluster,
) -> None:
    began, ledger = wall_time(), await moving.workload()
    moving.sick("restless").touch()
    moving.kill_process_of("restless")
    quarantined = await moving.seen("quarantine_began", since=began, name="restless", timeout=60)
    assert quarantined.data["scope"] == "group"
    assert quarantined.data["reason"] == f"it moved {MOVES} times within 3600 s"
    assert quarantined.data["lasts"] is None
    for node in HOSTS:
        await moving.seen("recovery_started", since=began, group="restless", node=node)
        await moving.seen("recovery_exhausted", since=began, group="restless", node=node)
    await moving.seen("decision_refused", since=began, group="restless", rule="moved_too_often")
    # It was started once before, and that counts.
    moves = moving.decided("restless", began)
    assert [(rule, source) for rule, source, _ in moves] == [
        ("failed_at_owner", "alpha"),
        ("failed_at_owner", "beta"),
    ]

    refused = await moving.seen(
        "decision_refused", since=began, group="restless", rule="in_quarantine"
    )
    code, status = await moving.command("status")
    assert code == 1
    (mark,) = status["marks"]
    assert (mark["kind"], mark["scope"], mark["name"]) == ("quarantine", "group", "restless")
    assert (mark["reason"], mark["left"]) == (quarantined.data["reason"], None)
    (group,) = [one for one in status["groups"] if one["group"] == "restless"]
    assert (group["phase"], group["reported"]) == ("active", "failed")
    assert group["reason"] == refused.data["reason"]
    assert moving.decided("restless", began) == moves

    moving.sick("restless").unlink()
    cleared = wall_time()
    code, said = await moving.command("group", "clear", "restless")
    assert code == 0, said
    ended = await moving.seen("quarantine_ended", since=cleared, name="restless")
    assert "cleared it" in ended.data["reason"]
    assert ended.envelope.correlationid == said["incident"]
    again = await moving.seen("decision_made", since=cleared, group="restless")
    await moving.runs(restless=again.data["target"])
    _, status = await moving.command("status")
    assert status["marks"] == []
    assert await moving.workload() == ledger, "nobody touched the other group"
    touched = event("decision_made", group="ledger")
    assert not [str(seen) for seen in moving.follower.since(began) if touched(seen)]


def _in_order(steps: list[Seen]) -> bool:
    times = [step.envelope.time for step in steps]
    return times == sorted(times)
