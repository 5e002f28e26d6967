"""What goes into a group's core, and what comes out of it."""

from dataclasses import dataclass

from holdfast.events import Draft
from holdfast.recovery.state import GroupState, ResourceState, Verb
from holdfast.wire import Order, OrderReply, SignalSummary

# --- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderReceived:
    """An order. `act_until`: until when the lease lets a start begin, in monotonic seconds."""

    order: Order
    act_until: float


@dataclass(frozen=True, slots=True)
class SignalHeard:
    """A signal from a pulse of this node; it is repeated with every pulse until it is ok."""

    signal: SignalSummary


@dataclass(frozen=True, slots=True)
class Spawned:
    """A start has brought a process to life; whether it works is not known yet.

    `token` tells whether it is the newest start's: an action given up may still have spawned one.
    """

    resource: str
    token: str
    instance: str
    pid: int


@dataclass(frozen=True, slots=True)
class ActionDone:
    """The end of action `number`. `found`: a stop saw something run. `took` is in seconds."""

    number: int
    ok: bool
    took: float
    reason: str = ""
    instance: str = ""
    killed: bool = False
    found: bool = False
    checks: int = 0


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The lease is about to run out, or is gone. `event` is the `lease_lost` that says so."""

    event: str
    incident: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The service starts with what the journal held.

    `adopt`: same boot, and the stored lease still lasts. `alive`: resources found running.
    """

    boot: str
    adopt: bool
    alive: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for with `GroupState.wake_at` has come."""


Input = OrderReceived | SignalHeard | Spawned | ActionDone | LeaseEnded | Resumed | Tick

# --- effects, to be carried out in the order given -------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit:
    """Append an event to the outbox."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class Journal:
    """Store the state durably before any effect that follows (I9)."""

    state: GroupState


@dataclass(frozen=True, slots=True)
class RunAction:
    """Act on a resource; whatever action of the group is in flight is given up first."""

    number: int
    verb: Verb
    group: str
    resource: str
    epoch: int
    known: ResourceState
    timeout: float
    incident: str
    cause: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an order; there is exactly one for each OrderReceived."""

    reply: OrderReply


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer to an order that changed nothing, its event, and the kind to count it under."""

    order: Order
    reply: OrderReply
    draft: Draft
    kind: str


Effect = Emit | Journal | RunAction | Reply | Refuse
