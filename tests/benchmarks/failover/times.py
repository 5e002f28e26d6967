"""Times of logs and events, which are wall times, on the clock of the probe."""

import time
from datetime import UTC, datetime

from holdfast.clock import monotonic


def wall_minus_monotonic() -> float:
    """What to subtract from a wall time in seconds since 1970; ask just before it is used."""
    return time.time() - monotonic()


def from_rfc3339(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def from_log(text: str, now: datetime) -> float:
    """`Oct 09 15:44:52.123`, local time without a year, to seconds since 1970. Raises ValueError.

    The year is the one that puts it nearest before `now`.
    """
    stamp = datetime.strptime(f"{now.year} {text}", "%Y %b %d %H:%M:%S.%f").astimezone()
    if stamp.timestamp() > now.timestamp() + 86400:
        stamp = stamp.replace(year=now.year - 1)
    return stamp.timestamp()


def now() -> datetime:
    """The wall time, for `from_log`."""
    return datetime.now(UTC).astimezone()
