"""Networks between the places: a path to another place that is lost while another one is up.

When none is up, it is the place that is silent and not a network, which `peers` says already.
"""

import asyncio
from collections.abc import Callable, Mapping

from holdfast import clock
from holdfast.events.fields import Health, Layer, node_entity, path_probe
from holdfast.monitor.observation import Observation, Subject
from holdfast.monitor.probes.base import Report
from holdfast.timing import Timing

BACK_AFTER = 10.0
"""Seconds a path must be up before it counts as back: one that flaps is one signal, not many."""

Up = Mapping[tuple[str, str], bool]
"""Whether each path is up, by place and network."""


class PathsProbe:
    """Looks at the paths of this monitor, which are those of every service here."""

    def __init__(self, node: str, up: Callable[[], Up], timing: Timing) -> None:
        self.subject = _subject(node, "paths")
        self._up = up
        self._every = timing.pulse_every
        self._lost = Lost(timing.suspect_after)

    async def run(self, report: Report) -> None:
        """Look every pulse interval."""
        report(self.subject.seen(Health.OK, "watching the paths to other places"))
        while True:
            for observation in self._lost.look(self._up(), clock.monotonic()):
                report(observation)
            await asyncio.sleep(self._every)


class Lost:
    """Which paths are lost. Pure: times are arguments."""

    def __init__(self, lost_after: float) -> None:
        """`lost_after`: seconds without the path, and with another one, before it counts."""
        self._lost_after = lost_after
        self._unreached: dict[str, float] = {}
        """When each place was last out of reach over every path."""

    def look(self, up: Up, now: float) -> list[Observation]:
        """One observation for each path of which something can be said."""
        reached = {place for (place, _), is_up in up.items() if is_up}
        for place in {place for place, _ in up} - reached:
            self._unreached[place] = now
        return [
            self._path(place, network, is_up)
            for (place, network), is_up in sorted(up.items())
            if is_up or now - self._unreached.get(place, now - self._lost_after) >= self._lost_after
        ]

    def _path(self, place: str, network: str, is_up: bool) -> Observation:
        subject = _subject(place, path_probe(network))
        if is_up:
            return subject.seen(Health.OK, f"path {network} to {place} is up", hold=BACK_AFTER)
        reason = f"path {network} to {place} is lost, another one is up"
        return subject.seen(Health.DEGRADED, reason, hold=self._lost_after)


def _subject(node: str, probe: str) -> Subject:
    return Subject(entity=node_entity(node), node=node, layer=Layer.NETWORK, probe=probe)
