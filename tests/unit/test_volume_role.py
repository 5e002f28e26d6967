"""Taking a volume's role: what its data path is told, and when it is told nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from holdfast.config.volumes import ReplicatedVolume, VolumeMember
from holdfast.events import Draft
from holdfast.storage_replication.control import Done, Order, Promote, State
from holdfast.storage_replication.replicated import membership
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.storage_replication.replicated.role import Role
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.structs import replace
from holdfast.volumes import VolumeRecord, VolumeStore
from tests.support.volume_bucket import Bucket

STATE = State(
    volume="v", uuid="uuid", member="alpha", pid=1, role="replica", epoch=1, primary="beta",
    size=1 << 20, port=1, intact=True, resyncing=False, fallback=False,
)  # fmt: skip


class Paths:
    """A data path that does what it is told, and its supervisor."""

    def __init__(self, state: State) -> None:
        self.state, self.problem, self.client = state, "", self
        self.ready = asyncio.Event()
        self.ready.set()
        self.told: list[Promote] = []

    async def order(self, make: Callable[[int], Order], *, within: float) -> Done:
        """Kept."""
        order = make(1)
        assert isinstance(order, Promote)
        self.told.append(order)
        return Done(id=1)


async def role(bucket: Bucket, paths: Paths, *others: str) -> Role:
    """Of alpha; its cluster file names these others, and nobody answers there."""
    names = ["alpha", *others]
    config = ReplicatedVolume(
        size="1MiB", members={name: VolumeMember(path="/v", port=1) for name in names}
    )
    place = Place(
        volume="v", node="alpha", config=config, folder=Path("/none"), secrets=Path("/none"),
        hosts=dict.fromkeys(names, ("127.0.0.1", 1)), member_timeout=1.0, frozen_after=1.0,
    )  # fmt: skip
    register = Register(cast("VolumeStore", bucket), lambda _record: None)
    await register.run()
    said: list[Draft] = []
    reports = Reports("alpha", said.append, lambda: None)
    return Role(place, register, cast("Supervisor", paths), reports, lambda: 0.0)


def led(*in_sync: str, by: str, epoch: int) -> VolumeRecord:
    record = membership.create("v", "uuid", 1 << 20, ["alpha", "beta"], "alpha")
    members = dict.fromkeys({*record.members, *in_sync}, record.members["alpha"])
    return replace(record, primary=by, epoch=epoch, in_sync=list(in_sync), members=members)


async def test_dirty_maps_are_those_of_the_record_that_was_replaced() -> None:
    """Alpha sees that it led at epoch 1; meanwhile beta did, at 2."""
    bucket = Bucket(lose=1)
    bucket.record = led("alpha", "beta", by="alpha", epoch=1)
    paths = Paths(STATE)
    taking = await role(bucket, paths, "beta")
    bucket.record, bucket.revision = led("beta", "alpha", by="beta", epoch=2), 2
    await taking.take(3, None)
    assert bucket.tried == 4, "stale; written and not answered; late; made sure of"
    (told,) = paths.told
    assert told.kept_from == 0, "epoch 2 was beta's: what alpha knows is of epoch 1"


async def test_a_lost_answer_does_not_lose_what_the_maps_are_of() -> None:
    bucket = Bucket(lose=1)
    bucket.record = led("alpha", by="alpha", epoch=1)
    paths = Paths(STATE)
    taking = await role(bucket, paths, "beta")
    await taking.take(3, None)
    assert [one.kept_from for one in paths.told] == [1]


async def test_nobody_leads_who_does_not_know_where_one_is_that_counts() -> None:
    bucket = Bucket()
    bucket.record = led("alpha", "gamma", by="alpha", epoch=1)
    paths = Paths(replace(STATE, primary="alpha"))
    taking = await role(bucket, paths, "beta")
    with pytest.raises(ChangeRefused, match="names no member gamma") as refused:
        await taking.take(1, None)
    assert "cluster file" in refused.value.cure
    assert paths.told == []
    assert bucket.record == led("alpha", "gamma", by="alpha", epoch=1)


async def test_who_is_not_in_the_cluster_file_is_taken_out_by_a_promotion() -> None:
    bucket = Bucket()
    bucket.record = led("alpha", "gamma", by="gamma", epoch=1)
    paths = Paths(STATE)
    taking = await role(bucket, paths, "beta")
    await taking.take(2, None)
    assert bucket.record.in_sync == ["alpha"]
    (told,) = paths.told
    assert told.members["gamma"].counts is False


def test_only_a_new_copy_without_an_operators_word_must_be_on_what_is_blank() -> None:
    places = {
        name: Place(
            volume="v", node=name, folder=Path("/none"), secrets=Path("/none"),
            config=ReplicatedVolume(
                size="1MiB",
                members={n: VolumeMember(path="/v", port=1) for n in ("alpha", "beta")},
            ),
            hosts=dict.fromkeys(("alpha", "beta"), ("127.0.0.1", 1)),
            member_timeout=1.0, frozen_after=1.0,
        )
        for name in ("alpha", "beta")
    }  # fmt: skip
    for overwrite in (False, True):
        made = membership.create(
            "v", "uuid", 1 << 20, ["alpha", "beta"], "alpha", overwrite=overwrite
        )
        told = {name: "--blank" in place.command(made) for name, place in places.items()}
        assert told == {"alpha": False, "beta": not overwrite}
        led_by_alpha = replace(made, primary="alpha", epoch=1)
        without = membership.remove_member(led_by_alpha, "alpha", 1, "beta")
        again = membership.add_member(without, "alpha", 1, "beta", overwrite=overwrite)
        assert ("--blank" in places["beta"].command(again)) is not overwrite
