"""What goes into the core (inputs) and what comes out of it (effects)."""

from dataclasses import dataclass
from typing import Literal

from holdfast.events import Draft
from holdfast.ownership import OwnershipRecord
from holdfast.wire import (
    Begun,
    Claim,
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
    Vote,
)

# --- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class PulseHeard:
    """A node's monitor, storage or hands beat."""

    pulse: MonitorPulse | HandsPulse


@dataclass(frozen=True, slots=True)
class LeaderSeen:
    """This place's own voter changed what it knows of the leadership lease."""

    term: LeaseTerm
    promised_until: float
    successor: str = ""


@dataclass(frozen=True, slots=True)
class VoteReceived:
    """A voter answered a request of ours."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class RecordSeen:
    """The ownership bucket shows a record; also how a compare-and-set of ours is confirmed."""

    record: OwnershipRecord
    revision: int


@dataclass(frozen=True, slots=True)
class RecordSpoiled:
    """The ownership bucket holds something that is no record of this group."""

    group: str
    revision: int


@dataclass(frozen=True, slots=True)
class RecordsLoaded:
    """Every record that existed when we began to watch has been shown."""


@dataclass(frozen=True, slots=True)
class WriteDone:
    """A compare-and-set ended. `unknown`: it may or may not have happened; the watch will tell."""

    record: OwnershipRecord
    outcome: Literal["written", "conflict", "unknown"]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class FenceDone:
    """A fence run against one boot of a node ended."""

    node: str
    boot: str
    action: Literal["status", "off"]
    outcome: Literal["off", "on", "failed"]
    agent: str
    detail: str
    took: float


@dataclass(frozen=True, slots=True)
class OrderAnswered:
    """The hands answered an order."""

    order: Order
    reply: OrderReply


@dataclass(frozen=True, slots=True)
class LeadAsked:
    """An operator wants the leadership elsewhere."""

    request: LeadRequest


@dataclass(frozen=True, slots=True)
class Recording:
    """Events cannot be recorded here, or can again. Who cannot record does not decide."""

    possible: bool


@dataclass(frozen=True, slots=True)
class GroupAsked:
    """An operator wants something of a group; ends in one Answer with the same number."""

    number: int
    request: GroupRequest


Input = (
    Tick
    | GroupAsked
    | Recording
    | PulseHeard
    | LeaderSeen
    | VoteReceived
    | RecordSeen
    | RecordSpoiled
    | RecordsLoaded
    | WriteDone
    | FenceDone
    | OrderAnswered
    | LeadAsked
)

# --- effects ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit:
    """Put an event on the record."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class AskVoters:
    """Send a lease request to every voter; each answer comes back as VoteReceived."""

    request: Renew | Claim | Release


@dataclass(frozen=True, slots=True)
class Write:
    """Compare-and-set an ownership record; ends in WriteDone."""

    record: OwnershipRecord
    revision: int


@dataclass(frozen=True, slots=True)
class RunFence:
    """Run a node's fence devices; ends in FenceDone. `off` includes the check by status."""

    node: str
    boot: str
    action: Literal["status", "off"]


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Send an order to a node's hands; an answer comes back as OrderAnswered."""

    order: Order


@dataclass(frozen=True, slots=True)
class PrepareStreams:
    """We lead: make sure the record's stream and the buckets exist."""


@dataclass(frozen=True, slots=True)
class MoveStreamLeaders:
    """Keep the bus's stream leaders away from nodes that own groups."""

    away_from: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reject:
    """Count a message that changed nothing."""

    subject: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an operator."""

    number: int
    reply: Begun | Refused


Effect = (
    Answer
    | Emit
    | AskVoters
    | Write
    | RunFence
    | SendOrder
    | PrepareStreams
    | MoveStreamLeaders
    | Reject
)
