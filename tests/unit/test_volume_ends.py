"""The end of a role: what was under way then changes nothing for whoever comes next."""

import errno

import pytest

from holdfast.storage_replication.engine.ports import DiskFailed, Event, MemberLost
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Other, Promotion
from holdfast.storage_replication.engine.replica import Replica
from tests.simulation.volumes.machine import GEOMETRY, Machine
from tests.support.volume_world import quiet


def test_a_primary_whose_disk_failed_takes_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others have what it may have lost, and one of them must be promoted."""
    world, leader = quiet()

    def event(_: Machine, event: Event) -> None:
        world.reports.append(event)  # and, unlike in other tests, the process goes on

    monkeypatch.setattr(world, "event", event)
    world.reports.clear()
    leader.disk.fail(errno.EIO)
    world.loop.run(world.loop.now + 5 * world.settings.member_timeout)
    answers: list[int] = []
    leader.flush(answers.append)
    assert answers == [errno.EIO]
    assert world.reports == [DiskFailed(errno.EIO)]
    assert world.service.record.in_sync == ["a", "b"]
    other = world.machines["b"].process
    assert isinstance(other, Replica)
    assert other.followed == "", "its link is closed"


def test_a_disk_that_fails_while_a_member_is_forgotten_fails_for_good() -> None:
    """And nobody waits for the member that is gone."""
    world, leader = quiet(members=3)
    world.reports.clear()
    world.machines["a"].power.fault = 1
    leader.members.peers["b"].counts = False
    leader.members.leave("b")
    assert DiskFailed(errno.EIO) in world.reports
    assert [peer.name for peer in leader.counting.waited] == ["c"]


def test_links_that_end_with_the_role_are_not_lost_members() -> None:
    world, leader = quiet()
    link = leader.members.peers["b"].link
    assert link is not None
    world.reports.clear()
    leader.close()
    leader.link_down("b", link)
    assert not [one for one in world.reports if isinstance(one, MemberLost)]
    assert leader.members.peers["b"].asked is None


def test_what_an_earlier_role_was_about_to_let_go_of_stays_active() -> None:
    """Its numbers mean nothing for the next role: they begin anew."""
    world, leader = quiet()
    machine, answers = world.machines["a"], list[int]()
    for _ in range(20):
        leader.write(0, b"a" * GEOMETRY.block, False, answers.append)
    leader.flush(answers.append)
    world.loop.run(world.loop.now + 0.2)
    assert answers == [0] * 21
    leader.members.peers["b"].dirty.set(0)
    leader.stream.clean()
    assert 0 in leader.disk.activity.active, "until the dirty map is saved"
    machine.lead(Promotion(2, True, 1, {"b": Other(False)}), world.settings)
    primary = machine.process
    assert isinstance(primary, Primary)
    primary.renew(world.loop.now + 1.0)
    primary.write(0, b"b" * GEOMETRY.block, False, answers.append)
    world.loop.run(world.loop.now + 0.1)
    assert answers == [0] * 22
    assert 0 in primary.disk.activity.active
