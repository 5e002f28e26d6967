"""What goes into a group's core, and what comes out of it."""

import msgspec

from holdfast.events import Draft
from holdfast.recovery.state import GroupState, ResourceState, Verb
from holdfast.wire import Order, OrderReply, SignalSummary

# --- inputs ----------------------------------------------------------------------------------


class OrderReceived(msgspec.Struct, frozen=True):
    """An order. `act_until`: until when the lease lets a start begin, in monotonic seconds.

    `unguarded`: why the watchdog, if there is one, would not end what is started with the lease.
    """

    order: Order
    act_until: float
    unguarded: str = ""


class SignalHeard(msgspec.Struct, frozen=True):
    """A signal from a pulse of this node; it is repeated with every pulse until it is ok."""

    signal: SignalSummary


class Spawned(msgspec.Struct, frozen=True):
    """A start has brought a process to life; whether it works is not known yet.

    `token` tells whether it is the newest start's: an action given up may still have spawned one.
    """

    resource: str
    token: str
    instance: str
    pid: int


class ActionDone(msgspec.Struct, frozen=True):
    """The end of action `number`. `found`: a stop saw something run. `took` is in seconds."""

    number: int
    ok: bool
    took: float
    reason: str = ""
    instance: str = ""
    killed: bool = False
    found: bool = False
    checks: int = 0


class LeaseEnded(msgspec.Struct, frozen=True):
    """The lease is about to run out, or is gone. `event` is the `lease_lost` that says so."""

    event: str
    incident: str
    reason: str


class Resumed(msgspec.Struct, frozen=True):
    """The service starts with what the journal held.

    `adopt`: same boot, and the stored lease still lasts. `alive`: resources found running.
    """

    boot: str
    adopt: bool
    alive: frozenset[str] = frozenset()


class Tick(msgspec.Struct, frozen=True):
    """The time asked for with `GroupState.wake_at` has come."""


Input = OrderReceived | SignalHeard | Spawned | ActionDone | LeaseEnded | Resumed | Tick

# --- effects, to be carried out in the order given -------------------------------------------


class Emit(msgspec.Struct, frozen=True):
    """Append an event to the outbox."""

    draft: Draft


class Journal(msgspec.Struct, frozen=True):
    """Store the state durably before any effect that follows (I9)."""

    state: GroupState


class RunAction(msgspec.Struct, frozen=True):
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


class Reply(msgspec.Struct, frozen=True):
    """The answer to an order; there is exactly one for each OrderReceived."""

    reply: OrderReply


class Refuse(msgspec.Struct, frozen=True):
    """The answer to an order that changed nothing, its event, and the kind to count it under."""

    order: Order
    reply: OrderReply
    draft: Draft
    kind: str


Effect = Emit | Journal | RunAction | Reply | Refuse
