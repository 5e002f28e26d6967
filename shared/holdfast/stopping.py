"""Work beside a wish to stop: cut short by it, or given time to finish; and the end of tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

CANCEL_AGAIN = 0.5
CANCEL_TRIES = 10

_log = logging.getLogger("holdfast.service")


async def unless_stopping(
    stopping: asyncio.Event, work: Coroutine[Any, Any, None], name: str
) -> bool:
    """Await `work` unless a stop is asked for first; whether it finished."""
    task = await _either(stopping, work, name)
    finished = task.done()
    await end(task)
    if finished:
        task.result()
    return finished


async def until_stopped(
    stopping: asyncio.Event, work: Coroutine[Any, Any, None], name: str, deadline: float
) -> BaseException | None:
    """Await `work`; when a stop is asked for, give it `deadline` seconds. What it raised."""
    task = await _either(stopping, work, name)
    if not task.done():
        await asyncio.wait({task}, timeout=deadline)
    if not task.done():
        _log.warning("%s did not end within %s s of the stop, cancelled", name, deadline)
        await end(task)
    return task.exception() if task.done() and not task.cancelled() else None


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended.

    Once may not do: a cancellation that meets the end of what asyncio.wait_for waits for is lost
    in Python 3.11, and a loop that tries to connect then goes on trying.
    """
    pending = set(tasks)
    for _ in range(CANCEL_TRIES):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
    for task in pending:
        _log.error("task %s does not end", task.get_name())


async def _either(
    stopping: asyncio.Event, work: Coroutine[Any, Any, None], name: str
) -> asyncio.Task[None]:
    """The task of `work`, once it is over or a stop is asked for."""
    task = asyncio.create_task(work, name=name)
    stop = asyncio.create_task(stopping.wait(), name="stopping")
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    return task
