"""A voter on a real bus and a real disk: it never forgets what it agreed to."""

import asyncio
from pathlib import Path

import pytest

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.failover_decider import voter_store
from holdfast.failover_decider.messages import LeaderSeen
from holdfast.failover_decider.voter import Voter
from holdfast.failover_decider.voter_store import Pledge, VoterStoreError
from holdfast.lease import electorate
from holdfast.timing import LONGEST_TTL, PROFILES, Timing
from holdfast.wire import Claim, LeaseReply, LeaseTerm, Renew, Vote
from tests.support.buses import MakeBus
from tests.support.nats import NatsServer

TIMING = PROFILES["fast"]
VOTERS = ["a", "b", "c"]


def claim(
    term: int,
    holder: str = "n1",
    boot: str = "b1",
    *,
    ttl: float = TIMING.ttl,
    voters: list[str] = VOTERS,
) -> Claim:
    return Claim(
        lease="node/n1",
        term=term,
        holder=holder,
        boot=boot,
        ttl=ttl,
        round=term,
        electorate=electorate(voters),
    )


async def ask(bus: Bus, voter: str, request: Claim | Renew) -> Vote:
    reply = await bus.request(subjects.lease(voter), request, LeaseReply, timeout=5)
    assert isinstance(reply, Vote)
    return reply


class Votes:
    """Voters a, b and c, each with a folder and a bus of its own; `kill` and start again."""

    def __init__(self, make_bus: MakeBus, server: NatsServer, folder: Path) -> None:
        self._make_bus, self._server, self._folder = make_bus, server, folder
        self._buses: dict[str, Bus] = {}
        self.seen: list[LeaderSeen] = []
        self.rejected: list[tuple[str, str, str]] = []

    async def start(self, name: str, timing: Timing = TIMING, voters: list[str] = VOTERS) -> Voter:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        bus = self._buses[name] = await self._make_bus([self._server], f"voter_{name}")
        voter = Voter(
            bus,
            name,
            folder,
            timing,
            voters,
            self.seen.append,
            lambda *why: self.rejected.append(why),
        )
        await voter.serve()
        await bus.flush()
        return voter

    async def start_all(self) -> None:
        voters = [await self.start(name) for name in VOTERS]
        async with asyncio.timeout(10):
            await asyncio.gather(*(voter.learn() for voter in voters))

    async def kill(self, name: str) -> None:
        await self._buses.pop(name).close()

    def forget(self, name: str) -> None:
        (self._folder / name / "voter.json").unlink()

    def remembers(self, name: str, *, pledged: bool = True) -> None:
        """A memory without terms, of this version or of one that wrote no pledge."""
        folder = self._folder / name
        folder.mkdir()
        voter_store.store(folder / "voter.json", {})
        if pledged:
            pledge = Pledge(longest_ttl=TIMING.ttl, electorate=electorate(VOTERS))
            voter_store.store_pledge(folder / "voter.json", pledge)


@pytest.fixture
async def votes(make_bus: MakeBus, nats_server: NatsServer, tmp_path: Path) -> Votes:
    return Votes(make_bus, nats_server, tmp_path)


async def test_a_blank_voter_grants_nothing_until_the_others_told_what_they_know(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    await votes.start("a")
    vote = await ask(bus, "a", claim(1))
    assert not vote.granted
    assert "no memory" in vote.reason


async def test_fresh_voters_learn_that_there_is_nothing_to_learn(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    await votes.start_all()
    for name in VOTERS:
        assert (await ask(bus, name, claim(1))).granted


async def test_a_restarted_voter_refuses_what_it_refused_before(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    await votes.start_all()
    assert (await ask(bus, "a", claim(5))).granted
    await votes.kill("a")
    await votes.start("a")
    old = await ask(bus, "a", claim(5, holder="n2", boot="other"))
    assert not old.granted
    assert old.stored.term == 5
    abstains = await ask(bus, "a", claim(6, holder="n2", boot="other"))
    assert not abstains.granted, "the promises it forgot may be outstanding"
    assert 0 < abstains.wait <= TIMING.ttl


async def test_a_voter_that_lost_its_disk_learns_the_terms_of_the_others(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    await votes.start_all()
    for name in ("a", "b"):
        assert (await ask(bus, name, claim(7))).granted
    await votes.kill("a")
    votes.forget("a")
    voter = await votes.start("a")
    async with asyncio.timeout(10):
        await voter.learn()
    stale = await ask(bus, "a", claim(7, holder="n2", boot="other"))
    assert not stale.granted
    assert stale.stored == LeaseTerm(lease="node/n1", term=7, holder="n1", boot="b1")


async def test_a_voter_that_restarts_with_a_shorter_profile_keeps_the_promises_of_the_longer(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    votes.remembers("a")
    tolerant = PROFILES["tolerant"]
    await votes.start("a", tolerant)
    assert (await ask(bus, "a", claim(1, ttl=tolerant.ttl))).granted
    await votes.kill("a")
    for _ in range(2):
        await votes.start("a")
        other = await ask(bus, "a", claim(2, holder="n2", boot="other"))
        assert not other.granted
        assert tolerant.ttl - 5 < other.wait <= tolerant.ttl
        same = await ask(bus, "a", claim(1, ttl=tolerant.ttl))
        assert same.granted, "hands that still have the longer profile keep their lease"
        await votes.kill("a")


async def test_a_memory_of_unknown_profile_may_have_promised_for_the_longest(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    votes.remembers("a", pledged=False)
    voter = await votes.start("a")
    assert voter.state.ready_at == voter.state.started + LONGEST_TTL
    unnamed = claim(1, voters=[])
    assert (await ask(bus, "a", unnamed)).granted, "hands of that version name no voters"


async def test_a_voter_votes_among_the_voters_of_its_memory_whatever_the_file_says(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    bus = await make_bus([nats_server], "asker")
    five = [*VOTERS, "d", "e"]
    votes.remembers("a")
    voter = await votes.start("a", voters=five)
    assert "a,b,c" in voter.misled
    assert "a,b,c,d,e" in voter.misled
    assert not (await ask(bus, "a", claim(1, voters=five))).granted
    assert not (await ask(bus, "a", claim(1, voters=[]))).granted
    assert [kind for _, kind, _ in votes.rejected] == ["electorate"] * 2
    assert "docs/setup.md" in votes.rejected[0][2]
    assert (await ask(bus, "a", claim(1))).granted
    await votes.kill("a")
    votes.forget("a")
    voter = await votes.start("a", voters=five)
    assert voter.state.blank
    assert not voter.misled


async def test_a_voter_learns_nothing_from_voters_of_another_cluster_file(
    votes: Votes, make_bus: MakeBus, nats_server: NatsServer
) -> None:
    for name in ("b", "c"):
        await votes.start(name, voters=["b", "c", "x"])
    voter = await votes.start("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMING.ttl + 1.5):
            await voter.learn()
    assert voter.state.blank
    assert {kind for _, kind, _ in votes.rejected} == {"electorate"}


def test_a_pledge_outlives_the_terms_and_a_damaged_one_costs_them(tmp_path: Path) -> None:
    path = tmp_path / "voter.json"
    pledge = Pledge(longest_ttl=15.0, electorate="a,b,c")
    voter_store.store_pledge(path, pledge)
    terms, kept = voter_store.load_all(path, max_ttl=2.5, electorate="a,b,c,d,e")
    assert terms is None
    assert kept == Pledge(longest_ttl=15.0, electorate="a,b,c,d,e")
    voter_store.store(path, {})
    assert voter_store.load_all(path, max_ttl=2.5, electorate="a,b,c,d,e") == ({}, pledge)
    voter_store.pledge_of(path).write_text("{")
    terms, lost = voter_store.load_all(path, max_ttl=2.5, electorate="a,b,c,d,e")
    assert terms is None
    assert lost == Pledge(longest_ttl=LONGEST_TTL, electorate="a,b,c,d,e")


def test_a_damaged_memory_is_set_aside_and_counts_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "voter.json"
    voter_store.store(path, {"x": LeaseTerm(lease="x", term=3, holder="n", boot="b")})
    assert voter_store.load(path) == {"x": LeaseTerm(lease="x", term=3, holder="n", boot="b")}
    path.write_bytes(path.read_bytes()[:-5])
    assert voter_store.load(path) is None
    assert (tmp_path / "voter.corrupt").exists()


def test_a_vote_that_cannot_be_stored_is_not_given(tmp_path: Path) -> None:
    with pytest.raises(VoterStoreError, match="cure: free space"):
        voter_store.store(tmp_path / "missing" / "voter.json", {})
