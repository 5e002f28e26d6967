"""A decider and its place's voter: the real cores in a modelled shell."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from holdfast.failover_decider import core
from holdfast.failover_decider.messages import (
    AskVoters,
    BucketsChecked,
    Effect,
    Emit,
    FenceDone,
    Input,
    LeaderSeen,
    MoveStreamLeaders,
    OrderAnswered,
    PrepareStreams,
    PulseHeard,
    Recording,
    RecordSeen,
    RecordsLoaded,
    RunFence,
    SendOrder,
    StandingSeen,
    StandingWritten,
    TellHands,
    Tick,
    VoteReceived,
    Write,
    WriteDone,
    WriteStanding,
)
from holdfast.failover_decider.state import State, initial
from holdfast.lease import LEADER_LEASE, VoterState, answer, electorate, learn
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.structs import replace
from holdfast.wire import (
    Claim,
    HandsPulse,
    LeaseTerm,
    MonitorPulse,
    Order,
    OrderReply,
    Release,
    Renew,
    Terms,
    Vote,
)
from tests.simulation.simulator.places import Place, Service

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

WRITE_TIMEOUT = 3.0
CHECK_TAKES = 0.005
LEARN_AGAIN = 0.5
LOAD_AGAIN = 0.5
RECORD_AGAIN = 2.0
Request = Renew | Claim | Release


class DeciderService(Service):
    """One decider process: it votes, listens and decides."""

    slot, title = "decider", "failover_decider"

    def __init__(self, world: "World", place: Place) -> None:
        super().__init__(world, place)
        terms = (
            None if place.votes is None else msgspec.json.decode(place.votes, type=list[LeaseTerm])
        )
        self.voter = VoterState(
            name=place.name,
            started=self.clock(),
            max_ttl=world.timing.ttl,
            electorate=electorate(world.voters),
            blank=terms is None,
            terms={term.lease: term for term in terms or ()},
        )
        self.state: State = initial(world.file, world.timing, place.name, place.boot, self.clock())
        self.tick = world.chance.uniform(0.1, world.slowest_tick)
        self.disk_full = False
        self._seen = 0
        self._loaded = False
        self._taught: tuple[float, dict[str, Terms]] = (0.0, {})

    def start(self) -> None:
        """As `Decider.run` does."""
        self._report("")
        self._learn()
        self._load()
        self.after(self.tick * self.world.chance.random(), self._tick)

    # --- decider --------------------------------------------------------------------------

    def feed(self, happened: Input) -> None:
        """One step of the core, and what follows from it."""
        before = self.state
        self.state, effects = core.decide(before, happened, self.clock(), self.world.mint)
        self.world.invariants.on_decided(self, happened, effects)
        for effect in effects:
            if self.blown():
                return
            if isinstance(effect, Emit) and self.disk_full:
                if self.state.recording:
                    self.feed(Recording(possible=False))
                return
            self._carry_out(effect)
        self.world.fences.end_overtaken(self)

    def hear(self, pulse: HandsPulse | MonitorPulse) -> None:
        """A pulse arrives."""
        self.feed(PulseHeard(pulse))

    def _tick(self) -> None:
        self.feed(Tick())
        if not self.state.recording and not self.disk_full:
            self.feed(Recording(possible=True))
        self.after(self.tick, self._tick)

    def _carry_out(self, effect: Effect) -> None:
        world, here = self.world, self.place.name
        match effect:
            case Emit(draft):
                world.emitted(self.place, self.slot, draft)
            case AskVoters(request):
                for voter in world.places:
                    if voter in world.voters:
                        world.network.send(
                            here, voter, "decider", "vote", request, self, self.voted
                        )
            case Write(record, revision):
                self._write(record, revision)
            case WriteStanding(standing, revision):
                self._write(standing, revision)
            case TellHands(suspend):
                world.network.send(here, suspend.node, "hands", "suspend", suspend)
            case RunFence():
                world.fences.run(self, effect)
            case SendOrder(order):
                world.network.send(here, order.node, "hands", "order", order, self)
            case PrepareStreams():
                self.after(CHECK_TAKES, self.feed, BucketsChecked())
            case MoveStreamLeaders(away_from):
                world.store.move_leader(away_from)
            case _:
                pass

    def voted(self, vote: Vote) -> None:
        """A voter's answer arrives."""
        self.feed(VoteReceived(vote))

    def answered(self, order: Order, reply: OrderReply) -> None:
        """The hands' answer arrives."""
        if reply.intent == order.intent:
            self.feed(OrderAnswered(order, reply))

    def fenced(self, done: FenceDone) -> None:
        """A fence run ended."""
        self.feed(done)

    def _write(self, record: OwnershipRecord | Standing, revision: int) -> None:
        ended = False

        def end(outcome: str, written: int) -> None:
            nonlocal ended
            if not ended:
                ended = True
                of = StandingWritten if isinstance(record, Standing) else WriteDone
                self.run(self.feed, (of(record, outcome, written),))  # type: ignore[arg-type]

        self.world.store.write(self.place.name, record, revision, end)
        self.after(WRITE_TIMEOUT, end, "unknown", 0)

    # --- the watch ------------------------------------------------------------------------

    def _load(self) -> None:
        store = self.world.store
        if not store.load(self):
            self.after(LOAD_AGAIN, self._load)
            return
        self._loaded = True
        self.show()
        self.feed(RecordsLoaded())

    def show(self) -> None:
        """What is new in this place's replica. What skips over a change shows only the latest."""
        store, upto = self.world.store, self.world.store.replicas[self.place.name]
        if not self._loaded or upto <= self._seen:
            return
        fresh = store.log[self._seen : upto]
        self._seen = upto
        for record, revision in fresh:
            if isinstance(record, Standing):
                self.feed(StandingSeen(record, revision))
            else:
                self.feed(RecordSeen(record, revision))

    # --- voter ----------------------------------------------------------------------------

    def vote(self, request: Request, asker: Service, back: Callable[[Vote], None]) -> None:
        """A request for a lease arrives. What must be stored is stored before the answer leaves."""
        result = answer(self.voter, request, self.clock())
        self.world.invariants.on_vote(self, request, result)
        self.voter = result.state
        if result.store is not None:
            self._store()
            if self.blown():
                return
        if request.lease == LEADER_LEASE and result.vote.granted:
            self._report(request.successor if isinstance(request, Release) else "")
        self.world.network.reply(self.place.name, asker, back, result.vote)

    def teach(self, asker: "DeciderService") -> None:
        """A voter without memory asks for ours."""
        terms = Terms(
            voter=self.place.name,
            blank=self.voter.blank,
            terms=list(self.voter.terms.values()),
            electorate=self.voter.electorate,
            longest_ttl=self.voter.bound,
        )
        self.world.network.reply(self.place.name, asker, asker.taught, asker._taught[0], terms)

    def taught(self, asked_at: float, terms: Terms) -> None:
        """Another voter tells its terms."""
        if self._taught[0] == asked_at:
            self._taught[1][terms.voter] = terms

    def _learn(self) -> None:
        if not self.voter.blank:
            return
        voters = self.world.voters
        asked_at, replies = self._taught
        if asked_at:
            learnt = learn(self.voter, replies, len(voters), asked_at=asked_at)
            if not learnt.blank:
                self.voter = learnt
                self._store()
                self.world.on_learnt(self.place)
                return
        self._taught = (self.clock(), {})
        for other in voters:
            if other != self.place.name:
                self.world.network.send(self.place.name, other, "decider", "teach", self)
        self.after(LEARN_AGAIN, self._learn)

    def _store(self) -> None:
        self.place.votes = msgspec.json.encode(list(self.voter.terms.values()))
        self.place.votes_lost = False
        self.voter = replace(self.voter, blank=False)

    def _report(self, successor: str) -> None:
        until = self.voter.promised_until.get(LEADER_LEASE, 0.0)
        self.feed(LeaderSeen(self.voter.stored(LEADER_LEASE), until, successor))
