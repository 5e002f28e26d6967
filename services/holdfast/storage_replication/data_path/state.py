"""What the service is told of a node."""

import os

from holdfast.storage_replication.control import Comparison, MemberState, State
from holdfast.storage_replication.data_path.node import Node
from holdfast.storage_replication.engine.peer import Peer, Phase
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.progress import Progress
from holdfast.storage_replication.engine.replica import Replica


def state(node: Node, volume: str, port: int) -> State:
    """As it is now."""
    own, role = node.disk.superblock, node.role
    primary = role if isinstance(role, Primary) else None
    return State(
        volume=volume,
        uuid=own.uuid,
        member=own.member,
        pid=os.getpid(),
        role="primary" if primary is not None else "replica",
        epoch=own.epoch,
        primary=own.primary,
        size=own.size,
        frozen=_frozen(primary, node) if primary is not None else "",
        members=_members(primary) if primary is not None else {},
        clients=node.door.clients,
        nbd_port=node.door.port,
        port=port,
        connected=isinstance(role, Replica) and bool(role.followed),
        intact=own.intact,
        resyncing=own.resyncing,
        fallback=own.fallback,
        going_back=None if node.going_back is None else _comparison(node.going_back.progress),
        failed=node.disk.failed,
    )


def _frozen(primary: Primary, node: Node) -> str:
    counting, now = primary.counting, primary.now()
    if counting.deposed:
        return f"there is a primary at epoch {counting.deposed}"
    if node.disk.failed:
        return f"the disk failed: {os.strerror(node.disk.failed)}"
    if now >= primary.answers.valid_until:
        return "the node's lease has run out"
    if counting.blocked:
        missing = (p for p in counting.waited if not p.caught_up)
        waits = "; ".join(f"{peer.name}: {_why(peer)}" for peer in missing)
        return f"a member that counts does not have everything: {waits}"
    if counting.following and counting.exceeded(now):
        behind = ", ".join(p.name for p in counting.following if p.lag and p.lag.exceeded(now))
        return f"over the bound that may be lost: {behind}"
    return ""


def _why(peer: Peer) -> str:
    if peer.asked is False:
        return f"taking it out of the record is not agreed to{peer.refusal and ' ' + peer.refusal}"
    return peer.phase.value


def _members(primary: Primary) -> dict[str, MemberState]:
    return {name: _member(primary, peer) for name, peer in primary.members.peers.items()}


def _comparison(progress: Progress, sent: int = 0) -> Comparison:
    return Comparison(done=progress.done, total=progress.total, sent=sent, eta=progress.eta)


def _member(primary: Primary, peer: Peer) -> MemberState:
    resync, verify, lag = peer.resync, peer.verify, peer.lag
    chunk = primary.disk.geometry.chunk
    # In step, its map is of no account.
    behind = 0 if peer.phase is Phase.STREAMING else peer.dirty.total() * chunk
    if resync is not None:
        behind = max(0, resync.progress.total - resync.progress.done)
    return MemberState(
        connected=peer.link is not None,
        counts=peer.counts,
        asynchronous=lag is not None,
        instance=peer.instance,
        phase=peer.phase.value,
        behind=behind,
        silent=primary.now() - peer.heard_at if peer.silent else 0.0,
        lag_bytes=lag.bytes if lag is not None else 0,
        lag_seconds=lag.seconds(primary.now()) if lag is not None else 0.0,
        resync=None if resync is None else _comparison(resync.progress, resync.sent),
        verify=None if verify is None else _comparison(verify.progress),
        refusal=peer.refusal,
        asked="" if peer.asked is None else "take_in" if peer.asked else "take_out",
    )
