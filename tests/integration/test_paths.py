"""Paths between real servers that no route joins: what arrives has come over a path."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from holdfast import clock, subjects
from holdfast.bus import Bus, BusError
from holdfast.config.model import ClusterFile
from holdfast.config.sections import PRIMARY
from holdfast.paths import Paths
from holdfast.wire import Claim, HandsPulse, LeaseRequest, LeaseTerm, MonitorPulse, Vote
from tests.support.buses import MakeBus
from tests.support.nats import MakeServers, NatsServer
from tests.support.waiting import until

CLUSTER = msgspec.convert(
    {
        "cluster": {"name": "demo", "voters": ["alpha", "beta", "w"], "fencing": "lease-only"},
        "networks": {"san": {}},
        "nodes": {
            "alpha": {"address": "127.0.0.1", "addresses": {"san": "127.0.0.2"}},
            "beta": {"address": "127.0.0.1", "addresses": {"san": "127.0.0.2"}},
        },
    },
    ClusterFile,
)
CLAIM = Claim(lease="node/alpha", term=1, holder="alpha", boot="b", ttl=5.0, round=7)


class TwoPlaces:
    """alpha speaks, beta listens; each on a server of its own that does not know the other."""

    def __init__(self, here: Bus, there: Bus, servers: list[NatsServer]) -> None:
        self.there, self.servers = there, servers
        self.locals: list[str] = []
        self.heard: list[MonitorPulse | HandsPulse] = []
        self.asked = 0
        self.paths = Paths(here, CLUSTER, "alpha", self._dial)
        self.listener = Paths(there, CLUSTER, "beta", self._dial)

    def _dial(self, place: str, network: str) -> Bus:
        local = CLUSTER.places()["alpha"].address_in(network)
        self.locals.append(local)
        return Bus([self.servers[1].url], name="alpha", inbox="_INBOX_alpha", local=local)

    async def vote(self, claim: Claim) -> Vote:
        """As the voter of beta."""
        self.asked += 1
        stored = LeaseTerm(lease=claim.lease, term=1, holder="alpha", boot="b")
        return Vote(voter="beta", round=claim.round, granted=True, stored=stored)

    def all_up(self) -> bool:
        """Whether both paths are."""
        return all(self.paths.up().values())


@pytest.fixture
async def two(make_nats: MakeServers, make_bus: MakeBus) -> AsyncIterator[TwoPlaces]:
    servers = [*make_nats(["alpha"]), *make_nats(["beta"])]
    here, there = await make_bus(servers[:1], "here"), await make_bus(servers[1:], "there")
    made = TwoPlaces(here, there, servers)
    tasks: list[asyncio.Task[None]] = []
    made.paths.start(lambda work, name: tasks.append(asyncio.create_task(work, name=name)))
    await made.listener.hear(made.heard.append)
    await there.flush()
    await until(made.all_up, what="both paths are up")
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pulse() -> HandsPulse:
    return HandsPulse(node="alpha", boot="b", now=clock.monotonic(), term=1, lease_valid=True)


async def test_a_pulse_takes_every_path_and_is_heard_once(two: TwoPlaces) -> None:
    arrived: list[str] = []

    async def count(message: object) -> None:
        arrived.append(str(getattr(message, "subject", "")))

    await two.there.client.subscribe("ha.pulse.>", cb=count)
    await two.there.flush()
    first, second = pulse(), pulse()
    await two.paths.beat(first, within=1.0)
    await until(lambda: len(arrived) == 2, what="it came over both paths")
    assert sorted(arrived) == [
        subjects.path_pulse("alpha", "beta", network) for network in (PRIMARY, "san")
    ]
    await two.paths.beat(second, within=1.0)
    await until(lambda: len(two.heard) >= 2, what="it is heard")
    assert two.heard == [first, second]
    assert sorted(two.locals) == ["127.0.0.1", "127.0.0.2"]


async def test_the_first_answer_of_a_voter_counts_over_whichever_path(two: TwoPlaces) -> None:
    await two.there.serve(subjects.lease("beta"), LeaseRequest, two.vote)
    await two.there.flush()
    vote = await two.paths.ask("beta", CLAIM, Vote, timeout=5.0)
    assert (vote.voter, vote.round, vote.granted) == ("beta", 7, True)
    await until(lambda: two.asked == 2, what="it was asked over both")


async def test_without_any_path_the_error_is_the_buss_and_paths_come_back(two: TwoPlaces) -> None:
    two.servers[1].kill()
    await until(lambda: not any(two.paths.up().values()), what="both paths are seen to be lost")
    with pytest.raises(BusError):
        await two.paths.ask("beta", CLAIM, Vote, timeout=0.2)
    await two.paths.beat(pulse(), within=0.2)
    two.servers[1].start()
    await until(two.all_up, what="both paths are up again")


async def test_one_network_needs_no_connection(two: TwoPlaces) -> None:
    single = msgspec.structs.replace(CLUSTER, networks={})
    spawned: list[str] = []
    Paths(two.there, single, "alpha", two._dial).start(lambda work, name: spawned.append(name))
    assert not spawned
