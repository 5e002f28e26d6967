"""Replace an unwritable HA_EVENTS by an empty one: NATS_URL=... NATS_PASSWORD=... python FILE.

Save the record first; docs/failure-guide.md has the whole procedure. A cluster with TLS wants
`tls=` in `nats.connect`.
"""

# ruff: noqa: T201 (what it prints is for the operator)
import asyncio
import json
import os
from typing import Any

import nats
import nats.errors

ATTEMPTS = 30


async def main() -> None:
    """Delete the stream and create it with the same settings."""
    bus = await nats.connect(
        os.environ["NATS_URL"], user="mender", password=os.environ["NATS_PASSWORD"]
    )

    async def ask(call: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        body = json.dumps(settings).encode() if settings else b""
        reply = await bus.request(f"$JS.API.STREAM.{call}.HA_EVENTS", body, timeout=10)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    info = await ask("INFO")
    print("replacing a stream of", info["state"]["messages"], "events")
    print("deleted:", (await ask("DELETE")).get("success", False))
    for _ in range(ATTEMPTS):
        created: dict[str, Any] = {}
        try:
            created = await ask("CREATE", info["config"])
        except nats.errors.Error as error:
            created["error"] = repr(error)
        if "error" not in created:
            print("created, led by", created.get("cluster", {}).get("leader"))
            break
        print("not yet:", created["error"])
        await asyncio.sleep(1)
    else:
        raise SystemExit("HA_EVENTS was not created: the deciders make it when they elect a leader")
    await bus.close()


asyncio.run(main())
