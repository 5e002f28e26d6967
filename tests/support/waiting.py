"""Waiting for conditions that have no event of their own, with a deadline."""

import asyncio
from collections.abc import Callable
from pathlib import Path

POLL = 0.01


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


async def until(condition: Callable[[], bool], *, within: float = 10.0, what: str = "") -> None:
    """Return as soon as `condition()` holds; fail after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        assert loop.time() < deadline, f"not within {within} s: {what or condition}"
        await asyncio.sleep(POLL)
