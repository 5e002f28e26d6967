"""When Holdfast was over with which phase, from its events. Pure."""

from collections.abc import Iterator, Sequence

from tests.benchmarks.failover.results import HOST, Mark
from tests.benchmarks.failover.times import from_rfc3339
from tests.support.follower import Seen, Wanted, event


def marks(fault: str, host: str, seen: Sequence[Seen], offset: float) -> list[Mark] | None:
    """None: not every event that is needed has been published yet.

    `seen`: the events since the fault. `offset`: wall minus monotonic time.
    """
    found = []
    for phase, fits in _host(host) if fault == HOST else _application(host):
        times = [one.envelope.time for one in seen if fits(one)]
        if not times:
            return None
        found.append(Mark(phase=phase, at=from_rfc3339(min(times)) - offset))
    return found


def _host(host: str) -> Iterator[tuple[str, Wanted]]:
    """Without a device that says off, the end of the promised time is the proof."""
    revoked = event("lease_revoked", node=host)
    off = event("fence_finished", node=host, outcome="off")
    yield "detect", event("node_suspected", node=host)
    yield "fence", lambda seen: off(seen) or revoked(seen)
    yield "decide", event("order_sent", action="start")


def _application(host: str) -> Iterator[tuple[str, Wanted]]:
    yield "detect", event("health_signal", node=host, state="failed", layer="application")
    yield "decide", event("recovery_started", node=host)
