"""Leases: at no moment do two holders of one lease both believe it valid, whatever happens."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.lease import (
    HolderState,
    VoterState,
    answer,
    electorate,
    learn,
    majority,
    settled,
)
from holdfast.structs import replace
from holdfast.timing import LONGEST_TTL, PROFILES
from holdfast.wire import Claim, FencedOff, LeaseTerm, Release, Renew, Terms, Vote
from tests.support.lease_world import (
    LEASE,
    MARGIN,
    MAX_RATE,
    SHORT,
    TTL,
    Clock,
    Storm,
    even_clocks,
    world,
)

CLOCKS = st.builds(
    Clock,
    offset=st.floats(0, 10_000),
    rate=st.floats(1 - MAX_RATE, 1 + MAX_RATE),
)


@pytest.mark.parametrize(("voters", "holders"), [(3, 2), (3, 3), (5, 2), (5, 3)])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_never_two_believers(voters: int, holders: int, seed: int) -> None:
    chance = Random(seed)
    clocks = [
        Clock(chance.uniform(0, 10_000), 1 + chance.choice([-MAX_RATE, 0, MAX_RATE]))
        for _ in range(voters + holders)
    ]
    w = world(voters, holders, clocks, new=chance.random() < 0.3)
    storm = Storm(w, chance)
    for number in range(300):
        storm.step()
        assert len(w.believers()) <= 1, (seed, number)


@pytest.mark.parametrize("voters", [3, 5])
@pytest.mark.parametrize("scales", [(1.0, SHORT), (SHORT, 1.0)])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_never_two_believers_while_the_profile_changes(
    voters: int, scales: tuple[float, float], seed: int
) -> None:
    chance = Random(seed)
    clocks = [
        Clock(chance.uniform(0, 10_000), 1 + chance.choice([-MAX_RATE, 0, MAX_RATE]))
        for _ in range(voters + 3)
    ]
    w = world(voters, 3, clocks, new=chance.random() < 0.1, scale=scales[0])
    storm = Storm(w, chance)
    changes = chance.randrange(20, 100)
    for number in range(200):
        if number == changes:
            w.scale = scales[1]
        storm.step()
        assert len(w.believers()) <= 1, (seed, number)


def test_a_voter_that_restarts_with_a_shorter_profile_abstains_for_the_longer() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    w.scale = SHORT
    w.restart("b")
    for voter in (0, 1):
        w.crash(voter, forget=False)
    w.now += TTL * SHORT
    w.request("b")
    w.deliver_all()
    assert w.believers() == ["a"]
    w.now += TTL - TTL * SHORT
    w.request("b")
    w.deliver_all()
    assert w.believers() == ["b"]


def test_hands_of_the_longer_profile_keep_their_lease_while_the_voters_change() -> None:
    w = world(3, 1, even_clocks(4))
    w.scale = SHORT
    for number in range(60):
        if number in (5, 10, 15):
            w.crash(number // 5 - 1, forget=False)
        w.request("a")
        w.deliver_all()
        assert w.believers() == ["a"]
        w.now += 0.5
    w.restart("a")
    w.request("a")
    w.deliver_all()
    w.now += TTL
    w.request("a")
    w.deliver_all()
    assert {settled(voter, w.now).bound for voter in w.voters} == {TTL * SHORT}


def test_a_voter_that_lost_its_longer_profile_waits_for_the_longest_that_others_tell() -> None:
    lesson = _lesson(2)
    short = VoterState(name="v0", started=50.0, max_ttl=TTL * SHORT, blank=True)
    assert learn(short, lesson, 3, asked_at=50.0 + TTL - 0.01).blank
    assert not learn(short, lesson, 3, asked_at=50.0 + TTL).blank
    untold = {name: replace(terms, longest_ttl=0.0) for name, terms in lesson.items()}
    assert learn(short, untold, 3, asked_at=50.0 + LONGEST_TTL - 0.01).blank
    assert not learn(short, untold, 3, asked_at=50.0 + LONGEST_TTL).blank


def test_majorities_of_two_electorates_are_never_counted_for_one_lease() -> None:
    """Three voters become five: the old majority a, b and the new one c, d, e share none."""
    old, new = electorate("abc"), electorate("abcde")
    voters = {v: VoterState(name=v, started=0.0, max_ttl=TTL, electorate=old) for v in "abc"}
    voters |= {
        v: VoterState(name=v, started=90.0, max_ttl=TTL, electorate=new, blank=True) for v in "de"
    }
    holder = HolderState(LEASE, "a", "a1", voters=3, ttl=TTL, margin=MARGIN, electorate=old)
    other = HolderState(LEASE, "b", "b1", voters=5, ttl=TTL, margin=MARGIN, electorate=new)
    for now in (100.0, 101.0, 110.0):
        for names, who in (("ab", holder), ("abcde", other)):
            state, request = who.request(now)
            for name in names:
                result = answer(voters[name], request, now)
                voters[name], state = result.state, state.on_vote(result.vote)
            holder, other = (state, other) if who is holder else (holder, state)
        assert holder.valid(now)
        assert not other.valid(now)
    told = {
        v: Terms(voter=v, blank=s.blank, terms=[], electorate=s.electorate, longest_ttl=s.bound)
        for v, s in voters.items()
        if v != "d"
    }
    assert learn(voters["d"], told, 5, asked_at=110.0).blank, "those of the old set do not count"


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_request_that_names_no_voters_counts_only_where_the_memory_is_as_old(
    unnamed: bool,
) -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL, electorate="a,b,c", unnamed=unnamed)
    vote = answer(voter, _claim("a", 1), 100.0).vote
    assert vote.granted == unnamed
    assert unnamed or "none named" in vote.reason


def test_the_storm_is_no_calm() -> None:
    """The test above would pass if nobody ever held the lease: they do, and it changes hands."""
    held: set[str] = set()
    grants = 0
    for seed in range(20):
        w = world(3, 3, even_clocks(6))
        storm = Storm(w, Random(seed))
        for _ in range(300):
            storm.step()
            held.update(w.believers())
        grants += w.grants
    assert held == {"a", "b", "c"}
    assert grants > 500


@given(st.lists(CLOCKS, min_size=5, max_size=5), st.lists(st.floats(0.01, 1.9), max_size=30))
def test_an_undisturbed_holder_keeps_its_lease(clocks: list[Clock], pauses: list[float]) -> None:
    w = world(3, 2, clocks)
    for pause in [0.0, *pauses]:
        w.now += pause
        w.request("a")
        w.deliver_all()
        assert w.believers() == ["a"]
        w.request("b")
        w.deliver_all()
    assert w.holders["a"].state.term == 1
    assert w.grants == len(pauses) + 1


@given(st.lists(CLOCKS, min_size=7, max_size=7), st.sets(st.integers(0, 4), max_size=2))
def test_any_majority_suffices_and_the_rest_may_be_dead(
    clocks: list[Clock], dead: set[int]
) -> None:
    w = world(5, 2, clocks)
    w.request("a")
    w.flights = [flight for flight in w.flights if flight.voter not in dead]
    w.deliver_all()
    assert w.believers() == ["a"]


def test_a_minority_never_suffices() -> None:
    for voters in (3, 5):
        w = world(voters, 2, even_clocks(voters + 2))
        for _ in range(10):
            w.request("a")
            w.flights = [flight for flight in w.flights if flight.voter < majority(voters) - 1]
            w.deliver_all()
            w.now += 1.0
        assert w.believers() == []


def test_one_voters_repeated_vote_counts_once() -> None:
    w = world(3, 1, even_clocks(4))
    w.request("a")
    w.flights = w.flights[:1] * 3
    w.deliver_all()
    assert w.believers() == []


def test_another_takes_over_only_after_the_promise_and_then_at_once() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    for at, who in ((TTL - MARGIN - 0.01, ["a"]), (TTL - MARGIN, []), (TTL - 0.001, [])):
        w.now = 100.0 + at
        w.request("b")
        w.deliver_all()
        assert w.believers() == who
    w.now = 100.0 + TTL
    w.request("b")
    w.deliver_all()
    assert w.believers() == ["b"]
    assert w.holders["b"].state.term > 1


def test_a_proof_about_the_holders_boot_frees_the_lease_at_once() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    w.request("b", proof_about="a")
    w.deliver_all()
    w.request("b")
    w.deliver_all()
    assert w.believers() == []
    assert w.holders["b"].state.term == 0
    proof = FencedOff(node="a", boot="a1", agent="sim", event="e")
    holder = w.holders["b"]
    holder.state, claim = holder.state.request(w.now, proof)
    assert isinstance(claim, Claim)
    votes = [answer(v, claim, w.now).vote for v in w.voters]
    assert all(vote.granted for vote in votes)


@pytest.mark.parametrize(("node", "boot"), [("a", "a0"), ("b", "a1"), ("a", "")])
def test_a_proof_about_anything_else_frees_nothing(node: str, boot: str) -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    claim = _claim("b", 9, FencedOff(node=node, boot=boot, agent="sim", event="e"))
    for voter in w.voters:
        assert not answer(voter, claim, w.now).vote.granted


def test_a_release_frees_the_lease_at_once() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    w.release("a")
    w.deliver_all()
    for _ in range(2):
        w.request("b")
        w.deliver_all()
    assert w.believers() == ["b"]


def test_a_late_release_does_not_undo_what_was_claimed_after_it() -> None:
    """A candidate gives its votes back, claims again, wins; then its release arrives."""
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.flights = []
    w.release("a")
    late, w.flights = w.flights, []
    w.request("a")
    w.deliver_all()
    assert w.believers() == ["a"]
    w.flights = late
    w.deliver_all()
    for _ in range(2):
        w.request("b")
        w.deliver_all()
    assert w.believers() == ["a"]


def test_a_dead_processs_late_release_does_not_undo_its_successors_claim() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.flights = w.flights[:1]
    w.deliver(0)
    w.flights = []
    w.release("a")
    late, w.flights = w.flights, []
    w.restart("a")
    w.request("a")
    w.flights = w.flights[:2]
    w.deliver_all()
    assert w.believers() == ["a"]
    w.flights = late
    w.deliver_all()
    for _ in range(2):
        w.request("b")
        w.deliver_all()
    assert w.believers() == ["a"]


def test_a_forgotten_vote_is_not_given_twice() -> None:
    """v0 votes for b and forgets it; v2's vote for b comes after it has taught v0."""
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    w.now += TTL
    w.request("b")
    w.deliver_all()
    w.request("b")
    claims, w.flights = w.flights, []
    w.flights = [flight for flight in claims if flight.voter == 0]
    w.deliver_all()
    w.crash(0, forget=True)
    w.ask_to_teach(0)
    w.flights = [flight for flight in claims if flight.voter == 2]
    w.deliver_all()
    w.hear_lesson(0)
    w.request("a")
    w.flights = [flight for flight in w.flights if flight.voter != 2]
    w.deliver_all()
    assert len(w.believers()) <= 1


def test_a_vote_forgotten_while_the_others_are_still_blank_is_not_given_twice() -> None:
    """v0 of a new cluster votes for a and loses its disk; v1 and v2 conclude from old answers."""
    w = world(3, 2, even_clocks(5), new=True)
    for voter in range(3):
        w.ask_to_teach(voter)
    w.hear_lesson(0)
    w.request("a")
    w.deliver_to({0}, to="a")
    w.crash(0, forget=True)
    w.ask_to_teach(0)
    w.hear_lesson(0)
    for voter in (1, 2):
        w.hear_lesson(voter)
    w.deliver_to({1}, to="a")
    assert w.believers() == ["a"]
    w.flights = []
    w.request("b")
    w.deliver_to({0, 2}, to="b")
    assert w.believers() == ["a"]


def test_a_term_whose_votes_came_too_late_is_not_renewed() -> None:
    """v0 votes for b in term 2, forgets it and supports a; then v1's vote reaches b as well."""
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_to({0}, to="a")
    w.flights = []
    w.now += TTL
    w.request("b")
    w.deliver_to({0}, to="b")
    w.request("b")
    late = [flight for flight in w.flights if flight.voter == 1][-1]
    w.deliver_to({0}, to="b")
    w.crash(0, forget=True)
    w.now += TTL
    w.ask_to_teach(0)
    w.hear_lesson(0)
    w.flights = []
    w.request("a")
    w.deliver_to({0, 2}, to="a")
    assert w.believers() == ["a"]
    w.flights = [late]
    w.deliver_all()
    assert w.holders["b"].state.term == 2
    w.request("b")
    w.deliver_all()
    assert w.believers() == ["a"]


def test_a_holder_whose_term_is_contested_gets_its_lapsed_lease_back() -> None:
    """b got one vote in a's term and is gone; with that voter a must be able to go on."""
    w = world(3, 2, even_clocks(5))
    for name, voters in (("a", {0, 1}), ("b", {2})):
        w.request(name)
        w.deliver_to(voters, to=name)
    w.flights = []
    assert w.believers() == ["a"]
    w.now += TTL
    for _ in range(2):
        w.request("a")
        w.deliver_to({1, 2}, to="a")
    assert w.believers() == ["a"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_blank_voter_that_is_told_two_holders_of_a_term_votes_for_neither(order: int) -> None:
    told = {
        voter: Terms(
            voter=voter,
            blank=False,
            terms=[LeaseTerm(lease=LEASE, term=4, holder=holder, boot=f"{holder}1")],
            longest_ttl=TTL,
        )
        for voter, holder in (("v1", "a"), ("v2", "b"))[::order]
    }
    learnt = learn(_blank(), told, 3, asked_at=TTL)
    assert not learnt.blank
    for name in ("a", "b", ""):
        assert not answer(learnt, _claim(name, 4), 2 * TTL).vote.granted
    assert answer(learnt, _claim("b", 6), 2 * TTL).vote.granted


def test_a_restarted_voter_abstains_from_takeovers_for_one_ttl_but_renews() -> None:
    w = world(3, 2, even_clocks(5))
    w.request("a")
    w.deliver_all()
    for voter in range(3):
        w.crash(voter, forget=False)
    w.request("a")
    w.deliver_all()
    assert w.holders["a"].state.valid_until == w.now + TTL - MARGIN
    w.now += TTL - 0.01
    w.request("b")
    w.deliver_all()
    assert w.believers() == []
    w.now += 0.01
    w.request("b")
    w.deliver_all()
    assert w.believers() == ["b"]


def test_a_majority_for_another_ends_a_holders_belief_at_once() -> None:
    state = HolderState(lease=LEASE, holder="a", boot="a1", voters=3, ttl=TTL, margin=MARGIN)
    state, claim = state.request(0.0)
    for name in ("v0", "v1"):
        state = state.on_vote(_vote(name, claim.round, LeaseTerm(lease=LEASE, term=1, holder="a")))
    assert state.valid(1.0)
    state, renewal = state.request(1.0)
    assert isinstance(renewal, Renew)
    for name in ("v0", "v0", "v1"):
        assert state.valid(1.0)
        other = LeaseTerm(lease=LEASE, term=2, holder="b", boot="b1")
        state = state.on_vote(_vote(name, renewal.round, other, granted=False))
    assert not state.valid(1.0)
    state, again = state.request(1.1)
    assert isinstance(again, Claim)
    assert again.term == 3


def test_votes_of_unknown_rounds_and_other_leases_change_nothing() -> None:
    state = HolderState(lease=LEASE, holder="a", boot="a1", voters=3, ttl=TTL, margin=MARGIN)
    state, claim = state.request(0.0)
    held = LeaseTerm(lease=LEASE, term=1, holder="a")
    assert state.on_vote(_vote("v0", claim.round + 1, held)) is state
    other = LeaseTerm(lease="decider", term=1, holder="a")
    assert state.on_vote(_vote("v0", claim.round, other)) is state


def test_the_rounds_a_holder_remembers_are_bounded() -> None:
    state = HolderState(lease=LEASE, holder="a", boot="a1", voters=3, ttl=TTL, margin=MARGIN)
    for number in range(100):
        state, _ = state.request(float(number) / 100)
    assert len(state.rounds) <= 16


def test_a_voter_refuses_lower_terms_for_good() -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL)
    voter = answer(voter, _claim("a", 5), 100.0).state
    for now in (100.0, 1e6):
        for term in range(6):
            result = answer(voter, _claim("b", term), now)
            assert not result.vote.granted
            assert result.vote.stored.term == 5
            assert result.state == voter
            assert result.store is None


def test_a_grant_is_to_be_stored_before_it_is_told_and_a_repetition_is_not() -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL)
    first = answer(voter, _claim("a", 1), 100.0)
    assert first.store == LeaseTerm(lease=LEASE, term=1, holder="a", boot="a1")
    again = answer(first.state, _claim("a", 1), 101.0)
    assert again.vote.granted
    assert again.store is None
    assert again.state.promised_until[LEASE] == 101.0 + TTL


@pytest.mark.parametrize("ttl", [TTL + 0.001, 60.0])
def test_a_ttl_above_the_voters_is_refused(ttl: float) -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL)
    claim = Claim(lease=LEASE, term=1, holder="a", boot="a1", ttl=ttl, round=1)
    assert not answer(voter, claim, 100.0).vote.granted


def test_a_revocation_needs_the_promise_gone_or_a_proof_and_ends_every_renewal() -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL)
    voter = answer(voter, _claim("a", 1), 100.0).state
    revoke = Claim(lease=LEASE, term=2, holder="", boot="", ttl=TTL, round=1)
    assert not answer(voter, revoke, 100.0 + TTL - 0.01).vote.granted
    gone = answer(voter, revoke, 100.0 + TTL)
    assert gone.vote.granted
    renewal = Renew(lease=LEASE, term=1, holder="a", boot="a1", ttl=TTL, round=2)
    assert not answer(gone.state, renewal, 100.0 + TTL).vote.granted
    early = answer(gone.state, _claim("a", 3), 100.0 + TTL)
    assert not early.vote.granted, "the revocation holds for a ttl, as every grant does"
    assert answer(gone.state, _claim("a", 3), 100.0 + 2 * TTL).vote.granted


def test_a_revocation_and_the_old_holder_never_both_have_a_majority() -> None:
    """One voter grants the revocation; the holder must not win it back while others are asked."""
    holder = HolderState(LEASE, "n", "n1", voters=3, ttl=TTL, margin=MARGIN)
    revoker = HolderState(LEASE, "", "", voters=3, ttl=TTL, margin=MARGIN, highest_seen=1)
    voters = {v: VoterState(name=v, started=0.0, max_ttl=TTL) for v in "abc"}

    def ask(state: HolderState, names: str, now: float) -> HolderState:
        state, request = state.request(now)
        for name in names:
            result = answer(voters[name], request, now)
            voters[name] = result.state
            state = state.on_vote(result.vote)
        return state

    holder = ask(holder, "abc", 100.0)
    holder = ask(holder, "bc", 100.0 + TTL - 1)  # a no longer hears it
    revoker = ask(revoker, "a", 100.0 + TTL)  # a's promise has run out
    assert not revoker.valid(100.0 + TTL)
    holder = ask(holder, "ab", 100.0 + TTL + 0.1)  # a refuses it: the term is taken
    holder = ask(holder, "ab", 100.0 + TTL + 0.2)  # it claims above, over itself
    when = 100.0 + 2 * TTL - 1  # c's promise has run out, too
    revoker = ask(revoker, "ac", when)
    assert revoker.valid(when)
    assert not holder.valid(when)


def test_leases_do_not_touch_each_other() -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL)
    voter = answer(voter, _claim("a", 7), 100.0).state
    other = Claim(lease="decider", term=1, holder="b", boot="b1", ttl=TTL, round=1)
    result = answer(voter, other, 100.0)
    assert result.vote.granted
    assert result.state.stored(LEASE).term == 7


def test_a_blank_voter_grants_nothing() -> None:
    voter = VoterState(name="v", started=0.0, max_ttl=TTL, blank=True)
    renewal = Renew(lease=LEASE, term=0, holder="a", boot="a1", ttl=TTL, round=2)
    release = Release(lease=LEASE, term=0, holder="a", boot="a1")
    for request in (_claim("a", 1), renewal, release):
        result = answer(voter, request, 100.0)
        assert not result.vote.granted
        assert result.state == voter


def _blank(started: float = 0.0) -> VoterState:
    return VoterState(name="v0", started=started, max_ttl=TTL, blank=True)


def _lesson(count: int, *, blank: int = 0, term: int = 4) -> dict[str, Terms]:
    known = [LeaseTerm(lease=LEASE, term=term, holder="a", boot="a1")]
    return {
        f"v{n}": Terms(
            voter=f"v{n}",
            blank=n <= blank,
            terms=[] if n <= blank else known,
            longest_ttl=TTL,
        )
        for n in range(1, count + 1)
    }


@pytest.mark.parametrize(
    ("voters", "heard", "blank", "enough"),
    [
        (3, 1, 0, False),
        (3, 2, 0, True),
        (3, 2, 1, True),
        (5, 2, 0, False),
        (5, 3, 0, True),
        (5, 3, 1, False),  # the one not heard may be the only one of a majority that remembers
        (5, 4, 1, True),
    ],
)
def test_a_blank_voter_learns_from_enough_others_that_remember(
    voters: int, heard: int, blank: int, enough: bool
) -> None:
    learnt = learn(_blank(), _lesson(heard, blank=blank), voters, asked_at=TTL)
    assert learnt.blank != enough
    assert learnt.stored(LEASE).term == (4 if enough else 0)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_a_blank_voter_waits_one_ttl_before_it_asks_whoever_remembers(blank: int) -> None:
    lesson = _lesson(2, blank=blank)
    assert learn(_blank(started=50.0), lesson, 3, asked_at=50.0 + TTL - 0.01).blank
    assert not learn(_blank(started=50.0), lesson, 3, asked_at=50.0 + TTL).blank


def test_a_new_cluster_begins_only_when_every_voter_was_heard() -> None:
    for voters in (3, 5):
        others = voters - 1
        few = _lesson(others - 1, blank=others - 1)
        assert learn(_blank(), few, voters, asked_at=TTL).blank
        assert not learn(_blank(), _lesson(others, blank=others), voters, asked_at=TTL).blank


def test_a_blank_voter_keeps_the_highest_term_told() -> None:
    replies = {**_lesson(1, term=4), "v2": _lesson(2, term=9)["v2"]}
    assert learn(_blank(), replies, 3, asked_at=TTL).stored(LEASE).term == 9


def test_the_margin_covers_the_drift_that_the_simulation_allows() -> None:
    assert (1 + MAX_RATE) / (1 - MAX_RATE) < TTL / (TTL - MARGIN)
    for timing in PROFILES.values():
        assert timing.ttl / (timing.ttl - timing.margin) > 1.02


def _claim(holder: str, term: int, proof: FencedOff | None = None) -> Claim:
    return Claim(
        lease=LEASE, term=term, holder=holder, boot=f"{holder}1", ttl=TTL, round=term, proof=proof
    )


def _vote(voter: str, round_: int, stored: LeaseTerm, *, granted: bool = True) -> Vote:
    return Vote(voter=voter, round=round_, granted=granted, stored=stored)
