"""Blocking work with a deadline, one piece at a time, that nobody waits for when it hangs."""

import asyncio
import contextlib
import threading
from collections.abc import Callable


class StillHanging(Exception):
    """The piece before has not come back."""


class Slot:
    """At most one thread. It is a daemon: a hung one does not keep the service from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._current: asyncio.Future[None] | None = None

    async def run(self, work: Callable[[], None], deadline: float) -> None:
        """Run `work`, up to `deadline` seconds. Raises what it raises, TimeoutError, StillHanging.

        After a TimeoutError it may still come to its end, at any time.
        """
        if self._current is not None and not self._current.done():
            raise StillHanging
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        future.add_done_callback(_forget)
        self._current = future

        def settle(error: BaseException | None) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        def body() -> None:
            error: BaseException | None = None
            try:
                work()
            except Exception as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop may be gone when a hang ends
                loop.call_soon_threadsafe(settle, error)

        threading.Thread(target=body, name=self._name, daemon=True).start()
        async with asyncio.timeout(deadline):
            await asyncio.shield(future)


def _forget(future: "asyncio.Future[None]") -> None:
    """An end that comes too late is nobody's error."""
    if not future.cancelled():
        future.exception()
