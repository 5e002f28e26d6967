"""How fast a resync may go without getting in the way. Pure."""

from dataclasses import dataclass, replace
from typing import NamedTuple

FLOOR = 1 << 20
CEILING = 4 << 30
_START = 32 << 20
_SLOWER, _FASTER = 0.6, 1.25
TOLERATED, _COMFORTABLE = 2.0, 1.5
_LEARN = 0.2
_AHEAD = 2.0
"""A speed of so many times what was done limits nothing: higher, it would only come down later."""


class Seen(NamedTuple):
    """How long requests took since it was looked at last, in seconds; each kind has a pace of its
    own, and in one sample the slower one would hide the other."""

    plain: list[float]
    """Writes that may stay in memory."""
    durable: list[float]
    """Flushes, and writes with FUA."""


@dataclass(frozen=True, slots=True)
class Usual:
    """The p99 of one kind with no resync, in seconds; None: not seen yet."""

    seconds: float | None = None
    of_all: bool = False
    """It was seen with all members, and not only while some were away."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`speed` in bytes per second; what is usual of each kind."""

    speed: float = _START
    plain: Usual = Usual()
    durable: Usual = Usual()


def p99(latencies: list[float]) -> float | None:
    """Of a sample; None: nothing was written."""
    if not latencies:
        return None
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def learn(rate: Rate, seen: Seen, of_all: bool) -> Rate:
    """After each second without a resync.

    Without a member that is away writes are faster than clients know them (`of_all` is False):
    that counts only until more is known.
    """
    return replace(
        rate,
        plain=_learned(rate.plain, p99(seen.plain), of_all),
        durable=_learned(rate.durable, p99(seen.durable), of_all),
    )


def _learned(usual: Usual, now: float | None, of_all: bool) -> Usual:
    if now is None or (usual.of_all and not of_all):
        return usual
    if usual.seconds is None or (of_all and not usual.of_all):
        return Usual(now, of_all)
    return replace(usual, seconds=usual.seconds + _LEARN * (now - usual.seconds))


def adjust(rate: Rate, seen: Seen, done: float) -> Rate:
    """After each second of a resync, in which `done` bytes a second were compared.

    Keeps the p99 of each kind within twice its usual; never below FLOOR, so that a resync comes to
    its end.
    """
    plain, durable = p99(seen.plain), p99(seen.durable)
    # Not seen before the resync: what it costs cannot be told from the disk's own pace.
    rate = replace(rate, plain=_known(rate.plain, plain), durable=_known(rate.durable, durable))
    slower = max(_times(plain, rate.plain), _times(durable, rate.durable))
    if slower > TOLERATED:
        return replace(rate, speed=max(FLOOR, rate.speed * _SLOWER))
    if slower < _COMFORTABLE and rate.speed <= _AHEAD * done:
        return replace(rate, speed=min(CEILING, rate.speed * _FASTER))
    return rate


def _known(usual: Usual, now: float | None) -> Usual:
    return Usual(now) if usual.seconds is None else usual


def _times(now: float | None, usual: Usual) -> float:
    """How many times its usual; 0.0: there was none."""
    return 0.0 if now is None or not usual.seconds else now / usual.seconds
