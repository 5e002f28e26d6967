"""Bugs to plant in the cores of volumes, one at a time. Each is a mistake somebody could make."""

from collections.abc import Callable
from typing import Any
from unittest.mock import PropertyMock, patch

import msgspec
from msgspec.structs import replace

from holdfast.storage_replication.disk import superblock as superblocks
from holdfast.storage_replication.disk.activity import ActivityLog
from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.disk.undo import UndoLog
from holdfast.storage_replication.engine import accepting, promotion, replica
from holdfast.storage_replication.engine.coming import Coming
from holdfast.storage_replication.engine.counting import Counting
from holdfast.storage_replication.engine.handshake import pack_active
from holdfast.storage_replication.engine.membership import Membership
from holdfast.storage_replication.engine.pending import Pending
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Promotion
from holdfast.storage_replication.engine.resync import Resync
from holdfast.storage_replication.engine.stream import Stream
from holdfast.storage_replication.replicated import transitions
from holdfast.volumes import VolumeRecord
from tests.simulation.volumes import machine
from tests.simulation.volumes.disks import SimStore

Bug = Callable[[], Any]


def acknowledged_before_the_replica_has_it() -> Any:
    """A write counts as soon as it was sent."""
    return patch.object(Counting, "committed", lambda self: self._stream.seq)


def flush_of_the_primary_alone() -> Any:
    """A flush waits for the own disk only."""
    return patch.object(Counting, "flushed", lambda self: self._stream.synced)


def dirty_map_not_durable() -> Any:
    """The activity log forgets what only a map in memory knows."""
    return patch.object(Bitmap, "unsaved", PropertyMock(return_value=False))


def activity_cleared_without_a_flush_on_all() -> Any:
    """What was sent counts as durable."""
    return patch.object(Stream, "safe", lambda self: self.seq)


def activity_cleared_while_frozen() -> Any:
    """A member that may become the primary does not know our map of it."""
    return patch.object(Stream, "_lacking", lambda self: False)


def activity_cleared_without_a_flush_on_followers() -> Any:
    """Nobody waits for an async member, so nobody asks whether what it applied is durable."""

    def safe(self: Any) -> int:
        flushed = (peer.flushed for peer in self._fed if peer.lag is None)
        return int(min(self.synced, *flushed, self.seq))

    return patch.object(Stream, "safe", safe)


def data_before_the_activity_log() -> Any:
    """The extent becomes active while the write is under way."""

    def activate(self: Any, extents: Any, then: Any) -> None:
        for extent in extents:
            self.active.setdefault(extent, 0)
            self.bits.set(extent)
        self.bits.save(lambda _error: None)
        then()

    return patch.object(ActivityLog, "activate", activate)


def activity_of_a_returning_member_ignored() -> Any:
    """A former primary is not asked what it wrote last."""
    return patch.object(replica, "pack_active", lambda _, count: pack_active([], count))


def epoch_not_stored() -> Any:
    """A replica knows the new epoch until its process ends."""

    def accept(disk: Any, epoch: int, told: Any) -> None:
        disk.superblock = replace(disk.superblock, epoch=epoch, primary=told.primary)

    return patch.object(accepting, "accept", accept)


def superblock_not_synced() -> Any:
    """It is written, and left to the kernel."""
    real = superblocks._head

    def save(store: Any, superblock: Any) -> None:
        body = msgspec.json.encode(superblock)
        raw = real(body) + b"\n" + body
        if isinstance(store, SimStore):
            store.replace_without_sync(superblocks.NAME, raw)

    return patch.object(superblocks, "save", save)


def undo_after_the_overwrite() -> Any:
    """The old content is on its way to the disk when the new one is written."""

    def save(self: Any, chunks: Any, done: Any) -> None:
        records = b"".join(self._pack(chunk, data) for chunk, data in chunks.items())
        self._file.pwrite(self._end, records)
        self._end += len(records)
        self.saved.update(chunks)
        self._file.sync(lambda _error: None)
        done(0)

    return patch.object(UndoLog, "save", save)


def resync_does_not_wait_for_a_flush() -> Any:
    """The record counts on a member that has it all in memory only."""

    def settle(self: Any, peer: Any) -> None:
        if not peer.settling:
            peer.settling, peer.counts = self._stream.seq + 1, True
            self.recount()
            self.ask(peer, True)

    return patch.object(Membership, "_settle", settle)


def freeze_forgotten() -> Any:
    """A lost member is not waited for, whatever the record says."""
    real = Membership.lose

    def lose(self: Any, peer: Any, reason: str) -> None:
        real(self, peer, reason)
        peer.counts = False
        self.recount()

    return patch.object(Membership, "lose", lose)


def read_of_what_may_be_taken_back() -> Any:
    """A read does not wait for the write that it sees."""
    return patch.object(Pending, "over", lambda *_: 0)


def suspects_forgotten() -> Any:
    """A new primary shows what only it may have."""
    return patch.object(Primary, "suspect", lambda self: None)


def lease_ignored() -> Any:
    """It goes on until somebody tells it."""

    def renew(self: Any, _valid_until: float) -> None:
        self.answers.valid_until = float("inf")
        self._advance()

    return patch.object(Primary, "renew", renew)


def writes_to_a_chunk_under_comparison_not_sent() -> Any:
    """The resync will carry them, one thinks; but its checksums are taken already."""

    def skips(self: Any, first: int, last: int) -> bool:
        return all(self._dirty.test(chunk) for chunk in range(first, last + 1))

    return patch.object(Resync, "skips", skips)


def member_of_another_epoch_obeyed() -> Any:
    """A replica takes whoever connects last for its primary."""
    real = accepting.refusal

    def refusal(disk: Any, epoch: int, told: Any) -> str:
        reason = real(disk, epoch, told)
        return "" if "epoch" in reason else reason

    return patch.object(accepting, "refusal", refusal)


def _promotion_that_remembers(before: Callable[[VolumeRecord, str], set[str]]) -> Any:
    """`before`: whom it takes for known, of the record that is replaced, for the new primary."""
    real = transitions.promote

    def promote(record: VolumeRecord, node: str, epoch: int, *rest: Any, **also: Any) -> Any:
        done = real(record, node, epoch, *rest, **also)
        if record.epoch == epoch:
            return done
        known = sorted(before(record, node) - {node})
        return done._replace(record=replace(done.record, before=known))

    return patch.object(transitions, "promote", promote)


def members_out_of_sync_taken_for_known() -> Any:
    """Whoever is absent is compared only where an activity log says so."""
    return _promotion_that_remembers(lambda record, _: set(record.members))


def known_to_a_primary_that_was_out_of_sync() -> Any:
    """The set of the record is believed, also by one that was not in it."""
    return _promotion_that_remembers(lambda record, _: {*record.in_sync, *record.following})


def known_of_an_earlier_record() -> Any:
    """What was known before the last promotion is passed on by the next."""
    return _promotion_that_remembers(
        lambda record, node: (
            {*record.in_sync, *record.following, *record.before} if record.counts(node) else set()
        )
    )


def _promotion_with(change: Callable[[Promotion, MemberDisk], Promotion]) -> Any:
    """The engine is told something else than the record says."""
    real = promotion.promote

    def promote(disk: MemberDisk, ports: Any, settings: Any, order: Promotion) -> Primary:
        return real(disk, ports, settings, change(order, disk))

    return patch.object(machine, "promote", promote)


def known_without_an_epoch() -> Any:
    """A primary that starts again goes by its activity log, not by the maps that replaced it."""

    def forget(order: Promotion, disk: MemberDisk) -> Promotion:
        if disk.superblock.epoch == order.epoch:
            disk.superblock = replace(disk.superblock, epoch=order.epoch - 1, maps={})
        return order

    return _promotion_with(forget)


def failed_disk_taken_for_intact() -> Any:
    """The next process believes that it has what the last one could not make durable."""

    def fail(self: Any, error: int) -> None:
        if not self.failed:
            self.failed = error
            self.on_failure(error)

    return patch.object(MemberDisk, "fail", fail)


def overtakes_an_older_write() -> Any:
    """A write whose extents are active does not wait for one that waits for others."""
    return patch.object(Coming, "behind", lambda self, number, then: False)


BUGS: tuple[Bug, ...] = (
    acknowledged_before_the_replica_has_it,
    flush_of_the_primary_alone,
    dirty_map_not_durable,
    activity_cleared_without_a_flush_on_all,
    activity_cleared_while_frozen,
    activity_cleared_without_a_flush_on_followers,
    data_before_the_activity_log,
    activity_of_a_returning_member_ignored,
    epoch_not_stored,
    superblock_not_synced,
    undo_after_the_overwrite,
    resync_does_not_wait_for_a_flush,
    freeze_forgotten,
    read_of_what_may_be_taken_back,
    suspects_forgotten,
    lease_ignored,
    writes_to_a_chunk_under_comparison_not_sent,
    member_of_another_epoch_obeyed,
    members_out_of_sync_taken_for_known,
    known_to_a_primary_that_was_out_of_sync,
    known_of_an_earlier_record,
    known_without_an_epoch,
    failed_disk_taken_for_intact,
    overtakes_an_older_write,
)

FOUND_AT: dict[str, tuple[int, ...]] = {
    "data_before_the_activity_log": (1288,),
    "suspects_forgotten": (3275,),
    "activity_cleared_without_a_flush_on_followers": (19,),
    "known_of_an_earlier_record": (336,),
}
"""Seeds that found a bug before; they only make the search short."""
