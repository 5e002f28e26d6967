"""Where a member is: its files, its sockets, how its data path is started."""

import os
import sys
from pathlib import Path

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.config.volumes import ReplicatedVolume, size_in_bytes
from holdfast.ids import uuid7
from holdfast.storage_replication import control
from holdfast.storage_replication.blocks.smallfile import SmallFile
from holdfast.storage_replication.disk import backing, superblock
from holdfast.storage_replication.disk.files import FolderStore
from holdfast.storage_replication.files import replace_durably
from holdfast.timing import PROFILES
from holdfast.volumes import VolumeRecord

INSTANCE = "instance"
SUPERBLOCK = "superblock"
NBD = "nbd.sock"
LOG = "data_path.log"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a volume on this node."""

    volume: str
    node: str
    config: ReplicatedVolume
    folder: Path
    secrets: Path
    hosts: dict[str, tuple[str, int]]
    """Every member's data path: host and port."""
    member_timeout: float
    """Seconds of silence until a member is lost."""
    frozen_after: float
    """Seconds without a word of the data path after which it stands still."""

    @property
    def control_socket(self) -> Path:
        """The data path's socket for us."""
        return self.folder / control.SOCKET

    @property
    def socket(self) -> Path:
        """For NBD clients on this node."""
        given = self.config.members[self.node].socket
        return Path(given) if given else self.folder / NBD

    def bounds(self) -> control.Bounds:
        """Of the primary."""
        lag = self.config.max_lag
        default = control.Bounds()
        return control.Bounds(
            member_timeout=self.member_timeout,
            max_lag_bytes=size_in_bytes(lag.bytes) if lag else default.max_lag_bytes,
            max_lag_seconds=lag.seconds if lag else default.max_lag_seconds,
            hold_when_behind=self.config.on_full == "hold",
        )

    def max_lag(self) -> str:
        """The loss that a failover may accept by itself, in words; empty: none."""
        lag = self.config.max_lag
        return f"{lag.bytes} and {lag.seconds:g} s" if lag and self.config.mode == "async" else ""

    def others(self, record: VolumeRecord) -> dict[str, control.Member]:
        """The other members of a record, as the primary here is told of them: all, for it must not
        acknowledge without one that the record counts (V3)."""
        return {n: self._member(record, n) for n in record.members if n != self.node}

    def _member(self, record: VolumeRecord, name: str) -> control.Member:
        instance = record.members[name].instance
        # What answers there before its service has started it is of an earlier membership.
        host, port = self.hosts.get(name, ("", 0)) if instance else ("", 0)
        return control.Member(
            host=host,
            port=port,
            instance=instance,
            counts=record.counts(name),
            asynchronous=self.config.mode == "async",
            before=name in record.before,
        )

    def command(self, record: VolumeRecord) -> list[str]:
        """How its data path is started."""
        own = self.config.members[self.node]
        host, port = self.hosts[self.node]
        found = [sys.executable, "-m", "holdfast.storage_replication.data_path"]
        found += ["--volume", self.volume, "--file", own.path, "--folder", str(self.folder)]
        found += ["--member", self.node, "--uuid", record.uuid, "--size", str(record.size)]
        found += ["--listen", _joined(host, port), "--unix", str(self.socket)]
        if own.nbd_port is not None:
            found += ["--tcp", _joined(host, own.nbd_port)]
        if not (record.members[self.node].overwrite or record.counts(self.node)):
            found.append("--blank")
        if (self.secrets / "ca.pem").exists():
            found += ["--secrets", str(self.secrets)]
        return found

    def instance(self) -> str:
        """The id that the member's files carry; empty: there are none. Raises OSError."""
        try:
            return (self.folder / INSTANCE).read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def of_another_record(self, uuid: str) -> str:
        """Why the member's files do not fit a record; empty: they do, or there are none.

        They may be all that is left of a record that was lost, and this copy the one that has every
        acknowledged write; so nobody but an operator lets go of them. Raises OSError, DiskRefused.
        """
        if not (self.folder / SUPERBLOCK).exists():
            return ""
        found = superblock.load(FolderStore(self.folder, SmallFile), str(self.folder))
        if found is None or found.uuid == uuid:
            return ""
        resyncing = ", in the middle of a resync" if found.resyncing else ""
        return (
            f"{self.node} has a copy of it at epoch {found.epoch}{resyncing}, under a record that "
            f"is not there any more ({found.uuid}): see `Lost records` in docs/volumes.md"
        )

    def doubt(self) -> None:
        """Its disk has lost something that the copy had, while no data path runs to note it. Raises
        OSError, DiskRefused."""
        store = FolderStore(self.folder, SmallFile)
        found = superblock.load(store, str(self.folder))
        if found is not None and found.intact:
            superblock.save(store, msgspec.structs.replace(found, intact=False))

    def make_instance(self) -> str:
        """Give a new member its id, durably. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        new = uuid7()
        replace_durably(self.folder / INSTANCE, new.encode())
        return new

    def forget(self) -> None:
        """Remove the member's own files, not its data. Raises OSError.

        What it was on stays known: the next member may overwrite that without being told to.
        """
        for name in os.listdir(self.folder) if self.folder.exists() else ():
            if name not in (LOG, control.SOCKET, backing.NAME):
                (self.folder / name).unlink(missing_ok=True)


def place_of(
    cluster: ClusterFile,
    volume: str,
    config: ReplicatedVolume,
    node: str,
    state: Path,
    secrets: Path,
) -> Place:
    """The member on `node`; `state` is the storage service's folder."""
    timing = PROFILES[cluster.cluster.profile]
    hosts = {
        name: (cluster.nodes[name].address_in(member.network), member.port)
        for name, member in config.members.items()
    }
    return Place(
        volume=volume,
        node=node,
        config=config,
        folder=state / volume,
        secrets=secrets,
        hosts=hosts,
        # Nothing is wrong with a member whose stall moves nothing else.
        member_timeout=config.member_timeout or timing.stall,
        frozen_after=timing.frozen_after,
    )


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
