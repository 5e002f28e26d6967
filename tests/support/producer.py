"""A process that emits events without end and prints each id once it is emitted.

Run as `python -m tests.support.producer <url> <spool folder>`, to be killed.
"""

import asyncio
import sys
from pathlib import Path

from holdfast.bus import Bus
from holdfast.outbox import Outbox
from tests.support.events import draft


async def main(url: str, folder: Path) -> None:
    """Emit, print, and let the outbox publish in between."""
    bus = Bus([url], name="producer", inbox="_INBOX_producer")
    outbox = Outbox(folder, source="/test/alpha/producer", bus=bus)
    await bus.connect()
    publishing = asyncio.create_task(outbox.run())
    number = 0
    while not publishing.done():
        for _ in range(3):
            number += 1
            sys.stdout.write(outbox.emit(draft(number)).id + "\n")
        sys.stdout.flush()
        await outbox.flush(0.002)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
