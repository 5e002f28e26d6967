"""What can be wrong with the volumes of a cluster file. Pure."""

import re
from collections.abc import Iterator

from holdfast.config.model import ClusterFile, VolumeResource
from holdfast.config.problem import Problem, did_you_mean
from holdfast.config.volumes import ReplicatedVolume, VolumeMember

_NUMBERED = re.compile(r"/dev/(sd|vd|xvd|nvme|dm-|md\d|loop|mmcblk)")


def replicated(cluster: ClusterFile) -> dict[str, ReplicatedVolume]:
    """The volumes whose driver is `replicated`, by name."""
    return {
        name: volume
        for name, volume in cluster.volumes.items()
        if isinstance(volume, ReplicatedVolume)
    }


def paths(cluster: ClusterFile) -> Iterator[tuple[str, str]]:
    """Every path that a volume names, by its key."""
    for name, volume in cluster.volumes.items():
        key = f"volumes.{name}"
        if isinstance(volume, ReplicatedVolume):
            for node, member in volume.members.items():
                yield f"{key}.members.{node}.path", member.path
                if member.socket is not None:
                    yield f"{key}.members.{node}.socket", member.socket
        else:
            yield f"{key}.path", volume.path


def problems(cluster: ClusterFile) -> Iterator[Problem]:
    """Members that are no nodes, places taken twice, groups that could go where no copy is."""
    taken = _ports_of_the_bus(cluster)
    for name, volume in replicated(cluster).items():
        key = f"volumes.{name}"
        for node, member in volume.members.items():
            where = f"{key}.members.{node}"
            if node not in cluster.nodes:
                cure = did_you_mean(node, cluster.nodes)
                yield Problem(key=where, problem=f"`{node}` is not a node", cure=cure)
            elif member.network not in cluster.network_names():
                cure = did_you_mean(member.network, cluster.network_names())
                problem = f"there is no network `{member.network}`"
                yield Problem(key=f"{where}.network", problem=problem, cure=cure)
            else:
                yield from _taken(cluster, node, member, where, taken)
        if volume.mode == "sync" and volume.max_lag is not None:
            yield Problem(
                key=f"{key}.max_lag",
                problem="a sync volume has no lag",
                cure='remove it, or set `mode = "async"`',
            )
    yield from _groups(cluster)


def weaknesses(cluster: ClusterFile) -> Iterator[str]:
    """Devices by names that the kernel gives out anew at each start of the host."""
    for key, path in paths(cluster):
        if _NUMBERED.match(path):
            yield (
                f"{key}: {path} may be another disk after the next boot, and is refused then: "
                "name it by a link in /dev/disk/by-id"
            )


def _ports_of_the_bus(cluster: ClusterFile) -> dict[tuple[str, object], str]:
    return {
        (address, getattr(node.bus, field)): f"nodes.{name}.bus.{field}"
        for name, node in cluster.nodes.items()
        for field in ("client_port", "route_port")
        for address in node.all_addresses()
    }


def _taken(
    cluster: ClusterFile,
    node: str,
    member: VolumeMember,
    where: str,
    taken: dict[tuple[str, object], str],
) -> Iterator[Problem]:
    """A port, file or socket of a node has one user."""
    address = cluster.nodes[node].address_in(member.network)
    wanted: dict[str, tuple[str, object]] = {
        "port": (address, member.port),
        "path": (node, member.path),
    }
    if member.nbd_port is not None:
        wanted["nbd_port"] = (address, member.nbd_port)
    if member.socket is not None:
        wanted["socket"] = (node, member.socket)
    for field, place in wanted.items():
        other = taken.setdefault(place, f"{where}.{field}")
        if other != f"{where}.{field}":
            problem = f"{place[1]} of {node} is also `{other}`"
            cure = "give each its own"
            yield Problem(key=f"{where}.{field}", problem=problem, cure=cure)


def _groups(cluster: ClusterFile) -> Iterator[Problem]:
    volumes = replicated(cluster)
    for name, group in cluster.groups.items():
        for resource_name, resource in group.resources.items():
            if not isinstance(resource, VolumeResource) or resource.volume not in volumes:
                continue
            members = volumes[resource.volume].members
            for index, node in enumerate(group.nodes):
                if node in cluster.nodes and node not in members:
                    yield Problem(
                        key=f"groups.{name}.nodes[{index}]",
                        problem=f"`{node}` has no copy of volume `{resource.volume}`, which "
                        f"`{resource_name}` needs",
                        cure=f"add `[volumes.{resource.volume}.members.{node}]`, or remove the "
                        "node from the group",
                    )
