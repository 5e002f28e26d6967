"""A member that does not take part: what its primary makes of that, and how often it is told."""

import msgspec
import pytest

from holdfast.storage_replication.engine.frames import Frame, Kind, parse
from holdfast.storage_replication.engine.messages import Hello
from holdfast.storage_replication.engine.ports import MemberRefused
from holdfast.storage_replication.engine.replica import Replica
from tests.simulation.volumes.world import World
from tests.support.volume_world import quiet


class Wire:
    """A `Link` that remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Frame, bytes]] = []

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        found = parse(memoryview(frame + bytes(payload)))
        assert found is not None
        self.sent.append((found[0], bytes(found[1])))

    def close(self) -> None:
        """The engine's business."""


def told(world: World, uuid: str, epoch: int) -> tuple[Frame, bytes]:
    """What the member b, which knows a later epoch, answers a primary at that one."""
    replica, wire = world.machines["b"].process, Wire()
    assert isinstance(replica, Replica)
    replica.disk.change(epoch=99, primary="c")
    hello = Hello(uuid=uuid, primary="a", member="b", size=replica.disk.superblock.size)
    payload = memoryview(msgspec.msgpack.encode(hello))
    replica.frame_received(wire, Frame(Kind.HELLO, 0, epoch, 0, 0, 0), payload)
    return wire.sent[0]


@pytest.mark.parametrize(("uuid", "deposed"), [("volume-1", 99), ("volume-2", 0)])
def test_an_epoch_of_another_volume_ends_nobodys_role(uuid: str, deposed: int) -> None:
    """Two volumes whose ports were exchanged in the cluster file find each other's members."""
    world, leader = quiet()
    frame, payload = told(world, uuid, leader.disk.superblock.epoch)
    assert frame.kind is Kind.REFUSED
    wire = Wire()
    leader.members.lose(leader.members.peers["b"], "the ports were exchanged")
    leader.link_up("b", wire)
    leader.frame_received("b", wire, frame, payload)
    assert leader.counting.deposed == deposed


def test_a_member_that_refuses_for_the_same_reason_again_and_again_is_told_of_once() -> None:
    world, leader = quiet()
    peer = leader.members.peers["b"]

    def refuses(reason: str) -> list[str]:
        wire = Wire()
        leader.members.lose(peer, "connection lost")
        leader.link_up("b", wire)
        payload = msgspec.msgpack.encode({"reason": reason})
        leader.frame_received("b", wire, Frame(Kind.REFUSED, 0, 0, 0, 0, 0), payload)
        return [one.reason for one in world.reports if isinstance(one, MemberRefused)]

    for _ in range(5):
        assert refuses("no room") == ["no room"]
    assert peer.refusal == "no room", "its state says so all the time"
    assert refuses("of another version") == ["no room", "of another version"]
    world.connect(world.machines["a"], leader)
    world.loop.run(world.loop.now + 5.0)
    assert (peer.counts, peer.refusal) == (True, "")
    assert refuses("of another version")[2:] == ["of another version"], "it took part meanwhile"
