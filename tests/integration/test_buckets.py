"""Buckets that are lost, on real servers: nobody makes another one in their place unasked."""

from pathlib import Path

import pytest

from holdfast import jetstream
from holdfast.bus import Bus, BusUnavailable
from holdfast.failover_decider.buckets import FILE, BucketMemory, Buckets
from holdfast.ownership import OwnershipRecord
from holdfast.store import OWNERSHIP_STREAM, OwnershipStore
from holdfast.streams import VOLUMES_STREAM, BucketsLost, bucket_times
from holdfast.wire import Terms
from tests.support.buses import MakeBus
from tests.support.nats import NatsServer

PLACES = ("alpha", "beta", "witness")


class Deciders:
    """What three deciders remember, each in a folder of its own; they ask each other."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self._bus, self.silent = bus, set[str]()
        self.folders = {name: folder / name for name in PLACES}
        for place in self.folders.values():
            place.mkdir()

    def of(self, place: str) -> Buckets:
        """The decider of a place, just started."""

        async def others() -> list[Terms]:
            return [
                Terms(
                    voter=name,
                    blank=False,
                    terms=[],
                    buckets=BucketMemory(self.folders[name]).known,
                )
                for name in PLACES
                if name not in {place, *self.silent}
            ]

        return Buckets(self._bus, BucketMemory(self.folders[place]), others, len(PLACES))

    def forget(self, *places: str) -> None:
        """Their files are deleted, or their disks lost."""
        for place in places:
            (self.folders[place] / FILE).unlink()


@pytest.fixture
async def bus(nats_cluster: list[NatsServer], make_bus: MakeBus) -> Bus:
    return await make_bus(nats_cluster)


@pytest.fixture
async def deciders(bus: Bus, tmp_path: Path) -> Deciders:
    """All of them remember the buckets, which alpha made."""
    made = Deciders(bus, tmp_path)
    await made.of("alpha").ensure(3)
    for place in PLACES:
        await made.of(place).remember()
        assert BucketMemory(made.folders[place]).known == await bucket_times(bus)
    return made


async def lose(bus: Bus, stream: str = OWNERSHIP_STREAM) -> None:
    await jetstream.api(bus, f"STREAM.DELETE.{stream}", {}, timeout=5)


@pytest.mark.parametrize("stream", [OWNERSHIP_STREAM, VOLUMES_STREAM])
async def test_a_bucket_that_is_missing_is_not_made_anew(
    bus: Bus, deciders: Deciders, stream: str
) -> None:
    await lose(bus, stream)
    for place in PLACES:
        with pytest.raises(BucketsLost, match="is missing") as raised:
            await deciders.of(place).ensure(3)
        assert raised.value.place == stream
        assert "failure-guide" in raised.value.cure
    assert stream not in await bucket_times(bus)


async def test_another_one_in_its_place_is_noticed(bus: Bus, deciders: Deciders) -> None:
    info = await jetstream.api(bus, f"STREAM.INFO.{OWNERSHIP_STREAM}", {}, timeout=5)
    await lose(bus)
    await jetstream.api(bus, f"STREAM.CREATE.{OWNERSHIP_STREAM}", info["config"], timeout=5)
    with pytest.raises(BucketsLost, match="made anew at"):
        await deciders.of("beta").ensure(3)


async def test_a_place_without_memory_is_told_by_the_others(bus: Bus, deciders: Deciders) -> None:
    deciders.forget("alpha", "beta")
    await lose(bus)
    with pytest.raises(BucketsLost):
        await deciders.of("alpha").ensure(3)
    await deciders.of("beta").remember()
    assert BucketMemory(deciders.folders["beta"]).known != {}


async def test_a_place_without_memory_makes_none_while_too_few_tell(
    bus: Bus, deciders: Deciders
) -> None:
    deciders.forget("alpha")
    deciders.silent = {"beta", "witness"}
    await lose(bus)
    with pytest.raises(BusUnavailable, match="too few"):
        await deciders.of("alpha").ensure(3)
    assert OWNERSHIP_STREAM not in await bucket_times(bus)


async def test_a_file_that_does_not_read_is_no_memory(bus: Bus, deciders: Deciders) -> None:
    (deciders.folders["alpha"] / FILE).write_bytes(b"{")
    await lose(bus)
    with pytest.raises(BucketsLost):
        await deciders.of("alpha").ensure(3)


async def test_once_all_forget_it_is_made_anew(bus: Bus, deciders: Deciders) -> None:
    record = OwnershipRecord(group="ledger", epoch=1, owner="alpha")
    await OwnershipStore(bus).compare_and_set(record, 0, timeout=5)
    before = await bucket_times(bus)
    await lose(bus)
    deciders.forget(*PLACES)
    await deciders.of("beta").ensure(3)
    after = await bucket_times(bus)
    assert after[OWNERSHIP_STREAM] != before[OWNERSHIP_STREAM]
    assert BucketMemory(deciders.folders["beta"]).known == after
    assert await OwnershipStore(bus).compare_and_set(record, 0, timeout=5) == 1
