"""A journal that lost something in its middle tells so, and accuses nobody of another decision."""

from pathlib import Path
from unittest.mock import patch

import pytest

from holdfast.events import Envelope
from holdfast.events.chain import ChainHead, seal
from holdfast.failover_decider.inputs.journal import segments_of
from holdfast.failover_decider.replay.public_record import compare
from holdfast.failover_decider.replay.run import LOST
from tests.support import decider_world
from tests.support.decider_world import World, cluster
from tests.support.recorded import Recordings, replayed


@pytest.fixture
async def recorded(tmp_path: Path) -> tuple[World, list[Path]]:
    """A cluster in which an operator moves the group every 20 s, each time in a segment of its own
    of the leader, alpha."""
    recordings = Recordings(tmp_path, 16 * 1500)
    with patch.object(decider_world, "decide", recordings.decide):
        world = World(cluster())
        for _ in range(6):
            world.run(20.0)
            world.ask("switchover")
            await recordings.write()
    await recordings.close()
    files = segments_of(tmp_path / "alpha.1")
    assert len(files) >= 3
    return world, files


def public(world: World) -> list[Envelope]:
    """All events of alpha's decider."""
    found, head = list[Envelope](), ChainHead()
    for _, place, draft in world.drafts:
        if place == "alpha":
            envelope, head = seal(draft, head, source="/w/alpha/failover_decider", time="")
            found.append(envelope)
    return found


@pytest.mark.parametrize("how", ["damaged", "cut", "missing"])
async def test_what_is_lost_between_segments_is_no_difference(
    recorded: tuple[World, list[Path]], how: str
) -> None:
    world, files = recorded
    assert replayed(files[0].parent).readable
    raw = bytearray(files[1].read_bytes())
    match how:
        case "damaged":
            raw[len(raw) // 2] ^= 0xFF
            files[1].write_bytes(raw)
        case "cut":
            files[1].write_bytes(raw[: len(raw) // 2])
        case _:
            files[1].unlink()
    replay = replayed(files[0].parent)
    assert replay.same, [segment.first for segment in replay.segments]
    assert not replay.readable
    problems = [segment.problem for segment in replay.segments if segment.problem]
    assert len(problems) == 1
    assert problems == [LOST] if how != "damaged" else "damaged" in problems[0]
    compared = compare(replay.emitted, public(world))
    assert compared.same, "what was lost is not held against the record"
    assert compared.compared >= 2
