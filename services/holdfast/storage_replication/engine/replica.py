"""A member that follows a primary.

Frames are taken in order. One that changes data waits until its extents are active and, in a
resync, what it overwrites is in the undo log: both durable. Others wait behind it.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine import accepting, growing
from holdfast.storage_replication.engine.digests import told
from holdfast.storage_replication.engine.frames import IN_PLACE, PUNCH, VERIFY, Frame, Kind, encode
from holdfast.storage_replication.engine.handshake import pack_active
from holdfast.storage_replication.engine.messages import Hello, Welcome
from holdfast.storage_replication.engine.ports import DiskFailed, Event
from holdfast.storage_replication.engine.preparing import Gate, prepared
from holdfast.storage_replication.engine.turns import Turns
from holdfast.storage_replication.interfaces import Link

MAX_QUEUE = 256 << 20
"""Bytes of memory; more ends the connection."""
_FRAME = 256
"""Of one frame that waits, beside its payload."""


class Replica:
    """Driven as engine/DESIGN.md says. `enlarge` makes the data file larger; raises OSError."""

    def __init__(
        self,
        disk: MemberDisk,
        report: Callable[[Event], None],
        enlarge: Callable[[int], None],
        turns: Turns,
    ) -> None:
        self.disk = disk
        self._report, self._enlarge, self._turns = report, enlarge, turns
        self._link: Link | None = None
        self._begun = False
        self._queue: deque[tuple[Frame, bytes]] = deque()
        self._queued = 0
        self._resting = False
        """The next frame zeroes, and this turn of the loop has done enough of that."""
        self._gate = Gate(disk, report, self._opened)
        self._applied = self._told = 0
        self._greeting: Hello | None = None
        """Of the primary that is accepted, while it waits for a WELCOME."""
        disk.on_failure, disk.on_cleared = self._failed, self._greet

    @property
    def followed(self) -> str:
        """Whom it is connected to; empty: nobody."""
        return self.disk.superblock.primary if self._link is not None else ""

    def follows(self, link: Link) -> bool:
        """Whether that is the connection of its primary."""
        return link is self._link

    def frame_received(self, link: Link, frame: Frame, payload: memoryview) -> None:
        """In the order of arrival; `acknowledge` comes after each batch.

        `payload` is valid only during the call.
        """
        if self.disk.failed:
            link.close()
        elif frame.kind is Kind.HELLO:
            self._hello(link, frame, payload)
        elif link is not self._link:
            link.close()  # of a primary that another one has replaced
        elif not self._acceptable(frame):
            self._drop()
        elif frame.kind is Kind.PING:
            # At once: a disk that is slow for a while is no reason to be taken for dead.
            self._send(Kind.PONG, frame.sequence)
        elif self._must_queue(frame):
            self._queue.append((frame, bytes(payload)))
            self._queued += _FRAME + len(payload)
            if not self._resting:
                self._run()
        else:
            self._take(frame, payload)

    def _must_queue(self, frame: Frame) -> bool:
        waits = self._gate.closed or self._resting or frame.kind is Kind.ZERO
        return waits or not self._ready(frame)

    def link_down(self, link: Link) -> None:
        """It is gone; what it brought and was not applied is dropped: nobody was told otherwise."""
        if link is self._link:
            self._drop()

    def acknowledge(self) -> None:
        """Tell the primary what was applied since it was told last."""
        if self._applied > self._told and self._link is not None:
            self._told = self._applied
            self._send(Kind.APPLIED, self._applied)

    def close(self) -> None:
        """Leave the role."""
        self._drop()

    # The handshake.

    def _hello(self, link: Link, frame: Frame, payload: memoryview) -> None:
        hello = accepting.parse(payload)
        reason = accepting.refusal(self.disk, frame.epoch, hello)
        if reason or hello is None:
            accepting.refuse(link, self.disk, hello, reason)
            return
        # Before its epoch is stored: from then on nothing of an earlier one is applied.
        self._drop()
        try:
            accepting.accept(self.disk, frame.epoch, hello)
        except OSError as error:
            self.disk.fail(error.errno or 5)
            link.close()
            return
        self._link, self._greeting = link, hello
        self._greet()

    def _greet(self) -> None:
        """WELCOME, once the disk is as large as the volume."""
        hello, link = self._greeting, self._link
        if hello is None or link is None or self.disk.failed:
            return
        try:
            reason = growing.grow(self.disk, hello.size, self._enlarge)
        except OSError as error:
            self.disk.fail(error.errno or 5)
            return
        if reason is None:
            return
        self._greeting = None
        if reason:
            self._link = None
            accepting.refuse(link, self.disk, hello, reason)
        else:
            self._welcome(hello)

    def _welcome(self, hello: Hello) -> None:
        self.disk.activity.limit = 0  # the primary's bound is ours
        self.disk.activity.unsettle()
        own = self.disk.superblock
        count = own.geometry.extents(hello.size)
        active = pack_active([e for e in self.disk.activity.active if e < count], count)
        welcome = Welcome(intact=own.intact, resyncing=own.resyncing, active=active)
        self._send(Kind.WELCOME, 0, payload=msgspec.msgpack.encode(welcome))

    def _drop(self) -> None:
        self._gate.reset()
        self._queue.clear()
        self._queued = 0
        self._begun = self._resting = False
        self._greeting = None
        self._applied = self._told = 0
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _acceptable(self, frame: Frame) -> bool:
        return (
            frame.epoch == self.disk.superblock.epoch
            and frame.kind in accepting.HANDLED
            and (frame.kind is Kind.RESIZE or self._within(frame))
            and (self._begun or frame.kind in (Kind.BEGIN, Kind.PING))
            and self._queued <= MAX_QUEUE
        )

    def _within(self, frame: Frame) -> bool:
        return frame.offset + frame.length <= self.disk.superblock.size

    # Frames, in order.

    def _run(self) -> None:
        """Take frames until there are none, or one has to wait."""
        queue = self._queue
        while queue and not self._gate.closed and not self.disk.failed:
            frame, payload = queue[0]
            if not self._ready(frame):
                self._gate.prepare(queue)
                continue
            if frame.kind is Kind.ZERO and not self._turns.spend(frame.length, self._rested):
                self._resting = True
                return
            queue.popleft()
            self._queued -= _FRAME + len(payload)
            self._take(frame, payload)

    def _rested(self) -> None:
        self._resting = False
        self._opened()

    def _ready(self, frame: Frame) -> bool:
        changes = frame.kind is Kind.WRITE or frame.kind is Kind.ZERO
        return not changes or prepared(self.disk, frame)

    def _take(self, frame: Frame, payload: bytes | memoryview) -> None:
        try:
            self._carry_out(frame, payload)
        except OSError as error:
            self.disk.fail(error.errno or 5)

    def _carry_out(self, frame: Frame, payload: bytes | memoryview) -> None:
        file = self.disk.file
        match frame.kind:
            case Kind.WRITE:
                file.pwrite(frame.offset, payload)
                self._touch(frame)
            case Kind.ZERO:
                file.zero(frame.offset, frame.length, bool(frame.flags & PUNCH))
                self._touch(frame)
            case Kind.FLUSH:
                life = self._gate.life
                file.sync(lambda error: self._flushed(life, frame.sequence, error))
            case Kind.HASH:
                read = file.read_disk if frame.flags & VERIFY else file.pread
                found = told(read, frame.offset, frame.length, self.disk.geometry.block)
                self._send(
                    Kind.HASHES, frame.sequence, offset=frame.offset, payload=found,
                    flags=frame.flags,
                )  # fmt: skip
            case Kind.BEGIN:
                self._begun = True
                self._gate.begin(bool(frame.flags & IN_PLACE))
            case Kind.SETTLED:
                self._gate.settled(frame.sequence)
            case Kind.CLEAN:
                self.disk.activity.clean(frame.sequence)
            case Kind.RESIZE:
                # Nothing is said while it is zeroed, or if there is no room: it is asked again.
                if growing.grow(self.disk, frame.offset, self._enlarge) == "":
                    self._send(Kind.RESIZED, frame.sequence, offset=frame.offset)

    def _touch(self, frame: Frame) -> None:
        active, extent = self.disk.activity.active, self.disk.geometry.extent
        last = (frame.offset + frame.length - 1) // extent
        seq = frame.sequence
        for index in range(frame.offset // extent, last + 1):
            if active.get(index, 0) < seq:
                active[index] = seq
        if self._applied < seq:
            self._applied = seq

    def _flushed(self, life: int, seq: int, error: int) -> None:
        if error:
            self.disk.fail(error)
        elif life == self._gate.life:
            self._told = max(self._told, seq)
            self._send(Kind.FLUSHED, seq)

    def _opened(self) -> None:
        """What the frames waited for is durable."""
        self._run()
        self.acknowledge()

    def _send(
        self, kind: Kind, seq: int, *, offset: int = 0, payload: bytes = b"", flags: int = 0
    ) -> None:
        if self._link is not None:
            epoch = self.disk.superblock.epoch
            header = encode(kind, epoch, seq, offset=offset, payload=payload, flags=flags)
            self._link.send(header, payload)

    def _failed(self, error: int) -> None:
        self._report(DiskFailed(error))
        self._drop()
