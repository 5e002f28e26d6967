"""Waiting in a coroutine for what says `done(error)`."""

import asyncio
from collections.abc import Callable

from holdfast.storage_replication.interfaces import Done


async def ended(begin: Callable[[Done], None]) -> int:
    """Begin it; the errno with which it ended, 0 for success."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    begin(resolver(future))
    return await future


def resolver(future: asyncio.Future[int]) -> Done:
    """Resolves it unless nobody waits any more."""

    def done(error: int) -> None:
        if not future.done():
            future.set_result(error)

    return done
