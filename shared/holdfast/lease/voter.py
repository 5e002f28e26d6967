"""One vote. `answer` is the whole of a voter: state and request in, state and reply out."""

from dataclasses import dataclass, field, replace

from holdfast.wire import Claim, FencedOff, LeaseExpired, LeaseTerm, Proof, Release, Renew, Vote


@dataclass(frozen=True, slots=True)
class VoterState:
    """What a voter remembers. `terms` is durable; the promises are not, hence `started`.

    `blank` is a voter that has lost, or never had, its memory: it grants nothing until it has
    learned the terms of enough others (`learn`).
    """

    name: str
    started: float
    max_ttl: float
    lease_only: bool = False
    blank: bool = False
    terms: dict[str, LeaseTerm] = field(default_factory=dict)
    promised_until: dict[str, float] = field(default_factory=dict)

    def stored(self, lease: str) -> LeaseTerm:
        """The highest term this voter agreed to; term 0 of nobody if none."""
        return self.terms.get(lease, LeaseTerm(lease=lease))


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply, and the state to keep. If `store` is given, it must be durable before replying."""

    state: VoterState
    vote: Vote
    store: LeaseTerm | None = None


def answer(state: VoterState, request: Renew | Claim | Release, now: float) -> Answer:
    """Vote on one request. Total: every request gets a vote, and refusing changes nothing."""
    if state.blank:
        return _refuse(state, request, "this voter has no memory yet and is asking the others", 1.0)
    if isinstance(request, Renew | Claim) and request.ttl > state.max_ttl:
        return _refuse(
            state, request, f"ttl {request.ttl} s is longer than this voter's {state.max_ttl} s"
        )
    match request:
        case Renew():
            return _renew(state, request, now)
        case Claim():
            return _claim(state, request, now)
        case Release():
            return _release(state, request)


def _renew(state: VoterState, request: Renew, now: float) -> Answer:
    stored = state.stored(request.lease)
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
    free_at = max(
        state.promised_until.get(request.lease, 0.0),
        # The promises made before a restart are forgotten, so all are taken to be outstanding.
        state.started + state.max_ttl,
    )
    proven = request.proof is not None and _proves(state, request.proof, stored)
    if now < free_at and not proven:
        return _refuse(state, request, "a promise to the holder is outstanding", free_at - now)
    claimed = replace(state, terms={**state.terms, request.lease: wanted})
    return _grant(_promise(claimed, request, now), request, store=wanted)


def _release(state: VoterState, request: Release) -> Answer:
    stored = state.stored(request.lease)
    if (request.term, request.holder, request.boot) != (stored.term, stored.holder, stored.boot):
        return _refuse(state, request, f"term {stored.term} belongs to {stored.holder or 'nobody'}")
    promises = {k: v for k, v in state.promised_until.items() if k != request.lease}
    return _grant(replace(state, promised_until=promises), request)


def _proves(state: VoterState, proof: Proof, stored: LeaseTerm) -> bool:
    """Whether the proof frees the lease at once: it must be about the boot that holds it."""
    match proof:
        case FencedOff():
            return proof.boot == stored.boot
        case LeaseExpired():
            return False


def _promise(state: VoterState, request: Renew | Claim, now: float) -> VoterState:
    if not request.holder:
        return state
    until = max(now + request.ttl, state.promised_until.get(request.lease, 0.0))
    return replace(state, promised_until={**state.promised_until, request.lease: until})


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
