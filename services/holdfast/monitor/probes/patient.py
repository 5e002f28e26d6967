"""Calls that may hang in the kernel, asked with a deadline and never asked twice at once."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class PatientCall(Generic[T]):
    """Runs a blocking call in a thread of its own.

    While one hangs the next waits for the same answer, so at most one thread is stuck per call.
    The thread is a daemon, as an executor's would keep the process from ending.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._pending: Future[T] | None = None

    async def __call__(self, deadline: float) -> T:
        """The call's result. Raises TimeoutError after `deadline` seconds, or what it raises."""
        if self._pending is None:
            self._pending = Future()
            # Running, it cannot be cancelled by those who wait no longer.
            self._pending.set_running_or_notify_cancel()
            arguments = (self._call, self._pending)
            threading.Thread(target=_answer, args=arguments, daemon=True).start()
        pending = self._pending
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.wrap_future(pending)
        finally:
            if pending.done():
                self._pending = None


def _answer(call: Callable[[], T], future: "Future[T]") -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
