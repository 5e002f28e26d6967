"""Several networks between the places: what keeps a node alive goes over all of them at once.

A path is a direct connection to the nats-server of one other place, over one network. Pulses and
votes take every path that is up, besides the bus, so no loss of a single network delays them, not
even until the bus has found its way round it. The first to arrive counts. With one network there
are no paths, and all goes over the bus alone.
"""

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine, Sequence
from types import UnionType
from typing import Any

import msgspec
import nats.errors

from holdfast import subjects
from holdfast.bus import Bus, BusError
from holdfast.config import ClusterFile
from holdfast.wire import HandsPulse, MonitorPulse, Pulse

CLOSE_WITHIN = 0.2
DIAL_AGAIN = 1.0
"""Seconds before a connection that was closed for good, not merely lost, is opened anew."""
_SPEAKERS = ("monitor", "hands")
_log = logging.getLogger("holdfast.paths")

Dial = Callable[[str, str], Bus]
"""Place and network to a connection from our address in that network, not yet connected."""


class Path:
    """One direct connection, kept up."""

    def __init__(self, place: str, network: str, dial: Dial) -> None:
        self.place, self.network = place, network
        self._dial = dial
        self._bus: Bus | None = None

    @property
    def bus(self) -> Bus | None:
        """The connection if it is up. It is lost after two unanswered pings, a second apart."""
        return self._bus if self._bus is not None and self._bus.connected else None

    async def keep(self, reject: Callable[[str, str, str], None]) -> None:
        """Be connected, again and again, until cancelled. A path that fails ends no service."""
        while True:
            bus, failed = self._dial(self.place, self.network), asyncio.Event()

            def fail(error: BaseException, failed: asyncio.Event = failed) -> None:
                _log.warning("path %s to %s: %r", self.network, self.place, error)
                failed.set()

            bus.on_fault, bus.reject = fail, reject
            self._bus = bus
            try:
                await bus.connect()
                await failed.wait()
            except (OSError, nats.errors.Error) as error:
                fail(error)
            finally:
                self._bus = None
                await bus.close(CLOSE_WITHIN)
            await asyncio.sleep(DIAL_AGAIN)


class Paths:
    """The bus and every path of one service. Nothing is connected before `start`."""

    def __init__(self, bus: Bus, cluster: ClusterFile, place: str, dial: Dial) -> None:
        self._bus, self._place, self._nodes = bus, place, cluster.nodes
        networks = cluster.network_names()
        self._paths = [
            Path(other, network, dial)
            for other in cluster.places()
            for network in networks
            if other != place and len(networks) > 1
        ]
        self._asking: set[asyncio.Task[Any]] = set()

    def start(self, spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """Keep every path up, in tasks of the caller's. None if there is only one network."""
        for path in self._paths:
            spawn(path.keep(self._reject), f"path {path.network} to {path.place}")

    def up(self) -> dict[tuple[str, str], bool]:
        """Whether each path is up, by place and network; empty if there is only one network."""
        return {(path.place, path.network): path.bus is not None for path in self._paths}

    async def beat(self, pulse: MonitorPulse | HandsPulse, *, within: float) -> None:
        """Send our node's pulse over all that is up, for at most `within` seconds.

        Whom it does not reach is told all of it by the next one.
        """
        sends = [self._send(self._bus, subjects.pulse(self._place), pulse, within)]
        for path in self._paths:
            if path.bus is not None:
                subject = subjects.path_pulse(self._place, path.place, path.network)
                sends.append(self._send(path.bus, subject, pulse, within))
        await asyncio.gather(*sends)

    async def hear(self, handler: Callable[[MonitorPulse | HandsPulse], None]) -> None:
        """Call `handler` for every pulse, once, and never for one older than the last."""
        if not self._paths:
            await self._bus.subscribe(subjects.PULSES, Pulse, handler)
            return
        newest = Newest(self._nodes)

        def receive(pulse: MonitorPulse | HandsPulse) -> None:
            if newest.take(pulse):
                handler(pulse)

        await self._bus.subscribe(subjects.PULSES, Pulse, receive)
        await self._bus.subscribe(subjects.path_pulse("*", self._place, "*"), Pulse, receive)

    async def ask(
        self,
        voter: str,
        request: msgspec.Struct,
        reply: type[msgspec.Struct] | UnionType,
        *,
        timeout: float,
    ) -> Any:
        """The voter's first answer over any path, in `timeout` seconds. Raises the bus's BusError.

        The voter may hear the request several times, which is the same vote each time.
        """
        subject = subjects.lease(voter)
        buses = [path.bus for path in self._paths if path.place == voter and path.bus is not None]
        if not buses:
            return await self._bus.request(subject, request, reply, timeout=timeout)
        questions = [
            bus.request(subject, request, reply, timeout=timeout) for bus in [self._bus, *buses]
        ]
        return await self._first(questions)

    async def _first(self, questions: Sequence[Coroutine[Any, Any, Any]]) -> Any:
        """The first success. The others end by their own deadlines; none is left out of sight."""
        tasks = [asyncio.create_task(question) for question in questions]
        for task in tasks:
            self._asking.add(task)
            task.add_done_callback(self._answered)
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None:
                    return task.result()
        return tasks[0].result()

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BusError):
            self._bus.on_fault(error)

    async def _send(self, bus: Bus, subject: str, pulse: msgspec.Struct, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await bus.publish(subject, pulse)
        except (BusError, TimeoutError) as error:
            _log.debug("no pulse on %s: %r", subject, error)

    def _reject(self, subject: str, kind: str, reason: str) -> None:
        self._bus.reject(subject, kind, reason)


class Newest:
    """Tells news from repetition among the pulses that come over several paths. Pure.

    A slow path delivers a pulse after its successor came over another; what it says is over. A
    boot that is not the last one heard, or a node that is none, is for the receiver to judge.
    """

    def __init__(self, nodes: Container[str]) -> None:
        self._nodes = nodes
        self._seen: dict[tuple[str, str], tuple[str, float]] = {}

    def take(self, pulse: MonitorPulse | HandsPulse) -> bool:
        """Whether this pulse says something new."""
        speaker = pulse.service if isinstance(pulse, MonitorPulse) else "hands"
        if pulse.node not in self._nodes or speaker not in _SPEAKERS:
            return True
        boot, now = self._seen.get((pulse.node, speaker), ("", 0.0))
        if boot == pulse.boot and pulse.now <= now:
            return False
        self._seen[pulse.node, speaker] = (pulse.boot, pulse.now)
        return True
