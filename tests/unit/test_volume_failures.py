"""When a data path whose disk has failed is started again."""

import errno

import pytest

from holdfast.storage_replication.control import State
from holdfast.storage_replication.replicated.failures import PAUSES, STABLE, Failures, restartable
from holdfast.volumes import MemberRecord, VolumeRecord


def record(*in_sync: str) -> VolumeRecord:
    members = {name: MemberRecord(instance=name) for name in ("a", "b")}
    return VolumeRecord(
        volume="v", uuid="u", size=4096, epoch=3, primary="a", in_sync=list(in_sync),
        members=members,
    )  # fmt: skip


def state(*, failed: int = errno.ENOSPC, intact: bool = False, primary: bool = False) -> State:
    return State(
        volume="v", uuid="u", member="a", pid=1, role="primary" if primary else "replica",
        epoch=3, primary="a", size=4096, port=1, intact=intact, resyncing=False, fallback=False,
        failed=failed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "known", "may"),
    [
        (state(), record("a", "b"), True),
        (state(failed=0), record("a"), False),
        (state(intact=True), record("a"), False),  # nobody would know of the failure
        (state(primary=True), record("a"), True),
        (state(primary=True), record("a", "b"), False),  # b is to be promoted
        (state(primary=True), None, False),
    ],
)
def test_who_may_be_started_again(told: State, known: VolumeRecord | None, may: bool) -> None:
    assert restartable(told, known, "a") is may
    assert bool(Failures().due(told, known, "a", 0.0)) is False


def test_the_pauses_grow_and_end_with_a_good_time() -> None:
    failures, now, waited = Failures(), 1000.0, []
    for _ in range(len(PAUSES) + 2):
        began = now
        while not (why := failures.due(state(), record("a"), "a", now)):
            now += 0.5
        assert "No space left" in why
        waited.append(now - began)
        now += 0.5
        assert not failures.due(state(failed=0), record("a"), "a", now)
    assert waited == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    now += STABLE + 1.0
    assert not failures.due(state(), record("a"), "a", now)
    assert failures.due(state(), record("a"), "a", now + PAUSES[0])


def test_while_another_has_everything_it_is_waited_for() -> None:
    failures = Failures()
    assert not failures.due(state(primary=True), record("a", "b"), "a", 0.0)
    assert not failures.due(state(primary=True), record("a", "b"), "a", 1000.0)
    assert failures.due(state(), record("b"), "a", 1001.0), "it is the primary no more"
