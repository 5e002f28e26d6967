"""How a volume's record may change: pure, every rule of I5 in one place.

Each takes the record as it is and gives the one to write in its place. Repeated on its own result
it gives the same again, so a write whose answer was lost can be made sure of by another one.
"""

from typing import NamedTuple

from holdfast.clock import wall_seconds
from holdfast.errors import HoldfastError
from holdfast.structs import replace
from holdfast.volumes import WORD_HOLDS, AcceptedLoss, MemberRecord, VolumeRecord


class ChangeRefused(HoldfastError):
    """The record, as it is, does not allow it."""


class Promoted(NamedTuple):
    """The record to write, and what the member must be told of the one it replaces."""

    record: VolumeRecord
    counted: bool
    """It had every acknowledged write."""
    kept_from: int
    """The epoch of the replaced record, if this node was its primary; else 0. Also 0 if it is
    recorded already, when only the member's own files tell."""


def promote(
    record: VolumeRecord,
    node: str,
    epoch: int,
    present: set[str],
    max_lag: str,
    *,
    asynchronous: bool = False,
    intact: bool = True,
    at: str = "",
) -> Promoted:
    """`node` becomes the primary at `epoch`. Raises ChangeRefused.

    `present`: others that answer; who is in sync and does not is taken out, for nothing would be
    acknowledged without it. `max_lag`: the loss that needs no operator, in words; empty: none.
    `asynchronous`: nobody is waited for, so from now on no other is in sync. `intact`: its memory
    is; else nobody knows what a member that follows has lost of what it had.
    `at`: wall time, up to which whoever does not count from now on had everything.
    """
    place = f"volume {record.volume}"
    if epoch < record.epoch or (epoch == record.epoch and record.primary != node):
        raise ChangeRefused(
            f"epoch {epoch} is past: at epoch {record.epoch} {_who(record)}",
            place=place,
            cure="promote at a higher epoch",
        )
    if node not in record.members:
        raise ChangeRefused(
            f"{node} has no copy of it",
            place=place,
            cure=f"`holdfast volume members add {record.volume} {node}`",
        )
    if epoch == record.epoch:
        known = _alone(record, node) if asynchronous else _not_following(record, at)
        return Promoted(known, not record.loss, 0)
    complete = node in record.in_sync
    loss = "" if complete else _loss(record, node, max_lag if intact else "", at)
    was_primary = record.primary == node
    counted = [*record.in_sync, *record.following] if record.counts(node) else []
    # What others lack is known to nobody but the primary that fed them.
    known = _alone(record, node) if asynchronous else record
    new = replace(
        record,
        epoch=epoch,
        primary=node,
        in_sync=[name for name in record.in_sync if name == node or name in present]
        if complete and not asynchronous
        else [node],
        following=known.following if was_primary and asynchronous else [],
        # Only of this very record: what was known before it, its primary may have let go of.
        before=[name for name in counted if name != node],
        loss=loss,
        accepted=None,
        went_back=[],
    )
    left = {name for name in record.members if record.counts(name) and not new.counts(name)}
    new = replace(new, members=_counted(record, left, at))
    return Promoted(new, complete, record.epoch if was_primary else 0)


def _counted(record: VolumeRecord, names: set[str], at: str) -> dict[str, MemberRecord]:
    return {
        name: replace(one, in_step=at, counted=True) if name in names else one
        for name, one in record.members.items()
    }


def _alone(record: VolumeRecord, node: str) -> VolumeRecord:
    """Of an async volume that is written again: who was complete follows."""
    others = [name for name in record.in_sync if name != node]
    return replace(record, in_sync=[node], following=[*record.following, *others])


def _not_following(record: VolumeRecord, at: str) -> VolumeRecord:
    """Of a volume that was async and is sync now: who followed gets what it lacks behind an undo
    log, for its data is the primary's of some earlier time, and counts when it has that."""
    members = _counted(record, set(record.following), at)
    return replace(record, following=[], members=members)


def complete(record: VolumeRecord, node: str, epoch: int, members: list[str]) -> VolumeRecord:
    """The primary has stopped, and these async members have all it had. Raises ChangeRefused."""
    require_primary(record, node, epoch)
    whole = [name for name in members if name in record.following]
    return replace(
        record,
        in_sync=[*record.in_sync, *whole],
        following=[name for name in record.following if name not in whole],
    )


def go_on(record: VolumeRecord, node: str) -> None:
    """The primary's disk failed at this very epoch, and it would go on. Raises ChangeRefused."""
    others = ", ".join(name for name in record.in_sync if name != node)
    if others:
        raise ChangeRefused(
            f"its disk has failed since it was promoted: it may lack what {others} has",
            place=f"volume {record.volume}",
            cure=f"`holdfast switchover` of its group to {others}; then it gets what it lacks",
        )


def still(record: VolumeRecord, *, node: str, epoch: int) -> VolumeRecord:
    """The same record, if it names this node as the primary at that epoch. Raises ChangeRefused."""
    if (record.primary, record.epoch) != (node, epoch):
        raise ChangeRefused(
            f"{record.primary or 'nobody'} is its primary, at epoch {record.epoch}",
            place=f"volume {record.volume}",
            cure=f"release it on {node}, which served it at epoch {epoch}",
        )
    return record


def holding(record: VolumeRecord, node: str, at: str) -> AcceptedLoss | None:
    """The word by which `node` may be promoted at the wall time `at`, if there is one."""
    word = record.accepted
    if word is None or word.node != node or not "" < word.at <= at:
        return None
    return word if wall_seconds(word.at, at) <= WORD_HOLDS else None


def _loss(record: VolumeRecord, node: str, max_lag: str, at: str) -> str:
    """What is lost if a member that is not in sync is promoted. Raises ChangeRefused."""
    if word := holding(record, node, at):
        return f"{word.operator} accepts: {word.stated}"
    if node in record.following and max_lag:
        return f"it follows, within {max_lag}"
    whole = ", ".join(record.in_sync)
    raise ChangeRefused(
        f"{node} {'follows' if node in record.following else 'is behind'}: it may lack "
        f"acknowledged writes; {whole} has them all",
        place=f"volume {record.volume}",
        cure=f"start the group where the volume is whole ({whole}), or accept the loss with "
        "`holdfast start GROUP --on NODE --accept-loss`",
    )


def take_out(
    record: VolumeRecord, node: str, epoch: int, member: str, *, at: str = ""
) -> VolumeRecord:
    """The primary goes on without a member, which had everything up to the wall time `at`. Raises
    ChangeRefused."""
    require_primary(record, node, epoch)
    return replace(
        record,
        members=_counted(record, {member} if record.counts(member) else set(), at),
        in_sync=[name for name in record.in_sync if name != member],
        following=[name for name in record.following if name != member],
    )


def take_in(
    record: VolumeRecord,
    node: str,
    epoch: int,
    member: str,
    *,
    asynchronous: bool,
    instance: str = "",
) -> VolumeRecord:
    """A member has everything; async: it follows within its bound. Raises ChangeRefused.

    `instance`: the copy that has it; removed and added again, it is another one. Empty: not known.
    """
    require_primary(record, node, epoch)
    known = record.members.get(member)
    if known is None or (instance and known.instance != instance):
        raise ChangeRefused(
            f"{member} is no member" if known is None else f"{member} is another copy by now",
            place=f"volume {record.volume}",
            cure=f"`holdfast volume members add {record.volume} {member}`",
        )
    if member in record.went_back:
        raise ChangeRefused(
            f"{member} went back to an earlier state: what it was found to have may be of before",
            place=f"volume {record.volume}",
            cure="it is taken in after the next start of the group",
        )
    without = take_out(record, node, epoch, member)
    of_it = record.accepted is not None and record.accepted.node == member
    without = replace(
        without,
        members=_counted(without, {member}, ""),
        accepted=None if of_it else record.accepted,
    )
    if asynchronous:
        return replace(without, following=[*without.following, member])
    return replace(without, in_sync=[*without.in_sync, member])


def fall_back(record: VolumeRecord, node: str) -> VolumeRecord:
    """`node` may undo its resync: what it lacks then is nobody's loss. Raises ChangeRefused.

    What was asked for to take `node` in, and is still on its way, comes too late. Who serves goes
    on without it.
    """
    if record.counts(node):
        raise ChangeRefused(
            f"{node} counts: what it has is what was acknowledged",
            place=f"volume {record.volume}",
            cure="nothing needs to be undone; start the group there",
        )
    known = record.members.get(node)
    # Versions that did not note it noted when a member ceased to count.
    if known is None or not (known.counted or known.in_step):
        raise ChangeRefused(
            f"{node} never had everything: what its disk held before is no state of the volume",
            place=f"volume {record.volume}",
            cure="let its resync end; without a primary, start the group where a copy counted, "
            "or restore the volume from a backup",
        )
    others = [name for name in record.went_back if name != node]
    return replace(record, went_back=[*others, node])


def accept_loss(
    record: VolumeRecord, node: str, operator: str, stated: str, *, at: str
) -> VolumeRecord:
    """An operator's word, at the wall time `at`, that `node` may be promoted. Raises
    ChangeRefused."""
    if node not in record.members:
        raise ChangeRefused(
            f"{node} has no copy of it",
            place=f"volume {record.volume}",
            cure=f"choose one of {', '.join(record.members)}",
        )
    word = AcceptedLoss(node=node, operator=operator, stated=stated[:1000], at=at)
    return replace(record, accepted=word)


def require_primary(record: VolumeRecord, node: str, epoch: int) -> None:
    """Raises ChangeRefused."""
    if (record.primary, record.epoch) != (node, epoch):
        raise ChangeRefused(
            f"{node} is not its primary at epoch {epoch}: at epoch {record.epoch} {_who(record)}",
            place=f"volume {record.volume}",
            cure="ask the node that runs the group; if none does, start it anew",
        )


def _who(record: VolumeRecord) -> str:
    return f"{record.primary} was promoted" if record.primary else "nobody was promoted"
