"""Sentences about what is seen of nodes."""

from holdfast.events import health
from holdfast.events.sentences.words import say, seconds


@say.register
def _(data: health.NodeSeen) -> str:
    return f"{data.node} is heard " + (
        "in a new boot" if data.previous_boot else "for the first time"
    )


@say.register
def _(data: health.NodeSuspected) -> str:
    return f"{data.node} is suspected: silent for {seconds(data.silent_for)}"


@say.register
def _(data: health.NodeCleared) -> str:
    return f"{data.node} is heard again after {seconds(data.silent_for)}; nothing was done to it"
