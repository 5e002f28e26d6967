"""What types cannot say about a cluster file: references, counts, collisions. Pure."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from holdfast.config import networks, volume_check
from holdfast.config.circle import circle
from holdfast.config.fencing import fencing_problems
from holdfast.config.model import (
    ClusterFile,
    Group,
    HttpCheck,
    ProcessCheck,
    ProcessResource,
    TcpCheck,
    VolumeResource,
)
from holdfast.config.policy_check import policy_problems
from holdfast.config.problem import Problem, did_you_mean
from holdfast.events.registry import event_types

RESERVED_PLACES = frozenset({"ca", "operator", "reader"})
"""Folders of `holdfast init` beside those of the places."""


def problems(cluster: ClusterFile) -> list[Problem]:
    """Everything wrong with a well-typed cluster file; none when it can run."""
    return [
        *_places(cluster),
        *networks.problems(cluster),
        *_voters(cluster),
        *fencing_problems(cluster),
        *_paths(cluster),
        *_volume_users(cluster),
        *volume_check.problems(cluster),
        *_notifications(cluster),
        *policy_problems(cluster),
        *(
            found
            for name, group in cluster.groups.items()
            for found in _group(cluster, name, group)
        ),
    ]


def secret_files(cluster: ClusterFile) -> Iterator[tuple[str, str]]:
    """Every secret file the cluster file names: key path and file."""
    for name, node in cluster.nodes.items():
        for index, device in enumerate(node.fence):
            if device.secret_file is not None:
                yield f"nodes.{name}.fence[{index}].secret_file", device.secret_file


def _places(cluster: ClusterFile) -> Iterator[Problem]:
    for name in cluster.witnesses:
        if name in cluster.nodes:
            yield Problem(
                key=f"witnesses.{name}",
                problem=f"`{name}` is also a node",
                cure="give the witness a name of its own",
            )
    taken: dict[tuple[str, int], str] = {}
    for section, places in (("nodes", cluster.nodes), ("witnesses", cluster.witnesses)):
        for name, place in places.items():
            key = f"{section}.{name}"
            if name in RESERVED_PLACES:
                cure = f"choose another name than {', '.join(sorted(RESERVED_PLACES))}"
                yield Problem(key=key, problem=f"`{name}` is a reserved name", cure=cure)
            for field in ("client_port", "route_port", "monitor_port"):
                port = getattr(place.bus, field)
                where = f"{key}.bus.{field}"
                other = taken.setdefault((place.address, port), where)
                if other != where:
                    problem = f"{place.address} port {port} is also `{other}`"
                    yield Problem(key=where, problem=problem, cure="give it a free port")


def _voters(cluster: ClusterFile) -> Iterator[Problem]:
    voters = cluster.cluster.voters
    key = "cluster.voters"
    places = cluster.places()
    for index, voter in enumerate(voters):
        if voter not in places:
            cure = did_you_mean(voter, places)
            yield Problem(key=f"{key}[{index}]", problem=f"`{voter}` is not a place", cure=cure)
        if voter in voters[:index]:
            cure = "name every voter once: a place has one vote"
            yield Problem(key=f"{key}[{index}]", problem=f"`{voter}` is named twice", cure=cure)
    if len(set(voters)) % 2 == 0:
        problem = f"{len(set(voters))} voters are an even number: half of them is no majority"
        cure = "add a voter, for instance a witness, or remove one"
        yield Problem(key=key, problem=problem, cure=cure)


def _paths(cluster: ClusterFile) -> Iterator[Problem]:
    """Services do not share a working folder, so a relative path would mean several."""
    named = list(volume_check.paths(cluster))
    named += secret_files(cluster)
    named += [
        (f"groups.{group_name}.resources.{name}.directory", resource.directory)
        for group_name, group in cluster.groups.items()
        for name, resource in group.resources.items()
        if isinstance(resource, ProcessResource) and resource.directory is not None
    ]
    for key, path in named:
        if not PurePosixPath(path).is_absolute():
            cure = "write the whole path, beginning with /"
            yield Problem(key=key, problem=f"`{path}` is a relative path", cure=cure)


def _volume_users(cluster: ClusterFile) -> Iterator[Problem]:
    users: dict[str, str] = {}
    for group_name, group in cluster.groups.items():
        for name, resource in group.resources.items():
            if not isinstance(resource, VolumeResource):
                continue
            key = f"groups.{group_name}.resources.{name}.volume"
            if resource.volume not in cluster.volumes:
                cure = did_you_mean(resource.volume, cluster.volumes)
                problem = f"there is no volume `{resource.volume}`"
                yield Problem(key=key, problem=problem, cure=cure)
            other = users.setdefault(resource.volume, key)
            if other != key:
                problem = f"volume `{resource.volume}` is already used by `{other}`"
                cure = "a volume belongs to one resource of one group: give it a volume of its own"
                yield Problem(key=key, problem=problem, cure=cure)


def _notifications(cluster: ClusterFile) -> Iterator[Problem]:
    known = {name.split(".")[1] for name in event_types()}
    for index, name in enumerate(cluster.notifications.events):
        if name not in known:
            yield Problem(
                key=f"notifications.events[{index}]",
                problem=f"there is no event `{name}`",
                cure=did_you_mean(name, known),
            )


def _group(cluster: ClusterFile, name: str, group: Group) -> Iterator[Problem]:
    key = f"groups.{name}"
    for index, node in enumerate(group.nodes):
        where = f"{key}.nodes[{index}]"
        if node not in cluster.nodes:
            witness = " but a witness, which runs no workload" if node in cluster.witnesses else ""
            cure = did_you_mean(node, cluster.nodes)
            yield Problem(key=where, problem=f"`{node}` is not a node{witness}", cure=cure)
        if node in group.nodes[:index]:
            yield Problem(key=where, problem=f"`{node}` is named twice", cure="name it once")
    yield from _order(key, group)
    yield from _checks(key, group)


def _order(key: str, group: Group) -> Iterator[Problem]:
    for name, resource in group.resources.items():
        for index, other in enumerate(resource.after):
            if other not in group.resources:
                where = f"{key}.resources.{name}.after[{index}]"
                cure = did_you_mean(other, group.resources)
                yield Problem(key=where, problem=f"no resource `{other}` in this group", cure=cure)
    cycle = circle({name: resource.after for name, resource in group.resources.items()})
    if cycle:
        where = f"{key}.resources.{cycle[0]}.after"
        problem = f"each waits for the next: {' → '.join([*cycle, cycle[0]])}"
        yield Problem(key=where, problem=problem, cure="remove one of these `after`")


def _checks(key: str, group: Group) -> Iterator[Problem]:
    for name, resource in group.resources.items():
        for index, check in enumerate(resource.checks):
            where = f"{key}.resources.{name}.checks[{index}]"
            match check:
                case ProcessCheck() if not isinstance(resource, ProcessResource):
                    cure = "use a tcp, http or command check"
                    problem = "a process check needs a resource of kind `process`"
                    yield Problem(key=f"{where}.kind", problem=problem, cure=cure)
                case TcpCheck() if not check.host:
                    cure = "name the address the resource listens on"
                    yield Problem(key=f"{where}.host", problem="empty", cure=cure)
                case HttpCheck() if not _has_host(check.url):
                    cure = "write it as http://host:port/path"
                    yield Problem(key=f"{where}.url", problem="not a URL with a host", cure=cure)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
