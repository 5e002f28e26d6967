"""What is wrong with the fence devices and watchdogs of a cluster file. Pure."""

from collections.abc import Iterator

from holdfast.config.model import ClusterFile, Node
from holdfast.config.problem import Problem
from holdfast.timing import PROFILES


def fencing_problems(cluster: ClusterFile) -> Iterator[Problem]:
    """Nodes that nothing could prove dead, levels that are not clear, watchdogs that are too slow.

    A watchdog counts as fencing: it, too, ends the node when its lease has ended.
    """
    for name, node in cluster.nodes.items():
        key = f"nodes.{name}"
        if cluster.cluster.fencing == "required" and not node.fence and node.watchdog is None:
            yield Problem(
                key=f"{key}.fence",
                problem='no fence device and no watchdog, and `cluster.fencing` is "required"',
                cure=f"add a `[[{key}.fence]]` table with its `agent`, or `[{key}.watchdog]`; or "
                'set `fencing = "lease-only"` under `[cluster]`, which risks two owners at once '
                "when a stalled host wakes after its lease, as nothing but its own clock stops it",
            )
        yield from _levels(key, node)
        yield from _watchdog(cluster, key, node)


def longest_watchdog(cluster: ClusterFile) -> int:
    """The longest time-out of a watchdog, in whole seconds, that ends a node with its lease.

    It is petted within a renewal interval after a majority granted, and only if its time then
    ends before the lease does.
    """
    timing = PROFILES[cluster.cluster.profile]
    return int(timing.ttl - timing.margin - timing.renew_every)


def _levels(key: str, node: Node) -> Iterator[Problem]:
    without = [index for index, device in enumerate(node.fence) if device.level is None]
    if without and len(without) < len(node.fence):
        yield Problem(
            key=f"{key}.fence[{without[0]}].level",
            problem="missing, while other devices of this node have a level",
            cure="give each of them a level: all devices of a level must be off together",
        )


def _watchdog(cluster: ClusterFile, key: str, node: Node) -> Iterator[Problem]:
    if node.watchdog is None:
        return
    longest = longest_watchdog(cluster)
    if node.watchdog.timeout is not None and node.watchdog.timeout > longest:
        yield Problem(
            key=f"{key}.watchdog.timeout",
            problem=f"the node would outlive its lease: {node.watchdog.timeout} s is longer than "
            f"the {longest} s that the profile `{cluster.cluster.profile}` leaves",
            cure=f"leave it out, or give at most {longest}",
        )
