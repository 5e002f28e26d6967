"""Print every event as it happens. Needs: pip install nats-py nkeys"""
# ruff: noqa: T201

import asyncio
import json
import os

import nats


async def main() -> None:
    bus = await nats.connect(os.environ["NATS_URL"], nkeys_seed=os.environ["HOLDFAST_NKEY"])
    events = await bus.subscribe("ha.events.*")
    await bus.flush()
    print("listening", flush=True)
    async for message in events.messages:
        event = json.loads(message.data)
        print(event["time"], event["type"], event["subject"], event["id"], flush=True)


asyncio.run(main())
