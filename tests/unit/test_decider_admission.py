"""`admission = "enforce"`: a new group is refused when a loss could then not be borne."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.config.model import ClusterFile
from holdfast.console.config_check import check
from holdfast.events.ownership import DecisionRefused
from holdfast.ownership import Phase
from holdfast.wire import Begun
from tests.support.decider_world import World, cluster

Groups = dict[str, dict[str, Any]]
FITS: Groups = {"g0": {"load": 4}, "g1": {"load": 3, "nodes": ["beta", "alpha"]}}
TOO_MUCH: Groups = {"g0": {"load": 4}, "g1": {"load": 4, "nodes": ["beta", "alpha"]}}
ROOM = {"alpha": {"capacity": 8}, "beta": {"capacity": 7}}


def enforced(file: ClusterFile) -> ClusterFile:
    stricter = msgspec.structs.replace(file.cluster, admission="enforce")
    return msgspec.structs.replace(file, cluster=stricter)


def world_of(file: ClusterFile) -> World:
    world = World(file)
    world.run(20.0)
    return world


def not_admitted(world: World) -> list[DecisionRefused]:
    return [one for one in world.emitted(DecisionRefused) if one.rule == "not_admitted"]


def test_a_new_group_with_which_a_loss_could_not_be_borne_is_refused_with_the_reason() -> None:
    world = world_of(enforced(cluster(policies=TOO_MUCH, of_nodes=ROOM)))
    assert world.record("g0").phase == Phase.ACTIVE
    assert "g1" not in world.records, "nothing is stored of what is not admitted"
    (refused,) = not_admitted(world)
    assert refused.group == "g1"
    assert refused.reason.startswith(
        "N+1: with it the loss of alpha could not be borne: g0 would have no place"
    )
    assert isinstance(world.ask("start", group="g1"), Begun), "an operator's word goes before"
    world.run(5.0)
    assert world.record("g1").phase == Phase.ACTIVE


@pytest.mark.parametrize(
    "file",
    [
        cluster(policies=TOO_MUCH, of_nodes=ROOM),
        enforced(cluster(policies=FITS, of_nodes=ROOM)),
        enforced(cluster(groups=3)),
    ],
    ids=["not enforced", "borne", "without capacities"],
)
def test_what_is_not_enforced_or_can_be_borne_is_admitted(file: ClusterFile) -> None:
    world = world_of(file)
    assert {record.phase for record, _ in world.records.values()} == {Phase.ACTIVE}
    assert not_admitted(world) == []


def test_two_new_groups_of_one_moment_must_fit_together() -> None:
    policies: Groups = {"g0": {"load": 4}, "g1": {"load": 4}}
    room = {"alpha": {"capacity": 8}, "beta": {"capacity": 7}}
    world = world_of(enforced(cluster(policies=policies, of_nodes=room)))
    assert list(world.records) == ["g0"]
    assert world.record("g0").phase == Phase.ACTIVE


def test_what_ran_before_is_never_refused_for_it() -> None:
    world = world_of(enforced(cluster(policies=FITS, of_nodes=ROOM)))
    world.kill("alpha")
    world.run(20.0)
    assert {record.owner for record, _ in world.records.values()} == {"beta"}
    assert not_admitted(world) == [], "the last host left takes it, N+1 or not"


FILE = """
[cluster]
name = "x"
voters = ["a", "b", "w"]
fencing = "lease-only"
{admission}
[nodes.a]
address = "10.0.0.1"
capacity = 5
[nodes.b]
address = "10.0.0.2"
capacity = 5
[witnesses.w]
address = "10.0.0.3"
"""
GROUP = """
[groups.{name}]
nodes = ["a", "b"]
load = 3
[groups.{name}.resources.p]
kind = "process"
command = ["sleep", "600"]
"""


@pytest.mark.parametrize("admission", ["", 'admission = "warn"', 'admission = "enforce"'])
def test_the_check_of_a_file_warns_or_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], admission: str
) -> None:
    file = tmp_path / "cluster.toml"
    groups = "".join(GROUP.format(name=name) for name in ("one", "two"))
    file.write_text(FILE.format(admission=admission) + groups)
    code = check(file, json=True)
    said = msgspec.json.decode(capsys.readouterr().out)
    assert len(said["weaknesses"]) == 2
    problems = [problem["problem"] for problem in said["problems"]]
    enforce = "enforce" in admission
    assert (code, problems) == ((2, said["weaknesses"]) if enforce else (0, []))
