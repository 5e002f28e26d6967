"""Starts a nats-server afresh that met a full disk, once the disk has room again.

A stream that could not write stays out of service until its server is restarted, whatever room
there is later (seen with nats-server 2.15.1, which says so only in /healthz).
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from holdfast.clock import monotonic
from holdfast.config.model import Node, Witness
from holdfast.console.launcher.health import complaint

LOOK_EVERY = 5.0
AT_MOST_EVERY = 60.0
ROOM = 64 * 1024 * 1024
"""Bytes that must be free: less would be used up before the others have been caught up with."""


def needs_restart(complaint: str, *, free: int, since_last: float) -> bool:
    """Whether a restart helps and has not just been tried. `free` bytes, `since_last` seconds."""
    return "write error" in complaint and free >= ROOM and since_last >= AT_MOST_EVERY


async def tend(place: Node | Witness, store: Path, restart: Callable[[str], None]) -> None:
    """Look after one server until cancelled; `restart` is given the reason."""
    last = -AT_MOST_EVERY
    while True:
        await asyncio.sleep(LOOK_EVERY)
        said = await complaint(place)
        try:
            free = shutil.disk_usage(store).free
        except OSError:
            continue  # not there: its start makes it, or says why it cannot
        if needs_restart(said, free=free, since_last=monotonic() - last):
            last = monotonic()
            restart(said)
