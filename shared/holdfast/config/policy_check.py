"""What types cannot say about policies: references, circles, contradictions, windows. Pure."""

from collections.abc import Iterator

from holdfast.config.circle import circle
from holdfast.config.model import ClusterFile, Group
from holdfast.config.problem import Problem, did_you_mean
from holdfast.config.window import parse, time_zone

RELATIONS = (
    "requires",
    "together_with",
    "prefer_together_with",
    "apart_from",
    "prefer_apart_from",
)


def policy_problems(cluster: ClusterFile) -> Iterator[Problem]:
    """Everything wrong with the policies of a well-typed cluster file."""
    yield from _zone(cluster)
    for name, group in cluster.groups.items():
        yield from _relations(cluster, name, group)
        yield from _contradictions(cluster, name, group)
        yield from _window(name, group)
        yield from _too_big(cluster, name, group)
    for relation in ("requires", "together_with"):
        yield from _circles(cluster, relation)


def _zone(cluster: ClusterFile) -> Iterator[Problem]:
    name = cluster.cluster.time_zone
    try:
        time_zone(name)
    except (KeyError, ValueError, OSError):
        yield Problem(
            key="cluster.time_zone",
            problem=f"no time zone `{name}` is known here",
            cure="write one like `Europe/Berlin` or `UTC`; is the package tzdata installed?",
        )


def _relations(cluster: ClusterFile, name: str, group: Group) -> Iterator[Problem]:
    for relation in RELATIONS:
        for index, other in enumerate(getattr(group, relation)):
            key = f"groups.{name}.{relation}[{index}]"
            if other == name:
                yield Problem(key=key, problem="that is the group itself", cure="remove it")
            elif other not in cluster.groups:
                cure = did_you_mean(other, set(cluster.groups) - {name})
                yield Problem(key=key, problem=f"there is no group `{other}`", cure=cure)


def _contradictions(cluster: ClusterFile, name: str, group: Group) -> Iterator[Problem]:
    for index, other in enumerate(group.together_with):
        their = cluster.groups.get(other)
        if other in group.apart_from or (their is not None and name in their.apart_from):
            yield Problem(
                key=f"groups.{name}.together_with[{index}]",
                problem=f"`{other}` is also kept apart by `apart_from`",
                cure="remove one of the two",
            )
        elif their is not None and not set(group.nodes) & set(their.nodes):
            yield Problem(
                key=f"groups.{name}.together_with[{index}]",
                problem=f"`{other}` and it have no node in common",
                cure=f"add a node of `{other}` to `groups.{name}.nodes`",
            )


def _circles(cluster: ClusterFile, relation: str) -> Iterator[Problem]:
    waits = {name: getattr(group, relation) for name, group in cluster.groups.items()}
    waits = {name: [one for one in others if one != name] for name, others in waits.items()}
    found = circle(waits)
    if found:
        yield Problem(
            key=f"groups.{found[0]}.{relation}",
            problem=f"each waits for the next: {' → '.join([*found, found[0]])}",
            cure=f"remove one of these `{relation}`",
        )


def _window(name: str, group: Group) -> Iterator[Problem]:
    key = f"groups.{name}.failback_window"
    text = group.failback_window
    if text is None:
        return
    if parse(text) is None:
        cure = "write `02:00-04:00`, `Sat,Sun 02:00-04:00` or `Mon-Fri 22:00-04:00`"
        yield Problem(key=key, problem=f"`{text}` is no window", cure=cure)
    if group.failback != "automatic":
        cure = f'set `groups.{name}.failback = "automatic"`, or remove the window'
        yield Problem(key=key, problem="nothing moves back by itself", cure=cure)


def _too_big(cluster: ClusterFile, name: str, group: Group) -> Iterator[Problem]:
    rooms = [cluster.nodes[node].capacity for node in group.nodes if node in cluster.nodes]
    if rooms and all(room is not None and room < group.load for room in rooms):
        yield Problem(
            key=f"groups.{name}.load",
            problem=f"{group.load:g} is more than the `capacity` of any of its nodes",
            cure="lower it, raise a node's `capacity`, or name a larger node",
        )
