"""A node whose hands beat, but whose monitor does not, is told of: nobody sees what fails there."""

from holdfast.events import Health
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import DecisionMade
from holdfast.failover_decider.status import status
from holdfast.notifier.core import notable
from tests.support.decider_world import Host, World, cluster


class QuietWorld(World):
    """Some hosts' monitors say nothing."""

    quiet: frozenset[str] = frozenset()

    def _monitor_beats(self, host: Host) -> None:
        if host.name not in self.quiet:
            super()._monitor_beats(host)


def said(world: World) -> list[HealthSignal]:
    return [one for one in world.emitted(HealthSignal) if one.probe == "monitor"]


def shown(world: World) -> list[str]:
    leader = world.deciders[world.leader() or ""]
    assert leader is not None
    return [s.entity for n in status(leader, world.now).nodes for s in n.signals]


def quiet_alpha() -> QuietWorld:
    world = QuietWorld(cluster())
    world.run(15.0)
    world.quiet = frozenset({"alpha"})
    return world


def test_a_silent_monitor_is_told_of_once_shown_notified_and_moves_nothing() -> None:
    world = quiet_alpha()
    world.run(15.0)
    assert said(world) == [], "it may be on its way back"
    world.run(100.0)
    (signal,) = said(world)
    assert (signal.node, signal.state) == ("alpha", Health.FAILED)
    assert "what fails there is not seen" in signal.reason
    assert notable(signal, None)
    assert shown(world) == ["service/alpha/monitor"]
    assert len(world.emitted(DecisionMade)) == 1, "the start"


def test_its_return_is_told_of_too() -> None:
    world = quiet_alpha()
    world.run(30.0)
    world.quiet = frozenset()
    world.run(2.0)
    assert [one.state for one in said(world)] == [Health.FAILED, Health.OK]
    assert shown(world) == []


def test_of_a_host_that_is_silent_as_a_whole_nothing_more_is_told() -> None:
    world = quiet_alpha()
    world.kill("alpha")
    world.run(60.0)
    assert said(world) == []


def test_a_new_leader_tells_of_it_anew() -> None:
    world = quiet_alpha()
    world.run(30.0)
    leader = world.leader()
    assert leader is not None
    world.deciders[leader] = None
    world.run(60.0)
    assert len(said(world)) == 2
    assert world.leader() != leader
