"""One vote. `answer` is the whole of a voter: state and request in, state and reply out."""

import msgspec

from holdfast.lease.quorum import majority
from holdfast.structs import replace
from holdfast.timing import LONGEST_TTL
from holdfast.wire import Claim, LeaseTerm, Release, Renew, Terms, Vote


class VoterState(msgspec.Struct, frozen=True):
    """What a voter remembers. `terms` is durable; the promises are not, hence `started`.

    `blank` is a voter that has lost, or never had, its memory: it grants nothing until it has
    learned the terms of enough others (`learn`).
    """

    name: str
    started: float
    max_ttl: float
    """That of this place's profile."""
    longest_ttl: float = 0.0
    """Durable: what an earlier process with another profile may have promised (`settled`)."""
    electorate: str = ""
    """Durable: the voters among whom it voted first, and among no others as long as it remembers
    anything. Another cluster file does not change it."""
    unnamed: bool = False
    """Its memory is of a version whose requests named no electorate: such requests count."""
    blank: bool = False
    terms: dict[str, LeaseTerm] = msgspec.field(default_factory=dict)
    promised_until: dict[str, float] = msgspec.field(default_factory=dict)
    promised_round: dict[str, int] = msgspec.field(default_factory=dict)
    """The latest round granted per lease, by which a release that was overtaken is known."""

    @property
    def bound(self) -> float:
        """Seconds that no promise of this voter outlasts, whichever of its processes gave it."""
        return max(self.max_ttl, self.longest_ttl)

    @property
    def ready_at(self) -> float:
        """From when on nothing that an earlier process promised is outstanding."""
        return self.started + self.bound

    def stored(self, lease: str) -> LeaseTerm:
        """The highest term this voter agreed to; term 0 of nobody if none."""
        return self.terms.get(lease) or LeaseTerm(lease=lease)


class Answer(msgspec.Struct, frozen=True):
    """The reply, and the state to keep. If `store` is given, it must be durable before replying."""

    state: VoterState
    vote: Vote
    store: LeaseTerm | None = None


def answer(state: VoterState, request: Renew | Claim | Release, now: float) -> Answer:
    """Vote on one request. Total: every request gets a vote, and refusing changes nothing."""
    stranger = another_electorate(state, request.electorate)
    if stranger:
        return _refuse(state, request, stranger)
    if state.blank:
        return _refuse(state, request, "this voter has no memory yet and is asking the others", 1.0)
    if not isinstance(request, Release) and request.ttl > state.bound:
        return _refuse(
            state, request, f"ttl {request.ttl} s is longer than this voter's {state.bound} s"
        )
    match request:
        case Renew():
            return _renew(state, request, now)
        case Claim():
            return _claim(state, request, now)
        case Release():
            return _release(state, request)


def another_electorate(state: VoterState, named: str) -> str:
    """Why a message that names these voters does not count here; empty if it does."""
    if named == state.electorate or (not named and state.unnamed):
        return ""
    return f"asked as one of the voters {named or '(none named)'}; votes among {state.electorate}"


def settled(state: VoterState, now: float) -> VoterState:
    """Forget the longer ttl of an earlier profile, once no promise of that length is outstanding.

    Until then it is still granted: so hands that have the old profile keep their lease.
    """
    if state.longest_ttl <= state.max_ttl or now < state.ready_at:
        return state
    if max(state.promised_until.values(), default=0.0) > now + state.max_ttl:
        return state
    return replace(state, longest_ttl=state.max_ttl)


def learn(
    state: VoterState, replies: dict[str, Terms], voters: int, *, asked_at: float
) -> VoterState:
    """Give a blank voter its memory back, once enough other voters have told what they stored.

    `replies` are to questions asked at or after `asked_at`, in this voter's seconds. Those of
    voters of another electorate do not count.

    Every majority that ever granted a term holds at least majority - 1 voters besides this one, so
    hearing voters - majority + 1 of the others that remember meets each of them; so does hearing
    all others. That is asked only once this voter has been up for a ttl (`ready_at`): until then
    a claim that it granted before it forgot may still be on its way to a voter that has already
    told us its terms. If it had a longer profile before, it may have promised for longer than it
    knows; but what one of the others of that majority promised with it was no longer than that one
    tells. So it waits for the longest that any of them tells.

    In a new cluster all others are blank, too, and that alone does not end the wait: this voter may
    have voted, and lost its disk, while the others were still blank. But those that are blank a ttl
    after it started can only grant later. Whatever round it took part in before was asked before
    it started, and makes nobody believe any more. So no holder has a majority, or can get one with
    the forgotten vote, and the cluster is as good as new.
    """
    assert state.blank
    assert state.name not in replies
    replies = {k: v for k, v in replies.items() if v.electorate == state.electorate}
    heard_all = len(replies) == voters - 1
    remembering = sum(not reply.blank for reply in replies.values())
    if not heard_all and remembering < voters - majority(voters) + 1:
        return state
    others = max((reply.longest_ttl or LONGEST_TTL for reply in replies.values()), default=0.0)
    if asked_at < max(state.ready_at, state.started + others):
        return state
    terms = dict(state.terms)
    for reply in replies.values():
        for told in reply.terms:
            known = terms.get(told.lease, LeaseTerm(lease=told.lease))
            if told.term > known.term:
                terms[told.lease] = told
            elif told.term == known.term and told != known:
                # We may have voted for either. This keeps us from voting for the other as well.
                terms[told.lease] = LeaseTerm(lease=told.lease, term=told.term + 1)
    return replace(state, blank=False, terms=terms)


def _renew(state: VoterState, request: Renew, now: float) -> Answer:
    """Promise again. A voter that missed the claim, because it was down, catches up.

    Only a holder whose term a majority granted in time renews it. Each of them had no promise
    outstanding, so no older holder can count on ours any more. Without this, a lease would rest on
    the rest of the voters until somebody claims it anew, and nobody would.
    """
    stored = state.stored(request.lease)
    if request.term > stored.term:
        return _adopt(state, request, now)
    if (request.term, request.holder, request.boot) != (stored.term, stored.holder, stored.boot):
        return _refuse(state, request, f"term {stored.term} belongs to {stored.holder or 'nobody'}")
    return _grant(_promise(state, request, now), request)


def _claim(state: VoterState, request: Claim, now: float) -> Answer:
    stored = state.stored(request.lease)
    wanted = LeaseTerm(
        lease=request.lease, term=request.term, holder=request.holder, boot=request.boot
    )
    if wanted == stored:
        # A repetition of what was granted: the reply was lost. Granting again is the same vote.
        return _grant(_promise(state, request, now), request)
    if request.term <= stored.term:
        return _refuse(state, request, f"term {request.term} is not above {stored.term}")
    free_at = _free_at(state, stored)
    own = (request.holder, request.boot) == (stored.holder, stored.boot)
    if now < free_at and not own and not _proven_dead(request, stored):
        return _refuse(state, request, "a promise to the holder is outstanding", free_at - now)
    return _adopt(state, request, now)


def _adopt(state: VoterState, request: Renew | Claim, now: float) -> Answer:
    """Store the term that the request is about, and promise."""
    wanted = LeaseTerm(
        lease=request.lease, term=request.term, holder=request.holder, boot=request.boot
    )
    rounds = {k: v for k, v in state.promised_round.items() if k != request.lease}
    adopted = replace(state, terms={**state.terms, request.lease: wanted}, promised_round=rounds)
    return _grant(_promise(adopted, request, now), request, store=wanted)


def _release(state: VoterState, request: Release) -> Answer:
    stored = state.stored(request.lease)
    if (request.term, request.holder, request.boot) != (stored.term, stored.holder, stored.boot):
        return _refuse(state, request, f"term {stored.term} belongs to {stored.holder or 'nobody'}")
    if request.round < state.promised_round.get(request.lease, 0):
        return _refuse(state, request, "a later request of this holder was granted since")
    promises = {k: v for k, v in state.promised_until.items() if k != request.lease}
    return _grant(replace(state, promised_until=promises), request)


def _free_at(state: VoterState, stored: LeaseTerm) -> float:
    """When this voter may agree to another holder."""
    if stored.term == 0:
        return 0.0
    # Promises made before a restart are forgotten, so all are taken to be outstanding.
    return max(state.promised_until.get(stored.lease, 0.0), state.ready_at)


def _proven_dead(request: Claim, stored: LeaseTerm) -> bool:
    """A proof frees the lease at once, but only if it is about the very boot that holds it."""
    proof = request.proof
    return proof is not None and (proof.node, proof.boot) == (stored.holder, stored.boot)


def _promise(state: VoterState, request: Renew | Claim, now: float) -> VoterState:
    """A promise not to agree to anybody else for a ttl.

    A revocation, a claim in nobody's name, gets one too: else its old holder could claim the lease
    back from this voter while the others are still being asked, and hold it beside the revocation.
    """
    until = max(now + request.ttl, state.promised_until.get(request.lease, 0.0))
    latest = max(request.round, state.promised_round.get(request.lease, 0))
    return replace(
        state,
        promised_until={**state.promised_until, request.lease: until},
        promised_round={**state.promised_round, request.lease: latest},
    )


def _grant(
    state: VoterState, request: Renew | Claim | Release, store: LeaseTerm | None = None
) -> Answer:
    stored = state.stored(request.lease)
    vote = Vote(voter=state.name, round=request.round, granted=True, stored=stored)
    return Answer(state, vote, store)


def _refuse(
    state: VoterState, request: Renew | Claim | Release, reason: str, wait: float = 0.0
) -> Answer:
    return Answer(
        state,
        Vote(
            voter=state.name,
            round=request.round,
            granted=False,
            stored=state.stored(request.lease),
            reason=reason,
            wait=wait,
        ),
    )
