"""Histories of a volume that seeds only come to now and then."""

from collections.abc import Iterator

import pytest

from tests.simulation.simulator.storage.drawn import has_volumes
from tests.simulation.simulator.world import World

VOLUME = "v0"


@pytest.fixture
def world() -> Iterator[World]:
    """Two copies in sync, written to; nothing has gone wrong yet."""
    world = next(w for w in map(World, filter(has_volumes, range(1000))) if _plain(w))
    world.volumes.clients[VOLUME].restless = True
    world.engine.run_until(25.0)
    record = world.volumes.bucket.record(VOLUME)
    assert record is not None
    assert record.primary == _owner(world)
    assert len(record.in_sync) == 2
    yield world
    world.volumes.bury()


def _plain(world: World) -> bool:
    config = world.volumes.configs[VOLUME]
    return not world.policies and config.mode == "sync" and len(config.members) == 2


def _owner(world: World) -> str:
    owner = world.store.current[world.volumes.group(VOLUME)][0].owner
    assert owner is not None
    return owner


def _served(world: World, host: str, since: float) -> bool:
    path = world.volumes.path(host, VOLUME)
    return (
        path is not None and path.served is not None and world.volumes.clients[VOLUME].last > since
    )


def test_a_data_path_that_dies_after_a_long_run_is_back_at_once(world: World) -> None:
    """Pauses grow with failures in a row; this is none."""
    owner = _owner(world)
    path = world.volumes.path(owner, VOLUME)
    assert path is not None
    world.crash(path)
    world.engine.run_until(27.5)
    assert _served(world, owner, 26.0)


def test_a_group_leaves_the_host_that_serves_its_volume_no_more(world: World) -> None:
    """What runs there hears nothing of it, and its process lives: another copy has everything."""
    owner = _owner(world)
    path = world.volumes.path(owner, VOLUME)
    assert path is not None
    world.crash(path)
    world.volumes.copies[owner, VOLUME].lose(data=True)
    world.engine.run_until(60.0)
    assert _owner(world) != owner
    assert _served(world, _owner(world), 55.0)


def test_a_data_path_that_dies_while_nothing_can_be_recorded_serves_again(world: World) -> None:
    """The record is asked once more as soon as that can succeed, and the group stays."""
    owner = _owner(world)
    path = world.volumes.path(owner, VOLUME)
    assert path is not None
    world.crash(path)
    world.store.stall(9.0)
    world.engine.run_until(40.0)
    assert _owner(world) == owner
    assert _served(world, owner, 38.0)
