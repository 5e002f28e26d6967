"""Changing a volume's record when answers are lost, late or refused."""

import pytest

from holdfast.storage_replication.replicated import membership, transitions
from holdfast.storage_replication.replicated.register import ChangeUnknown, Register
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import VolumeRecord
from tests.support.volume_bucket import FIRST, Bucket


async def opened(bucket: Bucket) -> Register:
    register = Register(bucket, lambda _record: None)  # type: ignore[arg-type]
    await register.run()
    return register


def promoted(record: VolumeRecord) -> VolumeRecord:
    return transitions.promote(record, "alpha", 1, set(), "").record


@pytest.mark.parametrize("written", [True, False])
async def test_a_lost_answer_is_made_sure_of_by_another_write(written: bool) -> None:
    bucket = Bucket(lose=1, writes=written)
    register = await opened(bucket)
    assert await register.change("v", promoted, within=20) == bucket.record
    assert (bucket.record.epoch, bucket.tried) == (1, 3 if written else 2)


async def test_without_any_answer_nothing_is_claimed() -> None:
    register = await opened(Bucket(lose=1000, writes=False))
    with pytest.raises(ChangeUnknown, match="no answer"):
        await register.change("v", promoted, within=0.3)


async def test_what_others_wrote_meanwhile_is_heeded() -> None:
    bucket = Bucket()
    register = await opened(bucket)
    bucket.record = transitions.promote(FIRST, "alpha", 7, set(), "").record
    bucket.revision = 9
    with pytest.raises(ChangeRefused, match="epoch 1 is past"):
        await register.change("v", promoted, within=20)


async def test_a_volume_is_created_once() -> None:
    bucket = Bucket()
    register = await opened(bucket)
    other = membership.create("v", "other", 1 << 20, ["alpha"], "alpha")
    with pytest.raises(ChangeRefused, match="exists already"):
        await register.create(other, within=20)
