"""Maintenance and refusals on a real cluster, by the commands that an operator uses."""

import os
import signal

import msgspec
import pytest

from holdfast.clock import wall_time
from holdfast.console import maintenance
from holdfast.console.group import switchover
from holdfast.console.lead import lead
from holdfast.console.status import status as show_status
from holdfast.console.whereabouts import Which
from tests.support.cluster import RunningCluster
from tests.support.follower import event

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.chaos]


async def test_a_group_in_maintenance_is_not_restarted_until_it_is_over(
    cluster: RunningCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    which, owner = Which(state=cluster.local.state), await cluster.owner()
    pid = await cluster.workload()
    await cluster.lead_from("witness")
    began = wall_time()
    assert await maintenance.on(lasts="10m", reason="new disk", group="ledger", which=which) == 0
    os.kill(pid, signal.SIGKILL)
    died = await cluster.seen("health_signal", since=began, state="failed", probe="process")
    assert died.data["node"] == owner

    await cluster.status_where(
        lambda status: any(
            s.entity == "resource/ledger/web" for n in status.nodes for s in n.signals
        ),
        "the leader is told that the process is gone",
    )
    assert await show_status(which=which) == 1
    assert "group ledger is in maintenance for" in capsys.readouterr().out
    assert await maintenance.list_(json=True, which=which) == 0
    (mark,) = msgspec.json.decode(capsys.readouterr().out)
    assert (mark["kind"], mark["name"], mark["reason"]) == ("maintenance", "ledger", "new disk")
    assert 0 < mark["left"] <= 600

    assert await maintenance.off(group="ledger", which=which) == 0
    ended = await cluster.seen("maintenance_ended", since=began, name="ledger")
    restarted = await cluster.seen("recovery_started", since=began, group="ledger")
    assert ended.envelope.time < restarted.envelope.time, "not a moment before"
    await cluster.seen("recovery_succeeded", since=began, group="ledger")
    await cluster.healthy()
    acted = event("decision_made", "lease_lost")
    assert not [str(seen) for seen in cluster.follower.since(began) if acted(seen)]


async def test_leadership_is_handed_over_and_told_as_json(
    cluster: RunningCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    which, owner = Which(state=cluster.local.state), await cluster.owner()
    for place, streams in ((owner, True), ("witness", False)):
        capsys.readouterr()
        assert await lead(place, streams=streams, json=True, which=which) == 0
        told = msgspec.json.decode(capsys.readouterr().out)
        assert told == {"leader": place, "streams": streams}
        await cluster.status_where(lambda s, p=place: s.leader == p, f"{place} leads")  # type: ignore[misc]
    assert await cluster.owner() == owner


async def test_a_node_in_maintenance_takes_nothing_and_the_refusal_says_so(
    cluster: RunningCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    which, owner = Which(state=cluster.local.state), await cluster.owner()
    other = "beta" if owner == "alpha" else "alpha"
    assert await maintenance.on(lasts="1h", reason="firmware", node=other, which=which) == 0
    capsys.readouterr()
    assert await switchover("ledger", to=other, json=True, which=which) == 1
    said = msgspec.json.decode(capsys.readouterr().out)
    assert not said["done"]
    assert f"{other}: it is in maintenance: firmware" in said["reason"]
    assert await maintenance.off(node=owner, which=which) == 1, "that one is not in maintenance"
    assert await maintenance.off(node=other, which=which) == 0
    assert await maintenance.clear_node(other, which=which) == 1, "nothing is held against it"
    capsys.readouterr()
    assert await maintenance.list_(json=True, which=which) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == []
    assert await cluster.owner() == owner
