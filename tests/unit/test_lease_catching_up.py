"""A voter that was down when a lease was claimed supports it as soon as it hears a renewal."""

from holdfast.lease import HolderState, VoterState, answer
from holdfast.wire import Claim, Release, Renew

TTL = 6.0


def voter(name: str) -> VoterState:
    return VoterState(name=name, started=0.0, max_ttl=TTL)


def ask(
    holder: HolderState, voters: dict[str, VoterState], reachable: str, now: float
) -> HolderState:
    """One round of the holder's, to the voters that can be reached."""
    holder, request = holder.request(now)
    for name in reachable:
        result = answer(voters[name], request, now)
        voters[name] = result.state
        holder = holder.on_vote(result.vote)
    return holder


def test_a_lease_survives_any_minority_although_one_voter_missed_its_claim() -> None:
    voters = {name: voter(name) for name in "abc"}
    holder = HolderState("node/x", "x", "x1", voters=3, ttl=TTL, margin=0.2)
    holder = ask(holder, voters, "ab", 10.0)
    assert holder.valid(10.0)
    assert voters["c"].stored("node/x").term == 0
    holder = ask(holder, voters, "abc", 11.0)
    holder = ask(holder, voters, "ac", 20.0)
    assert holder.valid(20.0), "b is gone, c has caught up"


def test_it_catches_up_after_its_own_restart_too_and_stores_before_it_replies() -> None:
    claim = Claim(lease="l", term=1, holder="x", boot="x1", ttl=TTL, round=1)
    known = answer(voter("c"), claim, 10.0).state
    restarted = VoterState(name="c", started=50.0, max_ttl=TTL, terms=known.terms)
    renewal = Renew(lease="l", term=3, holder="x", boot="x2", ttl=TTL, round=1)
    result = answer(restarted, renewal, 50.1)
    assert result.vote.granted
    assert result.store is not None
    assert (result.store.term, result.store.boot) == (3, "x2")
    assert result.state.promised_until["l"] == 50.1 + TTL


def test_what_it_adopted_binds_it_like_a_claim() -> None:
    renewal = Renew(lease="l", term=3, holder="x", boot="x1", ttl=TTL, round=7)
    state = answer(voter("c"), renewal, 10.0).state
    other = Claim(lease="l", term=4, holder="y", boot="y1", ttl=TTL, round=1)
    assert not answer(state, other, 10.0 + TTL - 0.01).vote.granted
    assert answer(state, other, 10.0 + TTL).vote.granted
    same_term = Claim(lease="l", term=3, holder="y", boot="y1", ttl=TTL, round=1)
    assert not answer(state, same_term, 100.0).vote.granted
    late = Release(lease="l", term=3, holder="x", boot="x1", round=6)
    assert not answer(state, late, 11.0).vote.granted


def test_a_renewal_of_a_term_that_others_overtook_teaches_nothing() -> None:
    taken = Claim(lease="l", term=4, holder="y", boot="y1", ttl=TTL, round=1)
    state = answer(voter("c"), taken, 10.0).state
    late = Renew(lease="l", term=3, holder="x", boot="x1", ttl=TTL, round=9)
    result = answer(state, late, 30.0)
    assert not result.vote.granted
    assert result.state == state


def test_the_votes_shown_as_evidence_are_those_of_a_majority() -> None:
    voters = {name: voter(name) for name in "abc"}
    holder = HolderState("node/x", "x", "x1", voters=3, ttl=TTL, margin=0.2)
    holder = ask(holder, voters, "a", 10.0)
    holder = ask(holder, voters, "ab", 10.5)
    holder = ask(holder, voters, "c", 11.0)
    assert holder.valid(11.0)
    assert holder.granted == {"a", "b"}
    assert HolderState("l", "x", "x1", voters=3, ttl=TTL, margin=0.2).granted == frozenset()
