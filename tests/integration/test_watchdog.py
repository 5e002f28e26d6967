"""Hosts without fence devices, each with a watchdog outside of it that really kills its host."""

import asyncio
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast import subjects
from holdfast.clock import monotonic, wall_time
from holdfast.console.demo.processes import run
from holdfast.fence_host.host import members, read_host
from holdfast.timing import PROFILES
from holdfast.wire import HandsPulse, Pulse
from tests.support.cluster import HOSTS, RunningCluster, eventually
from tests.support.cluster_fixture import running
from tests.support.waiting import until
from tests.support.watchdogs import PATIENCE, Watchdogs

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.fencing,
    pytest.mark.timeout(300),
]
FENCE = r"\[\[nodes\.(\w+)\.fence\]\].*\nagent.*\noptions.*\n"


class Guarded:
    """A cluster with `fencing = "required"` and no fence device; its hands' latest pulses."""

    def __init__(self, cluster: RunningCluster, dogs: Watchdogs) -> None:
        self.cluster, self.dogs = cluster, dogs
        self.pulses: dict[str, HandsPulse] = {}

    def heard(self, pulse: Pulse) -> None:
        if isinstance(pulse, HandsPulse):
            self.pulses[pulse.node] = pulse

    async def hosts(self) -> tuple[str, str]:
        """The owner and the other one."""
        owner = await self.cluster.owner()
        return owner, next(host for host in HOSTS if host != owner)

    async def armed(self, host: str, armed: bool = True) -> None:
        """Wait until a fresh pulse says so."""
        self.pulses.pop(host, None)

        def said() -> bool:
            watchdog = self.pulses[host].watchdog if host in self.pulses else None
            return watchdog is not None and watchdog.armed == armed

        await until(said, within=PATIENCE, what=f"{host} armed: {armed}; {self.pulses.get(host)}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    with tempfile.TemporaryDirectory() as short:  # a socket's path has at most 107 characters
        dogs = Watchdogs(Path(short), folder / "state" / "places", HOSTS)

        def watchdogs_instead(text: str) -> str:
            def watchdog(match: re.Match[str]) -> str:
                return f'[nodes.{match[1]}.watchdog]\ndevice = "{dogs.socket(match[1])}"\n'

            text, count = re.subn(FENCE, watchdog, text)
            assert count == len(HOSTS)
            return text

        await dogs.start()
        try:
            async with running(RunningCluster(folder, edit=watchdogs_instead)) as cluster:
                made = Guarded(cluster, dogs)
                await cluster.operator.subscribe(subjects.PULSES, Pulse, made.heard)
                yield made
        finally:
            await dogs.stop()


async def test_it_is_armed_where_a_group_runs_and_outlives_the_hands(guarded: Guarded) -> None:
    cluster = guarded.cluster
    owner, other = await guarded.hosts()
    await guarded.armed(owner)
    await guarded.armed(other, False)
    workload = await cluster.workload()
    killed = cluster.send(owner, "recovery", signal.SIGKILL)
    await cluster.restarted(owner, "recovery", killed)
    await guarded.armed(owner)
    await cluster.healthy()
    assert await cluster.workload() == workload
    assert "resets" not in guarded.dogs.said(owner)


async def test_frozen_hands_cost_the_host_and_the_group_fails_over(guarded: Guarded) -> None:
    cluster, dogs = guarded.cluster, guarded.dogs
    owner, other = await guarded.hosts()
    await cluster.lead_from("witness")
    await cluster.keep_streams_off(owner)
    await guarded.armed(owner)
    host = read_host(cluster.local.run_dir, owner)
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        began = wall_time()
        cluster.send(owner, "recovery", signal.SIGSTOP)
        await until(
            lambda: "every process of it is gone" in dogs.said(owner),
            within=PATIENCE,
            what="the watchdog resets the host",
        )
        assert members(host) == []
        revoked = await cluster.seen("lease_revoked", since=began, node=owner, timeout=PATIENCE)
        assert revoked.data["proof"] == "watchdog_expired"
        moved = await cluster.seen(
            "move_completed", since=began, kind="failover", node=other, timeout=PATIENCE
        )
        assert moved.data["epoch"] == before + 1
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 30)
    assert "resets" not in dogs.said(other)
    await cluster.local.place(owner).start()
    await cluster.healthy()
    assert await cluster.owner() == other
    await cluster.audit()


async def test_an_idle_node_is_disarmed_and_survives_its_hands(guarded: Guarded) -> None:
    cluster, dogs = guarded.cluster, guarded.dogs
    owner, idle = await guarded.hosts()
    await guarded.armed(idle, False)
    resets = dogs.said(idle).count("resets")
    frozen = cluster.send(idle, "recovery", signal.SIGSTOP)
    last = guarded.pulses[idle].now
    await cluster.restarted(idle, "recovery", frozen)
    assert monotonic() - last > PROFILES["standard"].ttl, "its lease had ended"
    await cluster.healthy()
    assert dogs.said(idle).count("resets") == resets
    await guarded.armed(owner)


async def test_an_operator_vouches_for_a_host_that_nothing_else_proves_dead(
    guarded: Guarded,
) -> None:
    """An idle one: no watchdog was armed, so silence is all there is."""
    cluster = guarded.cluster
    owner, other = await guarded.hosts()
    await cluster.lead_from("witness")
    alive = await run(cluster.holdfast("fence", "confirm", owner), timeout=60)
    assert alive[0] == 1
    assert "it is heard" in alive[1]
    began = await cluster.kill_host(other)
    await cluster.seen("node_suspected", since=began, node=other)

    async def taken() -> bool:
        return (await run(cluster.holdfast("fence", "confirm", other), timeout=60))[0] == 0

    await eventually(taken, "the word is taken once the host has been silent for a ttl")
    asked = await cluster.seen("operator_request", since=began, request="fence confirm")
    assert asked.data["arguments"]["key"].startswith("U")
    revoked = await cluster.seen("lease_revoked", since=began, node=other)
    assert revoked.data["proof"] == "operator_word"
    await cluster.local.place(other).start()
    await cluster.healthy()
    await cluster.audit()
