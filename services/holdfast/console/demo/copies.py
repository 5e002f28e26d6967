"""The part of the story that is about the ledger's volume and its two copies."""

import asyncio
import time
from typing import Any

import msgspec

from holdfast.console.demo.failure import DemoFailed
from holdfast.console.demo.processes import Watcher, fields, is_event, run
from holdfast.console.demo.stage import Stage

VOLUME = "ledger"
CREATE_TIMEOUT = 45.0
COMMAND_TIMEOUT = 75.0
SYNC_TIMEOUT = 60.0
POLL = 0.2


async def create(stage: Stage) -> None:
    """Put the volume on record, so that the group can start. Raises DemoFailed."""
    deadline = time.monotonic() + CREATE_TIMEOUT
    while True:
        code, said = await run(stage.holdfast("volume", "create", VOLUME), timeout=COMMAND_TIMEOUT)
        # An attempt without an answer may have made it, and the next one is then refused.
        if code == 0 or any(copy["standing"] == "in_sync" for copy in await _copies(stage)):
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"the volume was not created: {said}")
        await asyncio.sleep(POLL)


async def joined(watcher: Watcher, member: str, *, since: int) -> None:
    """Wait until a copy has everything. Raises DemoFailed."""
    await watcher.wait_for(
        f"{member}'s copy in sync",
        is_event("volume_member_joined", volume=VOLUME, member=member),
        since=since,
        timeout=SYNC_TIMEOUT,
    )


async def resent(watcher: Watcher, member: str, *, since: int) -> int:
    """Wait until a copy that missed something is in sync; bytes sent. Raises DemoFailed."""
    await joined(watcher, member, since=since)
    done = await watcher.wait_for(
        f"the end of the resync of {member}'s copy",
        is_event("volume_resync_finished", volume=VOLUME, member=member),
        since=since,
        timeout=SYNC_TIMEOUT,
    )
    return int(fields(done)["bytes"])


async def all_in_sync(stage: Stage) -> bool:
    """Whether `holdfast status` says so, too."""
    return all(copy["standing"] == "in_sync" for copy in await _copies(stage))


async def _copies(stage: Stage) -> list[dict[str, Any]]:
    """As the deciders' leader sees them."""
    _, text = await run(stage.holdfast("status", "--json"), timeout=COMMAND_TIMEOUT)
    status = msgspec.json.decode(text) if text.strip().startswith("{") else {}
    return [copy["pulse"] for copy in status.get("volumes", []) if copy["heard"]]
