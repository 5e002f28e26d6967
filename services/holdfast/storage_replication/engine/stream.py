"""The one order of writes: to the own disk, and to every member that is fed.

Raises no OSError: a disk that fails does so through `MemberDisk.fail`, for good.
"""

from collections.abc import Callable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.frames import MAX_PAYLOAD, PUNCH, Kind, encode
from holdfast.storage_replication.engine.peer import FED, Peer
from holdfast.storage_replication.engine.ports import Ports


class Stream:
    """`changed` is called when something has become durable here."""

    def __init__(
        self, disk: MemberDisk, epoch: int, ports: Ports, changed: Callable[[], None]
    ) -> None:
        self.disk, self.epoch = disk, epoch
        self._ports, self._changed = ports, changed
        self._extent = disk.geometry.extent
        self._chunk = disk.geometry.chunk
        self.seq = 0
        """Of the last write or flush."""
        self.written = 0
        """Of the last write."""
        self.synced = -1
        """Everything up to here is durable on the own disk; -1: nothing is known to be."""
        self.maps_ready = False
        """Dirty maps are on disk and valid: only then may they replace the activity log."""
        self._cleaning = False
        self.ended = False
        """The role is over: what is still under way says nothing about whoever has the disk now."""
        self.flushing = 0
        """Of the last flush."""
        self.peers: dict[str, Peer] = {}
        self._fed: list[Peer] = []
        self._mapped: list[Peer] = []

    def sort(self) -> None:
        """To be called when a peer's phase has changed."""
        self._fed = [peer for peer in self.peers.values() if peer.phase in FED]
        self._mapped = [peer for peer in self.peers.values() if peer.phase not in FED]

    def ready(self, offset: int, length: int) -> bool:
        """Whether the extents of a write are active."""
        active = self.disk.activity.active
        extent = self._extent
        for index in range(offset // extent, (offset + length - 1) // extent + 1):
            if index not in active:
                return False
        return True

    def activate(self, offset: int, length: int, then: Callable[[], None]) -> None:
        """Call `then` once they are."""
        extents = range(offset // self._extent, (offset + length - 1) // self._extent + 1)
        self.disk.activity.activate(extents, then)
        self.relieve()

    def write(
        self, offset: int, data: bytes | memoryview, now: float, *, at_once: bool = False
    ) -> int:
        """Send and apply; its extents are active. The sequence number; 0: the disk failed.

        The members first: they work at it meanwhile. If the own disk fails then, they have what
        nobody was told of, as after any crash. `at_once`: as `Link.send`.
        """
        length = len(data)
        if length <= MAX_PAYLOAD:
            self._distribute(Kind.WRITE, offset, length, data, 0, now, at_once)
        else:
            view = memoryview(data)
            for start in range(0, length, MAX_PAYLOAD):
                part = view[start : start + MAX_PAYLOAD]
                self._distribute(Kind.WRITE, offset + start, len(part), part, 0, now, at_once)
        try:
            self.disk.file.pwrite(offset, data)
        except OSError as error:
            self.disk.fail(error.errno or 5)
            return 0
        return self._touched(offset, length)

    def zero(self, offset: int, length: int, punch: bool, now: float) -> int:
        """As `write`; at most MAX_LENGTH."""
        self._distribute(Kind.ZERO, offset, length, b"", PUNCH if punch else 0, now, True)
        try:
            self.disk.file.zero(offset, length, punch)
        except OSError as error:
            self.disk.fail(error.errno or 5)
            return 0
        return self._touched(offset, length)

    def _touched(self, offset: int, length: int) -> int:
        active, extent, seq = self.disk.activity.active, self._extent, self.seq
        self.written = seq
        for index in range(offset // extent, (offset + length - 1) // extent + 1):
            active[index] = seq
        return seq

    def _distribute(
        self,
        kind: Kind,
        offset: int,
        length: int,
        data: bytes | memoryview,
        flags: int,
        now: float,
        at_once: bool,
    ) -> None:
        self.seq = seq = self.seq + 1
        header = b""
        first, last = offset // self._chunk, (offset + length - 1) // self._chunk
        for peer in self._fed:
            if peer.lag is not None and peer.counts:
                peer.lag.wrote(seq, length, now)
            if peer.resync is not None and peer.resync.skips(first, last):
                continue
            if peer.backlog is not None:
                peer.backlog.sent(seq, len(data))
            header = header or encode(
                kind, self.epoch, seq, offset=offset, length=length, payload=data, flags=flags
            )
            if peer.link is not None:
                peer.link.send(header, data, at_once=at_once)
        for peer in self._mapped:
            if peer.lag is not None and peer.counts:
                peer.lag.wrote(seq, length, now)
            peer.dirty.set_range(first, last)

    def send(self, peer: Peer, kind: Kind, **fields: int | bytes) -> None:
        """A frame to one member, numbered with the last write: it comes after it."""
        if peer.link is not None:
            payload = fields.get("payload", b"")
            assert isinstance(payload, bytes)
            header = encode(kind, self.epoch, self.seq, **fields)  # type: ignore[arg-type]
            peer.link.send(header, payload)

    def barrier(self) -> int:
        """Make durable what was written so far, here and at everybody who is fed."""
        self.seq = self.flushing = seq = self.seq + 1
        header = encode(Kind.FLUSH, self.epoch, seq)
        for peer in self._fed:
            if peer.link is not None:
                peer.link.send(header, at_once=True)  # they sync while this disk does
        self.disk.file.sync(lambda error: self._synced(seq, error))
        return seq

    def _synced(self, seq: int, error: int) -> None:
        if error:
            self.disk.fail(error)
        if self.ended:
            return
        self.synced = max(self.synced, seq)
        self.relieve()
        self._changed()

    def relieve(self) -> None:
        """Make room in the activity log if somebody waits for it: what is durable goes first."""
        activity = self.disk.activity
        if activity.pressed:
            self.clean()
            if activity.pressed and self.flushing < activity.coldest(1):
                self.barrier()

    def safe(self) -> int:
        """Up to here every member that is fed, and the own disk, have made all durable."""
        return min(self.synced, *(peer.flushed for peer in self._fed), self.seq)

    def clean(self) -> None:
        """Let extents become inactive on which all agree durably: the coldest if room is wanted,
        all if not.

        Members that are not fed differ as their dirty maps say, so these are saved first. What
        changes while they are saved has a higher number than `target`, and stays active. But a
        member that counts and lacks something may become the primary, and would not know our map
        of it: until it has caught up, or the record has it no more, all stays active.
        """
        if self._lacking():
            return
        activity = self.disk.activity
        target = self.safe()
        if activity.pressed:
            # So many that a quarter of it is free, also if more were active for a while.
            surplus = len(activity.active) - activity.limit * 3 // 4
            target = min(target, activity.coldest(max(1, surplus)))
        if self._cleaning or not self.maps_ready or target < 0:
            return
        self._cleaning = True
        waiting = [peer.dirty for peer in self.peers.values() if peer.dirty.unsaved]
        left = len(waiting)

        def saved(error: int) -> None:
            nonlocal left
            left -= 1
            if error:
                self.disk.fail(error)
            elif left <= 0 and not self.ended:
                self._clean_up_to(target)

        if not waiting:
            self._clean_up_to(target)
        for bitmap in waiting:
            bitmap.save(saved)

    def _lacking(self) -> bool:
        """Whether somebody lacks something who may become the primary."""
        return any(peer.counts and not peer.caught_up for peer in self.peers.values())

    def _clean_up_to(self, target: int) -> None:
        self._cleaning = False
        for peer in self._fed:
            if peer.link is not None:
                peer.link.send(encode(Kind.CLEAN, self.epoch, target))
        self.disk.activity.clean(target)
