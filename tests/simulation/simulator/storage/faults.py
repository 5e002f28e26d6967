"""What goes wrong with volumes, beside all that goes wrong anyway."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from holdfast.wire.volumes import AcceptLoss, ChangeMember
from tests.simulation.simulator.places import Place

if TYPE_CHECKING:
    from tests.simulation.simulator.faults import Faults
    from tests.simulation.simulator.storage.path import DataPath
    from tests.simulation.simulator.world import World

Kinds = dict[str, tuple[int, Callable[[], None]]]


class VolumeFaults:
    """Of a world with volumes; part of its `Faults`."""

    def __init__(self, world: "World", faults: "Faults") -> None:
        self._world, self._faults, self._volumes = world, faults, world.volumes
        self._chance = Random(f"faults of volumes of {world.seed}")
        self.accepts = self._chance.random() < 0.5
        """Whether, at the end, an operator accepts what is lost; else the group stays refused."""

    def kinds(self) -> Kinds:
        """To be drawn with the others."""
        gaps = 8 if self._world.lease_only else 2
        return {
            "storage killed": (5, self._kill_storage),
            "data path killed": (4, self._kill_path),
            "copy lost": (3, self._lose_copy),
            "members apart, then a host dies": (6, self._apart),
            "all copies lose power": (2, self._all_off),
            "lease gap of the only copy in sync": (gaps, self._gap),
            "loss accepted": (2, self._accept),
            "lost copy replaced": (3, self._replace),
        }

    # --- what the faults are made of ------------------------------------------------------

    def _volume(self) -> str:
        return self._chance.choice(list(self._volumes.configs))

    def _hosts(self, volume: str) -> list[str]:
        return list(self._volumes.configs[volume].members)

    def _leader(self, volume: str) -> Place:
        """The primary of the record; else any member."""
        record = self._volumes.bucket.record(volume)
        name = record.primary if record is not None else None
        return self._world.places[name or self._chance.choice(self._hosts(volume))]

    def _paths(self) -> list["DataPath"]:
        found = (
            self._volumes.path(host, volume)
            for volume in self._volumes.configs
            for host in self._hosts(volume)
        )
        return [path for path in found if path is not None]

    def _kill_storage(self) -> None:
        volume = self._volume()
        host = self._leader(volume).name
        if self._chance.random() < 0.4:
            host = self._chance.choice(self._hosts(volume))
        longest = self._chance.choice([0.1, 1.0, 6.0])
        self._faults.kill(self._volumes.service(host), longest * self._chance.uniform(0.5, 1.5))

    def _kill_path(self) -> None:
        paths = self._paths()
        if paths:
            self._world.crash(self._chance.choice(paths))
            self._world.seen["data path killed"] += 1

    def _lose_copy(self) -> None:
        """A disk is lost: mostly with a host, which comes back with an empty one."""
        volume = self._volume()
        host = self._chance.choice(self._hosts(volume))
        place, path = self._world.places[host], self._volumes.path(host, volume)
        if self._chance.random() < 0.7:
            self._world.power_off(place, "loses power")
            self._faults.later(self._chance.uniform(0.5, 10.0), lambda: self._on(place))
        elif path is not None:
            self._world.crash(path)
        self._lost(host, volume)

    def _lost(self, host: str, volume: str) -> None:
        whole = self._chance.random() < 0.6
        what = "disk" if whole else "file beside the data"
        self._world.note(host, f"every {what} of its copy of {volume} is lost", fault=True)
        self._world.seen["copy lost"] += 1
        self._volumes.copies[host, volume].lose(data=whole)

    def _on(self, place: Place) -> None:
        self._world.power_on(place, services_after=self._chance.uniform(0.0, 3.0))

    def _apart(self) -> None:
        """Members lose each other, so one is taken out; then the host that has all dies, or the
        other one; sometimes with its disk."""
        volume, chance = self._volume(), self._chance
        leader = self._leader(volume)
        others = [name for name in self._hosts(volume) if name != leader.name]
        links = [(leader.name, other) for other in others]
        links += [(b, a) for a, b in links]
        text = f"the copies of {volume} lose each other"
        seconds = chance.uniform(2.0, 12.0)
        self._faults.cut(links, text, leader, seconds)
        victim = leader.name if chance.random() < 0.8 else chance.choice(others)
        when = seconds + chance.uniform(-1.5, 0.5)
        if chance.random() < 0.4:
            self._world.seen["members apart while the store stalls"] += 1
            self._world.store.stall(when + 0.5)
        self._faults.later(when, lambda: self._die(victim, volume))

    def _die(self, host: str, volume: str) -> None:
        record, place = self._volumes.bucket.record(volume), self._world.places[host]
        if record is not None and host in record.in_sync and len(record.in_sync) == 1:
            self._world.seen["host dies with the only copy in sync"] += 1
        self._world.power_off(place, "loses power")
        if self._chance.random() < 0.2:
            self._lost(host, volume)
        self._faults.later(self._chance.uniform(2.0, 25.0), lambda: self._on(place))

    def _gap(self) -> None:
        """The host with the only copy in sync stands still, or is cut off and its storage service
        with it, until its lease is over; an operator accepts the loss, and another copy is
        promoted. Then the first is back, soon has a lease again, and takes its time to stop."""
        volume, chance = self._volume(), self._chance
        leader = self._leader(volume)
        others = [name for name in self._hosts(volume) if name != leader.name]
        links = [(leader.name, other) for other in others]
        links += [(b, a) for a, b in links]
        apart = chance.uniform(3.5, 6.0)
        lasts = self._world.timing.ttl * chance.uniform(1.5, 2.5) + 3.0
        text = f"the copies of {volume} lose each other"
        self._faults.cut(links, text, leader, apart + lasts + chance.uniform(-1.0, 4.0))
        still = chance.random() < 0.7
        vanish = self._stand_still if still else self._cut_off
        request = AcceptLoss(volume=volume, operator="sim", stated="what it lacks")
        other = chance.choice(others)

        def accept() -> None:
            self._volumes.ask(other, request)
            self._volumes.clients[volume].restless = True

        self._faults.later(apart, lambda: vanish(leader, lasts))
        self._faults.later(apart + 0.8 * self._world.timing.ttl, accept)

    def _cut_off(self, place: Place, seconds: float) -> None:
        self._faults.isolate([place.name], seconds)
        service = self._volumes.service(place.name)
        if service is not None:
            self._world.crash(service)
            self._faults.kill(service, seconds - self._chance.uniform(0.0, 1.0))

    def _stand_still(self, place: Place, seconds: float) -> None:
        if not place.powered or place.paused:
            return
        self._world.note(place, "stands still", fault=True)
        self._world.seen["the only copy in sync stands still past its lease"] += 1
        place.paused = True
        for service in place.services.values():
            service.freeze()
        moods, boot = self._world.machines[place.name].moods, place.number
        moods.add("stop_hangs")
        self._faults.later(seconds, lambda: self._faults.resume(place, boot))
        self._faults.later(seconds + 4.0, lambda: moods.discard("stop_hangs"))

    def _all_off(self) -> None:
        volume = self._volume()
        for host in self._hosts(volume):
            place = self._world.places[host]
            self._faults.later(
                self._chance.uniform(0.0, 0.6),
                lambda p=place: self._off_and_on(p),  # type: ignore[misc]
            )

    def _off_and_on(self, place: Place) -> None:
        self._world.power_off(place, "loses power")
        self._faults.later(self._chance.uniform(0.5, 6.0), lambda: self._on(place))

    # --- operators ------------------------------------------------------------------------

    def _accept(self) -> None:
        volume = self._volume()
        record = self._volumes.bucket.record(volume)
        behind = [h for h in self._hosts(volume) if record is None or h not in record.in_sync]
        if behind:
            request = AcceptLoss(volume=volume, operator="sim", stated="what it lacks")
            self._volumes.ask(self._chance.choice(behind), request)

    def _replace(self) -> None:
        for volume in self._volumes.configs:
            self.replace_lost(volume)

    def replace_lost(self, volume: str) -> None:
        """Members whose files are lost are removed, and those that are none are added."""
        record = self._volumes.bucket.record(volume)
        if record is None or record.primary is None:
            return
        for host in self._hosts(volume):
            member = record.members.get(host)
            copy = self._volumes.copies[host, volume]
            if member is None:
                self._change(record.primary, volume, host, add=True)
            elif member.instance and member.instance != copy.instance:
                self._change(record.primary, volume, host, add=False)

    def _change(self, primary: str, volume: str, member: str, *, add: bool) -> None:
        if primary != member:
            request = ChangeMember(
                volume=volume, operator="sim", action="add" if add else "remove", member=member
            )
            self._volumes.ask(primary, request)

    def look_after(self) -> None:
        """Once all faults are over: somebody replaces what is lost, and perhaps accepts a loss."""
        for volume in self._volumes.configs:
            self._volumes.clients[volume].restless = True
            self.replace_lost(volume)
            if self.accepts:
                self._accept_if_hopeless(volume)

    def _accept_if_hopeless(self, volume: str) -> None:
        """No member that is in sync will ever come back."""
        record = self._volumes.bucket.record(volume)
        if record is None or record.accepted is not None:
            return
        if any(self._usable(host, volume) for host in record.in_sync):
            return
        left = [host for host in record.members if self._usable(host, volume)]
        if left:
            request = AcceptLoss(volume=volume, operator="sim", stated="all since it was left")
            self._volumes.ask(left[0], request)

    def _usable(self, host: str, volume: str) -> bool:
        record = self._volumes.bucket.record(volume)
        copy, world = self._volumes.copies[host, volume], self._world
        known = record.members.get(host) if record is not None else None
        gone = host in world.off_for_good or host in world.without_hands
        return known is not None and known.instance == copy.instance != "" and not gone
