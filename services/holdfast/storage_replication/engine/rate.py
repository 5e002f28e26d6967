"""How fast a resync may go without getting in the way. Pure."""

from dataclasses import dataclass, replace

FLOOR = 1 << 20
CEILING = 4 << 30
_START = 32 << 20
_SLOWER, _FASTER = 0.6, 1.25
_TOLERATED, _COMFORTABLE = 2.0, 1.5
_LEARN = 0.2


@dataclass(frozen=True, slots=True)
class Rate:
    """`speed` in bytes per second; `usual` is the p99 of writes, in seconds, with no resync."""

    speed: float = _START
    usual: float | None = None
    of_all: bool = False
    """`usual` was seen with all members, and not only while some were away."""


def p99(latencies: list[float]) -> float | None:
    """Of a sample; None: nothing was written."""
    if not latencies:
        return None
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def learn(rate: Rate, latencies: list[float], of_all: bool) -> Rate:
    """After each second without a resync: the latencies of its writes, in seconds.

    Without a member that is away writes are faster than clients know them (`of_all` is False):
    that counts only until more is known.
    """
    now = p99(latencies)
    if now is None or (rate.of_all and not of_all):
        return rate
    if rate.usual is None or (of_all and not rate.of_all):
        return replace(rate, usual=now, of_all=of_all)
    return replace(rate, usual=rate.usual + _LEARN * (now - rate.usual))


def adjust(rate: Rate, latencies: list[float]) -> Rate:
    """After each second of a resync: the latencies of its writes, in seconds.

    Keeps p99 within twice its usual; never below FLOOR, so that a resync comes to its end.
    """
    now = p99(latencies)
    if now is None:
        return replace(rate, speed=min(CEILING, rate.speed * _FASTER))
    # Nothing was seen before the resync: what it costs cannot be told from the disk's own pace.
    usual = rate.usual if rate.usual is not None else now
    if now > _TOLERATED * usual:
        speed = max(FLOOR, rate.speed * _SLOWER)
    elif now < _COMFORTABLE * usual:
        speed = min(CEILING, rate.speed * _FASTER)
    else:
        speed = rate.speed
    return replace(rate, speed=speed, usual=usual)
