"""Names of leases, who votes on them, and the size of a majority."""

from collections.abc import Iterable

LEADER_LEASE = "decider"
"""The lease of the decider that leads."""


def node_lease(node: str) -> str:
    """The lease without which a node's hands may run nothing."""
    return f"node/{node}"


def majority(voters: int) -> int:
    """The smallest number of voters such that any two sets of that size share one."""
    return voters // 2 + 1


def electorate(voters: Iterable[str]) -> str:
    """The voters as requests name them: majorities of two electorates may share no voter."""
    return ",".join(sorted(voters))
