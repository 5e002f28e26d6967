"""Files that forget what was not synced, sector by sector, and machines that die at any step."""

import errno
import heapq
from collections.abc import Callable
from random import Random

from holdfast.storage_replication.interfaces import Done, Extent

SECTOR = 512
_CLEARED = 16 << 10


class Crashed(BaseException):
    """The machine whose step this was is dead: nothing after this happens."""


class Loop:
    """Virtual time. Whoever is scheduled at the same time runs in the order of scheduling."""

    def __init__(self, seed: int) -> None:
        self.now, self.random = 0.0, Random(seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.steps = 0

    def at(self, delay: float, run: Callable[[], None]) -> None:
        """Run it after so many seconds."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, run))

    def run(self, until: float) -> None:
        """Everything up to then."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, run = heapq.heappop(self._queue)
            self.steps += 1
            run()
        self.now = until


class Power:
    """Of one machine: `life` rises with each process, `boot` with each loss of power."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.life, self.boot = 0, 1
        self.fuse: int | None = None
        """Steps until the process dies in the middle of what it does."""
        self.fault: int | None = None
        """Reads, writes and syncs until one fails."""
        self.crashed: Callable[[], None] = lambda: None

    def guard(self, work: Callable[[], None]) -> None:
        """Do it as this machine's process, which may die at any step of it."""
        try:
            work()
        except Crashed:
            self.crashed()

    def step(self) -> None:
        """Before and after anything that outlives the process."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                raise Crashed

    def fails(self) -> bool:
        """Whether the disk refuses this one."""
        if self.fault is not None:
            self.fault -= 1
            if self.fault <= 0:
                self.fault = None
                return True
        return False


def _refuse() -> None:
    raise OSError(errno.EIO, "the disk says no")


class SimFile:
    """A `BlockFile`. Sectors are written back in any order, at any time; a sync waits for all."""

    def __init__(self, power: Power, size: int) -> None:
        self._power = power
        self.memory = bytearray(size)
        self._disk = bytearray(size)
        self._cached: dict[int, list[tuple[int, bytes]]] = {}
        self._writes = 0
        self._failed = False
        self.bad: set[int] = set()
        """Starts of sectors that cannot be read until they are written."""

    @property
    def size(self) -> int:
        return len(self.memory)

    def resize(self, size: int, fill: int = 0) -> None:
        """Larger only; what is new holds `fill`."""
        for area in (self.memory, self._disk):
            area.extend(bytes([fill]) * max(0, size - len(area)))

    def pread(self, offset: int, length: int) -> bytes:
        assert offset + length <= self.size
        if self._failed or self._power.fails() or self._unreadable(offset, length):
            _refuse()
        return bytes(self.memory[offset : offset + length])

    def read_disk(self, offset: int, length: int) -> bytes:
        """What is dirty there is written first, and then clean."""
        assert offset + length <= self.size
        if self._failed or self._power.fails() or self._unreadable(offset, length):
            _refuse()
        for start in range(offset // SECTOR * SECTOR, offset + length, SECTOR):
            if versions := self._cached.pop(start, None):
                self._disk[start : start + SECTOR] = versions[-1][1]
        return bytes(self._disk[offset : offset + length])

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        end = offset + len(data)
        assert end <= self.size
        sectors = range(offset // SECTOR * SECTOR, end, SECTOR)
        # Of a part of a sector the rest has to be read first.
        parts = {s for s in (offset, end) if s % SECTOR}
        unreadable = any(s // SECTOR * SECTOR in self.bad for s in parts)
        if self._failed or unreadable or self._power.fails():
            _refuse()
        self._power.step()
        self._writes += 1
        self.bad.difference_update(sectors)
        self.memory[offset:end] = data
        for start in sectors:
            content = bytes(self.memory[start : start + SECTOR])
            self._cached.setdefault(start, []).append((self._writes, content))
        self._power.step()

    def _unreadable(self, offset: int, length: int) -> bool:
        return any(offset < start + SECTOR and start < offset + length for start in self.bad)

    def zero(self, offset: int, length: int, punch: bool) -> None:
        self.pwrite(offset, bytes(length))

    def clear(self, offset: int, length: int, done: Done) -> None:
        loop, life, end = self._power.loop, self._power.life, offset + length

        def later(at: int) -> None:
            delay = loop.random.choice((0.0005, 0.01, 0.1))
            loop.at(delay, lambda: self._power.guard(lambda: part(at)))

        def part(at: int) -> None:
            if life != self._power.life:
                return
            try:
                if at < end:
                    self.pwrite(at, bytes(min(_CLEARED, end - at)))
            except OSError as error:
                done(error.errno or errno.EIO)
                return
            if at < end:
                later(at + _CLEARED)
            else:
                done(0)

        later(offset)

    def extents(self, offset: int, length: int) -> list[Extent]:
        return [(length, False, False)]

    def sync(self, done: Done) -> None:
        self._power.step()
        loop, written = self._power.loop, self._writes
        life, boot = self._power.life, self._power.boot
        fails = self._failed or self._power.fails()

        def ended() -> None:
            if boot != self._power.boot:
                return
            # A process that is killed while its sync fails tells nobody: engine/DESIGN.md.
            if fails and life == self._power.life:
                self._failed = True
                self._write_back()
            else:
                self._settle(written)
            if life == self._power.life:
                self._power.guard(lambda: done(errno.EIO if fails else 0))

        loop.at(loop.random.choice((0.0005, 0.002, 0.01, 0.05)), ended)

    def lose_power(self) -> None:
        """Of every sector, the disk has the last synced content or any that came after."""
        self._write_back()
        self.memory[:] = self._disk
        self._failed = False

    def reopen(self, drops_cache: bool) -> None:
        """By the next process, which may ask the kernel to forget what it takes for clean."""
        self._failed = False
        if drops_cache:
            self.memory[:] = self._disk
            for start, versions in self._cached.items():
                self.memory[start : start + SECTOR] = versions[-1][1]

    def _write_back(self) -> None:
        """Some of it arrives; all of it counts as clean, which is what memory goes on showing."""
        random = self._power.loop.random
        for start, versions in sorted(self._cached.items()):
            chosen = random.randrange(len(versions) + 1)
            if chosen:
                self._disk[start : start + SECTOR] = versions[chosen - 1][1]
        self._cached.clear()

    def durable(self) -> bytes:
        """What a power loss would leave if nothing was written back before its time."""
        return bytes(self._disk)

    def _settle(self, written: int) -> None:
        for start in list(self._cached):
            versions = self._cached[start]
            synced = [content for number, content in versions if number <= written]
            if synced:
                self._disk[start : start + SECTOR] = synced[-1]
            left = versions[len(synced) :]
            if left:
                self._cached[start] = left
            else:
                del self._cached[start]


class SimStore:
    """A `Store`: replaces are whole, and durable on return."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self.small: dict[str, bytes] = {}
        self.files: dict[str, SimFile] = {}
        self.forgotten: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.small.get(name)

    def replace(self, name: str, data: bytes) -> None:
        self._power.step()
        if self._power.fails():
            if self._power.loop.random.random() < 0.5:
                self.small[name] = data
            _refuse()
        self.small[name] = data
        self._power.step()

    def replace_without_sync(self, name: str, data: bytes) -> None:
        """As a bug would: a power loss brings the last one back."""
        self.forgotten.setdefault(name, self.small.get(name, b""))
        self.small[name] = data

    def open(self, name: str, size: int) -> SimFile:
        if name not in self.files:
            self._power.step()
            self.files[name] = SimFile(self._power, size)
        self.files[name].resize(size)
        return self.files[name]

    def remove(self, name: str) -> None:
        self._power.step()
        self.files.pop(name, None)
        self._power.step()

    def reopen(self) -> None:
        for file in self.files.values():
            file.reopen(False)

    def lose_power(self) -> None:
        self.small |= {name: old for name, old in self.forgotten.items() if old}
        self.forgotten.clear()
        for _, file in sorted(self.files.items()):
            file.lose_power()
