"""The cluster ahead of time: every decider's and voter's real core, from their live state. Pure.

Virtual time in seconds, 0 is the moment of the question; each place keeps its own clock.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import Any, Literal

from holdfast.events import Draft
from holdfast.events.ownership import FenceFinished, FenceStarted
from holdfast.failover_decider.core import decide
from holdfast.failover_decider.inputs.codec import Snapshot
from holdfast.failover_decider.messages import (
    Answer,
    AskVoters,
    BucketsChecked,
    Emit,
    FenceDone,
    GroupAsked,
    Input,
    LeaderSeen,
    OrderAnswered,
    PrepareStreams,
    PulseHeard,
    RecordSeen,
    RunFence,
    SendOrder,
    StandingSeen,
    StandingWritten,
    Tick,
    VoteReceived,
    Write,
    WriteDone,
    WriteStanding,
)
from holdfast.failover_decider.whatif.hosts import FENCE_TAKES, Host
from holdfast.failover_decider.whatif.place import Place
from holdfast.lease import LEADER_LEASE, answer
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.wire import Begun, GroupRequest, Refused, Release, Vote

TICK = 0.1
DELAY = 0.002
"""Seconds that a message takes."""
_REPEATED = (FenceStarted, FenceFinished)


class World:
    """Everything, and what was emitted so far."""

    def __init__(self, snapshots: dict[str, Snapshot]) -> None:
        self.now = 0.0
        self.emitted: list[tuple[float, Draft]] = []
        self.answers: list[Begun | Refused] = []
        self.changed_at = 0.0
        """When something was last emitted or stored, questions to fence devices aside."""
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._ids = itertools.count(), itertools.count(1)
        self.places = {name: Place(snapshot) for name, snapshot in snapshots.items()}
        self._timing = next(iter(snapshots.values())).state.timing
        self._standing = max(one.state.standing.revision for one in snapshots.values())
        self.records: dict[str, tuple[OwnershipRecord, int]] = {}
        for snapshot in snapshots.values():
            for name, group in snapshot.state.groups.items():
                if group.revision > self.records.get(name, (None, 0))[1]:
                    self.records[name] = (group.record, group.revision)
        self.hosts = self._hosts(snapshots)
        for name in self.places:
            self._tick(name)
        for host in self.hosts.values():
            self._beat(host)

    # --- what is asked --------------------------------------------------------------------

    def remove(self, place: str, *, silent: bool) -> None:
        """A place is gone, or nobody hears it any more."""
        self.places.pop(place, None)
        if place in self.hosts:
            self.hosts[place].state = "silent" if silent else "off"

    def fail(self, host: str, group: str) -> None:
        """The hands of a host report a group as failed."""
        self.hosts[host].fail(group, self.mint())

    def ask(self, request: GroupRequest) -> None:
        """An operator asks something of the leader."""
        leader = self.leader()
        if leader is not None:
            self._feed(leader, GroupAsked(1, request))

    def leader(self) -> str | None:
        """Who leads now."""
        for name, place in self.places.items():
            if place.state.leading and place.state.leadership.valid(place.clock(self.now)):
                return name
        return None

    # --- time -----------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        self.now = end

    def mint(self) -> str:
        """Ids count up, as wide as real ones."""
        return f"00000000-0000-7000-8000-{next(self._ids):012d}"

    def _after(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), act))

    def _feed(self, name: str, happened: Input) -> None:
        place = self.places.get(name)
        if place is None:
            return
        place.state, effects = decide(place.state, happened, place.clock(self.now), self.mint)
        for effect in effects:
            self._carry_out(name, effect)

    def _tick(self, name: str) -> None:
        if name in self.places:
            self._feed(name, Tick())
            self._after(TICK, lambda: self._tick(name))

    # --- effects --------------------------------------------------------------------------

    def _carry_out(self, name: str, effect: Any) -> None:
        match effect:
            case Emit(draft):
                self.emitted.append((self.now, draft))
                if not isinstance(draft.data, _REPEATED):
                    self.changed_at = self.now
            case AskVoters(request):
                for voter in self.places:
                    self._ask(voter, request, lambda vote: self._feed(name, VoteReceived(vote)))
            case Write(record, revision):
                self._after(DELAY, lambda: self._write(name, record, revision))
            case WriteStanding(standing, revision):
                self._after(DELAY, lambda: self._write_standing(name, standing, revision))
            case PrepareStreams():
                self._after(DELAY, lambda: self._feed(name, BucketsChecked()))
            case RunFence():
                self._after(FENCE_TAKES, lambda: self._fence(name, effect))
            case SendOrder():
                self._after(DELAY, lambda: self._deliver(name, effect))
            case Answer(_, reply):
                self.answers.append(reply)
            case _:
                pass  # streams and rejected messages change no decision

    def _ask(self, name: str, request: Any, done: Callable[[Vote], None]) -> None:
        def arrive() -> None:
            voter = self.places.get(name)
            if voter is None:
                return
            result = answer(voter.voter, request, voter.clock(self.now))
            voter.voter = result.state
            if request.lease == LEADER_LEASE and result.vote.granted:
                until = result.state.promised_until.get(LEADER_LEASE, 0.0)
                successor = request.successor if isinstance(request, Release) else ""
                stored = result.state.stored(LEADER_LEASE)
                self._feed(name, LeaderSeen(stored, until, successor))
            self._after(DELAY, lambda: done(result.vote))

        self._after(DELAY, arrive)

    def _write(self, name: str, record: OwnershipRecord, revision: int) -> None:
        current = self.records.get(record.group, (None, 0))[1]
        if current != revision:
            self._feed(name, WriteDone(record, "conflict"))
            return
        new = self._next_revision()
        self.records[record.group] = (record, new)
        self.changed_at = self.now
        self._feed(name, WriteDone(record, "written", new))
        for other in [place for place in self.places if place != name]:
            self._feed(other, RecordSeen(record, new))

    def _write_standing(self, name: str, standing: Standing, revision: int) -> None:
        if self._standing != revision:
            self._feed(name, StandingWritten(standing, "conflict"))
            return
        self._standing = new = self._next_revision()
        self.changed_at = self.now
        self._feed(name, StandingWritten(standing, "written", new))
        for other in [place for place in self.places if place != name]:
            self._feed(other, StandingSeen(standing, new))

    def _next_revision(self) -> int:
        return max([self._standing, *(revision for _, revision in self.records.values())]) + 1

    def _fence(self, name: str, run: RunFence) -> None:
        place, host = self.places.get(name), self.hosts[run.node]
        if place is None:
            return
        if run.action == "off" and host.boot == run.boot:
            self.remove(run.node, silent=False)
        on = host.state != "off" and host.boot == run.boot
        agent = place.state.cluster.nodes[run.node].fence[0].agent
        outcome: Literal["on", "off"] = "on" if on else "off"
        self._feed(
            name,
            FenceDone(run.node, run.boot, run.action, outcome, agent, outcome, FENCE_TAKES),
        )

    # --- hosts ----------------------------------------------------------------------------

    def _hosts(self, snapshots: dict[str, Snapshot]) -> dict[str, Host]:
        """Each node as whoever heard it last knows it."""
        found: dict[str, tuple[float, Host]] = {}
        voters = {name: place.voter for name, place in self.places.items()}
        for snapshot in snapshots.values():
            for name, view in snapshot.state.nodes.items():
                silent = snapshot.now - view.heard
                if view.boot is None or (name in found and found[name][0] <= silent):
                    continue
                host = Host(view, silent, voters, self._timing)
                host.state = "on" if silent < self._timing.suspect_after else "off"
                found[name] = (silent, host)
        return {name: host for name, (_, host) in found.items()}

    def _deliver(self, name: str, sent: SendOrder) -> None:
        host = self.hosts[sent.order.node]
        if host.state == "on":
            reply = host.obey(sent.order, self.now)
            self._after(DELAY, lambda: self._feed(name, OrderAnswered(sent.order, reply)))

    def _beat(self, host: Host) -> None:
        if host.state != "on":
            return
        host.lease, request = host.lease.request(host.clock(self.now))

        def voted(vote: Vote) -> None:
            host.lease = host.lease.on_vote(vote)

        for voter in self.places:
            self._ask(voter, request, voted)
        for pulse in host.pulses(self.now):
            for place in list(self.places):
                self._feed(place, PulseHeard(pulse))
        self._after(self._timing.pulse_every, lambda: self._beat(host))
