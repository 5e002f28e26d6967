"""Silence of other nodes: no pulse for longer than the suspicion time.

Any pulse of a node counts, its hands' as well as its monitor's. Silence is counted only while
this monitor could have heard: not while it is off the bus, nor while it was itself frozen.
"""

import asyncio
from collections.abc import Callable, Iterable

from holdfast import clock
from holdfast.events.fields import Health, Layer, node_entity
from holdfast.monitor.observation import Observation, Subject
from holdfast.monitor.probes.base import Report
from holdfast.timing import Timing


class PeersProbe:
    """Told of every pulse by `heard`; looks at the time itself."""

    def __init__(
        self, node: str, peers: Iterable[str], timing: Timing, connected: Callable[[], bool]
    ) -> None:
        self.subject = _subject(node, "peers")
        self._silence = Silence(peers, timing)
        self._every = timing.pulse_every
        self._connected = connected

    def heard(self, node: str) -> bool:
        """A pulse of `node` came. False if it is no node of this cluster's, or this one."""
        return self._silence.heard(node, clock.monotonic())

    async def run(self, report: Report) -> None:
        """Look every pulse interval."""
        report(self.subject.seen(Health.OK, "listening for pulses"))
        while True:
            for observation in self._silence.look(clock.monotonic(), self._connected()):
                report(observation)
            await asyncio.sleep(self._every)


class Silence:
    """Who has been silent for how long. Pure: times are arguments."""

    def __init__(self, peers: Iterable[str], timing: Timing) -> None:
        self._peers = frozenset(peers)
        self._timing = timing
        self._heard: dict[str, float] = {}
        self._deaf_until = 0.0
        self._looked: float | None = None

    def heard(self, node: str, now: float) -> bool:
        """Note a pulse. False if the node is not a peer."""
        if node not in self._peers:
            return False
        self._heard[node] = now
        return True

    def look(self, now: float, connected: bool) -> list[Observation]:
        """What can be said of the peers that were heard at least once."""
        stalled = self._looked is not None and now - self._looked > self._timing.suspect_after / 2
        self._looked = now
        if not connected or stalled:
            self._deaf_until = now
        if not connected:
            return []
        peers = [self._peer(node, heard, now) for node, heard in sorted(self._heard.items())]
        return [peer for peer in peers if peer is not None]

    def _peer(self, node: str, heard: float, now: float) -> Observation | None:
        """None if it was not heard since we can hear again, and that is not long ago."""
        silent = now - max(heard, self._deaf_until)
        measurements = {"silent_seconds": now - heard}
        subject = _subject(node, "pulse")
        if silent > self._timing.suspect_after:
            reason = f"no pulse for {now - heard:.1f} s"
            return subject.seen(Health.FAILED, reason, measurements)
        if heard < self._deaf_until:
            return None
        return subject.seen(Health.OK, "pulses arrive", measurements)


def _subject(node: str, probe: str) -> Subject:
    return Subject(entity=node_entity(node), node=node, layer=Layer.NETWORK, probe=probe)
