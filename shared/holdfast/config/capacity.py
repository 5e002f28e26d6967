"""N+1 on paper: whether the groups of a cluster file fit, with all nodes and without any one. Pure.

Groups are placed as a decider does when nothing is known but the file: one after another, each on
the first of its nodes that has room and no group from which it is kept apart.
"""

from collections.abc import Mapping

from holdfast.config.model import ClusterFile
from holdfast.config.problem import Problem


def weaknesses(cluster: ClusterFile) -> list[str]:
    """What the file promises too much, one sentence each; none when every loss could be borne."""
    homes = place(cluster, {})
    found = [f"{group} has no place: {why}" for group, why in _homeless(cluster, homes)]
    for lost in cluster.nodes:
        kept = {group: node for group, node in homes.items() if node not in (None, lost)}
        after = place(cluster, kept, lost)
        gone = [(group, why) for group, why in _homeless(cluster, after) if homes[group]]
        found += [
            f"the loss of {lost} could not be borne: {group} would have no place: {why}"
            for group, why in gone
        ]
    return found


def refused(cluster: ClusterFile) -> list[Problem]:
    """The same as problems, for `holdfast config check`, where the file says `enforce`.

    Never when a file is loaded: a cluster that lost a host, and is weak now, must go on.
    """
    if cluster.cluster.admission != "enforce":
        return []
    cure = "raise a `capacity`, lower a `load`, add nodes to the group, or leave it out"
    return [Problem(key="groups", problem=one, cure=cure) for one in weaknesses(cluster)]


def place(
    cluster: ClusterFile, kept: Mapping[str, str | None], lost: str = ""
) -> dict[str, str | None]:
    """A node for each group, or None. `kept` stay where they are; `lost` is no choice."""
    homes = dict(kept)
    for name, group in cluster.groups.items():
        if name not in homes:
            able = (n for n in group.nodes if n != lost and _fits(cluster, name, n, homes))
            homes[name] = next(able, None)
    return homes


def _homeless(cluster: ClusterFile, homes: dict[str, str | None]) -> list[tuple[str, str]]:
    found = []
    for name, group in cluster.groups.items():
        if homes[name] is None:
            others = " and ".join(group.nodes)
            found.append((name, f"{others} are lost, full, or kept apart from it"))
    return found


def _fits(cluster: ClusterFile, name: str, node: str, homes: dict[str, str | None]) -> bool:
    groups = cluster.groups
    there = [other for other, home in homes.items() if home == node]
    if any(other in groups[name].apart_from or name in groups[other].apart_from for other in there):
        return False
    if any(homes.get(other) not in (None, node) for other in groups[name].together_with):
        return False
    capacity = cluster.nodes[node].capacity
    used = sum(groups[other].load for other in there)
    return capacity is None or used + groups[name].load <= capacity
