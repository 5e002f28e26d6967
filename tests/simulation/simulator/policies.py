"""Policies for half of the seeds, drawn by a chance of their own: the other seeds know none.

And the operator who takes things into maintenance, and forgets to end it: it ends by itself.
"""

from random import Random
from typing import Literal

import msgspec

from holdfast.config.model import ClusterFile, Group
from holdfast.config.policy_check import policy_problems
from holdfast.events.policies import Scope
from holdfast.wire import ClearRequest, MaintenanceRequest

LONGEST = 40.0


def has_policies(seed: int) -> bool:
    """Four seeds with policies follow four without."""
    return seed // 4 % 2 == 1


def with_policies(file: ClusterFile, seed: int) -> ClusterFile:
    """The cluster with affinity, dependencies, failback, damping and capacity."""
    if not has_policies(seed):
        return file
    chance = Random(f"policies of {seed}")
    groups = _more_groups(file, chance)
    names = list(groups)
    for index, name in enumerate(names):
        groups[name] = _draw_policy(chance, groups[name], names[:index])
    nodes = {
        name: msgspec.structs.replace(
            node,
            capacity=chance.choice([None, 6.0, 8.0]),
            max_failures=chance.choice([2, 5]),
            quarantine=chance.choice([None, 20.0]),
        )
        for name, node in file.nodes.items()
    }
    drawn = msgspec.structs.replace(file, groups=groups, nodes=nodes)
    assert not list(policy_problems(drawn))
    return drawn


def draw_request(chance: Random, file: ClusterFile) -> MaintenanceRequest | ClearRequest:
    """What an operator wants: mostly to begin, sometimes to end, sometimes to clear."""
    about = chance.choices(list(Scope), [1, 3, 3])[0]
    names = {
        Scope.CLUSTER: [file.cluster.name],
        Scope.NODE: list(file.nodes),
        Scope.GROUP: list(file.groups),
    }
    name = chance.choice(names[about])
    if about is not Scope.CLUSTER and chance.random() < 0.2:
        scope: Literal["node", "group"] = "node" if about is Scope.NODE else "group"
        return ClearRequest(scope=scope, name=name, operator="sim")
    on = chance.random() < 0.8
    return MaintenanceRequest(
        action="on" if on else "off",
        scope=about,
        name=name,
        seconds=chance.uniform(3.0, LONGEST) if on else None,
        reason="repair" if on else "",
        operator="sim",
    )


def _more_groups(file: ClusterFile, chance: Random) -> dict[str, Group]:
    groups = dict(file.groups)
    while len(groups) < chance.choice([2, 3]):
        nodes = chance.sample(list(file.nodes), len(file.nodes))
        first = next(iter(file.groups.values()))
        groups[f"p{len(groups)}"] = msgspec.structs.replace(first, nodes=nodes)
    return groups


def _draw_policy(chance: Random, group: Group, before: list[str]) -> Group:
    """Relations only to groups drawn before: so there are no circles."""
    changes: dict[str, object] = {
        "load": chance.choice([0.0, 1.0, 3.0]),
        "quarantine": chance.choice([10.0, 30.0]),
    }
    if chance.random() < 0.6:
        changes |= {"failback": "automatic", "failback_after": chance.uniform(1.0, 10.0)}
    if chance.random() < 0.2:
        changes["max_moves"] = 4
    if before:
        relation = chance.choice(["", "requires", "together_with", "apart_from", "apart_from"])
        wish = chance.choice(["", "prefer_together_with", "prefer_apart_from"])
        for key in filter(None, (relation, wish)):
            changes[key] = [chance.choice(before)]
    return msgspec.structs.replace(group, **changes)
