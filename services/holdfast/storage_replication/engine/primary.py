"""A volume's primary: what the NBD server serves. What is let in, and in which order."""

import errno
from functools import partial

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.answers import Answers
from holdfast.storage_replication.engine.coming import Coming
from holdfast.storage_replication.engine.entering import Applied, Door, Entering, Late
from holdfast.storage_replication.engine.frames import MAX_LENGTH, Frame
from holdfast.storage_replication.engine.held import Held, all_done
from holdfast.storage_replication.engine.links import Links
from holdfast.storage_replication.engine.membership import Membership
from holdfast.storage_replication.engine.ports import DiskFailed, Ports, Settings, VerifyCut
from holdfast.storage_replication.engine.stream import Stream
from holdfast.storage_replication.engine.upkeep import Upkeep
from holdfast.storage_replication.interfaces import Done, Extent, Link, ReadDone


class Primary:
    """A `Volume`. Made by `engine.promotion.promote`; driven as engine/DESIGN.md says."""

    def __init__(self, disk: MemberDisk, ports: Ports, settings: Settings) -> None:
        self.disk, self._ports, self._settings = disk, ports, settings
        self.now = ports.now
        self.stream = Stream(disk, disk.superblock.epoch, ports, self._advance)
        self.members = Membership(self.stream, ports, settings, self._advance)
        self.counting = self.members.counting
        self._links = Links(self.stream, self.members, ports, self._advance)
        self.upkeep = Upkeep(self.stream, self.members, ports, settings)
        self._coming = Coming(settings.held)
        self.answers = Answers(disk, self.counting, self._coming, self.now, self.upkeep.latency)
        self._held = Held()
        self._door = Door(
            self._coming,
            self._held,
            self.stream,
            ports.turns,
            self.now,
            lambda: self._shut(self.now()),
            lambda: self._ended,
            self._applied,
        )
        self._ended = 0
        self._advancing = False
        disk.on_failure = self._failed

    @property
    def size(self) -> int:
        """In bytes."""
        return self.disk.superblock.size

    def suspect(self) -> None:
        """What a member that counts may lack is not read before it was compared (V4)."""
        per_extent = self.disk.geometry.extent // self.disk.geometry.chunk
        for peer in self.members.peers.values():
            if peer.counts and peer.lag is None:
                self.answers.reads.suspect({chunk // per_extent for chunk in peer.dirty})

    def renew(self, valid_until: float) -> None:
        """The node's lease lasts until then."""
        self.answers.valid_until = valid_until
        self._advance()

    def tick(self) -> None:
        """About ten times a second."""
        if not self._ended:
            self.upkeep.tick()
            self._advance()

    def link_up(self, member: str, link: Link) -> None:
        """A connection to a member is open."""
        if self._ended:
            link.close()
        else:
            self._links.up(member, link)

    def link_down(self, member: str, link: Link) -> None:
        """It is gone."""
        if not self._ended:
            self._links.down(member, link)

    def frame_received(self, member: str, link: Link, frame: Frame, payload: bytes) -> None:
        """In the order of arrival."""
        if not self._ended:
            self._links.received(member, link, frame, payload)

    def write(self, offset: int, data: memoryview | bytes, fua: bool, done: Done) -> None:
        """As `Volume.write`."""
        length = len(data)
        if self._refused(offset, length, done):
            return
        now = self.now()
        late = self._held or self._shut(now) or self._coming.over(offset, length)
        if not late and self.stream.ready(offset, length):
            # Alone it leaves at once; what comes while others are under way is collected.
            seq = self.stream.write(offset, data, now, at_once=not self.answers.pending)
            self._applied(Applied(offset, length, fua, done, now, seq))
            return
        copy = bytes(data)

        def apply(_offset: int, _length: int, began: float) -> int:
            return self.stream.write(offset, copy, began)

        self._later(Late(offset, length, fua, done, apply), kept=length)

    def zero(self, offset: int, length: int, punch: bool, fua: bool, done: Done) -> None:
        """As `Volume.zero`."""
        if self._refused(offset, length, done):
            return

        def apply(offset: int, length: int, began: float) -> int:
            return self.stream.zero(offset, length, punch, began)

        starts = range(offset, offset + length, MAX_LENGTH)
        part_done = all_done(len(starts), done)
        for start in starts:
            size = min(MAX_LENGTH, offset + length - start)
            late = Late(start, size, fua, part_done, apply, self._ports.turns.most)
            self._later(late, kept=0)

    def flush(self, done: Done) -> None:
        """As `Volume.flush`."""
        if self._ended:
            done(self._ended)
        elif not self._held and not self._shut(self.now()):
            self._flush(done)
        elif not self._held.add_flush(partial(self._flush, done), done):
            done(errno.ENOBUFS)

    def drain(self, done: Done) -> None:
        """A flush that waits for connected async members, too. To be called when nothing is written
        any more."""
        self.counting.draining = True
        self.members.recount()
        self.flush(done)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """As `Volume.read`; waits while a failover could take back what it would return (V4)."""
        if self._ended:
            done(self._ended, b"")
        elif length <= 0 or offset < 0 or offset + length > self.size:
            done(errno.EINVAL, b"")
        else:
            self.answers.reads.read(offset, length, done)

    def extents(self, offset: int, length: int) -> list[Extent]:
        """As `Volume.extents`. What is not settled yet is told as data."""
        if self.answers.reads.must_wait(offset, length):
            return [(length, False, False)]
        return self.disk.file.extents(offset, length)

    # Writing.

    def _refused(self, offset: int, length: int, done: Done) -> bool:
        if self._ended:
            done(self._ended)
        elif length <= 0 or offset < 0 or offset + length > self.size:
            done(errno.EINVAL)
        else:
            return False
        return True

    def _shut(self, now: float) -> bool:
        """Whether new writes must wait."""
        return (
            self.counting.blocked
            or now >= self.answers.valid_until
            or self.answers.pending.bytes > self._settings.window
            or (bool(self.counting.following) and self.counting.exceeded(now))
            or (bool(self.counting.backlogs) and self.counting.flooded)
        )

    def _later(self, late: Late, kept: int) -> None:
        """Apply it when it may be let in; perhaps now."""
        number = self._coming.enter(late.offset, late.length, kept)
        if number:
            Entering(self._door, late, number).come()
        else:
            late.done(errno.ENOBUFS)

    def _applied(self, one: Applied) -> None:
        if not one.seq:
            one.done(self._ended or errno.EIO)
            return
        done = None if one.fua else one.done
        self.answers.pending.add(one.seq, one.offset, one.length, done, one.began)
        if one.fua:
            self._flush(one.done, one.began)
        elif not self.counting.waited:
            self._advance()

    def _flush(self, done: Done, began: float | None = None) -> None:
        stream = self.stream
        # With nothing written since the last one, that one makes durable what this one is to.
        covered = stream.flushing > stream.written
        seq = stream.flushing if covered else stream.seq + 1
        self.answers.flushes.append((seq, done, self.now() if began is None else began))
        if not covered:
            stream.barrier()
        self._advance()

    def _advance(self) -> None:
        """Something has changed: answer whatever can be answered, let in whatever may come in."""
        if self._advancing or self._ended:
            return
        self._advancing = True
        try:
            answers, moved = self.answers, True
            while moved and not self._ended:
                acknowledged = answers.acknowledge()
                moved = answers.answer_flushes()
                moved |= answers.answer_reads()
                moved |= self._release()
                # Whoever was told may have written more.
                moved |= acknowledged and bool(answers.pending)
        finally:
            self._advancing = False

    def _release(self) -> bool:
        moved = False
        while self._held and not self._shut(self.now()):
            self._held.release()
            moved = True
        return moved

    def close(self) -> None:
        """Leave the role: nothing is answered any more but ESHUTDOWN."""
        self._end(errno.ESHUTDOWN)

    def _failed(self, error: int) -> None:
        self._ports.report(DiskFailed(error))
        self._end(errno.EIO)

    def _end(self, error: int) -> None:
        """Everybody who waits is told. From now on nobody is taken for lost, or let go of: after a
        failure of the own disk, the others have what this one may not."""
        failed, self._ended = error == errno.EIO, self._ended or error
        self.stream.ended = True
        why = "the disk of its primary failed" if failed else "its primary has another role"
        for peer in self.members.peers.values():
            if peer.link is not None:
                peer.link.close()
            if peer.verify is not None:
                peer.verify = None
                self._ports.report(VerifyCut(peer.name, why))
        self.answers.end(error)
        self._held.end(error)
        self.disk.activity.abandon()
