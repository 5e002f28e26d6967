"""What a data path says that happened, as events."""

import os

from holdfast.events import EventData
from holdfast.events.storage import (
    VolumeDeposed,
    VolumeDiskFailed,
    VolumeFallbackLost,
    VolumeFellBack,
    VolumeFrozen,
    VolumeMemberJoined,
    VolumeMemberLost,
    VolumeRepaired,
    VolumeResyncFinished,
    VolumeResyncStarted,
    VolumeThawed,
    VolumeVerified,
    VolumeVerifyCut,
)
from holdfast.storage_replication.control import Happened
from holdfast.storage_replication.engine.ports import (
    Deposed,
    Differences,
    DiskFailed,
    FallbackLost,
    FellBack,
    Frozen,
    MemberJoined,
    MemberLost,
    MemberRefused,
    MemberSilent,
    Repaired,
    ResyncDone,
    ResyncStarted,
    Thawed,
    VerifyCut,
)
from holdfast.storage_replication.replicated.reports import Reports, Trail

_SHOWN = 16


def tell(reports: Reports, volume: str, node: str, happened: Happened) -> None:
    """Record it, with the signal that it belongs to as its cause."""
    what, epoch = happened.what, happened.epoch
    member = getattr(what, "member", "")
    after: Trail | None = None
    if isinstance(what, MemberLost | MemberRefused):
        after = reports.member(volume, epoch, member, what.reason)
    elif isinstance(what, MemberSilent):
        reports.member(volume, epoch, member, f"silent for {what.seconds:.1f} s")
    elif isinstance(what, FellBack):
        after = Trail(what.incident, what.cause) if what.cause else None
    elif member:
        known = reports.signals.of(volume, f"replica-{member}")
        after = Trail(known.incident, known.event) if known else None
    data = _event(volume, node, happened)
    if data is not None:
        reports.say(volume, data, after)
    if isinstance(what, MemberJoined):
        reports.member(volume, epoch, member, "")


def _event(volume: str, node: str, happened: Happened) -> EventData | None:
    epoch = happened.epoch
    match happened.what:
        case MemberLost(member, reason) | MemberRefused(member, reason):
            return VolumeMemberLost(
                volume=volume, node=node, epoch=epoch, member=member, reason=reason[:1000]
            )
        case MemberJoined(member):
            return VolumeMemberJoined(volume=volume, node=node, epoch=epoch, member=member)
        case MemberSilent():
            return None  # the signal says it all
        case Frozen(members):
            return VolumeFrozen(volume=volume, node=node, epoch=epoch, members=members)
        case Thawed():
            return VolumeThawed(volume=volume, node=node, epoch=epoch)
        case ResyncStarted(member, size, in_place):
            return VolumeResyncStarted(
                volume=volume, node=node, epoch=epoch, member=member, bytes=size, in_place=in_place
            )
        case ResyncDone(member, size):
            return VolumeResyncFinished(
                volume=volume, node=node, epoch=epoch, member=member, bytes=size
            )
        case Deposed(successor):
            return VolumeDeposed(volume=volume, node=node, epoch=epoch, successor=successor)
        case DiskFailed(error):
            return VolumeDiskFailed(
                volume=volume, node=node, epoch=epoch, reason=os.strerror(error)
            )
        case FallbackLost():
            return VolumeFallbackLost(volume=volume, node=node, epoch=epoch)
        case FellBack():
            return VolumeFellBack(volume=volume, node=node, epoch=epoch)
        case VerifyCut(member, reason):
            return VolumeVerifyCut(
                volume=volume, node=node, epoch=epoch, member=member, reason=reason[:1000]
            )
        case Repaired(member, ranges, problem):
            return VolumeRepaired(
                volume=volume,
                node=node,
                epoch=epoch,
                member=member,
                ranges=ranges,
                problem=problem[:1000],
            )
        case Differences(member, ranges, unreadable, complete):
            return VolumeVerified(
                volume=volume,
                node=node,
                epoch=epoch,
                member=member,
                differences=len(ranges),
                ranges=[f"{offset}+{length}" for offset, length in ranges[:_SHOWN]],
                unreadable=[f"{offset}+{length}" for offset, length in unreadable[:_SHOWN]],
                complete=complete,
            )
