"""Which copies a volume has, and their size: pure changes of its record, as in `transitions`."""

from holdfast.storage_replication.replicated.transitions import (
    ChangeRefused,
    require_primary,
    take_out,
)
from holdfast.structs import replace
from holdfast.volumes import MemberRecord, VolumeRecord


def create(
    volume: str,
    uuid: str,
    size: int,
    members: list[str],
    source: str,
    *,
    overwrite: bool = False,
) -> VolumeRecord:
    """The first record: `source` has the content, the others get it from there, over what their
    files hold only with `overwrite`."""
    return VolumeRecord(
        volume=volume,
        uuid=uuid,
        size=size,
        in_sync=[source],
        members={name: MemberRecord(overwrite=overwrite) for name in members},
    )


def add_member(
    record: VolumeRecord, node: str, epoch: int, member: str, *, overwrite: bool = False
) -> VolumeRecord:
    """A new copy, empty so far; `overwrite` as in `create`. Raises ChangeRefused."""
    require_primary(record, node, epoch)
    if member in record.members:
        return record
    return replace(record, members={**record.members, member: MemberRecord(overwrite=overwrite)})


def remove_member(record: VolumeRecord, node: str, epoch: int, member: str) -> VolumeRecord:
    """A copy less, for good. Raises ChangeRefused."""
    if member == node:
        raise ChangeRefused(
            f"{member} is the primary",
            place=f"volume {record.volume}",
            cure="move the group elsewhere first",
        )
    without = take_out(record, node, epoch, member)
    members = {name: one for name, one in without.members.items() if name != member}
    # Added again it is another copy, of which nothing is known.
    before = [name for name in without.before if name != member]
    went_back = [name for name in without.went_back if name != member]
    return replace(without, members=members, before=before, went_back=went_back)


def started(record: VolumeRecord, member: str, instance: str) -> VolumeRecord:
    """A member's files exist from now on, and are these. Raises ChangeRefused."""
    known = record.members.get(member)
    if known is None or known.instance not in ("", instance):
        raise ChangeRefused(
            f"{member} is no member any more" if known is None else lost_files(member),
            place=f"volume {record.volume}",
            cure=f"`holdfast volume members remove {record.volume} {member}`, then add it again: "
            "it gets a fresh copy",
        )
    return replace(record, members={**record.members, member: replace(known, instance=instance)})


def lost_files(member: str) -> str:
    """Why a member whose files are not those of the record is not started."""
    return f"{member} has lost the files beside its data, and with them what its data is worth"


def resize(record: VolumeRecord, node: str, epoch: int, size: int) -> VolumeRecord:
    """It has grown. Raises ChangeRefused."""
    require_primary(record, node, epoch)
    return replace(record, size=max(size, record.size))
