"""Recorded inputs lead to the same effects, byte for byte; a changed rule does not."""

import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from holdfast.events import Envelope
from holdfast.events.chain import ChainHead, seal
from holdfast.events.ownership import DecisionMade
from holdfast.failover_decider import rules, verdicts
from holdfast.failover_decider.inputs import files
from holdfast.failover_decider.inputs import recorder as recording
from holdfast.failover_decider.inputs.codec import UnknownShape, decode_state, encode_state
from holdfast.failover_decider.inputs.journal import (
    JournalUnreadable,
    Segment,
    SegmentWriter,
    segments_of,
)
from holdfast.failover_decider.messages import Tick
from holdfast.failover_decider.replay.public_record import compare
from holdfast.failover_decider.replay.run import Replay
from tests.simulation.simulator import decider as simulated
from tests.simulation.simulator.run import run
from tests.support import decider_world
from tests.support.decider_world import World, cluster
from tests.support.recorded import Recordings, replayed

SEEDS = range(40, 43)


async def a_failover(folder: Path, max_bytes: int = 64 * 1024 * 1024) -> World:
    """A cluster whose owner and leader, alpha, loses power; everything recorded."""
    recordings = Recordings(folder, max_bytes)
    with patch.object(decider_world, "decide", recordings.decide):
        world = World(cluster())
        world.run(5.0)
        world.kill("alpha")
        world.run(10.0)
    assert world.record().owner == "beta"
    await recordings.close()
    return world


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_a_replay_is_exact(seed: int, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    recorded = SimpleNamespace(decide=recordings.decide)
    with patch.object(simulated, "core", recorded):
        result = run(seed)
    replays = await recordings.close()
    assert sum(s.steps for r in replays.values() for s in r.segments) > 1000
    assert result.events > 20
    for name, replay in replays.items():
        assert replay.same, (name, [s.first for s in replay.segments if s.first])
        assert replay.readable, [s.problem for s in replay.segments]


async def test_segments_continue_each_other_and_the_oldest_make_room(tmp_path: Path) -> None:
    limit = 16 * 1500
    recordings = Recordings(tmp_path, limit)
    with patch.object(decider_world, "decide", recordings.decide):
        world = World(cluster())
        for _ in range(12):
            world.run(20.0)
            await recordings.write()
    replays = await recordings.close()
    replay = replays["alpha.1"]
    assert replay.same
    assert len(replay.emitted) == 1, "one stretch"
    numbers = [segment.number for segment in replay.segments]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > 0, "the oldest are gone"
    assert all(s.ended == "the next segment follows" for s in replay.segments[:-1])
    kept = segments_of(tmp_path / "alpha.1")
    assert sum(file.stat().st_size for file in kept) <= limit + 6000  # a piece of up to 20 s more


async def test_a_changed_rule_is_a_difference(tmp_path: Path) -> None:
    await a_failover(tmp_path)
    real = rules.owner_lost

    def hesitant(*arguments: Any) -> Any:
        verdict = real(*arguments)
        if isinstance(verdict, verdicts.Decision):
            return verdicts.Refusal("hesitates", "it may come back", verdict.after)
        return verdict

    with patch.object(rules, "owner_lost", hesitant):
        replay = replayed(tmp_path / "beta.1")
    assert not replay.same
    (first,) = [segment.first for segment in replay.segments if segment.first]
    assert any("decision_made by rule owner_proven_dead" in line for line in first.then)
    assert any("decision_refused by rule hesitates" in line for line in first.replayed)
    assert first.input[0] in ("Tick", "VoteReceived", "FenceDone", "PulseHeard")
    assert replayed(tmp_path / "beta.1").same, "and without the change there is none"


async def test_a_core_that_fails_now_is_a_difference(tmp_path: Path) -> None:
    await a_failover(tmp_path)
    with patch.object(rules, "owner_lost", lambda *_: 1 / 0):
        replay = replayed(tmp_path / "beta.1")
    assert not replay.same
    (first,) = [segment.first for segment in replay.segments if segment.first]
    assert first.replayed == ["it fails: ZeroDivisionError: division by zero"]


async def test_a_torn_end_is_said_and_all_before_it_replays(tmp_path: Path) -> None:
    await a_failover(tmp_path)
    (file,) = segments_of(tmp_path / "beta.1")
    whole = file.read_bytes()
    steps = replayed(tmp_path / "beta.1").segments[0].steps
    file.write_bytes(whole[:-30])
    (segment,) = replayed(tmp_path / "beta.1").segments
    assert segment.ended.startswith("torn at byte")
    assert segment.differences == 0
    assert segment.steps <= steps


async def test_damage_is_said_and_not_replayed(tmp_path: Path) -> None:
    await a_failover(tmp_path)
    (file,) = segments_of(tmp_path / "beta.1")
    raw = bytearray(file.read_bytes())
    raw[-200] ^= 0xFF
    file.write_bytes(raw)
    (segment,) = replayed(tmp_path / "beta.1").segments
    assert "damaged" in segment.ended
    assert segment.differences == 0
    raw[60] ^= 0xFF
    file.write_bytes(raw)
    with pytest.raises(JournalUnreadable, match="checksum"):
        Segment(file)


async def test_a_state_of_an_unknown_shape_is_refused(tmp_path: Path) -> None:
    world = await a_failover(tmp_path)
    state = world.deciders["beta"]
    assert state is not None
    tree = msgspec.msgpack.decode(encode_state(state))
    tree["groups"]["g0"]["invented"] = 1
    with pytest.raises(UnknownShape, match=r"state\.groups\.g0\.invented"):
        decode_state(msgspec.msgpack.encode(tree))
    del tree["groups"]["g0"]["invented"], tree["leading_since"]
    assert decode_state(msgspec.msgpack.encode(tree)).leading_since == 0.0, "a field added since"
    tree["nodes"] = 7
    with pytest.raises(UnknownShape):
        decode_state(msgspec.msgpack.encode(tree))


async def test_options_of_fence_devices_are_not_kept(tmp_path: Path) -> None:
    file = cluster()
    alpha = file.nodes["alpha"]
    device = msgspec.structs.replace(alpha.fence[0], options={"password": "hidden"})
    nodes = {**file.nodes, "alpha": msgspec.structs.replace(alpha, fence=[device])}
    world = World(msgspec.structs.replace(file, nodes=nodes))
    state = world.deciders["alpha"]
    assert state is not None
    assert b"hidden" in msgspec.json.encode(state)
    assert b"hidden" not in encode_state(state)


async def test_a_full_disk_costs_recordings_only_and_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    recorder = recording.Recorder(tmp_path / "journal", max_bytes=1 << 20, say=said.append)
    world = World(cluster())
    state = world.deciders["alpha"]
    assert state is not None

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    state, _ = recorder.decide(state, Tick(), 100.0)
    await recorder.write()
    with (
        patch.object(SegmentWriter, "append", refuse),
        patch.object(files, "TRY_AGAIN", 0.0),
    ):
        for step in range(1, 4):
            state, _ = recorder.decide(state, Tick(), 100.0 + step)
            await recorder.write()
    assert len(said) == 1
    assert "No space left" in said[0]
    state, _ = recorder.decide(state, Tick(), 104.0)
    await recorder.write()
    assert said[1:] == [""]
    await recorder.close()
    replay = replayed(tmp_path / "journal")
    assert replay.same
    assert [segment.steps for segment in replay.segments] == [1, 0, 0, 1]
    assert len(replay.emitted) == 4, "each begins anew"


async def test_steps_without_room_are_counted_and_end_the_segment(tmp_path: Path) -> None:
    said: list[str] = []
    recorder = recording.Recorder(tmp_path, max_bytes=1 << 20, say=said.append, max_waiting=3)
    state = World(cluster()).deciders["alpha"]
    assert state is not None
    for step in range(5):
        state, _ = recorder.decide(state, Tick(), 100.0 + step)
    await recorder.write()
    for step in range(5, 7):
        state, _ = recorder.decide(state, Tick(), 100.0 + step)
    await recorder.close()
    assert said[0] == "2 inputs found no room and are not recorded"
    replay = replayed(tmp_path)
    assert replay.same
    assert [segment.steps for segment in replay.segments] == [3, 2]
    assert replay.segments[0].ended == "2 steps after this found no room"


async def test_a_limit_of_nothing_records_nothing(tmp_path: Path) -> None:
    recorder = recording.Recorder(tmp_path / "journal", max_bytes=0, say=pytest.fail)
    state = World(cluster()).deciders["alpha"]
    assert state is not None
    recorder.decide(state, Tick(), 100.0)
    await recorder.close()
    assert not (tmp_path / "journal").exists()


async def test_the_public_record_must_tell_the_same(tmp_path: Path) -> None:
    world = await a_failover(tmp_path)
    replay = replayed(tmp_path / "beta.1")
    public, head = list[Envelope](), ChainHead()
    for _, place, draft in world.drafts:
        if place == "beta":
            envelope, head = seal(draft, head, source="/w/beta/failover_decider", time="")
            public.append(envelope)
    whole = compare(replay.emitted, public)
    assert whole.same
    assert whole.compared >= 1
    assert not whole.waiting

    at = next(n for n, e in enumerate(public) if e.type == "holdfast.decision_made.v1")
    decision = public[at]
    without = compare(replay.emitted, public[:at] + public[at + 1 :])
    assert (without.missing, without.same) == ([decision.id], False)
    unpublished = compare(replay.emitted, public[:at])
    assert (unpublished.waiting, unpublished.same) == ([decision.id], True)
    other = msgspec.json.decode(decision.data, type=DecisionMade)
    other = msgspec.structs.replace(other, rule="another")
    altered = msgspec.structs.replace(decision, data=msgspec.Raw(msgspec.json.encode(other)))
    assert compare(replay.emitted, [*public[:at], altered, *public[at + 1 :]]).altered
    invented = msgspec.structs.replace(decision, id="00000000-0000-7000-8000-ffffffffffff")
    assert compare(replay.emitted, [*public, invented]).unexplained == [invented.id]


async def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "0000000000.inputs"
    file.write_bytes(zlib.compress(b"something else"))
    with pytest.raises(JournalUnreadable, match="no input journal"):
        Segment(file)
    assert Replay().same
