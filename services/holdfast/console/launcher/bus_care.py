"""What a nats-server needs beside being started again when it ends.

Its answers are taken for heartbeats, because it sends none. And one that met a full disk is started
afresh once there is room: a stream that could not write, or JetStream as a whole, stays out of
service until then (seen with nats-server 2.15.1, which says so only in /healthz).
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from holdfast.clock import monotonic
from holdfast.config.model import Node, Witness
from holdfast.console.launcher.health import answers, complaint

ASK_EVERY = 1.0
LOOK_EVERY = 5.0
AT_MOST_EVERY = 60.0
DISABLED = "JetStream not enabled"
ROOM = 64 * 1024 * 1024
"""Bytes that must be free: less would be used up before the others have been caught up with."""


def needs_restart(complaint: str, *, was_well: bool, free: int, since_last: float) -> bool:
    """Whether a restart helps and has not just been tried. `free` bytes, `since_last` seconds.

    `was_well`: since it was started; before, JetStream is not enabled because it is still reading.
    """
    spoiled = "write error" in complaint or (was_well and DISABLED in complaint)
    return spoiled and free >= ROOM and since_last >= AT_MOST_EVERY


async def hear(place: Node | Witness, heard: Callable[[], None]) -> None:
    """Say each time that one server answers, until cancelled."""
    while True:
        if await answers(place):
            heard()
        await asyncio.sleep(ASK_EVERY)


async def tend(
    place: Node | Witness, store: Path, pid: Callable[[], int], restart: Callable[[str], None]
) -> None:
    """Look after one server until cancelled; `restart` is given the reason."""
    last, well = -AT_MOST_EVERY, 0
    while True:
        await asyncio.sleep(LOOK_EVERY)
        asked = pid()
        said = await complaint(place)
        if not said:
            well = asked
            continue
        try:
            free = shutil.disk_usage(store).free
        except OSError:
            continue  # not there: its start makes it, or says why it cannot
        was_well = asked == well
        if needs_restart(said, was_well=was_well, free=free, since_last=monotonic() - last):
            last = monotonic()
            restart(said)
