"""What can be wrong with a cluster file, as values; all of it is told at once."""

import difflib
from collections.abc import Iterable

import msgspec

from holdfast.errors import HoldfastError


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong. `key` is the path in the file, e.g. `groups.ledger.resources.web.kind`."""

    key: str
    problem: str
    cure: str


class ConfigError(HoldfastError):
    """The cluster file cannot be used; `problems` holds every reason, the first is the text's."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        first, *others = problems
        place = f"{file}: {first.key}" if first.key else file
        super().__init__(first.problem, place=place, cure=first.cure)
        self.file = file
        self.problems = problems
        self.args = ("\n".join([str(self), *(_line(file, other) for other in others)]),)


def _line(file: str, problem: Problem) -> str:
    return f"{file}: {problem.key}: {problem.problem}\n  cure: {problem.cure}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A cure for a name nobody knows: the closest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"use one of: {', '.join(names)}" if names else "remove it"
