"""What an operator changes on a volume that is in use."""

from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.storage_replication.engine.frames import MAX_PAYLOAD, Kind
from holdfast.storage_replication.engine.peer import FED, Phase
from holdfast.storage_replication.engine.ports import Settings
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Other, add_peer
from holdfast.storage_replication.interfaces import Done


class ChangeRefused(HoldfastError):
    """The volume cannot be changed like this now. Says why, and what to do."""


def add_member(
    primary: Primary, settings: Settings, name: str, *, asynchronous: bool, done: Done
) -> None:
    """A member that has nothing yet; all of the volume is compared with it. Raises OSError.

    It is done when its dirty map is durable; the record may name the member after that.
    """
    if name in primary.members.peers or name == primary.disk.superblock.member:
        raise ChangeRefused(
            "it is a member already", place=f"member {name}", cure="remove it first to start over"
        )
    add_peer(primary, settings, name, Other(False, asynchronous), known=False, same=False)
    primary.members.recount()
    disk = primary.disk

    def saved(error: int) -> None:
        if error:
            disk.fail(error)
        elif primary.stream.maps_ready and not primary.stream.ended:
            disk.change(maps=disk.superblock.maps | {name: disk.superblock.epoch})
        done(error)

    primary.members.peers[name].dirty.save(saved)


def repair(primary: Primary, member: str, ranges: list[tuple[int, int]]) -> None:
    """Overwrite what `verify` found different on a member with what the primary reads, and here,
    too: it may be this disk that has lost what only the cache still shows.

    Raises ChangeRefused, OSError.
    """
    peer = primary.members.peers[member]
    if peer.phase is not Phase.STREAMING:
        raise ChangeRefused(
            f"it is {peer.phase.value}", place=f"member {member}", cure="wait until it is in sync"
        )
    stream = primary.stream
    # Above every flush so far: before the one below is done, the member lets go of none of it.
    stream.seq += 1
    for start, size in ranges:
        for offset in range(start, start + size, MAX_PAYLOAD):
            length = min(MAX_PAYLOAD, start + size - offset)
            data = bytes(primary.disk.file.pread(offset, length))
            primary.disk.file.pwrite(offset, data)
            stream.send(peer, Kind.WRITE, offset=offset, length=length, payload=data)
    stream.barrier()


class Growth:
    """Makes a volume larger: first all who count, then here. Driven by `tick` until it is done."""

    def __init__(
        self, primary: Primary, size: int, enlarge: Callable[[int], None], done: Done
    ) -> None:
        """`enlarge` makes the data file larger. Raises ChangeRefused."""
        if size <= primary.size:
            raise ChangeRefused(
                f"it has {primary.size} bytes", place="volume size", cure="ask for more"
            )
        self._primary, self.size, self._done = primary, size, done
        self._enlarge = enlarge
        self.ended = False

    def tick(self) -> None:
        """About ten times a second."""
        primary = self._primary
        small = [p for p in primary.members.peers.values() if p.size < self.size]
        for peer in small:
            if peer.phase in FED:
                primary.stream.send(peer, Kind.RESIZE, offset=self.size)
        if self.ended or any(peer.counts for peer in small):
            return
        self.ended = True
        try:
            self._grow()
        except OSError as error:
            self._done(error.errno or 5)

    def _grow(self) -> None:
        primary, disk = self._primary, self._primary.disk
        old = primary.size
        if disk.file.size < self.size:
            self._enlarge(self.size)
        disk.grow(self.size)
        for peer in primary.members.peers.values():
            disk.grow_map(peer.name, peer.dirty)
            if peer.resync is not None:
                peer.resync.size = self.size
        # A device may hold anything there; on files this costs nothing.
        primary.zero(old, self.size - old, True, False, self._done)
