"""Circles among things that wait for each other. Pure."""

from collections.abc import Mapping, Sequence


def circle(waits: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle, in order; empty when all can be taken one after another. Unknown names count not.

    `waits` says for each thing what must come before it.
    """
    waiting = {
        name: [other for other in others if other in waits] for name, others in waits.items()
    }
    while ready := [name for name, others in waiting.items() if not set(others) & set(waiting)]:
        for name in ready:
            del waiting[name]
    if not waiting:
        return []
    # What is left waits for something that is left, so this walk must come round.
    path = [next(iter(waiting))]
    while True:
        following = next(other for other in waiting[path[-1]] if other in waiting)
        if following in path:
            return path[path.index(following) :]
        path.append(following)
