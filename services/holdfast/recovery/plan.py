"""What the configuration says of one group on this node, in the form the core needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from holdfast.config.model import (
    ClusterFile,
    CommandResource,
    ProcessCheck,
    ProcessResource,
    Resource,
    VolumeResource,
)

OVERTIME = 6.0
"""What a stop may take beyond its timeout: killing, and being sure."""


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One group: its resources in starting order, each after those it names in `after`."""

    group: str
    node: str
    boot: str
    resources: dict[str, Resource]
    retired: frozenset[str] = frozenset()
    """Those of `resources` that the file has run here no more, and that may run here still: they
    are stopped with the group, held by the lease, and never started."""
    former: dict[str, Resource] = field(default_factory=dict)
    """As what those of `resources` may run still that the file has otherwise by now, where that
    is another way to stop them."""

    @property
    def startable(self) -> tuple[str, ...]:
        """What a start of the group starts, in starting order."""
        return tuple(name for name in self.resources if name not in self.retired)

    @property
    def names(self) -> tuple[str, ...]:
        """Resources in starting order; stopping is the reverse."""
        return tuple(self.resources)

    def takes(self, action: Literal["start", "stop"]) -> float:
        """Seconds that an order may take if all of it is slow; a start stops what is left first."""
        stops = sum(config.stop_timeout + OVERTIME for config in self.resources.values())
        if action == "stop":
            return stops
        started = [self.resources[name] for name in self.startable]
        looks = sum(
            check.deadline * check.failures
            for config in started
            for check in config.checks
            if not isinstance(check, ProcessCheck)
        )
        return stops + sum(config.start_timeout for config in started) + looks

    def with_dependents(self, resource: str) -> tuple[str, ...]:
        """The resource and all that, directly or not, were started after it; starting order."""
        touched = {resource}
        for name, config in self.resources.items():
            if touched.intersection(config.after):
                touched.add(name)
        return tuple(name for name in self.resources if name in touched)


def plans(cluster: ClusterFile, node: str, boot: str) -> dict[str, GroupPlan]:
    """The plan of every group that may run on `node`."""
    return {
        name: GroupPlan(group=name, node=node, boot=boot, resources=_ordered(group.resources))
        for name, group in cluster.groups.items()
        if node in group.nodes
    }


def with_retired(plan: GroupPlan, left: Mapping[str, Resource]) -> GroupPlan:
    """The plan, and what may be left of an earlier one. `left` is in starting order."""
    retired = {name: config for name, config in left.items() if name not in plan.resources}
    together = {**retired, **plan.resources}
    try:
        resources = _ordered(together)
    except CycleError:
        resources = {**plan.resources, **retired}
    return GroupPlan(
        group=plan.group,
        node=plan.node,
        boot=plan.boot,
        resources=resources,
        retired=frozenset(retired),
        former={
            name: config
            for name, config in left.items()
            if name in plan.resources and _ends(config) != _ends(plan.resources[name])
        },
    )


def _ends(config: Resource) -> object:
    """What decides how a resource is stopped, and seen to be. A process has its marks for that."""
    match config:
        case CommandResource():
            return config.stop, config.probe
        case VolumeResource():
            return config.volume
        case ProcessResource():
            return None


def _ordered(resources: dict[str, Resource]) -> dict[str, Resource]:
    """Dependencies first, otherwise as written in the file: predictable, one at a time."""
    sorter = TopologicalSorter(
        {name: [n for n in config.after if n in resources] for name, config in resources.items()}
    )
    return {name: resources[name] for name in sorter.static_order()}
