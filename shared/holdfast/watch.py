"""Following a bucket: every current value, then every change, in order, across reconnects.

Runs on an ephemeral push consumer with idle heartbeats. When deliveries skip, or heartbeats stop,
it makes a new consumer that starts after the last revision seen: so values arrive at least once
and in order, though not necessarily at once.
"""

import asyncio
import logging
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.errors import TimeoutError as NoMessage

from holdfast import ids, jetstream
from holdfast.bus import Bus, BusError

CALL_TIMEOUT = 2.0
HEARTBEAT = 1.0
SILENCE = 3.0
INACTIVE = 10.0
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)
_NS = 10**9
_log = logging.getLogger("holdfast.watch")

Receive = Callable[[str, bytes, int], None]
"""Takes key, value and revision."""


class Watch:
    """One follower of one bucket."""

    def __init__(
        self,
        bus: Bus,
        bucket: str,
        receive: Receive,
        loaded: Callable[[], None],
        deleted: Callable[[str, int], None],
    ) -> None:
        self._bus, self._bucket, self._receive, self._loaded = bus, bucket, receive, loaded
        self._deleted = deleted
        self._seen = 0
        self._attempt = 0

    async def run(self) -> None:
        """Follow until cancelled. An error of `receive` ends it."""
        while True:
            await self._bus.ready.wait()
            try:
                await self._follow()
            except (BusError, Error) as error:
                level = logging.WARNING if self._attempt == 3 else logging.DEBUG
                _log.log(level, "watch of %s starts again: %s", self._bucket, error)
            await asyncio.sleep(BACKOFF[min(self._attempt, len(BACKOFF) - 1)])
            self._attempt += 1

    async def _follow(self) -> None:
        """One consumer, from its making until it skips or falls silent."""
        client = self._bus.client
        inbox = await client.subscribe(client.new_inbox())
        try:
            await self._make_consumer(inbox.subject)
            await self._deliver(inbox)
        finally:
            if not client.is_closed:
                await inbox.unsubscribe()

    async def _make_consumer(self, inbox: str) -> None:
        name = ids.uuid7()
        config: dict[str, object] = {
            "name": name,
            "filter_subject": f"$KV.{self._bucket}.>",
            "deliver_subject": inbox,
            "ack_policy": "none",
            "idle_heartbeat": int(HEARTBEAT * _NS),
            "inactive_threshold": int(INACTIVE * _NS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if self._seen:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._seen + 1}
        else:
            config["deliver_policy"] = "last_per_subject"
        stream = f"KV_{self._bucket}"
        request = {"stream_name": stream, "config": config, "action": "create"}
        created = await jetstream.api(
            self._bus, f"CONSUMER.CREATE.{stream}.{name}", request, timeout=CALL_TIMEOUT
        )
        if not created.get("num_pending"):
            self._loaded()

    async def _deliver(self, inbox: Subscription) -> None:
        expected = 1
        while True:
            try:
                message = await inbox.next_msg(timeout=SILENCE)
            except NoMessage:
                return
            if not message.reply.startswith("$JS.ACK."):
                if _last_delivered(message) >= expected:
                    return
                continue
            position = message.metadata.sequence
            if position.consumer != expected:
                return
            expected += 1
            self._attempt = 0
            self._take(message, position.stream)
            if message.metadata.num_pending == 0:
                self._loaded()

    def _take(self, message: Msg, revision: int) -> None:
        if revision <= self._seen:
            return
        self._seen = revision
        key = message.subject.removeprefix(f"$KV.{self._bucket}.")
        if message.headers and "KV-Operation" in message.headers:
            self._bus.reject(message.subject, "forged", "records are never deleted")
            self._deleted(key, revision)
            return
        self._receive(key, message.data, revision)


def _last_delivered(heartbeat: Msg) -> int:
    """The consumer's last sequence according to an idle heartbeat; 0 when it does not say."""
    return int((heartbeat.headers or {}).get("Nats-Last-Consumer", "0"))
