"""What may be asked of `holdfast whatif`, as text. Pure."""

from typing import Literal

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.errors import HoldfastError

GRAMMAR = (
    "node NODE lost",
    "node NODE silent",
    "network partition NODE",
    "witness PLACE lost",
    "group GROUP fails",
    "switchover GROUP [to NODE]",
    "stop GROUP",
    "start GROUP [on NODE]",
)
"""`silent`, or a partition: it goes on, but nobody hears it, and its fence device says `on`."""


class BadQuestion(HoldfastError):
    """Not in the grammar, or about something that the cluster file does not have."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One change, made to the cluster all at once."""

    change: Literal["lost", "silent", "fails", "switchover", "stop", "start"]
    subject: str
    """A place, or a group."""
    target: str | None = None


def parse(text: str, cluster: ClusterFile) -> Question:
    """The question that a text asks. Raises BadQuestion."""
    match text.split():
        case ["node", name, "lost" | "silent" as change]:
            return Question(change=change, subject=_node(text, name, cluster))
        case ["network", "partition", name]:
            return Question(change="silent", subject=_node(text, name, cluster))
        case ["witness" | "place", name, "lost"]:
            return Question(change="lost", subject=_known(text, name, "place", cluster.places()))
        case ["group", name, "fails"]:
            return Question(change="fails", subject=_group(text, name, cluster))
        case ["switchover" | "stop" | "start" as change, name]:
            return Question(change=change, subject=_group(text, name, cluster))
        case ["switchover", name, "to", node]:
            target = _node(text, node, cluster)
            return Question(change="switchover", subject=_group(text, name, cluster), target=target)
        case ["start", name, "on", node]:
            target = _node(text, node, cluster)
            return Question(change="start", subject=_group(text, name, cluster), target=target)
    raise BadQuestion(
        "this is no question that can be answered",
        place=repr(text),
        cure="ask one of: " + "; ".join(GRAMMAR),
    )


def _node(text: str, name: str, cluster: ClusterFile) -> str:
    return _known(text, name, "node", cluster.nodes)


def _group(text: str, name: str, cluster: ClusterFile) -> str:
    return _known(text, name, "group", cluster.groups)


def _known(text: str, name: str, kind: str, known: object) -> str:
    assert isinstance(known, dict)
    if name not in known:
        raise BadQuestion(
            f"there is no {kind} {name} in the cluster file",
            place=repr(text),
            cure=f"one of: {', '.join(known)}",
        )
    return name
