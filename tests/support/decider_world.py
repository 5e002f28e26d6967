"""A cluster on virtual time around the real cores of deciders and voters.

Hands are modelled by what the decider may rely on: they take orders by epoch, report what they
run, and stop when their lease is gone. Messages arrive after a fixed delay, in order.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.config.model import (
    Cluster,
    ClusterFile,
    FenceDevice,
    Group,
    Node,
    ProcessResource,
    Watchdog,
    Witness,
)
from holdfast.events import Draft, EventData
from holdfast.events.policies import Scope
from holdfast.failover_decider.core import decide
from holdfast.failover_decider.messages import (
    Answer,
    AskVoters,
    BucketsChecked,
    Effect,
    Emit,
    FenceAsked,
    FenceDone,
    GroupAsked,
    Input,
    LeaderSeen,
    OrderAnswered,
    PrepareStreams,
    PulseHeard,
    RecordSeen,
    RecordsLoaded,
    RunFence,
    SendOrder,
    StandingAsked,
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
from holdfast.lease import (
    LEADER_LEASE,
    HolderState,
    VoterState,
    answer,
    electorate,
    node_lease,
)
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.timing import PROFILES
from holdfast.wire import (
    Begun,
    ClearRequest,
    FenceRequest,
    GroupReport,
    GroupRequest,
    HandsPulse,
    MaintenanceRequest,
    MonitorPulse,
    Order,
    OrderReply,
    Refused,
    Release,
    Suspend,
    WatchdogReport,
)

DELAY = 0.005
TIMING = PROFILES["standard"]


def cluster(
    *,
    fencing: str = "required",
    device: bool = True,
    watchdog: bool = False,
    groups: int = 1,
    nodes: tuple[str, ...] = ("alpha", "beta"),
    policies: dict[str, dict[str, Any]] | None = None,
    of_nodes: dict[str, dict[str, Any]] | None = None,
    time_zone: str = "UTC",
) -> ClusterFile:
    """Hosts, a witness, and groups that prefer the first host.

    `policies` are further keys of the groups g0, g1, ..., `of_nodes` those of the hosts.
    """
    policies, of_nodes = policies or {}, of_nodes or {}
    devices = [FenceDevice(agent="fence_test")] if device and fencing == "required" else []
    dog = Watchdog() if watchdog else None
    return ClusterFile(
        cluster=Cluster(
            name="w",
            voters=["alpha", "beta", "gamma"],
            fencing=fencing,  # type: ignore[arg-type]
            time_zone=time_zone,
        ),
        nodes={
            name: Node(address="127.0.0.1", fence=devices, watchdog=dog, **of_nodes.get(name, {}))
            for name in nodes
        },
        witnesses={"gamma": Witness(address="127.0.0.1")},
        groups={
            name: Group(
                **{
                    "nodes": list(nodes),
                    "resources": {"p": ProcessResource(command=["true"])},
                    **policies.get(name, {}),
                }
            )
            for name in [f"g{n}" for n in range(max(groups, len(policies)))]
        },
    )


@dataclass
class Host:
    """One host's hands: what it runs and at which epoch."""

    name: str
    boot: str
    lease: HolderState
    groups: dict[str, GroupReport] = field(default_factory=dict)
    alive: bool = True
    frozen: bool = False
    cut_off: bool = False
    start_fails: bool = False
    lease_ends_starts: int = 0
    """So many of its next starts end with its lease."""
    stop_fails: bool = False
    was_valid: bool = False
    watchdog: WatchdogReport | None = None
    done: dict[str, OrderReply] = field(default_factory=dict)


class World:
    """The cluster. `run(seconds)` lets time pass; `drafts` is everything that was emitted."""

    def __init__(self, file: ClusterFile) -> None:
        self.file, self.now = file, 100.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._ids = itertools.count(), itertools.count(1)
        self.drafts: list[tuple[float, str, Draft]] = []
        self.records: dict[str, tuple[OwnershipRecord, int]] = {}
        self.standing: tuple[Standing, int] = (Standing(), 0)
        self.told: list[Suspend] = []
        self.sent: list[tuple[str, Order]] = []
        """Every order, and who sent it."""
        self.lagging: set[str] = set()
        """Places whose watch of the bucket shows nothing new."""
        self.forgotten: set[tuple[str, str]] = set()
        """Hosts, and groups of which their hands know nothing: they neither tell of them nor stop
        them."""
        self.deaf: set[str] = set()
        """Hosts whose hands no order reaches."""
        self.fence_says: dict[str, Callable[[str], tuple[str, str]]] = {}
        self.active_overlaps: list[str] = []
        self.store_stalled_until = 0.0
        self.buckets_lost = ""
        """What a leader finds wrong with the buckets."""
        self.buckets_unheard = False
        """Whether JetStream does not say which they are."""
        self.answers: dict[int, Begun | Refused] = {}
        names = file.cluster.voters
        self.voters = {
            n: VoterState(name=n, started=0.0, max_ttl=TIMING.ttl, electorate=electorate(names))
            for n in names
        }
        self.deciders: dict[str, State | None] = {}
        self.hosts: dict[str, Host] = {}
        for name in names:
            self.start_decider(name)
        for name in file.nodes:
            self.boot(name)

    # --- places ---------------------------------------------------------------------------

    def start_decider(self, name: str) -> None:
        """Start, or restart, the decider of a place."""
        self.deciders[name] = initial(self.file, TIMING, name, f"boot-{name}-1", self.now)
        for record, revision in self.records.values():
            self.feed(name, RecordSeen(record, revision))
        if self.standing[1]:
            self.feed(name, StandingSeen(*self.standing))
        self.feed(name, RecordsLoaded())
        self._tick(name, self.deciders[name])

    def boot(self, name: str, *, hands: bool = True, finds: Any = "stopped") -> None:
        """Boot, or reboot, a host; its hands come up, or not, and find the groups so."""
        number = int(self.hosts[name].boot.rpartition("-")[2]) + 1 if name in self.hosts else 1
        boot = f"boot-{name}-{number}"
        lease = HolderState(
            node_lease(name),
            name,
            boot,
            len(self.voters),
            TIMING.ttl,
            TIMING.margin,
            electorate(self.voters),
        )
        host = Host(name, boot, lease)
        for group in self.file.groups:
            epoch = self.records[group][0].epoch if group in self.records else 0
            host.groups[group] = GroupReport(group=group, epoch=epoch, state=finds)
        host.frozen = not hands
        self.hosts[name] = host
        self._beat(host)

    def kill(self, name: str) -> None:
        """Power off a whole host, its decider and its voter included."""
        self.hosts[name].alive = False
        self.deciders[name] = None

    def mint(self) -> str:
        """Ids count up, as wide as real ones."""
        return f"00000000-0000-7000-8000-{next(self._ids):012d}"

    # --- time -----------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        self.now = end

    def after(self, delay: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._queue, (self.now + delay, next(self._order), act))

    def feed(self, name: str, happened: Input) -> None:
        """One step of a decider's core."""
        state = self.deciders[name]
        if state is None:
            return
        self.deciders[name], effects = decide(state, happened, self.now, self.mint)
        for effect in effects:
            self._carry_out(name, effect)

    def _tick(self, name: str, incarnation: State | None) -> None:
        if self.deciders[name] is None:
            return
        self.feed(name, Tick())
        self.after(0.1, lambda: self._tick(name, incarnation))

    # --- effects --------------------------------------------------------------------------

    def _carry_out(self, name: str, effect: Effect) -> None:
        match effect:
            case Emit(draft):
                self.drafts.append((self.now, name, draft))
            case AskVoters(request):
                for voter in self.voters:
                    self._ask(name, voter, request, lambda vote: VoteReceived(vote))
            case Write(record, revision):
                self.after(DELAY, lambda: self._write(name, record, revision))
            case WriteStanding(standing, revision):
                self.after(DELAY, lambda: self._write_standing(name, standing, revision))
            case PrepareStreams() if not self.buckets_unheard:
                self.after(DELAY, lambda: self.feed(name, BucketsChecked(self.buckets_lost)))
            case TellHands(suspend):
                self.told.append(suspend)
            case RunFence(node, boot, action):
                self.after(0.1, lambda: self._fence(name, node, boot, action))
            case Answer(number, reply):
                self.answers[number] = reply
            case SendOrder(order):
                self.sent.append((name, order))
                self.after(DELAY, lambda: self._order_arrives(name, order))
            case _:
                pass

    def _ask(self, asker: str, voter: str, request: Any, wrap: Callable[[Any], Any]) -> None:
        def arrive() -> None:
            if not self.reachable(asker, voter) or self.deciders[voter] is None:
                return
            result = answer(self.voters[voter], request, self.now)
            self.voters[voter] = result.state
            if request.lease == LEADER_LEASE and result.vote.granted:
                until = result.state.promised_until.get(LEADER_LEASE, 0.0)
                successor = request.successor if isinstance(request, Release) else ""
                stored = result.state.stored(LEADER_LEASE)
                self.feed(voter, LeaderSeen(stored, until, successor))
            self.after(DELAY, lambda: self.feed(asker, wrap(result.vote)))

        self.after(DELAY, arrive)

    def reachable(self, a: str, b: str) -> bool:
        """Whether two places hear each other."""
        cut = {n for n, h in self.hosts.items() if h.cut_off}
        return a == b or (a not in cut and b not in cut)

    def _write(self, name: str, record: OwnershipRecord, revision: int) -> None:
        if self.now < self.store_stalled_until:
            self.after(3.0, lambda: self.feed(name, WriteDone(record, "unknown")))
            return
        current = self.records.get(record.group)
        if (current[1] if current else 0) != revision:
            self.feed(name, WriteDone(record, "conflict"))
            return
        new = self._next_revision()
        self.records[record.group] = (record, new)
        self.feed(name, WriteDone(record, "written", new))
        for other in self.deciders:
            if other != name and other not in self.lagging:
                self.after(DELAY, lambda other=other: self.feed(other, RecordSeen(record, new)))  # type: ignore[misc]

    def _next_revision(self) -> int:
        return max([self.standing[1], *(revision for _, revision in self.records.values())]) + 1

    def _write_standing(self, name: str, standing: Standing, revision: int) -> None:
        if self.now < self.store_stalled_until:
            self.after(3.0, lambda: self.feed(name, StandingWritten(standing, "unknown")))
            return
        if self.standing[1] != revision:
            self.feed(name, StandingWritten(standing, "conflict"))
            return
        new = self._next_revision()
        self.standing = (standing, new)
        self.feed(name, StandingWritten(standing, "written", new))
        for other in self.deciders:
            if other != name:
                self.after(
                    DELAY,
                    lambda other=other: self.feed(other, StandingSeen(standing, new)),  # type: ignore[misc]
                )

    def _fence(self, name: str, node: str, boot: str, action: Any) -> None:
        host = self.hosts[node]
        says = self.fence_says.get(node)
        if says is not None:
            outcome, detail = says(action)
        else:
            if action == "off" and host.boot == boot:
                self.kill(node)
            outcome, detail = ("on" if host.alive and host.boot == boot else "off"), "test device"
        done = FenceDone(node, boot, action, outcome, "fence_test", detail, 0.1)  # type: ignore[arg-type]
        self.feed(name, done)

    # --- hands ----------------------------------------------------------------------------

    def _order_arrives(self, name: str, order: Order) -> None:
        host = self.hosts[order.node]
        if not host.alive or host.frozen or not self.reachable(name, order.node):
            return
        if order.node in self.deaf:
            return
        reply = self._obey(host, order)
        self.after(DELAY, lambda: self.feed(name, OrderAnswered(order, reply)))

    def _obey(self, host: Host, order: Order) -> OrderReply:
        known = host.done.get(order.intent)
        if known is not None:
            return known
        report = host.groups[order.group]
        refused = OrderReply(intent=order.intent, accepted=False, error="refused")
        if order.boot != host.boot or self.now > order.not_after or order.epoch < report.epoch:
            return refused
        if order.action == "start" and not host.lease.valid(self.now):
            return refused
        fails = host.start_fails if order.action == "start" else host.stop_fails
        state: Any = {"start": "active", "stop": "stopped"}[order.action]
        ended = order.action == "start" and host.lease_ends_starts > 0
        host.lease_ends_starts -= ended
        host.groups[order.group] = GroupReport(
            group=order.group, epoch=order.epoch, state="unknown" if fails or ended else state
        )
        reply = OrderReply(
            intent=order.intent,
            accepted=True,
            done=True,
            error="it failed" if fails or ended else "",
            lease_ended=ended,
        )
        host.done[order.intent] = reply
        self._check_overlap(order.group)
        return reply

    def _check_overlap(self, group: str) -> None:
        running = [h.name for h in self.hosts.values() if h.alive and self._runs(h, group)]
        if len(running) > 1:
            self.active_overlaps.append(f"{self.now:.2f} {group} on {running}")

    def _runs(self, host: Host, group: str) -> bool:
        return host.groups[group].state != "stopped"

    def _beat(self, host: Host) -> None:
        if not host.alive or self.hosts[host.name] is not host:
            return
        if host.frozen:
            self._monitor_beats(host)
            self.after(TIMING.pulse_every, lambda: self._beat(host))
            return
        valid = host.lease.valid(self.now + TIMING.stop_before)
        if host.was_valid and not valid and not host.stop_fails:
            for group, report in self._managed(host).items():
                host.groups[group] = GroupReport(group=group, epoch=report.epoch, state="stopped")
        host.was_valid = valid
        host.lease, request = host.lease.request(self.now)
        for voter in self.voters:
            self._ask_for_host(host, voter, request)
        pulse = HandsPulse(
            node=host.name,
            boot=host.boot,
            now=self.now,
            term=host.lease.term,
            lease_valid=valid,
            groups=list(self._managed(host).values()),
            watchdog=host.watchdog,
        )
        self._spread(host, pulse)
        self._monitor_beats(host)
        self.after(TIMING.pulse_every, lambda: self._beat(host))

    def _managed(self, host: Host) -> dict[str, GroupReport]:
        reports = host.groups.items()
        return {group: told for group, told in reports if (host.name, group) not in self.forgotten}

    def _monitor_beats(self, host: Host) -> None:
        self._spread(host, MonitorPulse(node=host.name, boot=host.boot, now=self.now))

    def _spread(self, host: Host, pulse: HandsPulse | MonitorPulse) -> None:
        for name in self.deciders:
            if self.reachable(host.name, name):
                self.after(DELAY, lambda name=name: self.feed(name, PulseHeard(pulse)))  # type: ignore[misc]

    def _ask_for_host(self, host: Host, voter: str, request: Any) -> None:
        def arrive() -> None:
            if not self.reachable(host.name, voter) or self.deciders[voter] is None:
                return
            result = answer(self.voters[voter], request, self.now)
            self.voters[voter] = result.state

            def back() -> None:
                host.lease = host.lease.on_vote(result.vote)

            self.after(DELAY, back)

        self.after(DELAY, arrive)

    # --- operators ------------------------------------------------------------------------

    def ask(
        self, action: Any, target: str | None = None, group: str = "g0", operator: str = "ann"
    ) -> Begun | Refused:
        """Ask the leader something about a group."""
        request = GroupRequest(action=action, group=group, target=target, operator=operator)
        return self._asked(GroupAsked(1, request))

    def maintain(
        self, scope: str, name: str, *, seconds: float | None = 3600.0, on: bool = True
    ) -> Begun | Refused:
        """Ask the leader for maintenance, or its end."""
        request = MaintenanceRequest(
            action="on" if on else "off",
            scope=Scope(scope),
            name=name,
            seconds=seconds if on else None,
            reason="new memory" if on else "",
            operator="ann",
        )
        return self._asked(StandingAsked(1, request))

    def clear(self, scope: Any, name: str) -> Begun | Refused:
        """Ask the leader to forget what failed."""
        request = ClearRequest(scope=scope, name=name, operator="ann")
        return self._asked(StandingAsked(1, request))

    def vouch(self, action: Any, node: str, boot: str | None = None) -> Begun | Refused:
        """Give the leader an operator's word about fencing a node, verified: by default of the boot
        that it runs."""
        request = FenceRequest(
            action=action,
            node=node,
            boot=boot or self.hosts[node].boot,
            operator="ann",
            key="UKEY",
            signature="UKEY's",
        )
        return self._asked(FenceAsked(1, request))

    def _asked(self, asked: Input) -> Begun | Refused:
        leader = self.leader()
        assert leader is not None
        self.feed(leader, asked)
        return self.answers.pop(1)

    # --- looking --------------------------------------------------------------------------

    def leader(self) -> str | None:
        """Who leads, if exactly one does."""
        leading = [
            n for n, s in self.deciders.items() if s and s.leading and s.leadership.valid(self.now)
        ]
        assert len(leading) <= 1, leading
        return leading[0] if leading else None

    def record(self, group: str = "g0") -> OwnershipRecord:
        """The stored record of a group."""
        return self.records[group][0]

    def emitted(self, kind: type[EventData], since: float = 0.0) -> list[Any]:
        """Data of the events of one type."""
        return [d.data for at, _, d in self.drafts if isinstance(d.data, kind) and at >= since]

    def report(self, host: str, state: Any, group: str = "g0") -> None:
        """Let a host's hands report another state of a group, with an event behind it."""
        hands = self.hosts[host]
        event = self.mint()
        hands.groups[group] = replace_report(hands.groups[group], state, event)


def replace_report(report: GroupReport, state: Any, event: str) -> GroupReport:
    """A report in another state, caused by an event that begins an incident."""
    return GroupReport(
        group=report.group, epoch=report.epoch, state=state, event=event, incident=event
    )


__all__ = ["TIMING", "Host", "World", "cluster", "replace"]
