"""Bringing the programs of one resource to life, so that what is given up executes nothing later.

What may hang before a child can be seen (opening its log, forking) is done in a thread, one per
resource at most: storage that hangs stalls no other resource, and no journal. What may hang later
(its directory, its program) hangs in a child that bears the marks of the resource.
"""

import asyncio
import contextlib
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from holdfast import clock
from holdfast.recovery import gate, gated, processes
from holdfast.recovery.children import Child
from holdfast.recovery.gated import Gated
from holdfast.recovery.kinds.base import ActionFailed
from holdfast.recovery.processes import Process, Workload

HANGS = "an earlier action of it hangs while it opens its log or forks"
LATE = "the lease is about to end: nothing is started any more"


class Launcher:
    """The launches of one resource, one after another."""

    def __init__(self) -> None:
        self._making: asyncio.Future[Gated] | None = None

    async def settled(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for launches that were given up; False if one hangs on."""
        if self._making is not None:
            await asyncio.wait({self._making}, timeout=max(0.0, timeout))
        return self._making is None or self._making.done()

    async def launch(
        self,
        command: list[str],
        *,
        environment: dict[str, str],
        directory: str | None,
        log: Path,
        not_after: Callable[[], float] = lambda: math.inf,
        born: Callable[[Process], None] = lambda _: None,
    ) -> Child:
        """Execute a program. Raises OSError if it cannot be, ActionFailed if it must not be.

        `not_after` is asked at the last moment, and the child itself compares it with the clock
        (monotonic seconds) just before it executes anything. `born` is called before that. If the
        caller is cancelled, nothing is executed any more, or the program is killed.
        """
        if self._making is not None and not self._making.done():
            raise ActionFailed(HANGS)
        order = gate.order(command, environment, directory or "/")
        marked = (processes.TOKEN_VARIABLE, processes.NAME_VARIABLE)
        marks = {name: environment[name] for name in marked if name in environment}
        making = self._making = _in_thread(lambda: gated.make(order, marks, log))
        try:
            made = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_abandon)
            raise
        child = Child(made.popen, made.process)
        try:
            said = await self._let_go(made, not_after(), born)
        except BaseException:
            processes.kill(Workload(made.process, ""))
            raise
        finally:
            made.close()
        if not said:
            return child
        await child.ended.wait()
        if said == gate.LATE:
            raise ActionFailed(LATE)
        raise OSError(int(said), os.strerror(int(said)), command[0])

    async def _let_go(
        self, made: Gated, not_after: float, born: Callable[[Process], None]
    ) -> bytes:
        if clock.monotonic() >= not_after:
            raise ActionFailed(LATE)
        born(made.process)
        with contextlib.suppress(BrokenPipeError):  # it was killed, as its end will tell
            made.go(not_after)
        return await made.answer()


def _abandon(making: "asyncio.Future[Gated]") -> None:
    if making.cancelled() or making.exception() is not None:
        return
    made = making.result()
    made.close()
    processes.kill(Workload(made.process, ""))
    Child(made.popen, made.process)  # only to reap it


def _in_thread(make: Callable[[], Gated]) -> "asyncio.Future[Gated]":
    """In a daemon thread of its own: one that hangs keeps neither others nor our end waiting."""
    future: Future[Gated] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(make())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="launch", daemon=True).start()
    return asyncio.wrap_future(future)
