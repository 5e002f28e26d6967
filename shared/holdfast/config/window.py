"""Calendar windows such as `Mon-Fri 02:00-04:00`: the only use of wall time that decides anything.

Days are those on which a window begins; without any it is every day. One that ends at or before
its beginning goes on past midnight. It is open from its first minute until before its last.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = 24 * 60
_FORM = re.compile(r"(?:(?P<days>[A-Za-z,-]+) +)?(\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes of the day, and the weekdays (Monday is 0) on which it begins."""

    days: frozenset[int]
    start: int
    end: int

    def open_at(self, local: datetime) -> bool:
        """Whether it is open at this local wall time."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        began_yesterday = (day - 1) % 7 in self.days and minute < self.end
        return began_yesterday or (day in self.days and minute >= self.start)


def parse(text: str) -> Window | None:
    """The window that a text means; None when it means none."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, last_hour, last_minute = (int(part) for part in found.groups()[1:])
    start, end = hour * 60 + minute, last_hour * 60 + last_minute
    days = _days(found["days"]) if found["days"] else frozenset(range(7))
    if days is None or max(minute, last_minute) > 59 or start >= DAY or end > DAY:
        return None
    return Window(days=days, start=start, end=end)


def time_zone(name: str) -> tzinfo:
    """The zone of that name. Raises KeyError, or ValueError for what cannot be a name."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _days(text: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            return None
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 if dash else 0
        found |= {(begin + offset) % 7 for offset in range(count + 1)}
    return frozenset(found)
