"""All that a world has of replicated volumes. In most worlds there are none."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast.config.model import VolumeResource
from holdfast.config.volume_check import replicated
from holdfast.config.volumes import ReplicatedVolume
from holdfast.storage_replication import control
from holdfast.storage_replication.replicated.place import place_of
from holdfast.wire.volumes import CreateVolume, NodeLease, VolumeAnswer, VolumeRequest
from tests.simulation.simulator.places import Place
from tests.simulation.simulator.storage.bucket import Bucket
from tests.simulation.simulator.storage.clients import Client
from tests.simulation.simulator.storage.copies import Copy
from tests.simulation.simulator.storage.invariants import VolumeInvariants
from tests.simulation.simulator.storage.path import DataPath, slot
from tests.simulation.simulator.storage.service import MemberHere, StorageService
from tests.simulation.simulator.storage.wires import Wires

if TYPE_CHECKING:
    from tests.simulation.simulator.hands import HandsService
    from tests.simulation.simulator.world import World

CREATE_FIRST, CREATE_AGAIN = 2.5, 4.0
STATE = Path("/sim")


class Volumes:
    """`names` is empty in most worlds; then nothing here does anything."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.configs: dict[str, ReplicatedVolume] = replicated(world.file)
        if not self.configs:
            return
        self.wires = Wires(world.engine, world.network, world.seed)
        self.bucket = Bucket(world)
        self.invariants = VolumeInvariants(world, self)
        self.bucket.on_stored = self.invariants.on_stored
        self.memories: dict[str, bytes] = {}
        """`volumes.json` of each host."""
        self.copies = {
            (host, name): Copy(world.engine, host, name, world.seed)
            for name, config in self.configs.items()
            for host in config.members
        }
        self.clients = {name: Client(world, self, name) for name in self.configs}
        self.wires.begin()
        self.bucket.begin()
        for name in self.configs:
            world.engine.at(CREATE_FIRST, self._create, name)

    def group(self, volume: str) -> str:
        """Whose it is."""
        return next(
            name
            for name, group in self._world.file.groups.items()
            if any(
                isinstance(one, VolumeResource) and one.volume == volume
                for one in group.resources.values()
            )
        )

    def of(self, group: str) -> list[str]:
        """The group's replicated volumes."""
        resources = self._world.file.groups[group].resources.values()
        named = [one.volume for one in resources if isinstance(one, VolumeResource)]
        return [name for name in named if name in self.configs]

    def members_at(self, host: str) -> dict[str, MemberHere]:
        """The copies of a host, as its storage service knows them."""
        found = {}
        for name, config in self.configs.items():
            if host in config.members:
                file = self._world.file
                place = place_of(file, name, config, host, STATE / host, STATE)
                fields = {one: getattr(place, one) for one in place.__struct_fields__}
                fields |= {
                    "frozen_after": self._world.timing.frozen_after,
                    "hosts": {n: (n, m.port) for n, m in config.members.items()},
                }
                found[name] = MemberHere(**fields, copy=self.copies[host, name])
        return found

    def port(self, host: str, volume: str) -> int:
        """At which a member listens."""
        return self.configs[volume].members[host].port

    def control_socket(self, host: str, volume: str) -> str:
        """Where a data path listens for its service."""
        return f"{host}:{STATE / host / volume / control.SOCKET}"

    def path(self, host: str, volume: str) -> DataPath | None:
        """The data path that runs there."""
        found = self._world.places[host].service(slot(volume))
        return found if isinstance(found, DataPath) else None

    def service(self, host: str) -> StorageService | None:
        """The storage service that runs there."""
        found = self._world.places[host].service("storage")
        return found if isinstance(found, StorageService) else None

    # --- what happens ---------------------------------------------------------------------

    def start_path(self, place: Place, volume: str, uuid: str) -> DataPath:
        """A supervisor starts a data path. It outlives the service that did (I10)."""
        path = DataPath(self._world, place, volume, uuid, self.wires.pid)
        place.services[path.slot] = path
        if self._world.tape is not None:
            self._world.note(place, f"the data path of {volume} starts")
        if place.paused:
            path.freeze()
        self._world.engine.after(0.02, path.run, path.start, ())
        return path

    def renewed(self, hands: "HandsService") -> None:
        """Recovery tells the end of its lease."""
        if not self.configs:
            return
        lease = NodeLease(
            node=hands.place.name,
            boot=hands.place.boot,
            since=hands.tenure.since,
            valid_until=hands.holder.valid_until,
        )
        self._world.network.send(hands.place.name, hands.place.name, "storage", "lease", lease)

    def power_off(self, place: Place) -> None:
        """What its disks had not synced may be gone."""
        for (host, _), copy in self.copies.items() if self.configs else ():
            if host == place.name:
                copy.power_off()

    def lose_disk(self, place: Place) -> None:
        """A new disk of the host: what services remember, and the files beside the data."""
        if not self.configs:
            return
        self.memories.pop(place.name, None)
        for (host, _), copy in self.copies.items():
            if host == place.name:
                copy.lose(data=self._world.chance.random() < 0.5)

    # --- operators ------------------------------------------------------------------------

    def _create(self, volume: str) -> None:
        """Somebody makes it, and tries again."""
        if self.bucket.record(volume) is None:
            config = self.configs[volume]
            first = next(iter(self._world.file.groups[self.group(volume)].nodes))
            assert first in config.members
            self.ask(first, CreateVolume(volume=volume, operator="sim"))
            self._world.engine.after(CREATE_AGAIN, self._create, volume)

    def ask(self, host: str, request: VolumeRequest) -> bool:
        """An operator asks a host's storage service; whether one runs."""
        service = self.service(host)
        if service is None:
            return False
        self._world.note(host, f"an operator asks: {msgspec.to_builtins(request)}")
        service.run(service.ask, (request, self._told))
        return True

    def _told(self, answer: VolumeAnswer) -> None:
        self._world.seen["operator of a volume " + ("served" if answer.ok else "refused")] += 1
        self._world.note("", f"an operator is told: {answer.text}")

    def bury(self) -> None:
        """The world is over."""
        for loop in self.wires.loops if self.configs else ():
            loop.bury()
