"""What an operator changes on a volume that is in use."""

from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.storage_replication.engine.frames import MAX_PAYLOAD, Kind
from holdfast.storage_replication.engine.growing import blank
from holdfast.storage_replication.engine.peer import FED, Peer, Phase
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
    _keep_map(primary, primary.members.peers[name], done)


def repair(primary: Primary, member: str, ranges: list[tuple[int, int]]) -> None:
    """Overwrite what `verify` found different on a member with what the primary reads, and here,
    too: it may be this disk that has lost what only the cache still shows.

    Raises ChangeRefused, OSError.
    """
    peer = primary.members.peers.get(member)
    if peer is None or peer.phase is not Phase.STREAMING:
        raise ChangeRefused(
            f"it is {peer.phase.value if peer else 'no member any more'}",
            place=f"member {member}",
            cure="wait until it is in sync",
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
    """Makes a volume larger: first all who count, then here. Driven by `tick` until it is done.

    What is new is zero at each of them before its size is durable (`growing`), and nobody can
    write there before that.
    """

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
        if self.ended or primary.stream.ended:
            return
        try:
            # Before anybody is told: a member that has grown does not become smaller again.
            ready = blank(primary.disk, self.size, self._enlarge)
        except OSError as error:
            self.ended = True
            self._done(error.errno or 5)
            return
        small = [p for p in primary.members.peers.values() if p.size < self.size]
        for peer in small:
            if peer.phase in FED:
                primary.stream.send(peer, Kind.RESIZE, offset=self.size)
        # The maps first: what `_grow` changes in them would be missing on disk.
        if ready and primary.stream.maps_ready and not any(peer.counts for peer in small):
            self.ended = True
            self._grow(small)

    def _grow(self, small: list[Peer]) -> None:
        """All who count have zeroes there. What others have, nobody knows: it will be compared."""
        primary, disk = self._primary, self._primary.disk
        first = primary.size // disk.geometry.chunk
        names = {peer.name for peer in small}
        try:
            maps = {m: e for m, e in disk.superblock.maps.items() if m not in names}
            disk.grow(self.size, maps=maps)
            for peer in primary.members.peers.values():
                disk.grow_map(peer.name, peer.dirty)
                if peer.resync is not None:
                    peer.resync.size = self.size
        except OSError as error:
            disk.fail(error.errno or 5)
            self._done(error.errno or 5)
            return
        for peer in small:
            peer.dirty.set_range(first, peer.dirty.count - 1)
            _keep_map(primary, peer)
        self._done(0)


def _keep_map(primary: Primary, peer: Peer, done: Done = lambda _error: None) -> None:
    """A dirty map is valid once it is durable."""
    disk, name = primary.disk, peer.name

    def saved(error: int) -> None:
        stream = primary.stream
        if error:
            disk.fail(error)
        elif stream.maps_ready and not stream.ended and stream.peers.get(name) is peer:
            try:
                disk.change(maps=disk.superblock.maps | {name: disk.superblock.epoch})
            except OSError as failed:
                disk.fail(failed.errno or 5)
                error = failed.errno or 5
        done(error)

    peer.dirty.save(saved)
