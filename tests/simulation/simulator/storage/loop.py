"""An asyncio event loop on virtual time: the coroutines of one simulated process run on it.

It runs inside the engine, when something is due, and never waits. It dies and freezes with its
process, whose clock it shows.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from tests.simulation.simulator.engine import Endless
from tests.simulation.simulator.places import Service
from tests.simulation.simulator.storage.standins import stand_back, stand_in

if TYPE_CHECKING:
    from tests.simulation.simulator.storage.wires import Wires

    class _Loop:
        """Most of what a loop has is of no use here: files, signals, subprocesses."""

else:
    _Loop = asyncio.AbstractEventLoop

MOMENT = 0.0001
"""Timers round up, as those of the hands."""
THREAD = 0.002
"""Seconds for work in a thread."""
DEFECTS = (AssertionError, AttributeError, Endless, LookupError, RuntimeError, TypeError)
MAX_TURNS = 20_000
"""Callbacks in one moment; beyond, they beget each other."""


class VirtualLoop(_Loop):
    """What asyncio needs of a loop, and connections over `wires`."""

    def __init__(self, process: Service, wires: "Wires") -> None:
        self.process, self.wires = process, wires
        self._me: Any = self
        self._ready: deque[asyncio.Handle] = deque()
        self._awaited = False
        """A turn is due."""
        self._running = False
        self._broken: BaseException | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        wires.loops.append(self)

    def enter(self, act: Callable[..., object], *args: Any) -> None:
        """The engine's way in: do something in this process, and all that follows at once."""
        if self._running:
            self.call_soon(act, *args)
            return
        self._ready.append(asyncio.Handle(act, args, self._me))
        self._turn()

    def reach(self, act: Callable[..., object], *args: Any) -> None:
        """From outside of the process: now, or when it is thawed, or never."""
        if isinstance(asyncio._get_running_loop(), VirtualLoop):  # in a turn of another process
            self.process.world.engine.after(0.0, self.process.run, self.enter, (act, *args))
        else:
            self.process.run(self.enter, (act, *args))

    def _turn(self) -> None:
        self._awaited = False
        if self._running:
            return
        self._running, turns = True, 0
        try:
            with self._set():
                while self._ready and self.process.alive and self._broken is None:
                    turns += 1
                    if turns > MAX_TURNS:
                        raise Endless(f"{MAX_TURNS} callbacks at one moment")
                    handle = self._ready.popleft()
                    if not handle.cancelled():
                        handle._run()
        finally:
            self._running = False
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken

    @contextmanager
    def _set(self) -> Iterator[None]:
        """As the running loop, in place of the test's, if that has one."""
        outside = asyncio._get_running_loop()
        asyncio._set_running_loop(self._me)
        stand_in()
        try:
            yield
        finally:
            stand_back()
            asyncio._set_running_loop(outside)

    # --- what asyncio asks for ------------------------------------------------------------

    def time(self) -> float:
        """The machine's monotonic time."""
        return self.process.clock()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """In this turn, or the next one."""
        handle = asyncio.Handle(callback, args, self._me, context)
        self._ready.append(handle)
        if not self._running and not self._awaited:
            self._awaited = True
            self.process.world.engine.after(0.0, self.process.run, self._turn, ())
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """A timer on the machine's clock."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """A timer on the machine's clock."""
        timer = asyncio.TimerHandle(when, callback, args, self._me, context)
        self.process.after(max(0.0, when - self.time()) + MOMENT, self._fire, timer)
        return timer

    def _fire(self, timer: asyncio.TimerHandle) -> None:
        if not timer.cancelled():
            self._ready.append(timer)
            self._turn()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over at its time."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Of this loop."""
        return asyncio.Future(loop=self._me)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, **_: Any
    ) -> "asyncio.Task[Any]":
        """Kept to the end: a process that is killed runs no `finally`."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._me, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        if len(self._tasks) > 200:
            self._tasks = [one for one in self._tasks if not one.done()]
        return task

    def work(self, coro: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """A task that nobody awaits: what it raises is a defect."""
        task = self.create_task(coro, name=name)
        task.add_done_callback(self._over)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        """Whoever awaits it, or nobody: what must hold does, and defects come to light."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, DEFECTS):
            self._broken = error

    def _over(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()

    def run_in_executor(
        self, _executor: None, work: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """A thread: it takes its time, and dies with the process."""
        ended = self.create_future()

        def run() -> None:
            result = work(*args)
            if not ended.done():
                ended.set_result(result)

        self.call_later(THREAD, run)
        return ended

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a callback raises."""
        self._broken = context.get("exception") or AssertionError(str(context))

    def get_debug(self) -> bool:
        """asyncio checks nothing in addition."""
        return False

    def is_running(self) -> bool:
        """During a turn."""
        return self._running

    def is_closed(self) -> bool:
        """Never: it dies with its process."""
        return False

    async def create_connection(
        self, made: Callable[[], asyncio.BaseProtocol], host: str, port: int, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """To another member's data path."""
        return await self.wires.connect(self, made, port)

    async def create_unix_connection(
        self, made: Callable[[], asyncio.BaseProtocol], path: str, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """To a process of the same place."""
        return await self.wires.connect(self, made, f"{self.process.place.name}:{path}")

    async def create_server(
        self, made: Callable[[], asyncio.BaseProtocol], host: str, port: int, **_: Any
    ) -> Any:
        """Others connect from now on."""
        return self.wires.listen(self, made, port)

    def bury(self) -> None:
        """The world is over: what still waits ends here, and touches nothing any more."""
        self.process.alive = False
        with self._set():
            for _ in range(3):
                for task in [one for one in self._tasks if not one.done()]:
                    task.cancel()
                self._last_turns()
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            elif not task.cancelled():
                task.exception()
        self._ready.clear()

    def _last_turns(self) -> None:
        for _ in range(MAX_TURNS):
            if not self._ready:
                return
            self._ready.popleft()._run()
