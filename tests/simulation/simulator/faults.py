"""What goes wrong, and when: drawn from the seed, then done to the world."""

from collections import Counter
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from holdfast.failover_decider.fencing import wanted_off
from holdfast.failover_decider.messages import FenceAsked, GroupAsked, LeadAsked, StandingAsked
from holdfast.failover_decider.restraint import restraint
from holdfast.wire import FenceRequest, GroupRequest, LeadRequest
from tests.simulation.simulator.aftermath import stays_wrong
from tests.simulation.simulator.failed_stops import FailedStops
from tests.simulation.simulator.fences import MODES, STAYS_ON
from tests.simulation.simulator.machine import Machine
from tests.simulation.simulator.network import CALM, Weather
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.policies import draw_request
from tests.simulation.simulator.storage.faults import VolumeFaults

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

FIRST, LAST = 5.0, 55.0
"""True seconds between which faults begin."""
SWITCHED_ON_AFTER = 4.0
"""What an operator takes at least; and no machine boots faster than its silence is noticed."""
BIRTH_SEED = 2_000_000_011
"""Drawn apart, so that what else a seed draws does not depend on how its cluster first started."""


class Faults:
    """Injects faults into one world; `end` takes back whatever is still wrong."""

    def __init__(self, world: "World") -> None:
        self._world, self._chance = world, world.chance
        self.counts: Counter[str] = Counter()
        self._apart = Random(f"devices of {world.seed}")
        """For what was added later: so what else a seed draws does not depend on it."""
        self._over = False
        self._lasting = 0
        """Faults that are under way: each is taken back at its time."""
        kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "power loss": (4, self._power_loss),
            "pause": (4, self._pause),
            "partition": (5, self._partition),
            "one-way cut": (4, self._one_way),
            "link broken": (4, self._link),
            "bad weather": (3, self._weather),
            "store stall": (3, self._store_stall),
            "store refuses": (2, self._store_refuses),
            "watch lags": (2, self._watch_lags),
            "decider killed": (4, self._kill_decider),
            "hands killed": (4, self._kill_hands),
            "monitor killed": (1, self._kill_monitor),
            "hands frozen": (3, self._freeze_hands),
            "fence device": (4, self._fence_device),
            "process dies": (5, self._process_dies),
            "workload misbehaves": (5, self._misbehave),
            "disk full": (1, self._disk_full),
            "operator asks": (2, self._ask),
            "switchover in trouble": (3, self._switchover),
            "rolling restart": (1, self._rolling_restart),
            "old message": (4, self._old_message),
            "trouble at an order": (4, self._trap),
        }
        if world.policies:
            kinds["maintenance"] = (6, self._maintain)
        self.later, self.kill = self._later, self._kill
        self.cut, self.isolate, self.resume = self._cut, self._isolate, self._resume
        self._of_volumes = VolumeFaults(world, self) if world.volumes.configs else None
        if self._of_volumes is not None:
            kinds |= self._of_volumes.kinds()
        self.kinds = kinds
        self._weights = [weight for weight, _ in kinds.values()]

    def plan(self) -> None:
        """Draw this seed's faults: in clusters, because single ones are survived easily."""
        engine, chance = self._world.engine, self._chance
        if Random(self._world.seed + BIRTH_SEED).random() < 0.25:
            self._world.on_learnt = self._first_start
        for _ in range(chance.randint(3, 6)):
            at = chance.uniform(FIRST, LAST)
            for _ in range(chance.choice([1, 1, 2, 3, 4])):
                (kind,) = chance.choices(list(self.kinds), self._weights)
                engine.at(at, self._inject, kind)
                at = min(LAST, at + chance.uniform(0.0, 4.0))
        FailedStops(self._world, self._ask_leaders, self._isolate).plan()

    def end(self) -> None:
        """Nothing is wrong from here on."""
        self._over = True
        world = self._world
        world.network.cut.clear()
        world.network.weather = CALM
        world.store.refuses = 0.0
        world.fences.mode.clear()
        for machine in world.machines.values():
            machine.moods.clear()
            machine.stuck.clear()
        for place in world.places.values():
            self._resume(place)
            for service in list(place.services.values()):
                service.fuse = None
                while service.alive and service.frozen:
                    service.thaw()
            decider = world.decider(place.name)
            if decider is not None:
                decider.disk_full = False
            world.power_on(place)
        stays_wrong(world)
        self._keep_up()

    def _keep_up(self) -> None:
        """Supervision, and an operator who switches on what was switched off."""
        world = self._world
        for place in world.places.values():
            if not place.powered and world.engine.now - place.off_since > SWITCHED_ON_AFTER:
                world.power_on(place)
        world.supervise()
        self._allow_what_is_held()
        if self._of_volumes is not None:
            self._of_volumes.look_after()
        world.engine.after(2.0, self._keep_up)

    def _allow_what_is_held(self) -> None:
        """Mass fencing waits for an operator, who lets it be done."""
        for name in self._world.voters:
            decider = self._world.decider(name)
            if decider is None or not decider.state.leading:
                continue
            for node, view in decider.state.nodes.items():
                if view.suspicion is None or not wanted_off(decider.state, node):
                    continue
                if restraint(decider.state, view, decider.clock()):
                    self._world.seen["mass fencing is held"] += 1
                    boot = view.boot or ""
                    word = FenceRequest(
                        action="allow", node=node, boot=boot, operator="sim", key="", signature=""
                    )
                    decider.run(decider.feed, (FenceAsked(self.counts.total(), word),))

    def _inject(self, kind: str) -> None:
        self.counts[kind] += 1
        if self._lasting:
            self._world.seen["fault during a fault"] += 1
        self.kinds[kind][1]()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._lasting += 1

        def unless_over() -> None:
            self._lasting -= 1
            if not self._over:
                act()

        self._world.engine.after(seconds, unless_over)

    def _place(self) -> Place:
        return self._chance.choice(list(self._world.places.values()))

    def _host(self) -> Place:
        return self._chance.choice([p for p in self._world.places.values() if p.is_host])

    def _say(self, place: Place | str, text: str) -> None:
        self._world.note(place, text, fault=True)

    # --- machines -------------------------------------------------------------------------

    def _power_loss(self) -> None:
        place, chance = self._place(), self._chance
        self._world.power_off(place, "loses power")
        if chance.random() < 0.25 and self._may_forget(place):
            self._say(place, "gets a new disk")
            place.lose_disk()
            self._world.volumes.lose_disk(place)
            self._world.invariants.forget(place)
        self._later(chance.uniform(0.5, 20.0), lambda: self._power_on(place))
        if chance.random() < 0.3:
            self._later(chance.uniform(3.0, 15.0), self._old_message)

    def _power_on(self, place: Place) -> None:
        self._world.power_on(place, services_after=self._chance.uniform(0.0, 3.0))

    def _may_forget(self, place: Place) -> bool:
        """Voters may lose their memory one at a time: that is what they promise to survive.

        One that never had a memory, in a new cluster, has lost none.
        """
        return not any(p.votes_lost for p in self._world.places.values() if p is not place)

    def _pause(self) -> None:
        place = self._place()
        if place.paused or not place.powered:
            return
        self._say(place, "stands still")
        place.paused = True
        for service in place.services.values():
            service.freeze()
        boot = place.number
        self._later(
            self._chance.choice([0.5, 2.0, 5.0, 9.0]) * self._chance.uniform(0.5, 1.5),
            lambda: self._resume(place, boot),
        )

    def _resume(self, place: Place, boot: int = 0) -> None:
        if not place.paused or (boot and boot != place.number):
            return
        self._say(place, "goes on")
        place.paused = False
        for service in place.services.values():
            service.thaw()

    # --- network --------------------------------------------------------------------------

    def _cut(
        self, links: list[tuple[str, str]], text: str, place: Place, seconds: float | None = None
    ) -> None:
        cut = self._world.network.cut
        self._say(place, text)
        for link in links:
            cut[link] = cut.get(link, 0) + 1

        def heal() -> None:
            self._say(place, "is reconnected")
            for link in links:
                cut[link] -= 1
                if not cut[link]:
                    del cut[link]

        if seconds is None:
            seconds = self._chance.choice([1.0, 4.0, 8.0, 15.0]) * self._chance.uniform(0.5, 1.5)
        self._later(seconds, heal)

    def _partition(self) -> None:
        names = list(self._world.places)
        self._isolate(self._chance.sample(names, self._chance.randint(1, len(names) // 2)))

    def _isolate(self, inside: list[str], seconds: float | None = None) -> None:
        outside = [name for name in self._world.places if name not in inside]
        links = [(a, b) for a in inside for b in outside]
        links += [(b, a) for a, b in links]
        self._cut(
            links,
            f"{', '.join(inside)} cut off from {', '.join(outside)}",
            self._world.places[inside[0]],
            seconds,
        )

    def _one_way(self) -> None:
        place = self._place()
        others = [name for name in self._world.places if name != place.name]
        deaf = self._chance.random() < 0.5
        some = self._chance.sample(others, self._chance.randint(1, len(others)))
        links = [(o, place.name) if deaf else (place.name, o) for o in some]
        verb = "does not hear" if deaf else "is not heard by"
        self._cut(links, f"{verb} {', '.join(some)}", place)

    def _link(self) -> None:
        a, b = self._chance.sample(list(self._world.places), 2)
        self._cut([(a, b), (b, a)], f"loses its link to {b}", self._world.places[a])

    def _weather(self) -> None:
        chance, network = self._chance, self._world.network
        network.weather = Weather(
            chance.choice([0.05, 0.3, 0.6]), chance.choice([0.0, 0.2]), chance.choice([0.05, 0.4])
        )
        loss, twice, late = (f"{100 * share:.0f} %" for share in astuple(network.weather))
        self._say("network", f"loses {loss} of all messages, repeats {twice}, delays {late}")

        def clear() -> None:
            network.weather = CALM
            self._say("network", "is well again")

        self._later(chance.uniform(2.0, 12.0), clear)

    def _old_message(self) -> None:
        for _ in range(self._chance.randint(1, 5)):
            self._world.network.repeat_something_old()

    def _trap(self) -> None:
        """At the worst moment: with the next order, its receiver is cut off or its sender dies."""

        def spring(src: str, dst: str) -> None:
            if self._over:
                return
            if self._chance.random() < 0.7:
                self._isolate([dst])
            else:
                self._kill(self._world.decider(src), self._chance.uniform(0.2, 6.0))

        self._world.network.trap = spring
        if self._chance.random() < 0.7:
            self._process_dies()

    # --- store ----------------------------------------------------------------------------

    def _store_stall(self) -> None:
        seconds = self._chance.uniform(4.0, 9.0)
        self._say("store", f"takes no write for {seconds:.1f} s")
        self._world.store.stall(seconds)

    def _store_refuses(self) -> None:
        store = self._world.store
        store.refuses = self._chance.uniform(0.2, 0.6)
        self._say("store", "refuses some writes and does not tell of others")

        def heal() -> None:
            store.refuses = 0.0
            self._say("store", "is well again")

        self._later(self._chance.uniform(3.0, 12.0), heal)

    def _watch_lags(self) -> None:
        self._say("store", "its watches lag")
        self._world.store.lags_until = self._world.engine.now + self._chance.uniform(1.0, 6.0)

    # --- services -------------------------------------------------------------------------

    def _kill(self, service: Service | None, back_after: float) -> None:
        if service is None:
            return
        place, slot, boot = service.place, service.slot, service.place.number
        if self._chance.random() < 0.5:
            service.fuse = self._chance.randint(0, 4)
        else:
            self._world.crash(service)

        def back() -> None:
            if service.alive and place.services.get(slot) is service:
                self._world.crash(service)
            self._world.begin(place, slot, boot)

        self._later(back_after, back)

    def _kill_decider(self) -> None:
        decider = self._world.decider(self._chance.choice(self._world.voters))
        if decider is None:
            return
        if self._chance.random() < 0.4:
            self._link()
        if self._chance.random() < 0.3 and self._may_forget(decider.place):
            self._world.crash(decider)
            self._say(decider.place, "its voter's file is lost")
            self._world.seen["voter's file lost"] += 1
            decider.place.lose_votes()
        self._kill(decider, self._chance.choice([0.1, 1.0, 5.0]) * self._chance.uniform(0.5, 1.5))

    def _first_start(self, place: Place) -> None:
        """The first voter that has its memory loses it, while others are held up in their start."""
        world, chance = self._world, self._chance
        world.on_learnt = lambda _: None
        for name in world.voters:
            other = world.decider(name)
            if other is not None and other.voter.blank and name != place.name:
                self._say(other.place, f"its {other.title} is frozen")
                other.freeze()
                self._later(chance.uniform(0.5, 6.0), partial(self._thaw, other))
        self._later(chance.uniform(0.1, 2.0), partial(self._lose_first_votes, place))

    def _lose_first_votes(self, place: Place) -> None:
        decider = self._world.decider(place.name)
        if decider is None or not self._may_forget(place):
            return
        self._world.crash(decider)
        self._say(place, "its voter's file is lost")
        if any(self._world.places[name].votes is None for name in self._world.voters):
            self._world.seen["voter's file lost in the first start"] += 1
        place.lose_votes()
        self._kill(decider, self._chance.uniform(0.05, 1.0))

    def _kill_hands(self) -> None:
        hands = self._world.hands(self._host().name)
        # With the lease alone, a hand that stays dead is not covered: DESIGN.md of recovery.
        longest = 0.1 if self._world.lease_only else self._chance.choice([0.2, 2.0, 8.0])
        if hands is not None and self._world.lease_only:
            self._world.crash(hands)
        self._kill(hands, longest * self._chance.uniform(0.3, 1.5))

    def _kill_monitor(self) -> None:
        self._kill(self._host().service("monitor"), self._chance.uniform(0.2, 5.0))

    def _freeze_hands(self) -> None:
        self._freeze(self._host().name)

    def _freeze(self, host: str) -> None:
        hands = self._world.hands(host)
        if hands is None or self._world.lease_only:
            return
        self._say(hands.place, "its hands are frozen")
        hands.freeze()
        self._later(
            self._chance.choice([1.0, 5.0, 9.0]) * self._chance.uniform(0.7, 1.4),
            partial(self._thaw, hands),
        )

    def _thaw(self, service: Service) -> None:
        if service.alive and service.frozen:
            self._say(service.place, f"its {service.title} goes on")
            service.thaw()

    def _disk_full(self) -> None:
        decider = self._world.decider(self._chance.choice(self._world.voters))
        if decider is not None:
            self._say(decider.place, "its decider cannot record events")
            decider.disk_full = True

            def heal() -> None:
                decider.disk_full = False

            self._later(self._chance.uniform(2.0, 8.0), heal)

    def _ask(self) -> None:
        """An operator wants something."""
        chance = self._chance
        group = chance.choice(list(self._world.file.groups))
        verb = chance.choices(["lead", "switchover", "stop", "start"], [3, 4, 1, 2])[0]
        if verb == "lead":
            lead = LeadRequest(place=chance.choice(self._world.voters), operator="sim")
            self._ask_leaders(LeadAsked(lead))
        else:
            request = GroupRequest(action=verb, group=group, operator="sim")  # type: ignore[arg-type]
            self._ask_leaders(GroupAsked(self.counts.total(), request))

    def _maintain(self) -> None:
        """Somebody works on something, and trouble comes on top of it."""
        request = draw_request(self._chance, self._world.file)
        self._ask_leaders(StandingAsked(self.counts.total(), request))
        if self._chance.random() < 0.5:
            self._later(self._chance.uniform(0.1, 3.0), self._process_dies)

    def _ask_leaders(self, asked: LeadAsked | GroupAsked | StandingAsked) -> None:
        """Whoever believes that it leads is asked."""
        for name in self._world.voters:
            decider = self._world.decider(name)
            if decider is not None and decider.state.leading:
                decider.run(decider.feed, (asked,))

    def _switchover(self) -> None:
        """An operator moves a group to where it can not start, or from where it can not stop."""
        world, chance = self._world, self._chance
        group, config = chance.choice(list(world.file.groups.items()))
        stored = world.store.current.get(group)
        owner = stored[0].owner if stored else None
        if owner is None:
            return
        target = chance.choice([node for node in config.nodes if node != owner])
        if chance.random() < 0.5:
            self._mood(world.machines[target], chance.choice(["start_fails", "start_hangs"]))
        elif world.fences.devices(owner):
            self._mood(world.machines[owner], "unkillable")
        request = GroupRequest(action="switchover", group=group, target=target, operator="sim")
        self._ask_leaders(GroupAsked(self.counts.total(), request))

    def _rolling_restart(self) -> None:
        """An upgrade: place after place, service after service, each back within its lease."""
        world, at = self._world, 0.0
        self._say("", "all services of all places are restarted, one by one")
        for place in world.places.values():
            for slot in [one for one in place.services if one in world.slots(place)]:
                self._later(at, partial(self._restart, place, slot))
                at += self._chance.uniform(0.05, 0.8)

    def _restart(self, place: Place, slot: str) -> None:
        service = place.service(slot)
        if service is not None:
            self._world.crash(service)
            back = partial(self._world.begin, place, slot, place.number)
            self._later(self._chance.uniform(0.02, 0.1), back)

    # --- devices and workloads ------------------------------------------------------------

    def _fence_device(self) -> None:
        host, modes = self._host().name, self._world.fences.mode
        devices = self._world.fences.devices(host)
        if not devices:
            return
        device = devices[0] if len(devices) == 1 else self._chance.choice(devices)
        modes[device] = self._chance.choice(MODES)
        if self._apart.random() < 0.2:
            modes[device] = STAYS_ON
        self._say(self._world.places[host], f"its fence device {device}: {modes[device]}")
        self._later(self._chance.uniform(5.0, 25.0), lambda: modes.update({device: ""}))
        if len(devices) > 1:
            # Only frozen hands leave something running that a fence must end.
            self._freeze(host)
        elif self._chance.random() < 0.6:
            self._isolate([host])

    def _process_dies(self) -> None:
        machine = self._world.machines[self._host().name]
        if machine.processes and machine.place.powered and not machine.place.paused:
            machine.end(self._chance.choice(machine.processes), "dies", fault=True)

    def _mood(self, machine: Machine, mood: str) -> None:
        self._say(machine.place, f"its workloads: {mood}")
        machine.moods.add(mood)
        self._later(self._chance.uniform(3.0, 20.0), lambda: machine.moods.discard(mood))

    def _misbehave(self) -> None:
        machine = self._world.machines[self._host().name]
        moods = ["start_fails", "start_hangs", "stop_hangs"]
        # What SIGKILL does not end outlives the lease: only a fence device covers it.
        covered = self._world.fences.devices(machine.place.name)
        mood = self._chance.choice([*moods, "unkillable"] if covered else moods)
        self._mood(machine, mood)
        if self._chance.random() < 0.4:
            self._isolate([machine.place.name])
        if self._chance.random() < 0.6 and machine.processes and not machine.place.paused:
            machine.end(self._chance.choice(machine.processes), "dies", fault=True)
