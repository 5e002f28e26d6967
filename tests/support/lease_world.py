"""Voters and holders of one lease in a hostile world: a simulation on virtual time.

Messages are delayed, lost, repeated and reordered at will; voters crash and lose their memory;
holders die and come back; clocks have offsets and rates of their own, within the margin.
"""

from dataclasses import dataclass, field, replace
from random import Random

from holdfast.lease import HolderState, VoterState, answer, learn, settled
from holdfast.wire import Claim, FencedOff, Release, Renew, Terms, Vote

LEASE = "node/x"
TTL = 6.0
MARGIN = 0.2
SHORT = 0.4
"""The other profile's times, as a part of these."""
MAX_RATE = 0.016
"""Two clocks at 1 ± MAX_RATE differ by less than the margin allows: 1.016/0.984 < 6/5.8."""

Request = Renew | Claim | Release


@dataclass(frozen=True)
class Clock:
    """A machine's own clock: it starts anywhere and runs at its own rate."""

    offset: float
    rate: float

    def at(self, true: float) -> float:
        """What it shows at a true time."""
        return self.offset + true * self.rate


@dataclass
class Holder:
    """One that wants the lease. `acted_until` outlives its process: its workload goes on."""

    name: str
    clock: Clock
    voters: int
    boot: int = 1
    process: int = 1
    scale: float = 1.0
    """Of its profile's times."""
    acted_until: float = 0.0
    state: HolderState = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.fresh(0.0)

    def fresh(self, true: float) -> HolderState:
        """The state of a process that just started."""
        return HolderState(
            lease=LEASE,
            holder=self.name,
            boot=f"{self.name}{self.boot}",
            voters=self.voters,
            ttl=TTL * self.scale,
            margin=MARGIN * self.scale,
            next_round=int(self.clock.at(true) * 1000) + 1,
        )

    def valid(self, true: float) -> bool:
        """Whether this machine may act: its process says so, or an earlier one of this boot did."""
        return self.clock.at(true) < max(self.state.valid_until, self.acted_until)


@dataclass(frozen=True)
class Flight:
    """A message on its way, either to a voter or back to a holder's process."""

    voter: int
    holder: str
    process: tuple[int, int]
    content: Request | Vote


@dataclass
class World:
    """The whole: true time, machines, messages in flight."""

    voters: list[VoterState]
    clocks: list[Clock]
    holders: dict[str, Holder]
    now: float = 100.0
    flights: list[Flight] = field(default_factory=list)
    asked: dict[int, tuple[float, dict[str, Terms]]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    """Blank voters that had a memory. Those of a new cluster had none, and had nothing to lose."""
    grants: int = 0
    scale: float = 1.0
    """Of the times that the cluster file has now; a process has it from its start on."""

    def request(self, name: str, proof_about: str | None = None) -> None:
        """A holder asks every voter. With `proof_about`, it names that machine as fenced."""
        holder = self.holders[name]
        proof = None
        if proof_about is not None:
            other = self.holders[proof_about]
            proof = FencedOff(
                node=other.name, boot=f"{other.name}{other.boot}", agent="sim", event="e"
            )
            self.reboot(proof_about)
        holder.state, message = holder.state.request(holder.clock.at(self.now), proof)
        self._send(holder, message)

    def release(self, name: str) -> None:
        """A holder gives up, in order: its workload has stopped."""
        holder = self.holders[name]
        holder.state, message = holder.state.release()
        holder.acted_until = 0.0
        self._send(holder, message)

    def restart(self, name: str) -> None:
        """A holder's process dies and comes back; what it started goes on."""
        holder = self.holders[name]
        holder.acted_until = max(holder.acted_until, holder.state.valid_until)
        holder.process += 1
        holder.scale = self.scale
        holder.state = holder.fresh(self.now)

    def reboot(self, name: str) -> None:
        """A holder's machine dies and comes back in a new boot, with nothing running."""
        holder = self.holders[name]
        holder.boot += 1
        holder.process += 1
        holder.scale = self.scale
        holder.acted_until = 0.0
        holder.state = holder.fresh(self.now)

    def crash(self, voter: int, *, forget: bool) -> None:
        """A voter restarts, with its disk or, if no other misses what it lost, without."""
        old = self.voters[voter]
        lost = forget and self.lost <= {voter}
        if lost and not old.blank:
            self.lost.add(voter)
        self.voters[voter] = VoterState(
            name=old.name,
            started=self.clocks[voter].at(self.now),
            max_ttl=TTL * self.scale,
            longest_ttl=0.0 if lost else old.bound,
            blank=lost or old.blank,
            terms={} if lost else old.terms,
        )
        self.asked.pop(voter, None)

    def ask_to_teach(self, voter: int) -> None:
        """A blank voter asks the others; their answers are of this moment, and arrive later."""
        if self.voters[voter].blank:
            replies = {
                v.name: Terms(
                    voter=v.name,
                    blank=v.blank,
                    terms=list(v.terms.values()),
                    longest_ttl=v.bound,
                )
                for i, v in enumerate(self.voters)
                if i != voter
            }
            self.asked[voter] = (self.clocks[voter].at(self.now), replies)

    def hear_lesson(self, voter: int) -> None:
        """The answers to the last `ask_to_teach` arrive."""
        asked = self.asked.pop(voter, None)
        if asked is not None and self.voters[voter].blank:
            at, replies = asked
            self.voters[voter] = learn(self.voters[voter], replies, len(self.voters), asked_at=at)
            if not self.voters[voter].blank:
                self.lost.discard(voter)

    def deliver(self, index: int, *, keep: bool = False) -> None:
        """One message in flight arrives; with `keep` it will arrive again."""
        if not self.flights:
            return
        index %= len(self.flights)
        flight = self.flights[index] if keep else self.flights.pop(index)
        if isinstance(flight.content, Vote):
            self._count(flight)
        else:
            self._vote(flight, flight.content)

    def drop(self, index: int) -> None:
        """One message in flight is lost."""
        if self.flights:
            self.flights.pop(index % len(self.flights))

    def deliver_all(self) -> None:
        """Everything in flight, and every answer to it, arrives in order."""
        while self.flights:
            self.deliver(0)

    def deliver_to(self, voters: set[int], *, to: str) -> None:
        """What is in flight between these voters and a holder arrives; the rest stays."""
        while ready := [
            n for n, f in enumerate(self.flights) if f.voter in voters and f.holder == to
        ]:
            self.deliver(ready[-1])

    def believers(self) -> list[str]:
        """Who believes now that the lease is its own."""
        return [name for name, holder in self.holders.items() if holder.valid(self.now)]

    def _send(self, holder: Holder, message: Request) -> None:
        process = (holder.boot, holder.process)
        self.flights += [
            Flight(voter, holder.name, process, message) for voter in range(len(self.voters))
        ]

    def _vote(self, flight: Flight, request: Request) -> None:
        now = self.clocks[flight.voter].at(self.now)
        result = answer(settled(self.voters[flight.voter], now), request, now)
        self.voters[flight.voter] = result.state
        self.flights.append(replace(flight, content=result.vote))

    def _count(self, flight: Flight) -> None:
        holder = self.holders[flight.holder]
        if (holder.boot, holder.process) == flight.process and isinstance(flight.content, Vote):
            before = holder.state.valid_until
            holder.state = holder.state.on_vote(flight.content)
            self.grants += holder.state.valid_until > before


def world(
    voters: int, holders: int, clocks: list[Clock], *, new: bool = False, scale: float = 1.0
) -> World:
    """A cluster whose voters have been up for long. `clocks`: the voters', then the holders'.

    If it is `new`, no voter has a memory yet. `scale` is that of its profile's times.
    """
    names = [chr(ord("a") + n) for n in range(holders)]
    return World(
        voters=[
            VoterState(name=f"v{n}", started=clocks[n].at(0.0), max_ttl=TTL * scale, blank=new)
            for n in range(voters)
        ],
        clocks=clocks[:voters],
        holders={
            name: Holder(name, clocks[voters + n], voters, scale=scale)
            for n, name in enumerate(names)
        },
        scale=scale,
    )


def even_clocks(count: int) -> list[Clock]:
    """Clocks that all show true time."""
    return [Clock(0.0, 1.0)] * count


class Storm:
    """Chance as the adversary: holders come and go, links and machines fail, time creeps on.

    Failures come in spells, because a schedule of independent small accidents lets nobody win.
    """

    def __init__(self, world: World, chance: Random) -> None:
        self._world, self._chance = world, chance
        self._active = set(world.holders)
        self._cut: dict[str, set[int]] = {name: set() for name in world.holders}

    def step(self) -> None:
        """A moment passes; whatever happens in it, happens."""
        w, chance = self._world, self._chance
        w.now += chance.choice([0.0, 0.02, 0.1, 0.1, 0.3, 0.3, 1.0])
        if chance.random() < 0.01:
            w.now += TTL
        if chance.random() < 0.1:
            self._change_spell()
        if chance.random() < 0.15:
            self._accident()
        self._overtake()
        for name in chance.sample(sorted(self._active), len(self._active)):
            if chance.random() < 0.6:
                w.request(name)
                reached = set(range(len(w.voters))) - self._cut[name]
                w.deliver_to(reached, to=name)
        if chance.random() < 0.5:
            w.flights = [f for f in w.flights if chance.random() < 0.5]
        del w.flights[:-200]

    def _change_spell(self) -> None:
        """Another set of holders tries, and others of their links are cut."""
        chance, names = self._chance, sorted(self._world.holders)
        self._active = set(chance.sample(names, chance.randint(1, len(names))))
        voters = range(len(self._world.voters))
        for name in names:
            self._cut[name] = {voter for voter in voters if chance.random() < 0.3}

    def _overtake(self) -> None:
        """Old messages arrive, some of them twice."""
        for _ in range(self._chance.choice([0, 0, 1, 3])):
            keep = self._chance.random() < 0.2
            self._world.deliver(self._chance.randrange(1000), keep=keep)

    def _accident(self) -> None:
        w, chance = self._world, self._chance
        name = chance.choice(sorted(w.holders))
        voter = chance.randrange(len(w.voters))
        match chance.choice(["release", "restart", "reboot", "fence", "crash", "forget", "teach"]):
            case "release":
                w.release(name)
            case "restart":
                w.restart(name)
            case "reboot":
                w.reboot(name)
            case "fence":
                others = [other for other in sorted(w.holders) if other != name]
                w.request(name, proof_about=chance.choice(others))
                w.deliver_all()
            case "crash":
                w.crash(voter, forget=False)
            case "forget":
                w.crash(voter, forget=True)
            case _:
                pass
        for blank in range(len(w.voters)):
            chance.choice([w.ask_to_teach, w.hear_lesson])(blank)
