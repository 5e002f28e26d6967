"""Writes that were taken and are not applied yet: they wait to be let in, or for their extents.

Whoever sent one may be gone, and its successor must not read what that write changes afterwards.
So reads of the range wait for it, as for one that is applied and not acknowledged (V4). Nor must
what the successor writes be overwritten by it: a later write of the range is applied after it.
"""

from collections.abc import Callable
from typing import NamedTuple

_SHIFT = 20
LEAST = 4096
"""Bytes that one counts for, also without data: that bounds their number."""


class Entry(NamedTuple):
    """One of them: its range, and the bytes that it counts for."""

    offset: int
    end: int
    kept: int

    def parts(self) -> range:
        """Of the volume, each of a MiB."""
        return range(self.offset >> _SHIFT, ((self.end - 1) >> _SHIFT) + 1)


class Coming:
    """At most `limit` bytes in all."""

    def __init__(self, limit: int) -> None:
        self._limit, self._kept, self._last = limit, 0, 0
        self._entries: dict[int, Entry] = {}
        self._behind: dict[int, list[Callable[[], None]]] = {}
        self._parts: dict[int, dict[int, Entry]] = {}

    def enter(self, offset: int, length: int, kept: int) -> int:
        """One more, with `kept` bytes of data; its number, for `leave`. 0: there is no room."""
        kept = max(kept, LEAST)
        if self._kept + kept > self._limit:
            return 0
        self._last = number = self._last + 1
        self._kept += kept
        self._entries[number] = entry = Entry(offset, offset + length, kept)
        for part in entry.parts():
            self._parts.setdefault(part, {})[number] = entry
        return number

    def behind(self, number: int, then: Callable[[], None]) -> bool:
        """Whether an earlier one overlaps it; once that has left, `then` is to be called."""
        entry = self._entries[number]
        # The earliest of all: many may wait for it, and then none of them for another.
        first = min((self._first(part, entry) for part in entry.parts()), default=number)
        if first == number:
            return False
        self._behind.setdefault(first, []).append(then)
        return True

    def _first(self, part: int, entry: Entry) -> int:
        """The oldest in a part that overlaps an entry there, which does so itself."""
        return next(
            number
            for number, one in self._parts[part].items()
            if one.offset < entry.end and entry.offset < one.end
        )

    def leave(self, number: int) -> list[Callable[[], None]]:
        """It is applied, or never will be. Who waited for that, in order."""
        entry = self._entries.pop(number)
        self._kept -= entry.kept
        for part in entry.parts():
            there = self._parts[part]
            del there[number]
            if not there:
                del self._parts[part]
        return self._behind.pop(number, [])

    def over(self, offset: int, length: int) -> bool:
        """Whether one of them overlaps a range."""
        if not self._parts:
            return False
        end = offset + length
        return any(
            entry.offset < end and offset < entry.end
            for part in range(offset >> _SHIFT, ((end - 1) >> _SHIFT) + 1)
            for entry in self._parts.get(part, {}).values()
        )
