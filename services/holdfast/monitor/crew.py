"""The probes at work: the host's from start to end, a resource's as long as it runs here."""

import asyncio
from collections.abc import Callable, Iterable

from holdfast.monitor.probes import Probe, Report
from holdfast.monitor.supervise import supervise
from holdfast.wire import WatchedResource

Key = tuple[str, str]

STOP_TIMEOUT = 2.0


class Crew:
    """Starts and stops probes. `hire` makes the probes of one resource."""

    def __init__(
        self,
        report: Report,
        hire: Callable[[WatchedResource], list[Probe]],
        ended: Callable[[WatchedResource, WatchedResource | None], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        """`ended` is told of a resource no longer observed, and of its new instance, if any.

        `on_fault` is told of a defect of the monitor itself: it can no longer be relied on.
        """
        self._report = report
        self._hire = hire
        self._ended = ended
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: dict[Key, tuple[WatchedResource, list[asyncio.Task[None]]]] = {}

    def start(self, probes: Iterable[Probe]) -> list[asyncio.Task[None]]:
        """Run probes, each in a supervised task."""
        tasks = [
            asyncio.create_task(supervise(probe, self._report), name=probe.subject.probe)
            for probe in probes
        ]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._finished)
        return tasks

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)

    def watch(self, resources: Iterable[WatchedResource]) -> None:
        """Make the observed set this one: a new instance gets new probes, the rest go on."""
        wanted = {(resource.group, resource.resource): resource for resource in resources}
        for key, (old, tasks) in list(self._watched.items()):
            new = wanted.get(key)
            if new != old:
                for task in tasks:
                    task.cancel()
                del self._watched[key]
                self._ended(old, new)
        for key, resource in wanted.items():
            if key not in self._watched:
                self._watched[key] = (resource, self.start(self._hire(resource)))

    async def dismiss(self) -> None:
        """Stop all, within STOP_TIMEOUT."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
