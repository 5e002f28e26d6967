"""What a decider knows. Immutable; `core.decide` makes the next one.

Times are this place's own monotonic seconds. What must survive a decider is not here: it is in the
ownership records and in the voters' terms.
"""

from typing import Literal

import msgspec

from holdfast.config import ClusterFile
from holdfast.lease import LEADER_LEASE, HolderState, electorate, node_lease
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.timing import Timing
from holdfast.wire import FencedOff, GroupReport, HandsPulse, Proof, SignalSummary
from holdfast.wire.volumes import VolumePulse


class Trail(msgspec.Struct, frozen=True):
    """Where an event stands in its chain: what the next event gives as incident and cause."""

    incident: str
    cause: str


class Fencing(msgspec.Struct, frozen=True):
    """One fence run against a suspected node; at most one at a time."""

    action: Literal["status", "off"]
    started: Trail
    """The fence_started event, and its incident."""


class SaidOff(msgspec.Struct, frozen=True):
    """A fence device says that the node is off; its own silence has to bear that out."""

    proof: FencedOff
    said: Trail
    """The fence_finished event."""
    action: Literal["status", "off"]
    clock: float
    """What the node's own clock showed then, or a little less."""


class Suspicion(msgspec.Struct, frozen=True):
    """A node has fallen silent. It ends with the node heard again, or with a proof of its death."""

    trail: Trail
    """The node_suspected event."""
    signal: str
    """The health signal on which it rests."""
    since: float
    """When it was last heard."""
    raised: float
    hands_only: bool = False
    """Its monitor still beats, but its hands, which alone could stop its groups, do not."""
    fencing: Fencing | None = None
    next_fence: float = 0.0
    failures: int = 0
    next_look: float = 0.0
    looks: int = 0
    """`off` may be ordered again at `next_fence`, `status` at `next_look`; in vain so often."""
    last_answer: str = ""
    """Why the last fence run proved nothing."""
    unended: Trail | None = None
    """The signal that its watchdog has not acted."""
    said_off: SaidOff | None = None
    """Kept when it is the proof: a pulse that was sent later takes that back."""
    contradicted: bool = False
    """One did, and it was told."""
    allowed: bool = False
    """An operator lets it be switched off although many others are."""
    proof: Proof | None = None
    proof_trail: Trail | None = None


class Failure(msgspec.Struct, frozen=True):
    """Something went wrong on a node: the node was lost, or a group failed there."""

    at: float
    what: str
    """Told to people; the same thing within a short time counts once."""


class Sighting(msgspec.Struct, frozen=True):
    """A pulse of a boot that is not believed yet."""

    boot: str
    clock: float
    heard: float


class NodeView(msgspec.Struct, frozen=True):
    """One node as its pulses show it."""

    node: str
    boot: str | None = None
    boot_since: float = 0.0
    """Since when this boot is believed in, or known from a record."""
    sighting: Sighting | None = None
    """The first of the pulses that another boot seems to send."""
    heard: float = 0.0
    clock: float = 0.0
    """The node's own clock, as of `heard`; an estimate made from it can only be early. 0: none of
    its pulses came here yet; then its boot is that of a record."""
    hands: HandsPulse | None = None
    hands_heard: float = 0.0
    monitor_heard: float = 0.0
    outlived: bool = False
    """It was heard when its armed watchdog should have ended it; its hands were not, since."""
    signals: dict[str, tuple[SignalSummary, ...]] = msgspec.field(default_factory=dict)
    """By observing service."""
    volumes: tuple[VolumePulse, ...] = ()
    """What its storage service last said of the copies there."""
    seen: Trail | None = None
    suspicion: Suspicion | None = None
    revocation: HolderState | None = None
    """Votes on taking this boot's lease away."""
    revoked: Trail | None = None
    """The lease_revoked event: no majority will renew this boot's lease again."""
    well_since: float = 0.0
    """Since when this boot beats, holds its lease and has no complaints. 0: it is not well."""
    failures: tuple[Failure, ...] = ()
    """Of all its boots, the oldest first."""

    def copy(self, volume: str) -> VolumePulse | None:
        """What the node last said of its copy of a replicated volume."""
        return next((one for one in self.volumes if one.volume == volume), None)

    @property
    def proof(self) -> Proof | None:
        """That its boot is over; None: there is none, or nothing is held against it."""
        return self.suspicion.proof if self.suspicion is not None else None

    def report(self, group: str) -> GroupReport | None:
        """What the node's hands last said of a group."""
        for report in self.hands.groups if self.hands else ():
            if report.group == group:
                return report
        return None


class GroupView(msgspec.Struct, frozen=True):
    """One group: its record, and what this leader is doing about it."""

    group: str
    record: OwnershipRecord
    revision: int = 0
    writing: OwnershipRecord | None = None
    """The record that must be stored next; nothing else is done meanwhile."""
    writing_since: float = 0.0
    in_flight: bool = False
    """Whether its compare-and-set is under way; if not, it is repeated at `retry_at`."""
    retry_at: float = 0.0
    confirmed: bool = False
    """This leader stored the record itself, so no later one exists."""
    spoiled: bool = False
    """The bucket holds nonsense at `revision`; `record` is what stood before it."""
    phase_since: float = 0.0
    deciding_since: float = 0.0
    """When the need for the decision now being stored arose."""
    decide_took: float = 0.0
    """Seconds from there until it was stored: the phase `decide` of the account of time."""
    ordered_at: float = 0.0
    order: Trail | None = None
    """The order_sent event of the current phase."""
    takes: float = 0.0
    """How long the hands say that it may take."""
    not_taken: str = ""
    """Why the hands did not take it, when they answered last."""
    changed: Trail | None = None
    """The ownership_changed event that began the current phase."""
    done: Trail | None = None
    """The event that ended the current phase: the hands' confirmation, or a failure."""
    refused: tuple[str, str] = ("", "")
    """Rule and reason of the last refusal, which is said once."""
    moved_at: tuple[float, ...] = ()


class StandingView(msgspec.Struct, frozen=True):
    """Maintenance and quarantine: as stored, and what this leader is storing."""

    stored: Standing = msgspec.field(default_factory=Standing)
    revision: int = 0
    ends: dict[str, float] = msgspec.field(default_factory=dict)
    """When each mark that ends by itself does, by its id; an estimate that can only be late."""
    writing: Standing | None = None
    why: dict[str, tuple[Trail, str]] = msgspec.field(default_factory=dict)
    """Cause and reason for each mark that `writing` ends, by its id."""
    in_flight: bool = False
    retry_at: float = 0.0
    written_at: float = 0.0
    told: bool = False
    """Whether the hands were told of groups in maintenance, so that they must be told the end."""
    tell_at: float = 0.0


class Redundancy(msgspec.Struct, frozen=True):
    """Whether the loss of any one node could be borne (N+1), as it was last reviewed."""

    review_at: float = 0.0
    losses: dict[str, str] = msgspec.field(default_factory=dict)
    """Why not, by the node that would be lost."""
    since: float = 0.0
    """Since when these are the nodes."""
    said: dict[str, Trail] = msgspec.field(default_factory=dict)
    """The signals about them, by node."""


class State(msgspec.Struct, frozen=True):
    """Everything one decider knows."""

    cluster: ClusterFile
    timing: Timing
    place: str
    started: float
    leadership: HolderState
    leading: bool = False
    leading_since: float = 0.0
    election: Trail | None = None
    next_renewal: float = 0.0
    standing_since: float = 0.0
    leader: str = ""
    """Who leads according to this place's own voter."""
    leader_boot: str = ""
    stand_at: float = 0.0
    voters_heard: dict[str, float] = msgspec.field(default_factory=dict)
    silent_voters: dict[str, Trail] = msgspec.field(default_factory=dict)
    """Voters that were reported as silent, and the signal that did."""
    silent_monitors: dict[str, Trail] = msgspec.field(default_factory=dict)
    """Nodes whose monitor was, and the signal that did."""
    records_loaded: bool = False
    buckets_checked: bool = False
    """Whether this leader knows that the buckets are those that the cluster had: before that, a
    record that is not there may be one that was lost."""
    buckets_lost: str = ""
    """What is wrong with the buckets of the records; empty: nothing, as far as is known."""
    buckets_signal: Trail | None = None
    """The signal about it."""
    recording: bool = True
    switched_off: dict[str, float] = msgspec.field(default_factory=dict)
    """When this decider last ordered a node to be switched off."""
    fenced: dict[str, float] = msgspec.field(default_factory=dict)
    """When another leader's record last told that a node is to be fenced, or was."""
    nodes: dict[str, NodeView] = msgspec.field(default_factory=dict)
    groups: dict[str, GroupView] = msgspec.field(default_factory=dict)
    standing: StandingView = msgspec.field(default_factory=StandingView)
    redundancy: Redundancy = msgspec.field(default_factory=Redundancy)
    windows: frozenset[str] = frozenset()
    """Groups whose failback window is open now."""


def initial(cluster: ClusterFile, timing: Timing, place: str, boot: str, now: float) -> State:
    """A decider that has just started and knows nothing yet."""
    return State(
        cluster=cluster,
        timing=timing,
        place=place,
        started=now,
        leadership=HolderState(
            lease=LEADER_LEASE,
            holder=place,
            boot=boot,
            voters=len(cluster.cluster.voters),
            ttl=timing.leader_ttl,
            margin=timing.margin,
            electorate=electorate(cluster.cluster.voters),
            next_round=int(now * 1000) + 1,
        ),
        nodes={name: NodeView(name) for name in cluster.nodes},
        groups={name: GroupView(name, OwnershipRecord(group=name)) for name in cluster.groups},
    )


def revocation(state: State, node: str) -> HolderState:
    """The counting of votes for a claim in nobody's name: a majority takes the lease away.

    The node's own pulses told its term; the claim goes above it at the first try.
    """
    hands = state.nodes[node].hands
    return HolderState(
        lease=node_lease(node),
        holder="",
        boot="",
        voters=len(state.cluster.cluster.voters),
        ttl=state.timing.ttl,
        margin=state.timing.margin,
        electorate=electorate(state.cluster.cluster.voters),
        highest_seen=hands.term if hands else 0,
    )
