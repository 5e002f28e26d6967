"""A volume with one copy, on node a, and what its supervisor must be given."""

from pathlib import Path

from holdfast import clock
from holdfast.config.volumes import ReplicatedVolume, VolumeMember
from holdfast.storage_replication.control import Bounds, Promote
from holdfast.storage_replication.replicated.client import Client
from holdfast.storage_replication.replicated.place import Place
from holdfast.volumes import MemberRecord, VolumeRecord

VOLUME = "v1"
"""The export that `nbd_client.Client` asks for."""


class Known:
    """A register that knows one record."""

    def __init__(self, record: VolumeRecord) -> None:
        self._record = record

    def record(self, _volume: str) -> VolumeRecord:
        return self._record


def lone_place(
    folder: Path, disk: Path, size: str, *, port: int = 0, frozen_after: float = 10.0
) -> Place:
    """`disk`: the copy's file or device; `folder`: where its other files are."""
    member = VolumeMember(path=str(disk), port=0)
    return Place(
        volume=VOLUME, node="a", folder=folder / VOLUME, secrets=folder / "none",
        config=ReplicatedVolume(size=size, members={"a": member}),
        hosts={"a": ("127.0.0.1", port)}, member_timeout=1.5, frozen_after=frozen_after,
    )  # fmt: skip


def lone_record(size: int, instance: str) -> VolumeRecord:
    """It leads at epoch 1."""
    return VolumeRecord(
        volume=VOLUME, uuid="u", size=size, epoch=1, primary="a", in_sync=["a"],
        members={"a": MemberRecord(instance=instance)},
    )  # fmt: skip


async def lead(client: Client | None) -> None:
    """Promote its data path, as `lone_record` has it."""
    assert client is not None
    await client.order(
        lambda number: Promote(
            id=number, epoch=1, counted=True, members={}, bounds=Bounds(),
            valid_until=clock.monotonic() + 600.0,
        ),
        within=10.0,
    )  # fmt: skip
