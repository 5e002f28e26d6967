"""What is predicted from the live state is what then happens, on virtual time."""

import msgspec
import pytest

from holdfast.config.model import ClusterFile, Group, ProcessResource
from holdfast.events.ownership import DecisionMade, DecisionRefused
from holdfast.failover_decider.inputs.codec import (
    Snapshot,
    decode_snapshot,
    encode_snapshot,
    pack,
    unpack,
)
from holdfast.failover_decider.messages import GroupAsked
from holdfast.failover_decider.whatif.hosts import Host
from holdfast.failover_decider.whatif.prediction import NoAnswer, Prediction, predict
from holdfast.failover_decider.whatif.question import BadQuestion, Question, parse
from holdfast.ownership import Phase
from holdfast.wire import MAX_MESSAGE_BYTES, GroupRequest, MonitorPulse, SnapshotReply
from holdfast.wire.volumes import VolumePulse
from tests.support.decider_world import World, cluster

QUESTIONS = (
    "node alpha lost",
    "node beta lost",
    "node alpha silent",
    "network partition beta",
    "witness gamma lost",
    "group g0 fails",
    "group pinned fails",
    "switchover g0",
    "switchover g0 to beta",
    "switchover pinned",
    "stop g0",
    "start g0",
)


def three_groups(fencing: str = "required") -> ClusterFile:
    """Two groups that may run anywhere, and one that only alpha may run."""
    file = cluster(fencing=fencing, groups=2)
    pinned = Group(nodes=["alpha"], resources={"p": ProcessResource(command=["true"])})
    return msgspec.structs.replace(file, groups={**file.groups, "pinned": pinned})


def at_rest(file: ClusterFile) -> World:
    """A cluster in which every group runs on alpha, which leads."""
    world = World(file)
    world.run(8.0)
    assert {record.phase for record, _ in world.records.values()} == {Phase.ACTIVE}
    return world


def snapshots(world: World) -> dict[str, Snapshot]:
    """What the deciders tell, by way of its bytes."""
    told = {}
    for name, state in world.deciders.items():
        if state is not None:
            taken = Snapshot(state=state, voter=world.voters[name], now=world.now)
            told[name] = decode_snapshot(encode_snapshot(taken))
    return told


def make_true(world: World, question: Question) -> None:
    """Let it happen."""
    leader = world.leader()
    assert leader is not None
    match question.change:
        case "lost":
            if question.subject in world.hosts:
                world.kill(question.subject)
            else:
                world.deciders[question.subject] = None
        case "silent":
            world.hosts[question.subject].cut_off = True
        case "fails":
            owner = world.record(question.subject).owner
            assert owner is not None
            world.report(owner, "failed", question.subject)
        case "switchover" | "stop" | "start":
            request = GroupRequest(
                action=question.change,
                group=question.subject,
                target=question.target,
                operator="test",
            )
            world.feed(leader, GroupAsked(1, request))


def decided(world: World, since: float) -> list[tuple[str | None, ...]]:
    """What was decided and refused, without its times."""
    told: list[tuple[str | None, ...]] = []
    for at, _, draft in world.drafts:
        match draft.data:
            case DecisionMade() as made if at >= since:
                told.append((made.group, made.rule, made.kind, made.source, made.target))
            case DecisionRefused() as refused if at >= since:
                told.append((refused.group, refused.rule, refused.reason))
            case _:
                pass
    return sorted(told, key=str)


def foretold(prediction: Prediction) -> list[tuple[str | None, ...]]:
    """The same of a prediction."""
    told: list[tuple[str | None, ...]] = [
        (made.group, made.rule, made.kind, made.source, made.target)
        for made in prediction.decisions
    ]
    told += [(refused.group, refused.rule, refused.reason) for refused in prediction.refusals]
    return sorted(told, key=str)


@pytest.mark.parametrize(
    ("text", "fencing"),
    [
        *((text, "required") for text in QUESTIONS),
        ("node alpha lost", "lease-only"),
        ("node alpha silent", "lease-only"),
    ],
)
def test_what_is_predicted_happens(text: str, fencing: str) -> None:
    world = at_rest(three_groups(fencing))
    prediction = predict(text, snapshots(world))
    began = world.now
    make_true(world, parse(text, world.file))
    world.run(30.0)
    assert foretold(prediction) == decided(world, began)
    ends = {end.group: (end.owner, end.phase) for end in prediction.groups}
    assert ends == {name: (r.owner, r.phase) for name, (r, _) in world.records.items()}
    assert prediction.at_rest_after is not None
    assert prediction.missing == []


def test_asking_changes_nothing() -> None:
    world = at_rest(three_groups())
    before = snapshots(world)
    told = snapshots(world)
    predict("node alpha lost", told)
    assert told == before


def test_a_lost_host_is_taken_over_and_what_is_bound_to_it_stays_unserved() -> None:
    prediction = predict("node alpha lost", snapshots(at_rest(three_groups())))
    assert {made.rule for made in prediction.decisions} == {"owner_proven_dead"}
    assert prediction.unserved == ["pinned"]
    (pinned,) = [end for end in prediction.groups if end.group == "pinned"]
    assert "no node may run it" in pinned.reason
    assert {move.group for move in prediction.moves} == {"g0", "g1"}
    for move in prediction.moves:
        assert move.node == "beta"
        assert set(move.phases) == {"suspect", "decide", "fence", "start"}
        assert 1.5 < move.at < 5.0


def test_a_host_tells_of_its_copies_what_it_told_before() -> None:
    world = at_rest(three_groups())
    state = world.deciders["alpha"]
    assert state is not None
    copy = VolumePulse(volume="v", standing="in_sync", role="replica", epoch=1, size=4096)
    view = msgspec.structs.replace(
        state.nodes["beta"], volumes=(copy,), signals={"storage_replication": ()}
    )
    host = Host(view, 0.0, world.voters, state.timing)
    told = {
        pulse.service: pulse.volumes
        for pulse in host.pulses(1.0)
        if isinstance(pulse, MonitorPulse)
    }
    assert told == {"monitor": [], "storage_replication": [copy]}


def test_a_silent_host_is_fenced_only_after_its_ttl() -> None:
    prediction = predict("node alpha silent", snapshots(at_rest(three_groups())))
    assert {made.rule for made in prediction.decisions} == {"owner_silent_past_ttl"}
    assert min(made.at for made in prediction.decisions) >= 6.0


def test_a_place_that_is_down_already_counts_as_lost() -> None:
    world = at_rest(three_groups())
    world.kill("beta")
    world.run(10.0)
    prediction = predict("node alpha lost", snapshots(world))
    assert prediction.missing == ["beta"]
    assert prediction.decisions == [], "gamma alone is no majority"
    assert prediction.unserved == ["g0", "g1", "pinned"]


def test_without_a_leader_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="nobody leads"):
        predict("node alpha lost", snapshots(World(cluster())))
    with pytest.raises(NoAnswer, match="no decider"):
        predict("node alpha lost", {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no question"),
        ("alpha lost", "no question"),
        ("node gamma lost", "no node gamma"),
        ("node delta silent", "no node delta"),
        ("group g9 fails", "no group g9"),
        ("switchover g0 to gamma", "no node gamma"),
        ("start g0 to beta", "no question"),
    ],
)
def test_what_is_no_question_is_refused_with_the_grammar(text: str, problem: str) -> None:
    with pytest.raises(BadQuestion, match=problem):
        parse(text, three_groups())


def test_a_snapshot_fits_the_bus() -> None:
    world = at_rest(three_groups())
    state = world.deciders["alpha"]
    assert state is not None
    taken = Snapshot(state=state, voter=world.voters["alpha"], now=world.now)
    reply = pack(taken)
    assert isinstance(reply, SnapshotReply)
    assert len(msgspec.json.encode(reply)) < MAX_MESSAGE_BYTES / 8
    assert unpack(reply) == taken
