"""Taking the role of the primary."""

from typing import NamedTuple

from holdfast.errors import HoldfastError
from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.asynchronous import Lag
from holdfast.storage_replication.engine.handshake import mark_active
from holdfast.storage_replication.engine.peer import Peer
from holdfast.storage_replication.engine.ports import Ports, Settings
from holdfast.storage_replication.engine.primary import Primary


class PromotionRefused(HoldfastError):
    """This member must not become the primary. Says why, and who may."""


class Other(NamedTuple):
    """Another member, as the record has it."""

    counts: bool
    """In the in-sync set; async: following."""
    asynchronous: bool = False
    before: bool = False
    """The record that was replaced counted on it, and on this node: whether it answers now or not,
    they differ only where one of their activity logs says so (V5)."""


class Promotion(NamedTuple):
    """What the record says once it names this node as the primary."""

    epoch: int
    counted: bool
    """The record that was replaced had this node in its in-sync set."""
    kept_from: int
    """The epoch of the record that was replaced, if this node was its primary; else 0. The same
    epoch for a data path that starts again."""
    others: dict[str, Other]
    accept_loss: bool = False
    """An operator accepts that this member lacks acknowledged writes."""


def promote(disk: MemberDisk, ports: Ports, settings: Settings, order: Promotion) -> Primary:
    """The record says so already. The disk is confirmed. Raises PromotionRefused, OSError."""
    _require(disk, order)
    own = disk.superblock
    complete = order.counted or bool(order.kept_from)
    # Once it has led at this epoch, its dirty maps tell more than its activity log.
    first = own.epoch < order.epoch
    disk.change(
        epoch=order.epoch,
        primary=own.member,
        resyncing=False,
        fallback=False,
        intact=True,
        maps={m: e for m, e in own.maps.items() if e == order.kept_from and m in order.others},
    )
    disk.drop_undo()
    disk.activity.limit = settings.hot_extents
    # What was active is marked in every dirty map below, so it may be cleaned as if written now.
    disk.activity.settle(0)
    primary = Primary(disk, ports, settings)
    for name, other in order.others.items():
        known = bool(order.kept_from) and own.maps.get(name) == order.kept_from
        same = complete and other.counts and not other.asynchronous
        same = same or (first and other.before)
        add_peer(primary, settings, name, other, known=known, same=same)
    primary.suspect()
    primary.members.recount()
    _keep_maps(primary)
    return primary


def add_peer(
    primary: Primary, settings: Settings, name: str, other: Other, *, known: bool, same: bool
) -> None:
    """`known`: its dirty map on disk is valid; `same`: it differs only where extents are active."""
    dirty = primary.disk.open_map(name)
    if not known:
        dirty.fill(not same)
    lag = Lag(settings.max_lag_bytes, settings.max_lag_seconds) if other.asynchronous else None
    peer = Peer(name, dirty, other.counts, lag)
    primary.stream.peers[name] = peer
    mark_active(primary.stream, peer)
    if lag is not None and peer.counts and (differing := dirty.total()):
        # What an earlier process knew of its lag is gone: at most all that may differ, and older
        # than it may be, for all that is known.
        age = settings.max_lag_seconds
        lag.wrote(0, differing * primary.disk.geometry.chunk, primary.now() - age)


def _keep_maps(primary: Primary) -> None:
    """Save the dirty maps; from then on they, too, tell what differs."""
    disk = primary.disk
    maps: dict[str, Bitmap] = {n: peer.dirty for n, peer in primary.stream.peers.items()}
    left = len(maps)

    def ready() -> None:
        try:
            disk.change(maps=dict.fromkeys(maps, disk.superblock.epoch))
        except OSError as error:
            disk.fail(error.errno or 5)
            return
        primary.stream.maps_ready = True
        primary.stream.relieve()

    def saved(error: int) -> None:
        nonlocal left
        left -= 1
        if error:
            disk.fail(error)
        elif left == 0 and not primary.stream.ended:
            ready()

    for bitmap in maps.values():
        bitmap.save(saved)
    if not maps:
        ready()


def _require(disk: MemberDisk, order: Promotion) -> None:
    own = disk.superblock
    place = f"volume member {own.member}"
    if order.epoch < own.epoch or (order.epoch == own.epoch and own.primary != own.member):
        raise PromotionRefused(
            f"epoch {order.epoch} is past: {own.primary} was primary at epoch {own.epoch}",
            place=place,
            cure="promote at a higher epoch",
        )
    if own.resyncing and not order.counted:
        raise PromotionRefused(
            "its resync is not complete: the data is between two states",
            place=place,
            cure="promote another member; if there is none, fall back to the last consistent state",
        )
    if not (order.counted or order.kept_from or order.accept_loss):
        raise PromotionRefused(
            "it is not in sync",
            place=place,
            cure="promote a member that is, or accept that acknowledged writes are lost",
        )
