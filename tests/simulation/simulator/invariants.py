"""What must hold after every step, judged by what is true and not by what the cores believe."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from holdfast.events import Draft
from holdfast.events.audit import verify_causes
from holdfast.events.envelope import Envelope
from holdfast.events.ownership import LeaseRevoked
from holdfast.events.registry import event_name, event_type
from holdfast.failover_decider import core as decider_core
from holdfast.failover_decider.messages import (
    Effect,
    FenceDone,
    Input,
    LeaderSeen,
    OrderAnswered,
    PulseHeard,
    RecordSeen,
    Reject,
    RunFence,
    SendOrder,
    VoteReceived,
    Write,
)
from holdfast.failover_decider.restraint import limit
from holdfast.lease import LEADER_LEASE, Answer, node_lease
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.recovery import core as hands_core
from holdfast.recovery.messages import Effect as HandsEffect
from holdfast.recovery.messages import Input as HandsInput
from holdfast.recovery.messages import OrderReceived, Refuse, Reply, RunAction, SignalHeard
from holdfast.wire import Claim, Release, Renew
from tests.simulation.simulator.machine import Process
from tests.simulation.simulator.outlive import Workloads
from tests.simulation.simulator.places import Place
from tests.simulation.simulator.policy_invariants import PolicyBroken, PolicyInvariants
from tests.simulation.simulator.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.simulator.decider import DeciderService
    from tests.simulation.simulator.hands import Actor, HandsService
    from tests.simulation.simulator.world import World

REPEAT = 0.02
"""The share of messages that are given to a core a second time, to see that nothing changes."""
MESSAGES = frozenset({PulseHeard, LeaderSeen, VoteReceived, OrderAnswered, RecordSeen, FenceDone})
SIDE_EFFECTS = {Phase.STARTING: "start", Phase.STOPPING: "stop"}


class Invariants:
    """Watches the whole world; raises Violation."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._policies = PolicyInvariants(world)
        self._ballots: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
        """Per lease and holder's boot: which voter promised it last, and at what true time."""
        self._steps: dict[str, OwnershipRecord] = {}
        self._starts: dict[tuple[str, int], tuple[str | None, str | None]] = {}
        self._started: dict[str, tuple[int, str]] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._offs: dict[DeciderService, dict[str, float]] = {}
        """When each decider's process ordered which host off."""
        self._workloads = Workloads(world, self._steps)

    # --- leases ---------------------------------------------------------------------------

    def on_vote(
        self, voter: "DeciderService", request: Renew | Claim | Release, result: Answer
    ) -> None:
        """Remember who truly promised what to whom."""
        if result.vote.granted and not isinstance(request, Release):
            term, name = result.vote.stored, voter.place.name
            of_lease = self._ballots.setdefault(term.lease, {})
            for ballots in of_lease.values():
                ballots.pop(name, None)
            of_lease.setdefault((term.holder, term.boot), {})[name] = self._world.engine.now

    def _supported(self, lease: str, place: Place, ttl: float) -> bool:
        """Whether a majority's promise to this boot of a place cannot have run out yet."""
        ballots = self._ballots.get(lease, {}).get((place.name, place.boot), {})
        since = self._world.engine.now - ttl * 1.05
        fresh = sum(at >= since for at in ballots.values())
        return fresh >= len(self._world.voters) // 2 + 1

    def _must_lead(self, decider: "DeciderService", what: str) -> None:
        if not self._supported(LEADER_LEASE, decider.place, self._world.timing.leader_ttl):
            raise Violation("I3", f"{decider.place.name} {what} without a majority behind it")

    # --- deciders -------------------------------------------------------------------------

    def on_decided(self, decider: "DeciderService", happened: Input, effects: list[Effect]) -> None:
        """One leader at a time, its effects allowed, its steps idempotent."""
        state = decider.state
        if effects and state.leading and state.leadership.valid(decider.clock()):
            self._alone(decider)
        for effect in effects:
            match effect:
                case SendOrder():
                    self._must_lead(decider, "sends an order")
                    self._ordered(effect)
                case Write():
                    self._must_lead(decider, "changes ownership")
                    self._policy(self._policies.on_write, state, effect.record)
                case _:
                    pass
        if type(happened) in MESSAGES and self._world.chance.random() < REPEAT:
            now = decider.clock()
            again, more = decider_core.decide(state, happened, now, self._world.mint)
            more = [effect for effect in more if not isinstance(effect, Reject)]
            if again != state or more:
                kind = type(happened).__name__
                raise Violation("I8", f"{kind} at {decider.place.name} repeated: {more or 'state'}")

    def _alone(self, decider: "DeciderService") -> None:
        for name in self._world.voters:
            other = self._world.decider(name)
            if other is None or other is decider or not other.state.leading:
                continue
            if other.state.leadership.valid(other.clock()):
                raise Violation("I3", f"{decider.place.name} and {name} lead at once")

    def _ordered(self, effect: SendOrder) -> None:
        order = effect.order
        stored = self._steps.get(order.intent)
        if stored is None:
            raise Violation(
                "I9", f"{order.action} of {order.group} was ordered before it was stored"
            )
        wanted = (stored.group, stored.epoch, stored.owner, stored.boot)
        if wanted != (order.group, order.epoch, order.node, order.boot):
            raise Violation("I2", f"an order says {order}, but stored is {stored}")
        if SIDE_EFFECTS.get(stored.phase) != order.action:
            raise Violation("I9", f"{order.action} is not what {stored.phase} calls for")

    def on_power_cut(self, asker: "DeciderService", run: RunFence) -> None:
        """I6 where it acts: no boot is cut off that the order does not name, if that is known."""
        known, boot = asker.state.nodes[run.node].boot, self._world.places[run.node].boot
        if asker.alive and known == boot != run.boot:
            raise Violation("I6", f"{boot} of {run.node} is cut off by an order for {run.boot}")
        if asker.alive and asker.clock() > run.not_after + self._world.slowest_tick:
            raise Violation("I6", f"an order to cut off {run.node} acts after its expiry")

    def on_fence(self, asker: "DeciderService", run: RunFence) -> None:
        """I3, I6 and I9 of a fence order."""
        node, boot = run.node, run.boot
        if run.action != "off":
            return
        self._must_lead(asker, f"fences {node}")
        records = [record for record, _ in self._world.store.current.values()]
        fencing = [(r.owner, r.boot) for r in records if r.phase == Phase.FENCING]
        if (node, boot) not in fencing:
            raise Violation("I9", f"no stored intent says to fence {boot} of {node}")
        self._not_too_many(asker, node)

    def _not_too_many(self, asker: "DeciderService", node: str) -> None:
        """I6: mass fencing is held, unless an operator allows it."""
        now, window = self._world.engine.now, 0.98 * self._world.file.cluster.fence_window
        mine = {n: at for n, at in self._offs.get(asker, {}).items() if now - at < window}
        self._offs[asker] = {**mine, node: now}
        suspicion = asker.state.nodes[node].suspicion
        allowed = suspicion is not None and suspicion.allowed
        if node not in mine and len(mine) >= limit(self._world.file) and not allowed:
            others = ", ".join(mine)
            raise Violation("I6", f"{asker.place.name} fences {node} right after {others}")

    def on_pet(self, place: Place, timeout: float) -> None:
        """What a watchdog is granted, a majority must have promised."""
        lasts = self._world.timing.ttl - timeout
        if not self._supported(node_lease(place.name), place, lasts):
            raise Violation("I3", f"the watchdog of {place.name} is petted beyond its lease")

    def on_stored(self, old: OwnershipRecord | None, new: OwnershipRecord) -> None:
        """I2 in the bucket; and nobody may run what is about to be started."""
        if new == old:
            return  # a new leader made sure that it is the latest
        if old is not None and new.epoch < old.epoch:
            raise Violation("I2", f"the epoch of {new.group} falls from {old.epoch} to {new.epoch}")
        moved = old is None or (new.owner, new.boot) != (old.owner, old.boot)
        if old is not None and new.owner == old.owner and new.phase == Phase.STOPPING:
            moved = False  # whatever boot it runs by now: it is emptied, and nothing is given to it
        if new.owner is not None and moved and new.epoch <= (old.epoch if old else 0):
            raise Violation("I2", f"{new.group} changes its owner within epoch {new.epoch}")
        if old is not None:
            self._policy(self._policies.on_stored, old, new)
        if new.intent is not None:
            self._steps[new.intent.step] = new
        if new.phase == Phase.STARTING:
            self._starts[new.group, new.epoch] = (new.owner, new.boot)
            for machine in self._world.machines.values():
                for process in machine.of(new.group):
                    if self._runs(process):
                        text = f"{new.group} is given to {new.owner} while {process.host} runs it"
                        raise Violation("I4", text)

    def on_emitted(self, place: Place, draft: Draft) -> None:
        """Policies are kept, and a lease that was taken away is not believed in any more."""
        decider = self._world.decider(place.name)
        if decider is not None:
            self._policy(self._policies.on_decision, decider.state, draft)
        if not isinstance(draft.data, LeaseRevoked):
            return
        self._true(draft.data)
        hands = self._world.hands(draft.data.node)
        if hands is None or hands.place.boot != draft.data.boot:
            return
        if hands.holder.valid(hands.clock()):
            raise Violation("I3", f"{draft.data.node} holds the lease that {place.name} took away")

    def _true(self, revoked: LeaseRevoked) -> None:
        """What is said to be off is off, but for a device that lies.

        A node with a watchdog may live: it stopped everything in time, and then disarmed it.
        """
        place = self._world.places[revoked.node]
        lies = revoked.node in self._world.fences.lies_off
        runs = place.powered and place.boot == revoked.boot and not lies
        if revoked.proof == "fenced_off" and runs:
            raise Violation("I4", f"{revoked.boot} of {revoked.node} is called off, and runs on")

    def _policy(self, check: Callable[..., None], *about: object) -> None:
        try:
            check(*about)
        except PolicyBroken as broken:
            raise Violation(f"policy {broken.name}", str(broken)) from broken

    # --- hands and machines ---------------------------------------------------------------

    def _runs(self, process: Process) -> bool:
        """In a lease-only cluster a host that stands still runs nothing: when it goes on, its dead
        man's switch is the first to act. With fence devices it must be off, still or not."""
        place = self._world.places[process.host]
        return process.alive and not (self._world.lease_only and place.paused)

    def on_spawned(self, process: Process) -> None:
        """I1, I2, I3 and I9 at the moment when something truly starts."""
        group, epoch, where = process.group, process.epoch, process.boot
        for machine in self._world.machines.values():
            for other in machine.of(group):
                if other is process or not self._runs(other):
                    continue
                if other.host != process.host:
                    text = f"{group} runs on {other.host} (epoch {other.epoch}) and {process.host}"
                    raise Violation("I1", f"{text} (epoch {epoch})")
                if other.resource == process.resource:
                    raise Violation("I1", f"{group}/{other.resource} runs twice on {other.host}")
        before, there = self._started.get(group, (0, where))
        if epoch < before or (epoch == before and there != where):
            raise Violation("I2", f"{group} is started at epoch {epoch} after {before} on {there}")
        self._started[group] = (epoch, where)
        if self._starts.get((group, epoch)) != (process.host, process.boot):
            raise Violation("I9", f"no stored intent starts {group} at epoch {epoch} on {where}")
        place = self._world.places[process.host]
        timer = self._world.machines[process.host].timer
        if timer is not None and not timer.armed:
            raise Violation("I3", f"{place.name} starts {group} without its watchdog")
        if not self._supported(node_lease(place.name), place, self._world.timing.ttl):
            raise Violation(
                "I3", f"{place.name} starts {group} without a majority behind its lease"
            )

    def on_hands(
        self, hands: "HandsService", actor: "Actor", event: HandsInput, effects: list[HandsEffect]
    ) -> None:
        """I4, I2, I8 and I10 of a group's core."""
        state, place = actor.state, hands.place
        self._workloads.on_turn(hands, actor, event)
        if effects:
            for process in self._world.machines[place.name].of(state.group):
                known = state.resource(process.resource)
                if "stopped" in (state.phase, known.state):
                    text = f"{state.group}/{process.resource} is called stopped and runs"
                    raise Violation("I4", f"{text} on {place.name}")
            if state.epoch < self._epochs.get((place.name, state.group), 0):
                raise Violation("I2", f"{place.name} forgot an epoch of {state.group}")
        if isinstance(event, OrderReceived) and any(isinstance(e, RunAction) for e in effects):
            order = event.order
            if hands.clock() > order.not_after or order.boot != place.boot:
                raise Violation("I6", f"{place.name} obeys an order that is over: {order}")
            if order.epoch < self._epochs.get((place.name, state.group), 0) + (
                order.action == "start"
            ):
                raise Violation("I2", f"{place.name} obeys an order of a past epoch: {order}")
        if isinstance(event, OrderReceived | SignalHeard) and self._world.chance.random() < 0.2:
            now = hands.clock()
            again, more = hands_core.decide(actor.plan, state, event, now, self._world.mint)
            if again != state or any(not isinstance(e, Reply | Refuse) for e in more):
                raise Violation("I8", f"{type(event).__name__} at {place.name} repeated: {more}")

    def on_journal(self, place: Place, group: str, epoch: int) -> None:
        """What is on disk is not forgotten."""
        self._epochs[place.name, group] = epoch

    def forget(self, place: Place) -> None:
        """A lost disk takes the highest epochs with it."""
        self._epochs = {key: e for key, e in self._epochs.items() if key[0] != place.name}

    def on_action(self, hands: "HandsService", actor: "Actor", action: RunAction) -> None:
        """I9: what touches the machine is in the journal first. I10: it stops nothing unbidden."""
        if action.verb == "verify":
            return
        if hands.place.journal.get(action.group) != msgspec.json.encode(actor.state):
            raise Violation("I9", f"{action.verb} of {action.group} begins before it is stored")
        if action.verb == "stop":
            self._workloads.on_stop(hands, actor, action)

    def on_dead_man(self, hands: "HandsService") -> None:
        """I10 of the last resort."""
        self._workloads.on_dead_man(hands)

    # --- the record -----------------------------------------------------------------------

    def check_record(self) -> None:
        """I7: every action descends from a signal or a request."""
        for finding in verify_causes(map(sealed, self._world.drafts)):
            raise Violation("I7", f"{finding.kind}: {finding.detail}")


def sealed(emitted: tuple[str, Draft]) -> Envelope:
    """The event as on the record, but for the chain, which is not simulated."""
    source, draft = emitted
    return Envelope(
        id=draft.id,
        source=source,
        type=event_type(draft.data),
        subject=draft.entity,
        time="",
        dataschema=event_name(draft.data),
        correlationid=draft.correlation,
        causationid=draft.cause,
        sequence="",
        previoushash="",
        hash="",
        data=msgspec.Raw(msgspec.json.encode(draft.data)),
    )
