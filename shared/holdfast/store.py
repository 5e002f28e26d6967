"""The replicated store: the event stream and the ownership records.

Ownership is never read to decide anything, only compared-and-set; `watch` keeps a picture that may
be late. JetStream API used (a bus user needs these and no others):
  ensure_streams       $JS.API.STREAM.{INFO,CREATE,UPDATE}.{HA_EVENTS,KV_ha_ownership,KV_ha_volumes}
  compare_and_set      $KV.ha_ownership.<group>; set_standing: $KV.ha_ownership._standing
  watch                $JS.API.CONSUMER.CREATE.KV_ha_ownership.*
  move_stream_leaders  $JS.API.STREAM.{INFO,LEADER.STEPDOWN} of the same
The records of volumes are in `holdfast.volumes`.
"""

from collections.abc import Callable

import msgspec

from holdfast import jetstream
from holdfast.bus import Bus
from holdfast.messages import Bad, decode
from holdfast.ownership import OwnershipRecord
from holdfast.standing import STANDING_KEY, Standing
from holdfast.streams import OWNERSHIP_STREAM, ensure_streams, move_stream_leaders
from holdfast.subjects import OWNERSHIP_BUCKET
from holdfast.watch import Watch

__all__ = ["OWNERSHIP_STREAM", "OwnershipStore", "ensure_streams", "move_stream_leaders"]

_PREFIX = f"$KV.{OWNERSHIP_BUCKET}."


class OwnershipStore:
    """The bucket `ha_ownership`: one record per group, and the standing orders."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._decoder = msgspec.json.Decoder(OwnershipRecord)
        self._standing_decoder = msgspec.json.Decoder(Standing)

    async def compare_and_set(
        self, record: OwnershipRecord, revision: int, *, timeout: float
    ) -> int:
        """Write the record if its group still stands at `revision` (0: it must not exist yet).

        Returns the new revision. Raises Conflict, StoreRefused or BusUnavailable (not written), or
        BusTimeout: it may have been written, and only the watch or a later Conflict tells.
        `timeout` in seconds.
        """
        return await self._set(record.group, record, revision, timeout)

    async def set_standing(self, standing: Standing, revision: int, *, timeout: float) -> int:
        """Write the standing orders if they still stand at `revision`; as `compare_and_set`."""
        return await self._set(STANDING_KEY, standing, revision, timeout)

    async def _set(
        self, key: str, value: OwnershipRecord | Standing, revision: int, timeout: float
    ) -> int:
        subject = _PREFIX + key
        payload = msgspec.json.encode(value)
        return await jetstream.compare_and_set(
            self._bus, subject, payload, revision, timeout=timeout
        )

    async def watch(
        self,
        handler: Callable[[OwnershipRecord, int], None],
        loaded: Callable[[], None],
        spoiled: Callable[[str, int], None] = lambda _group, _revision: None,
        standing: Callable[[Standing | None, int], None] = lambda _standing, _revision: None,
    ) -> None:
        """Call `handler(record, revision)` for every current record, then for every change.

        `spoiled(group, revision)` is called for what is no record of its group, once rejected.
        `standing` takes the standing orders, or None for what is none in their place.
        `loaded` is called whenever there is nothing more to show for now, so also the first time.

        Runs until cancelled. Revisions only rise; after a reconnect it goes on where it stood.
        """

        def receive(key: str, value: bytes, revision: int) -> None:
            if key == STANDING_KEY:
                orders = decode(value, self._standing_decoder)
                standing(None if isinstance(orders, Bad) else orders, revision)
                return
            record = decode(value, self._decoder)
            if isinstance(record, Bad):
                self._bus.reject(_PREFIX + key, record.kind, record.reason)
                spoiled(key, revision)
            elif record.group != key:
                self._bus.reject(_PREFIX + key, "forged", f"the record is of {record.group}")
                spoiled(key, revision)
            else:
                handler(record, revision)

        def deleted(key: str, revision: int) -> None:
            if key == STANDING_KEY:
                standing(None, revision)
            else:
                spoiled(key, revision)

        await Watch(self._bus, OWNERSHIP_BUCKET, receive, loaded, deleted).run()
