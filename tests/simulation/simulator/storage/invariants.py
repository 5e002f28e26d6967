"""What must hold of volumes after every step, judged by what clients were told."""

from typing import TYPE_CHECKING

from holdfast.lease import node_lease
from holdfast.volumes import VolumeRecord
from holdfast.wire import Acknowledged, VolumeOrder
from tests.simulation.simulator.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.simulator.storage.path import DataPath
    from tests.simulation.simulator.storage.service import StorageService
    from tests.simulation.simulator.storage.volumes import Volumes
    from tests.simulation.simulator.world import World


class VolumeInvariants:
    """Raises Violation."""

    def __init__(self, world: "World", volumes: "Volumes") -> None:
        self._world, self._volumes = world, volumes
        self._acknowledging: dict[str, tuple[int, str]] = {}
        """Per volume: the highest epoch at which a write was acknowledged, and where."""
        self._accepted: dict[str, int] = {}
        """Per volume: the epoch of a promotion with a loss that nobody has served yet."""

    def on_stored(self, old: VolumeRecord | None, new: VolumeRecord) -> None:
        """I2 in the bucket: who leads changes with the epoch, which only rises."""
        if self._world.tape is not None:
            counts = ", ".join([*new.in_sync, *(f"{name} (follows)" for name in new.following)])
            what = f"volume {new.volume} at epoch {new.epoch}: {new.primary or 'nobody'} leads"
            loss = f"; lost: {new.loss}" if new.loss else ""
            self._world.tape.add(
                self._world.engine.now, "store", f"{what}, {counts} in sync{loss}", "store"
            )
        if old is None:
            return
        if new.epoch < old.epoch:
            raise Violation("I2", f"the epoch of {new.volume} falls from {old.epoch}")
        if new.epoch == old.epoch and new.primary not in (old.primary, None):
            raise Violation("I2", f"{new.volume} changes its primary within epoch {new.epoch}")
        if new.epoch > old.epoch:
            self._world.seen["volume promoted"] += 1
            if new.loss:
                self._accepted[new.volume] = new.epoch
            if new.primary not in old.in_sync and not new.loss:
                raise Violation("I5", f"{new.primary} is promoted, in sync is {old.in_sync}")

    def on_served(self, path: "DataPath") -> None:
        """I5: whoever serves a volume has every acknowledged write, or somebody accepted less."""
        node, host, volume = path.node, path.place.name, path.volume
        assert node is not None
        epoch = node.disk.superblock.epoch
        record = self._volumes.bucket.record(volume)
        if record is None or record.epoch < epoch:
            raise Violation("I9", f"{host} leads {volume} at epoch {epoch} before that is stored")
        if record.epoch == epoch and record.primary not in (host, None):
            raise Violation("I2", f"{host} leads {volume} at epoch {epoch} of {record.primary}")
        client, has = self._volumes.clients[volume], path.copy.versions()
        if record.epoch > epoch:
            return  # it will hear of it; what it acknowledges is looked at
        self._world.seen["volume served"] += 1
        lacks = [where for where, was in enumerate(client.acknowledged) if has[where] < was]
        if self._accepted.pop(volume, 0):
            self._world.seen["loss accepted"] += 1
            self._world.seen["loss accepted, of something"] += bool(lacks)
            client.accept(has)
        elif lacks:
            text = f"{host} serves {volume} at epoch {epoch} without acknowledged writes"
            raise Violation("I5", f"{text} at {lacks}")

    def on_acknowledged(self, path: "DataPath") -> None:
        """I1 and I3 of volumes: one primary acknowledges, at rising epochs, under a lease."""
        assert path.node is not None
        epoch, host = path.node.disk.superblock.epoch, path.place.name
        highest, where = self._acknowledging.get(path.volume, (0, ""))
        if epoch < highest or (epoch == highest and where != host):
            text = f"{host} acknowledges a write to {path.volume} at epoch {epoch}"
            raise Violation("I1", f"{text}, after {where} at epoch {highest}")
        self._acknowledging[path.volume] = epoch, host
        place, ttl = path.place, self._world.timing.ttl
        if not self._world.invariants._supported(node_lease(host), place, ttl):
            raise Violation("I3", f"{host} acknowledges a write without a lease")

    def old_frame(self, path: "DataPath", epoch: int, accepted: int) -> None:
        """A replica has taken a frame that it must refuse."""
        text = f"{path.place.name} takes a frame of epoch {epoch} after {accepted}"
        raise Violation("I2", f"{text} of {path.volume}")

    def on_epoch(self, path: "DataPath") -> None:
        """A copy never forgets an epoch that it accepted."""
        assert path.node is not None
        epoch = path.node.disk.superblock.epoch
        if epoch < path.copy.highest:
            text = f"the copy of {path.volume} on {path.place.name} is at epoch {epoch}"
            raise Violation("I2", f"{text}, and was at {path.copy.highest}")
        path.copy.highest = epoch

    def on_answered(
        self, service: "StorageService", order: VolumeOrder, said: Acknowledged
    ) -> None:
        """I4: what is said to be released leads nowhere here; what is active, leads."""
        path = self._volumes.path(order.node, order.volume)
        leads = path is not None and path.primary is not None
        self._world.seen[f"volume {order.action}: {'done' if said.ok else 'refused'}"] += 1
        if said.ok and order.action == "release" and leads and not path.frozen:  # type: ignore[union-attr]
            raise Violation("I4", f"{order.volume} is called released on {order.node}, and leads")
