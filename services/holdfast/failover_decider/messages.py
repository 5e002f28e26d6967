"""What goes into the core (inputs) and what comes out of it (effects)."""

from typing import Literal

import msgspec

from holdfast.events import Draft
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.wire import (
    Begun,
    Claim,
    FenceRequest,
    GroupRequest,
    HandsPulse,
    LeadRequest,
    LeaseTerm,
    MonitorPulse,
    Order,
    OrderReply,
    Refused,
    Release,
    Renew,
    StandingRequest,
    Suspend,
    Vote,
)

# --- inputs ----------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


class PulseHeard(msgspec.Struct, frozen=True):
    """A node's monitor, storage or hands beat."""

    pulse: MonitorPulse | HandsPulse


class LeaderSeen(msgspec.Struct, frozen=True):
    """This place's own voter changed what it knows of the leadership lease."""

    term: LeaseTerm
    promised_until: float
    successor: str = ""


class VoteReceived(msgspec.Struct, frozen=True):
    """A voter answered a request of ours."""

    vote: Vote


class RecordSeen(msgspec.Struct, frozen=True):
    """The ownership bucket shows a record; also how a compare-and-set of ours is confirmed."""

    record: OwnershipRecord
    revision: int


class RecordSpoiled(msgspec.Struct, frozen=True):
    """The ownership bucket holds something that is no record of this group."""

    group: str
    revision: int


class RecordsLoaded(msgspec.Struct, frozen=True):
    """Every record that existed when we began to watch has been shown."""


class BucketsChecked(msgspec.Struct, frozen=True):
    """The leader looked at the buckets of the records: they are those that this cluster had, or
    `problem` says what is wrong."""

    problem: str = ""


class WriteDone(msgspec.Struct, frozen=True):
    """A compare-and-set ended. `unknown`: it may or may not have happened; the watch will tell."""

    record: OwnershipRecord
    outcome: Literal["written", "conflict", "unknown"]
    revision: int = 0


class StandingSeen(msgspec.Struct, frozen=True):
    """The ownership bucket shows the standing orders; None: something that is none."""

    standing: Standing | None
    revision: int


class StandingWritten(msgspec.Struct, frozen=True):
    """A compare-and-set of the standing orders ended, as WriteDone."""

    standing: Standing
    outcome: Literal["written", "conflict", "unknown"]
    revision: int = 0


class Windows(msgspec.Struct, frozen=True):
    """The calendar: which groups' failback windows are open. Wall time ends in the shell."""

    open: frozenset[str]


class FenceDone(msgspec.Struct, frozen=True):
    """A fence run against one boot of a node ended."""

    node: str
    boot: str
    action: Literal["status", "off"]
    outcome: Literal["off", "on", "failed"]
    agent: str
    detail: str
    took: float
    devices: tuple[str, ...] = ()


class OrderAnswered(msgspec.Struct, frozen=True):
    """The hands answered an order."""

    order: Order
    reply: OrderReply


class LeadAsked(msgspec.Struct, frozen=True):
    """An operator wants the leadership elsewhere."""

    request: LeadRequest


class Recording(msgspec.Struct, frozen=True):
    """Events cannot be recorded here, or can again. Who cannot record does not decide."""

    possible: bool


class GroupAsked(msgspec.Struct, frozen=True):
    """An operator wants something of a group; ends in one Answer with the same number."""

    number: int
    request: GroupRequest


class StandingAsked(msgspec.Struct, frozen=True):
    """An operator wants maintenance, or failures forgotten; ends in one Answer, as GroupAsked."""

    number: int
    request: StandingRequest


class FenceAsked(msgspec.Struct, frozen=True):
    """An operator's word about a node, its signature verified; ends in one Answer."""

    number: int
    request: FenceRequest


Input = (
    Tick
    | FenceAsked
    | GroupAsked
    | StandingAsked
    | StandingSeen
    | StandingWritten
    | Windows
    | Recording
    | PulseHeard
    | LeaderSeen
    | VoteReceived
    | RecordSeen
    | RecordSpoiled
    | RecordsLoaded
    | BucketsChecked
    | WriteDone
    | FenceDone
    | OrderAnswered
    | LeadAsked
)

# --- effects ---------------------------------------------------------------------------------


class Emit(msgspec.Struct, frozen=True):
    """Put an event on the record."""

    draft: Draft


class AskVoters(msgspec.Struct, frozen=True):
    """Send a lease request to every voter; each answer comes back as VoteReceived."""

    request: Renew | Claim | Release


class Write(msgspec.Struct, frozen=True):
    """Compare-and-set an ownership record; ends in WriteDone."""

    record: OwnershipRecord
    revision: int


class WriteStanding(msgspec.Struct, frozen=True):
    """Compare-and-set the standing orders; ends in StandingWritten."""

    standing: Standing
    revision: int


class TellHands(msgspec.Struct, frozen=True):
    """Tell a node's hands which groups are in maintenance. Repeated, so it may be lost."""

    suspend: Suspend


class RunFence(msgspec.Struct, frozen=True):
    """Run a node's fence devices; ends in FenceDone. `off` includes the check by status.

    The order is for this boot and no other, and ends at `not_after` in this place's seconds; of
    `off`, no step is begun that does not stand any more (`fencing.stands`).
    """

    node: str
    boot: str
    action: Literal["status", "off"]
    not_after: float


class SendOrder(msgspec.Struct, frozen=True):
    """Send an order to a node's hands; an answer comes back as OrderAnswered."""

    order: Order


class PrepareStreams(msgspec.Struct, frozen=True):
    """We lead: make sure the record's stream and the buckets exist."""


class MoveStreamLeaders(msgspec.Struct, frozen=True):
    """Keep the bus's stream leaders away from nodes that own groups."""

    away_from: frozenset[str]


class Reject(msgspec.Struct, frozen=True):
    """Count a message that changed nothing."""

    subject: str
    kind: str
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """The answer to an operator."""

    number: int
    reply: Begun | Refused


Effect = (
    Answer
    | Emit
    | AskVoters
    | Write
    | WriteStanding
    | TellHands
    | RunFence
    | SendOrder
    | PrepareStreams
    | MoveStreamLeaders
    | Reject
)
