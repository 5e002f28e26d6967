"""Counting votes: what a holder may believe about its lease."""

import msgspec

from holdfast.lease.quorum import majority
from holdfast.structs import replace
from holdfast.wire import Claim, FencedOff, Release, Renew, Vote

MAX_ROUNDS_IN_FLIGHT = 16


class Round(msgspec.Struct, frozen=True):
    """One request to all voters: when it was about to be sent, in which term, who granted."""

    asked_at: float
    term: int
    granted: frozenset[str] = frozenset()
    overruled: frozenset[str] = frozenset()


class HolderState(msgspec.Struct, frozen=True):
    """One side's view of one lease. `term` is 0 until a majority granted one.

    `valid_until` is in this machine's monotonic seconds, margin already subtracted. A holder that
    releases must begin with a `next_round` above those of earlier processes of its boot, e.g. the
    monotonic clock in milliseconds: else a release of theirs, late, could undo its claim.
    """

    lease: str
    holder: str
    boot: str
    voters: int
    ttl: float
    margin: float
    electorate: str = ""
    """All voters by name, so that none of another cluster file counts itself among them."""
    term: int = 0
    highest_seen: int = 0
    valid_until: float = 0.0
    next_round: int = 1
    rounds: dict[int, Round] = msgspec.field(default_factory=dict)

    def valid(self, now: float) -> bool:
        """Whether the holder may act at `now`. The only question its users ever ask."""
        return now < self.valid_until

    @property
    def granted(self) -> frozenset[str]:
        """The voters on whom the term rests: those of its fullest round. Empty without a term."""
        rounds = (round_.granted for round_ in self.rounds.values() if round_.term == self.term)
        return max(rounds, key=len, default=frozenset())

    def request(
        self, now: float, proof: FencedOff | None = None
    ) -> tuple["HolderState", Renew | Claim]:
        """The next request to every voter: a renewal of our term, or a claim above all we saw.

        A term is renewed only while it is valid. Votes may arrive when the belief they would bring
        is over; such a term may have been overtaken by a voter that forgot its vote, and a renewal
        of it would take that voter from the holder that it supports by now.
        """
        renewing = self.valid(now) and 0 < self.term >= self.highest_seen
        term = self.term if renewing else self.highest_seen + 1
        recent = {n: r for n, r in self.rounds.items() if now < r.asked_at + self.ttl}
        kept = dict(list(recent.items())[-(MAX_ROUNDS_IN_FLIGHT - 1) :])
        kept[self.next_round] = Round(asked_at=now, term=term)
        state = replace(self, rounds=kept, next_round=self.next_round + 1)
        if renewing:
            return state, Renew(
                lease=self.lease,
                term=term,
                holder=self.holder,
                boot=self.boot,
                ttl=self.ttl,
                round=self.next_round,
                electorate=self.electorate,
            )
        return state, Claim(
            lease=self.lease,
            term=term,
            holder=self.holder,
            boot=self.boot,
            ttl=self.ttl,
            round=self.next_round,
            proof=proof,
            electorate=self.electorate,
        )

    def on_vote(self, vote: Vote) -> "HolderState":
        """Count one vote. Votes of unknown rounds, and repeated ones, change nothing."""
        round_ = self.rounds.get(vote.round)
        if round_ is None or vote.stored.lease != self.lease:
            return self
        if vote.granted:
            return self._count(vote, round_)
        return self._heed(vote, round_)

    def release(self, successor: str = "") -> tuple["HolderState", Release]:
        """Stop believing, then tell the voters that nobody need wait for us.

        Also how a candidate without a majority gives back the votes of its last claim.
        """
        term = max((round_.term for round_ in self.rounds.values()), default=self.term)
        request = Release(
            lease=self.lease,
            term=term,
            holder=self.holder,
            boot=self.boot,
            round=self.next_round,
            successor=successor,
            electorate=self.electorate,
        )
        released = replace(
            self,
            term=0,
            valid_until=0.0,
            rounds={},
            next_round=self.next_round + 1,
            # Never claim this term again: the release may arrive after such a claim.
            highest_seen=max(self.highest_seen, term),
        )
        return released, request

    def _count(self, vote: Vote, round_: Round) -> "HolderState":
        round_ = replace(round_, granted=round_.granted | {vote.voter})
        rounds = {**self.rounds, vote.round: round_}
        if len(round_.granted) < majority(self.voters) or round_.term < self.term:
            return replace(self, rounds=rounds)
        return replace(
            self,
            rounds=rounds,
            term=round_.term,
            highest_seen=max(self.highest_seen, round_.term),
            # From before the question was sent: no voter can have promised earlier than that.
            valid_until=max(self.valid_until, round_.asked_at + self.ttl - self.margin),
        )

    def _heed(self, vote: Vote, round_: Round) -> "HolderState":
        """A refusal teaches: there is a higher term to go above, or we are ousted."""
        stored = vote.stored
        state = replace(self, highest_seen=max(self.highest_seen, stored.term))
        ours = (stored.holder, stored.boot) == (self.holder, self.boot)
        if ours or stored.term <= round_.term:
            return state
        round_ = replace(round_, overruled=round_.overruled | {vote.voter})
        state = replace(state, rounds={**self.rounds, vote.round: round_})
        if len(round_.overruled) < majority(self.voters):
            return state
        # A majority agreed to somebody else: what is left of our time is not worth a doubt.
        return replace(state, term=0, valid_until=0.0)
