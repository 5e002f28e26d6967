"""Two of three hosts fall silent together: neither is switched off until an operator allows one;
the other's time comes when the window has passed. Hosts that are seen to be off are not held.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial

import pytest
import pytest_asyncio

from holdfast.bus import BusError
from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from holdfast.fence_host.processes import living_members
from holdfast.streams import move_stream_leaders
from holdfast.wire import StatusReply
from tests.support.cluster import eventually
from tests.support.cluster_fixture import running
from tests.support.follower import Seen, event
from tests.support.nats import free_ports
from tests.support.policy_cluster import Policy, PolicyCluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(240),
]

VANISHED = ("alpha", "beta")
WINDOW = 20
HELD_FOR = 4.0
"""Seconds for which the devices are only looked at, once it is refused: any order would be seen."""
WRITES, WRITES_WITHIN = 20, 10
_MORE = """
[nodes.gamma]
address = "{net}4"
bus = {{ client_port = {client}, route_port = {route}, monitor_port = {third} }}
max_failures = 100

[[nodes.gamma.fence]]
agent = "fence_holdfast_host"
options = {{ run_dir = "{run_dir}" }}

[witnesses.second]
address = "{net}5"
bus = {{ client_port = {client}, route_port = {route}, monitor_port = {fifth} }}
"""


def three_hosts(text: str) -> str:
    """The cluster file with a third host and a second witness: two losses leave a majority."""
    found = {
        "net": r'address = "(127\.\d+\.\d+\.)1"',
        "client": r"client_port = (\d+)",
        "route": r"route_port = (\d+)",
        "run_dir": r'run_dir = "([^"]+)"',
    }
    values = {name: re.findall(pattern, text)[0] for name, pattern in found.items()}
    third, fifth = free_ports(2)
    text = text.replace(
        '["alpha", "beta", "witness"]', '["alpha", "beta", "gamma", "witness", "second"]'
    )
    text = text.replace('nodes = ["alpha", "beta"]  #', 'nodes = ["alpha", "beta", "gamma"]  #')
    return text + _MORE.format(**values, third=third, fifth=fifth)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PolicyCluster]:
    """Alpha and beta own something, gamma may run it all."""
    made = PolicyCluster(
        tmp_path_factory.mktemp("three"),
        Policy("left", ("alpha", "gamma")),
        Policy("right", ("beta", "gamma")),
        places={'profile = "standard"': f"fence_window = {WINDOW}"},
        also=three_hosts,
    )
    async with running(made) as started:
        yield started
        await started.audit()


async def test_two_hosts_that_fall_silent_together_are_held(three: PolicyCluster) -> None:
    await three.runs(ledger="alpha", left="alpha", right="beta")
    await three.lead_from("witness")
    await eventually(partial(_streams_stay, three), "no stream is led by those that vanish")
    async with three.observed() as ledger:
        began = wall_time()
        for host in VANISHED:
            _freeze(three, host)
        for group, host in (("left", "alpha"), ("ledger", "alpha"), ("right", "beta")):
            await three.seen(
                "decision_made", since=began, group=group, source=host, kind="failover"
            )
            refused = await three.seen(
                "decision_refused", since=began, group=group, rule="mass_fencing"
            )
            assert refused.data["node"] == host
            assert f"2 of 3 nodes would be switched off within {WINDOW} s" in refused.data["reason"]
            assert f"`holdfast fence allow {host}` lets it be done" in refused.data["reason"]
        await asyncio.sleep(HELD_FOR)
        assert not _switched_off(three, began)
        for host in VANISHED:
            looked = await three.seen("fence_finished", since=began, node=host, action="status")
            assert looked.data["outcome"] == "on"
        code, status = await three.command("status")
        assert code == 1
        for group in status["groups"]:
            assert (group["phase"], group["owner"] in VANISHED) == ("fencing", True)
            assert "fence_limit is 1" in group["reason"]

        code, said = await run(three.holdfast("fence", "allow", "alpha"), timeout=60)
        assert code == 0, said
        await three.runs(ledger="gamma", left="gamma")
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, WRITES_WITHIN)
        assert [seen.data["node"] for seen in _switched_off(three, began)] == ["alpha"]

        # Nobody says anything about beta: its time comes.
        await three.runs(right="gamma", timeout=WINDOW + 30)
    first, second = _switched_off(three, began)
    assert (first.data["node"], second.data["node"]) == VANISHED
    assert (_at(second) - _at(first)).total_seconds() >= WINDOW - 0.1
    for host in VANISHED:
        await three.seen("lease_revoked", since=began, node=host, proof="fenced_off")
        await three.local.place(host).start()
    await three.status_where(_all_alive, "both hosts are back")


async def test_two_hosts_that_are_seen_to_be_off_are_taken_over_at_once(
    three: PolicyCluster,
) -> None:
    """Only what must be switched off is held: power that is gone is a proof."""
    for group, host in (("left", "alpha"), ("right", "beta")):
        if (await three.of(group)).owner != host:
            code, said = await three.command("switchover", group, "--to", host)
            assert code == 0, said
    await eventually(partial(_streams_stay, three), "no stream is led by those that vanish")
    began = wall_time()
    await asyncio.gather(*(three.local.place(host).kill() for host in VANISHED))
    await three.runs(left="gamma", right="gamma", timeout=WINDOW)
    assert not _switched_off(three, began)
    held = event("decision_refused", rule="mass_fencing")
    assert not [str(seen) for seen in three.follower.since(began) if held(seen)]
    for host in VANISHED:
        await three.local.place(host).start()
    await three.status_where(_all_alive, "both hosts are back")


async def _streams_stay(cluster: PolicyCluster) -> bool:
    try:
        await move_stream_leaders(cluster.operator, set(VANISHED))
    except BusError:
        return False
    return True


def _freeze(cluster: PolicyCluster, host: str) -> None:
    """It vanishes, and nobody can tell whether it runs on."""
    session = int(cluster.local.place(host).record()["session"])
    for process in living_members(session):
        os.kill(process.pid, signal.SIGSTOP)


def _switched_off(cluster: PolicyCluster, since: str) -> list[Seen]:
    """The orders to switch a host off, in order."""
    off = event("fence_started", action="off")
    found = [seen for seen in cluster.follower.since(since) if off(seen)]
    return sorted(found, key=_at)


def _at(seen: Seen) -> datetime:
    return datetime.fromisoformat(seen.envelope.time)


def _all_alive(status: StatusReply) -> bool:
    return all(node.state == "alive" and node.lease_valid for node in status.nodes)
