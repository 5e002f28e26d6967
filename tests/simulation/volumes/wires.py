"""Connections: in order, delayed, cut, and lost with everything that was on its way."""

from collections import deque
from collections.abc import Callable

from holdfast.storage_replication.data_path.link import BUFFER
from holdfast.storage_replication.engine.frames import SIZE, Frame, parse
from holdfast.storage_replication.receive_buffer import ReceiveBuffer
from tests.simulation.volumes.disks import Loop, Power

Receive = Callable[["End", Frame, memoryview], None]


class End:
    """One side of a wire: a `Link` of the process that held it when it was made."""

    def __init__(self, wire: "Wire", power: Power, receive: Receive, down: Callable) -> None:  # type: ignore[type-arg]
        self.wire, self.power, self.life = wire, power, power.life
        self.receive, self.down = receive, down
        self.buffer = ReceiveBuffer(BUFFER)
        self.other: End
        self.other_name = ""
        self.outbound: deque[bytes] = deque()
        self.open = True
        self.ready = 0.0

    @property
    def alive(self) -> bool:
        return self.open and self.life == self.power.life

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        if not self.alive:
            return
        self.power.step()
        self.outbound.append(frame + bytes(payload))
        loop = self.wire.loop
        delay = loop.random.choice((0.0002, 0.0005, 0.001, 0.005))
        self.ready = max(self.ready, loop.now + delay)
        loop.at(self.ready - loop.now, self._deliver)

    def close(self) -> None:
        if self.open:
            self.open = False
            self.wire.ended(self)

    def take(self, data: bytes) -> None:
        """As a real connection: what is received is overwritten by what comes next."""
        buffer = self.buffer
        buffer.space()[: len(data)] = data
        buffer.filled(len(data))
        while (found := parse(buffer.data)) is not None:
            frame, payload = found
            buffer.consume(SIZE + len(payload))
            if self.alive:
                self.receive(self, frame, payload)

    def _deliver(self) -> None:
        wire, other = self.wire, self.other
        if not self.outbound:
            return
        if wire.cut():
            wire.loop.at(0.05, self._deliver)
            return
        data = self.outbound.popleft()
        if not other.alive:
            return
        # A stream has no borders: now and then a frame comes in two pieces.
        half = len(data) // 2 if wire.loop.random.random() < 0.1 else len(data)
        for part in (data[:half], data[half:]):
            other.take(part)


class Wire:
    """Between the processes of two machines."""

    def __init__(self, loop: Loop, cut: Callable[[], bool]) -> None:
        self.loop, self.cut = loop, cut

    def ended(self, end: End) -> None:
        """One side is gone: what it sent may still arrive, up to a point; then the other knows."""
        other = end.other
        left = self.loop.random.randrange(len(end.outbound) + 1)
        while len(end.outbound) > left:
            end.outbound.pop()
        other.outbound.clear()

        def tell() -> None:
            if self.cut() or end.outbound:
                self.loop.at(0.05, tell)  # nobody hears of it before the network is back
            elif other.alive:
                other.open = False
                other.down(other)

        self.loop.at(self.loop.random.choice((0.0, 0.001, 0.05)), tell)
