"""The record of a replicated volume, and the bucket that keeps it.

Like ownership it is never read to decide anything, only compared-and-set: who promotes a member, or
takes one out, writes that first, and a newer record makes the write fail. `watch` keeps a picture
that may be late. JetStream API used: $KV.ha_volumes.<volume> and
$JS.API.CONSUMER.CREATE.KV_ha_volumes.*
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast import jetstream
from holdfast.bus import Bus
from holdfast.config.volumes import MAX_MEMBERS
from holdfast.events.fields import Epoch, NodeName, VolumeName
from holdfast.messages import Bad, decode
from holdfast.subjects import VOLUMES_BUCKET
from holdfast.watch import Watch

_PREFIX = f"$KV.{VOLUMES_BUCKET}."
Members = Annotated[list[NodeName], Meta(max_length=MAX_MEMBERS)]
WORD_HOLDS = 600.0
"""Seconds for which an accepted loss counts. What it says was true when it was said: a primary that
still serves, or comes back, goes on acknowledging, and then more is lost than was accepted."""


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One copy."""

    instance: Annotated[str, Meta(max_length=36)] = ""
    """The id that the member's own files carry; empty until it first starts. A member whose files
    carry another one, or none, has lost what it knew, and must be added anew."""
    overwrite: bool = False
    """At its first start it may overwrite a file or device that holds something: an operator said
    so."""
    in_step: Annotated[str, Meta(max_length=40)] = ""
    """Wall time (RFC 3339) up to which it had every write, of one that counts no more; empty: it
    counts, or never did, or nobody knows. For display only."""
    counted: bool = False
    """It counted once, and counts no more: what its resync began from is a state of the volume, and
    not whatever a disk held that was added."""


class AcceptedLoss(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word: this member may be promoted although it lacks acknowledged writes."""

    node: NodeName
    operator: Annotated[str, Meta(max_length=100)]
    stated: Annotated[str, Meta(max_length=1000)]
    """What the operator was told would be lost."""
    at: Annotated[str, Meta(max_length=40)] = ""
    """Wall time (RFC 3339) of its node, which alone may go by it: it holds `WORD_HOLDS`."""


class VolumeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The value stored under the volume's name in `ha_volumes`."""

    volume: VolumeName
    uuid: Annotated[str, Meta(max_length=36)]
    size: Annotated[int, Meta(gt=0)]
    """Bytes."""
    epoch: Epoch = 0
    """At which it was promoted last; 0: never."""
    primary: NodeName | None = None
    """Who was promoted then. Whether it still serves the volume is its group's matter. None: nobody
    yet."""
    in_sync: Members
    """Has every acknowledged write; the primary of that epoch always is."""
    following: Members = []
    """Async members that lack no more than `max_lag`."""
    before: Members = []
    """On whom the record counted that the promotion at this epoch replaced, if it counted on the
    primary, too: they differ from it only where an activity log of the two says so (V5)."""
    members: Annotated[dict[NodeName, MemberRecord], Meta(max_length=MAX_MEMBERS)]
    loss: Annotated[str, Meta(max_length=1200)] = ""
    """What the promotion at this epoch lost, as was accepted; empty: nothing."""
    accepted: AcceptedLoss | None = None
    """Until the next promotion, and until that member has everything again."""
    went_back: Members = []
    """Copies that went back to an earlier state at this epoch: what was asked for to take one in
    may be of before, so none of them is taken in until the next promotion."""

    def counts(self, node: str) -> bool:
        """Whether the primary must not go on without that member before the record says so."""
        return node in self.in_sync or node in self.following


class VolumeStore:
    """The bucket `ha_volumes`: one record per replicated volume."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._decoder = msgspec.json.Decoder(VolumeRecord)

    async def compare_and_set(self, record: VolumeRecord, revision: int, *, timeout: float) -> int:
        """Write the record if its volume still stands at `revision` (0: it must not exist yet).

        Returns the new revision. Raises Conflict, StoreRefused or BusUnavailable (not written), or
        BusTimeout: it may have been written. `timeout` in seconds.
        """
        payload = msgspec.json.encode(record)
        return await jetstream.compare_and_set(
            self._bus, _PREFIX + record.volume, payload, revision, timeout=timeout
        )

    async def watch(
        self, handler: Callable[[VolumeRecord, int], None], loaded: Callable[[], None]
    ) -> None:
        """Call `handler(record, revision)` for every current record, then for every change.

        What is no record of its volume is rejected. `loaded` is called whenever there is nothing
        more to show for now. Runs until cancelled.
        """

        def receive(key: str, value: bytes, revision: int) -> None:
            record = decode(value, self._decoder)
            if isinstance(record, Bad):
                self._bus.reject(_PREFIX + key, record.kind, record.reason)
            elif record.volume != key:
                self._bus.reject(_PREFIX + key, "forged", f"the record is of {record.volume}")
            else:
                handler(record, revision)

        await Watch(self._bus, VOLUMES_BUCKET, receive, loaded, lambda _key, _revision: None).run()
