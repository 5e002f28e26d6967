"""Policies in the cluster file: what is refused, and N+1 on paper."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.config.capacity import place, weaknesses
from holdfast.config.load import load
from holdfast.config.model import ClusterFile
from holdfast.config.policy_check import RELATIONS
from holdfast.config.problem import ConfigError, Problem
from holdfast.console.maintenance import duration
from holdfast.console.status import degradations
from holdfast.errors import HoldfastError
from holdfast.events.policies import Scope
from holdfast.wire import LossStatus, MarkStatus, StatusReply
from tests.support.decider_world import cluster

HEAD = """
[cluster]
name = "x"
voters = ["a", "b", "w"]
fencing = "lease-only"
[nodes.a]
address = "10.0.0.1"
capacity = 5
[nodes.b]
address = "10.0.0.2"
capacity = 4
[witnesses.w]
address = "10.0.0.3"
"""
GROUP = """
[groups.{name}]
nodes = ["a", "b"]
{keys}
[groups.{name}.resources.p]
kind = "process"
command = ["sleep", "600"]
"""


def problems(tmp_path: Path, cluster_keys: str = "", **groups: str) -> list[Problem]:
    path = tmp_path / "cluster.toml"
    tables = "".join(GROUP.format(name=name, keys=keys) for name, keys in groups.items())
    path.write_text(HEAD.replace('name = "x"', f'name = "x"\n{cluster_keys}') + tables)
    try:
        load(path)
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize("relation", ["requires", "together_with"])
def test_a_circle_names_file_key_and_cure(tmp_path: Path, relation: str) -> None:
    (found,) = problems(
        tmp_path,
        one=f'{relation} = ["two"]',
        two=f'{relation} = ["three"]',
        three=f'{relation} = ["one"]',
    )
    assert found.key == f"groups.one.{relation}"
    assert found.problem == "each waits for the next: one → two → three → one"
    assert found.cure == f"remove one of these `{relation}`"


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_name_other_groups(tmp_path: Path, relation: str) -> None:
    found = problems(tmp_path, one=f'{relation} = ["one", "tow"]', two="")
    assert [f.key for f in found] == [f"groups.one.{relation}[0]", f"groups.one.{relation}[1]"]
    assert "`two`" in found[1].cure


@pytest.mark.parametrize(
    ("keys", "key", "word"),
    [
        ('together_with = ["two"]\napart_from = ["two"]', "together_with[0]", "remove one"),
        ('failback_window = "02:00-04:00"', "failback_window", "automatic"),
        ('failback = "automatic"\nfailback_window = "2-4"', "failback_window", "02:00-04:00"),
        ("load = 6", "load", "capacity"),
        ('failback = "sometimes"', "failback", "manual"),
        ("failback_after = 0", "failback_after", "give"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, keys: str, key: str, word: str) -> None:
    (found,) = problems(tmp_path, one=keys, two="")
    assert found.key == f"groups.one.{key}"
    assert word in found.cure


def test_a_zone_must_be_known(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, 'time_zone = "Mars/Olympus"')
    assert (found.key, "UTC" in found.cure) == ("cluster.time_zone", True)
    assert problems(tmp_path, 'time_zone = "Europe/Berlin"') == []


def test_groups_that_fit_but_not_without_a_node() -> None:
    file = cluster(
        policies={"g0": {"load": 4}, "g1": {"load": 3, "nodes": ["beta", "alpha"]}},
        of_nodes={"alpha": {"capacity": 7}, "beta": {"capacity": 4}},
    )
    assert weaknesses(file) == [
        "the loss of alpha could not be borne: g0 would have no place: "
        "alpha and beta are lost, full, or kept apart from it"
    ]
    assert weaknesses(cluster(groups=3)) == [], "without capacities there is no limit"


@st.composite
def clusters(draw: st.DrawFn) -> ClusterFile:
    names = [f"g{n}" for n in range(draw(st.integers(1, 6)))]
    policies: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(names):
        others = st.lists(st.sampled_from(names[:index] or names), max_size=2, unique=True)
        policies[name] = {"load": draw(st.integers(0, 4))}
        if index:
            policies[name]["apart_from"] = draw(others)
    nodes = ("alpha", "beta", "delta")
    room = st.one_of(st.none(), st.integers(0, 8))
    return cluster(
        nodes=nodes, policies=policies, of_nodes={n: {"capacity": draw(room)} for n in nodes}
    )


@settings(max_examples=200, deadline=None)
@given(file=clusters(), lost=st.sampled_from(["", "alpha", "beta", "delta"]))
def test_no_plan_overfills_a_node_or_joins_what_is_kept_apart(file: ClusterFile, lost: str) -> None:
    homes = place(file, {}, lost)
    assert homes.keys() == file.groups.keys()
    for node, settings_ in file.nodes.items():
        there = [group for group, home in homes.items() if home == node]
        assert not (there and node == lost)
        load = sum(file.groups[group].load for group in there)
        assert settings_.capacity is None or load <= settings_.capacity
        for group in there:
            assert not set(file.groups[group].apart_from) & set(there)


def test_durations() -> None:
    assert [duration(text) for text in ("90s", "30m", "2h", "1d")] == [90, 1800, 7200, 86400]
    for wrong in ("", "2", "2w", "0s", "32d", "-1h", "1.5h"):
        with pytest.raises(HoldfastError, match="--for"):
            duration(wrong)


def test_status_tells_of_marks_and_of_losses() -> None:
    mark = MarkStatus(
        kind="maintenance",
        scope=Scope.NODE,
        name="alpha",
        reason="new disk",
        operator="ann",
        incident="i",
        left=5400.0,
    )
    reply = StatusReply(
        cluster="x",
        leader="alpha",
        leader_term=1,
        nodes=[],
        groups=[],
        marks=[mark],
        unbearable=[LossStatus(node="beta", reason="g1 would have no place")],
    )
    assert list(degradations(reply)) == [
        "node alpha is in maintenance for 90 min more: new disk",
        "the loss of beta could not be borne: g1 would have no place",
    ]
