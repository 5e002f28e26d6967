"""The hands of one node: the real cores of groups and lease in a modelled shell."""

from typing import TYPE_CHECKING

import msgspec

from holdfast.events import Draft, EventData, Health, Layer
from holdfast.events.fields import node_entity
from holdfast.events.hands import LeaseAcquired, LeaseLost
from holdfast.events.health import HealthSignal
from holdfast.lease import HolderState, electorate, node_lease
from holdfast.recovery import core
from holdfast.recovery.journal import StoredLease
from holdfast.recovery.messages import (
    Effect,
    Emit,
    Input,
    Journal,
    LeaseEnded,
    OrderReceived,
    Refuse,
    Reply,
    Resumed,
    RunAction,
    SignalHeard,
    Tick,
)
from holdfast.recovery.orders import NOT_ARMED, begins
from holdfast.recovery.plan import GroupPlan, plans
from holdfast.recovery.state import GroupState, blank
from holdfast.recovery.suspended import Suspended
from holdfast.recovery.tenure import Tenure
from holdfast.recovery.watchdog import Watchdog
from holdfast.structs import replace
from holdfast.wire import (
    GroupReport,
    HandsPulse,
    MonitorPulse,
    Order,
    Suspend,
    Vote,
    Watch,
    WatchedResource,
)
from tests.simulation.simulator.actions import Action
from tests.simulation.simulator.deadman import DeadMan
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.storage.actions import VolumeAction, action, is_volume

if TYPE_CHECKING:
    from tests.simulation.simulator.decider import DeciderService
    from tests.simulation.simulator.storage.loop import VirtualLoop
    from tests.simulation.simulator.world import World

WATCH_EVERY = 2.0
PULSE_GAP = 0.02
MOMENT = 0.0001
"""Timers round up, or a clock that runs slow would be asked too early for ever."""


class Actor:
    """One group on this node."""

    def __init__(self, plan: GroupPlan, state: GroupState) -> None:
        self.plan, self.state = plan, state
        self.action: Action | VolumeAction | None = None
        self.wake_at: float | None = None


class HandsService(Service):
    """One recovery process."""

    slot, title = "hands", "recovery"

    def __init__(self, world: "World", place: Place) -> None:
        super().__init__(world, place)
        timing = world.timing
        self.dead_man = DeadMan(self)
        self.suspended = Suspended(place.name, place.boot, self.clock())
        self.holder = HolderState(
            lease=node_lease(place.name),
            holder=place.name,
            boot=place.boot,
            voters=len(world.voters),
            ttl=timing.ttl,
            margin=timing.margin,
            electorate=electorate(world.voters),
        )
        device = world.machines[place.name].timer
        longest = int(timing.ttl - timing.margin - timing.renew_every)
        self.watchdog = Watchdog(device, longest)
        self.has_watchdog = device is not None
        self._last_pet_at = 0.0
        self._starting = 0
        self.tenure = Tenure(stop_before=timing.stop_before)
        self.actors: dict[str, Actor] = {}
        self._alarm_at = 0.0
        self._pulse_soon = False
        self._watched: list[WatchedResource] = []
        self.volumes: VirtualLoop | None = None
        """On which volumes are started and stopped."""

    def start(self) -> None:
        """As `Hands.__init__` and `Hands.run` do."""
        self._take_up()
        for name, plan in plans(self.world.file, self.place.name, self.place.boot).items():
            stored = self.place.journal.get(name)
            state = msgspec.json.decode(stored, type=GroupState) if stored else None
            self.actors[name] = Actor(plan, state or blank(name, plan.names))
        for actor in self.actors.values():
            self.turn(actor, self._resumed(actor))
        self._felt()
        self._renew()
        self._beat()
        self._watch()

    def _resumed(self, actor: Actor) -> Resumed:
        running = self.world.machines[self.place.name].processes
        for known in actor.state.resources.values():
            if known.token:
                self.dead_man.hold(known.token, [p for p in running if p.token == known.token])
        alive = frozenset(
            name
            for name, known in actor.state.resources.items()
            if known.state == "running"
            and (is_volume(actor, name) or any(p.instance == known.instance for p in running))
        )
        return Resumed(boot=self.place.boot, adopt=self.tenure.held, alive=alive)

    # --- groups ---------------------------------------------------------------------------

    def turn(self, actor: Actor, event: Input, asker: "DeciderService | None" = None) -> None:
        """One step of a group's core, and what follows from it."""
        if not self.alive:
            return
        now = self.clock()
        before = actor.state
        suspended = self.suspended.until(actor.plan.group)
        actor.state, effects = core.decide(
            actor.plan, before, event, now, self.world.mint, suspended
        )
        self.world.invariants.on_hands(self, actor, event, effects)
        for effect in effects:
            if self.blown():
                return
            self._carry_out(actor, effect, asker)
        wake_at = actor.state.wake_at()
        if wake_at is not None and (wake_at != actor.wake_at or isinstance(event, Tick)):
            self.after(max(MOMENT, wake_at - now), self.turn, actor, Tick())
        actor.wake_at = wake_at
        self._group_changed()
        if effects:
            self._changed()

    def _group_changed(self) -> None:
        if self.has_watchdog and self.alive and not self._owns():
            self.watchdog.idle()

    def _carry_out(self, actor: Actor, effect: Effect, asker: "DeciderService | None") -> None:
        match effect:
            case Emit(draft):
                self.world.emitted(self.place, self.slot, draft)
            case Journal(state):
                self.place.journal[state.group] = msgspec.json.encode(state)
                self.world.invariants.on_journal(self.place, state.group, state.epoch)
            case RunAction():
                self.world.invariants.on_action(self, actor, effect)
                if actor.action is not None:
                    actor.action.give_up()
                actor.action = action(self, actor, effect)
                actor.action.begin()
            case Reply(reply) | Refuse(reply=reply):
                if isinstance(effect, Refuse):
                    self.world.emitted(self.place, self.slot, effect.draft)
                if asker is not None and isinstance(effect, Reply | Refuse):
                    order = self._order
                    self.world.network.reply(self.place.name, asker, asker.answered, order, reply)

    def order(self, order: Order, asker: "DeciderService") -> None:
        """An order arrives."""
        self._order = order
        actor = self.actors[order.group]
        received = OrderReceived(order, self.tenure.act_until, NOT_ARMED)
        if begins(actor.plan, actor.state, received, self.clock()):
            unguarded = self.watchdog.arm(self.holder.valid_until, self.clock(), owns=self._owns())
            received = replace(received, unguarded=unguarded)
        self._starting += 1
        self.turn(actor, received, asker)
        self._starting -= 1
        self._group_changed()

    def _owns(self) -> bool:
        return self._starting > 0 or any(
            actor.state.work is not None or not actor.state.all_stopped()
            for actor in self.actors.values()
        )

    def _look(self) -> None:
        """The lease was looked at; as `Hands._lease_looked_at`."""
        if not self.has_watchdog:
            return
        until, now = self.holder.valid_until, self.clock()
        self.watchdog.look(until, now, owns=self._owns())
        at = self.watchdog.last_pet(until)
        if at is not None and at > max(now, self._last_pet_at):
            self._last_pet_at = at
            self.after(at - now, self._look)

    def suspend(self, told: Suspend) -> None:
        """The leader says which groups are in maintenance."""
        self.suspended.hear(told, self.clock())

    def heed(self, pulse: MonitorPulse) -> None:
        """This node's monitor says what is not well."""
        if pulse.boot != self.place.boot:
            return
        for signal in pulse.signals:
            actor = self.actors.get(signal.entity.split("/")[1])
            if actor is not None and self.suspended.covers(actor.plan.group, self.clock()):
                self.world.seen["a failure left alone in maintenance"] += 1
            elif actor is not None and signal.state is Health.FAILED:
                self.turn(actor, SignalHeard(signal))

    # --- lease ----------------------------------------------------------------------------

    def _take_up(self) -> None:
        raw = self.place.lease_file
        stored = msgspec.json.decode(raw, type=StoredLease) if raw else StoredLease()
        if stored.boot != self.place.boot:
            return
        self.holder = replace(
            self.holder,
            term=stored.term,
            highest_seen=stored.term,
            valid_until=stored.valid_until,
        )
        self.dead_man.arm(stored.valid_until - self.world.timing.kill_before)
        self.tenure = self.tenure.taken_up(stored.since, stored.valid_until, self.clock())

    def _renew(self) -> None:
        self.holder, request = self.holder.request(self.clock())
        for voter in self.world.voters:
            self.world.network.send(
                self.place.name, voter, "decider", "vote", request, self, self.voted
            )
        self.after(self.world.timing.renew_every, self._renew)
        self._felt()
        self.world.volumes.renewed(self)

    def voted(self, vote: Vote) -> None:
        """A voter's answer arrives."""
        self.holder = self.holder.on_vote(vote)
        self._felt()

    def _felt(self) -> None:
        until, timing = self.holder.valid_until, self.world.timing
        self.dead_man.arm(until - timing.kill_before)
        self._look()
        now = self.clock()
        before = self.tenure.valid_until
        self.tenure, change = self.tenure.advance(until, now)
        if until != before:
            self.place.lease_file = msgspec.json.encode(
                StoredLease(
                    boot=self.place.boot,
                    term=self.holder.term,
                    since=self.tenure.since,
                    valid_until=until,
                )
            )
        if self.tenure.held and self._alarm_at < now:
            self._alarm_at = self.tenure.act_until
            self.after(max(MOMENT, self._alarm_at - now), self._alarm)
        if change is not None:
            self._lease_changed(held=change == "acquired")

    def _alarm(self) -> None:
        self._alarm_at = 0.0
        self._felt()

    def _lease_changed(self, *, held: bool) -> None:
        place, term = self.place, self.holder.term
        reason = "a majority granted it" if held else "no majority renewed it in time"
        signal = HealthSignal(
            layer=Layer.NETWORK,
            node=place.name,
            observer=place.name,
            probe="lease",
            state=Health.OK if held else Health.FAILED,
            previous=Health.FAILED if held else Health.OK,
            reason=reason,
        )
        seen = self._record(signal, None)
        if held:
            ttl = self.world.timing.ttl
            self._record(LeaseAcquired(node=place.name, boot=place.boot, term=term, ttl=ttl), seen)
        else:
            lost = LeaseLost(node=place.name, boot=place.boot, term=term, reason=reason)
            event = self._record(lost, seen)
            for actor in self.actors.values():
                self.turn(actor, LeaseEnded(event, seen, reason))
        self._changed()

    def _record(self, data: EventData, cause: str | None) -> str:
        draft = Draft(
            id=self.world.mint(),
            data=data,
            entity=node_entity(self.place.name),
            incident=cause,
            cause=cause,
        )
        self.world.emitted(self.place, self.slot, draft)
        return draft.id

    # --- what it says ---------------------------------------------------------------------

    def _changed(self) -> None:
        if not self._pulse_soon:
            self._pulse_soon = True
            self.after(PULSE_GAP, self._pulse)

    def _beat(self) -> None:
        self._pulse()
        self.after(self.world.timing.pulse_every, self._beat)

    def _pulse(self) -> None:
        self._pulse_soon = False
        place = self.place
        pulse = HandsPulse(
            node=place.name,
            boot=place.boot,
            now=self.clock(),
            term=self.holder.term,
            lease_valid=self.tenure.held,
            groups=[_report(actor.state) for actor in self.actors.values()],
            watchdog=self.watchdog.report(),
        )
        for name in self.world.voters:
            self.world.network.send(place.name, name, "decider", "hear", pulse)
        watched = [w for actor in self.actors.values() for w in _watched(actor.state)]
        if watched != self._watched:
            self._watched = watched
            self._tell_monitor()

    def _watch(self) -> None:
        self._tell_monitor()
        self.after(WATCH_EVERY, self._watch)

    def _tell_monitor(self) -> None:
        watch = Watch(node=self.place.name, boot=self.place.boot, resources=self._watched)
        self.world.network.send(self.place.name, self.place.name, "monitor", "watch", watch)


def _report(state: GroupState) -> GroupReport:
    return GroupReport(
        group=state.group,
        epoch=state.epoch,
        state=state.phase,
        reason=state.reason,
        event=state.event,
        incident=state.incident,
    )


def _watched(state: GroupState) -> list[WatchedResource]:
    return [
        WatchedResource(group=state.group, resource=n, instance=known.instance, pid=known.pid)
        for n, known in state.resources.items()
        if known.state == "running"
    ]
