"""What the hands answer to an order: how long it may take, or why they do not take it."""

import pytest

from holdfast.config.model import ClusterFile
from holdfast.events.ownership import FenceStarted, MoveFailed
from holdfast.ownership import Phase
from holdfast.wire import Begun, Order, OrderReply
from tests.support.decider_world import Host, World, cluster

TOO_LATE = 60.0
"""Seconds: more than the decider's own file gives a start or stop."""
OTHER_FILE = "by its cluster file beta does not run group g0"


class SlowWorld(World):
    """Its hands take their time over each order, and say how long it may be."""

    def __init__(self, file: ClusterFile) -> None:
        self.begun: dict[str, float] = {}
        self.takes = self.needs = 0.0
        super().__init__(file)

    def _obey(self, host: Host, order: Order) -> OrderReply:
        began = self.begun.setdefault(order.intent, self.now)
        if self.now - began < self.needs and order.not_after >= self.now:
            return OrderReply(intent=order.intent, accepted=True, takes=self.takes)
        return super()._obey(host, order)


def slow(*, says: float) -> SlowWorld:
    """The group runs on alpha; from now on its orders take TOO_LATE seconds."""
    world = SlowWorld(cluster(nodes=("alpha", "beta", "delta")))
    world.run(20.0)
    assert world.record().owner == "alpha"
    world.takes, world.needs = says, TOO_LATE
    return world


@pytest.mark.parametrize(("says", "waits"), [(100.0, True), (0.0, False)])
def test_hands_are_given_the_time_that_their_own_file_gives_a_stop(
    says: float, waits: bool
) -> None:
    """What the decider's file has no more, or gives less time, may have to be stopped still."""
    world = slow(says=says)
    assert isinstance(world.ask("switchover", "beta"), Begun)
    world.run(3 * TOO_LATE)
    fenced = [one.node for one in world.emitted(FenceStarted) if one.action == "off"]
    assert ("alpha" not in fenced) is waits
    assert world.active_overlaps == []


def test_hands_that_do_not_take_a_start_are_not_waited_for() -> None:
    world = World(cluster(nodes=("alpha", "beta", "delta")))
    obey = world._obey

    def other_file(host: Host, order: Order) -> OrderReply:
        if host.name == "beta" and order.action == "start":
            return OrderReply(intent=order.intent, accepted=False, error=OTHER_FILE)
        return obey(host, order)

    world._obey = other_file  # type: ignore[method-assign]
    world.run(20.0)
    world.kill("alpha")
    world.run(20.0)
    assert (world.record().owner, world.record().phase) == ("delta", Phase.ACTIVE)
    (failed,) = world.emitted(MoveFailed)
    assert failed.reason == f"the hands of beta do not take it: {OTHER_FILE}"
