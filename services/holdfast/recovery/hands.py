"""The service of one node: its groups, its lease, its pulse, and what it hears on the bus."""

import asyncio
import logging
from typing import Literal

from holdfast import subjects
from holdfast.clock import monotonic
from holdfast.config.fencing import longest_watchdog
from holdfast.errors import HoldfastError
from holdfast.events import Draft, EventData, Health, Layer
from holdfast.events.fields import node_entity
from holdfast.events.hands import LeaseAcquired, LeaseLost
from holdfast.events.health import HealthSignal
from holdfast.ids import uuid7
from holdfast.recovery.actor import Actor
from holdfast.recovery.build import Builder
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.journal import Journal
from holdfast.recovery.leaseholder import LeaseHolder
from holdfast.recovery.messages import LeaseEnded, OrderReceived, SignalHeard
from holdfast.recovery.orders import NOT_ARMED, begins, refuse
from holdfast.recovery.recorder import Recorder
from holdfast.recovery.reporter import Reporter
from holdfast.recovery.retired import all_plans
from holdfast.recovery.suspended import Suspended
from holdfast.recovery.watchdog import Watchdog
from holdfast.recovery.watchdog_device import device
from holdfast.service import Runtime
from holdfast.stopping import end
from holdfast.structs import replace
from holdfast.wire import MonitorPulse, Order, OrderReply, Pulse, Suspend

LOST = "no majority of voters renewed the lease in time, or it was taken away"
_log = logging.getLogger("holdfast.recovery")


class NotANode(HoldfastError):
    """The hands were started at a place that is no host."""


async def main(rt: Runtime) -> None:
    """Be the hands of this node until told to stop. The workloads go on (I10)."""
    if rt.place not in rt.cluster.nodes:
        raise NotANode(
            f"{rt.place} is not one of the nodes ({', '.join(rt.cluster.nodes)})",
            place="--place",
            cure="run recovery on nodes only; a witness runs nothing",
        )
    hands = Hands(rt)
    try:
        await hands.run()
    finally:
        hands.close()


class Hands:
    """One node's hands. It works without the bus: what must end with the lease ends then."""

    def __init__(self, rt: Runtime) -> None:
        """Take up what the journal holds. Raises JournalError."""
        self._rt = rt
        self._subject = subjects.command(rt.place, "recovery")
        self._dead_man = DeadMan()
        self._suspended = Suspended(rt.place, rt.boot, monotonic())
        journal = Journal(rt.state)
        self._starting = 0
        self._last_pet: asyncio.TimerHandle | None = None
        config = rt.cluster.nodes[rt.place].watchdog
        self._watchdog = Watchdog(
            device(config.device) if config else None,
            (config and config.timeout) or longest_watchdog(rt.cluster),
        )
        self._actors: dict[str, Actor] = {}
        self._lease = LeaseHolder(
            node=rt.place,
            boot=rt.boot,
            voters=list(rt.cluster.cluster.voters),
            timing=rt.timing,
            paths=rt.paths,
            reject=lambda subject, why: rt.rejects.reject(subject, "forged", why),
            journal=journal,
            dead_man=self._dead_man,
            looked=self._lease_looked_at,
            changed=self._lease_changed,
        )
        self._recorder = Recorder(
            rt.outbox.emit, lambda kind, why: rt.rejects.reject(self._subject, kind, why)
        )
        self._reporter = Reporter(rt, self._lease, self._watchdog, self._recorder.record)
        builder = Builder(
            bus=rt.bus,
            journal=journal,
            dead_man=self._dead_man,
            recorder=self._recorder,
            changed=self._group_changed,
            suspended=self._suspended,
        )
        self._actors = {
            name: builder.actor(plan, lease_lasts=self._lease.tenure.held)
            for name, plan in all_plans(rt.cluster, rt.place, rt.boot, journal).items()
        }
        self._reporter.actors = list(self._actors.values())
        self._dead_man.start()

    async def run(self) -> None:
        """Work until stopping."""
        self._rt.paths.start(self._rt.spawn)
        tasks = [
            self._rt.spawn(actor.run(), f"group {name}") for name, actor in self._actors.items()
        ]
        tasks += [
            self._rt.spawn(self._lease.run(), "lease"),
            self._rt.spawn(self._reporter.run_pulse(), "pulse"),
            self._rt.spawn(self._reporter.run_watch(), "watch"),
            self._rt.spawn(self._reporter.run_lease(), "lease of volumes"),
            self._rt.spawn(self._listen(), "listen"),
        ]
        await self._rt.stopping.wait()
        await end(*tasks)

    def close(self) -> None:
        """End without touching a workload. An armed watchdog stays so: a successor must come."""
        if self._last_pet is not None:
            self._last_pet.cancel()
        self._dead_man.close()

    async def _listen(self) -> None:
        await self._rt.bus.ready.wait()
        await self._rt.bus.subscribe(subjects.pulse(self._rt.place), Pulse, self._heard)
        await self._rt.bus.serve(self._subject, Order | Suspend, self._ordered)

    async def _ordered(self, order: Order | Suspend) -> OrderReply | None:
        if isinstance(order, Suspend):
            self._suspended.hear(order, monotonic())
            return None
        actor = self._actors.get(order.group)
        if actor is None:
            reason = f"{self._rt.place} does not run group {order.group}"
            refusal = refuse(order, self._rt.place, uuid7(), "forged", reason)
            self._recorder.refused(refusal)
            return refusal.reply
        received = OrderReceived(order, self._lease.tenure.act_until, NOT_ARMED)
        # Only for what would begin: nobody disarms what a refused order armed on an idle node.
        if begins(actor.plan, actor.state, received, monotonic()):
            unguarded = self._watchdog.arm(self._lease.valid_until, monotonic(), owns=self._owns())
            received = replace(received, unguarded=unguarded)
        # Counted until the group itself says that it starts: else the watchdog had no reason.
        self._starting += 1
        try:
            return await actor.order(received)
        except asyncio.CancelledError:
            return None
        finally:
            self._starting -= 1
            self._group_changed()

    def _owns(self) -> bool:
        """Whether anything may run here: a group counts until each part was seen to be stopped."""
        return self._starting > 0 or any(
            actor.state.work is not None or not actor.state.all_stopped()
            for actor in self._actors.values()
        )

    def _group_changed(self) -> None:
        if not self._owns():
            self._watchdog.idle()
        self._reporter.changed.set()

    def _lease_looked_at(self, valid_until: float) -> None:
        now = monotonic()
        self._watchdog.look(valid_until, now, owns=self._owns())
        if self._last_pet is not None:
            self._last_pet.cancel()
            self._last_pet = None
        at = self._watchdog.last_pet(valid_until)
        if at is not None and at > now:
            loop = asyncio.get_running_loop()
            self._last_pet = loop.call_later(at - now, self._lease_looked_at, valid_until)

    def _heard(self, pulse: Pulse) -> None:
        if not isinstance(pulse, MonitorPulse):
            return
        if (pulse.node, pulse.boot) != (self._rt.place, self._rt.boot):
            reason = f"a pulse of {pulse.node}, boot {pulse.boot}"
            self._rt.rejects.reject(subjects.pulse(self._rt.place), "stale", reason)
            return
        for signal in pulse.signals:
            kind, _, rest = signal.entity.partition("/")
            actor = self._actors.get(rest.partition("/")[0])
            if actor is None or self._suspended.covers(actor.plan.group, monotonic()):
                continue
            if kind == "resource" and signal.state is Health.FAILED:
                actor.hint(SignalHeard(signal))

    def _lease_changed(self, change: Literal["acquired", "lost"]) -> None:
        """Say so, and if it is lost stop the groups. The signal is what everything follows from."""
        held = change == "acquired"
        place, boot, term = self._rt.place, self._rt.boot, self._lease.term
        reason = f"a majority of voters granted term {term}" if held else LOST
        signal = HealthSignal(
            layer=Layer.NETWORK,
            node=place,
            observer=place,
            probe="lease",
            state=Health.OK if held else Health.FAILED,
            previous=Health.FAILED if held else Health.OK,
            reason=reason,
        )
        seen = self._record(signal, None, None)
        if held:
            ttl = self._rt.timing.ttl
            acquired = LeaseAcquired(node=place, boot=boot, term=term, ttl=ttl)
            self._record(acquired, seen, seen)
        else:
            lost = self._record(
                LeaseLost(node=place, boot=boot, term=term, reason=reason), seen, seen
            )
            for actor in self._actors.values():
                actor.tell(LeaseEnded(lost, seen, reason))
        _log.warning("lease %s: %s", change, reason)
        self._reporter.changed.set()

    def _record(self, data: EventData, incident: str | None, cause: str | None) -> str:
        draft = Draft(
            id=uuid7(),
            data=data,
            entity=node_entity(self._rt.place),
            incident=incident,
            cause=cause,
        )
        self._recorder.record(draft)
        return draft.id
