"""Connections between simulated processes: in order, as late and as cut off as the network is."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.simulator.network import CALM

if TYPE_CHECKING:
    from tests.simulation.simulator.engine import Engine
    from tests.simulation.simulator.network import Network
    from tests.simulation.simulator.storage.loop import VirtualLoop

NEAR = 0.0002
SWEEP_EVERY = 0.5
AGAIN = 0.2
"""Between two attempts of what a cut holds back."""
UNHEARD = 8.0
"""Seconds after which the kernel gives up a connection to a place that does not answer."""
Made = Callable[[], asyncio.BaseProtocol]
Address = int | str


class Socket:
    """What the services ask of a socket."""

    family = socket.AF_UNIX

    def __init__(self, pid: int, port: int = 0) -> None:
        self._pid, self._port = pid, port

    def getsockopt(self, *_: object) -> bytes:
        """SO_PEERCRED."""
        return struct.pack("3i", self._pid, 0, 0)

    def getsockname(self) -> tuple[str, int]:
        """Where it listens."""
        return "", self._port


class Listening:
    """An `asyncio.Server`, as far as it is used."""

    def __init__(self, wires: "Wires", address: Address) -> None:
        self._wires, self._address = wires, address
        self.sockets = [Socket(0, address if isinstance(address, int) else 0)]

    def close(self) -> None:
        """Nobody connects any more."""
        self._wires.servers.pop(self._address, None)


class Wire(asyncio.Transport):
    """One end."""

    def __init__(self, wires: "Wires", loop: "VirtualLoop", protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._wires, self.loop, self.protocol = wires, loop, protocol
        self.other: Wire
        self.open = True
        self._out: deque[tuple[float, bytes]] = deque()
        self._unsent = 0
        self._pumping = False
        self._cut_since: float | None = None
        self._reading = True
        self._in: deque[bytes] = deque()

    @property
    def linked(self) -> bool:
        """Whether what is sent arrives now."""
        src, dst = self.loop.process.place, self.other.loop.process.place
        return self._wires.network.linked(src.name, dst.name)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket only."""
        return Socket(self._wires.pid(self.other.loop)) if name == "socket" else default

    def is_closing(self) -> bool:
        """Closed here, or lost."""
        return not self.open

    def get_write_buffer_size(self) -> int:
        """Bytes under way."""
        return self._unsent

    def write(self, data: Any) -> None:
        """Arrives in order, later."""
        if not self.open or not data or not self.loop.process.alive:
            return
        engine = self._wires.engine
        due = max(engine.now + self._wires.delay(self), self._out[-1][0] if self._out else 0.0)
        self._out.append((due, bytes(data)))
        self._unsent += len(data)
        self._pump_at(due)

    def _pump_at(self, due: float) -> None:
        if not self._pumping:
            self._pumping = True
            self._wires.engine.at(due, self._pump)

    def _pump(self) -> None:
        self._pumping = False
        now, other = self._wires.engine.now, self.other
        if not self.open or not self.loop.process.alive:
            return
        if not self.linked or not other.loop.process.place.powered:
            self._pump_at(now + AGAIN)
            return
        if not other.open or not other.loop.process.alive:
            self.lost()
            return
        while self._out and self._out[0][0] <= now:
            _, data = self._out.popleft()
            self._unsent -= len(data)
            other.loop.reach(other.arrive, data)
        if self._out and self.open:
            self._pump_at(self._out[0][0])

    def arrive(self, data: bytes) -> None:
        """In this end's process."""
        if not self.open:
            return
        if not self._reading:
            self._in.append(data)
            return
        protocol = self.protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            while data:
                space = cast("memoryview", protocol.get_buffer(len(data)))
                part, data = data[: len(space)], data[len(space) :]
                space[: len(part)] = part
                protocol.buffer_updated(len(part))
        else:
            cast("asyncio.Protocol", protocol).data_received(data)

    def pause_reading(self) -> None:
        """What arrives waits."""
        self._reading = False

    def resume_reading(self) -> None:
        """What waits arrives."""
        self._reading = True
        while self._in and self._reading:
            self.arrive(self._in.popleft())

    def close(self) -> None:
        """What was written arrives first, if the network lets it."""
        if self.open:
            left = list(self._out)
            for _, data in left if self.linked else []:
                self.other.loop.reach(self.other.arrive, data)
            self.abort()

    def abort(self) -> None:
        """At once; the other side hears of it when it can."""
        if self.open:
            self.open = False
            self._out.clear()
            self.loop.call_soon(self.protocol.connection_lost, None)

    def lost(self) -> None:
        """The kernel says so."""
        if self.open:
            self.open = False
            self._out.clear()
            self.loop.reach(self.protocol.connection_lost, ConnectionResetError("lost"))

    def sweep(self) -> bool:
        """Look whether the other side is gone. False: this end is of no interest any more."""
        if not self.open or not self.loop.process.alive:
            return False
        other, now = self.other, self._wires.engine.now
        if self.linked and other.loop.process.place.powered:
            self._cut_since = None
            if not other.open or not other.loop.process.alive:
                self.lost()
        elif self._cut_since is None:
            self._cut_since = now
        elif now - self._cut_since > UNHEARD:
            self.lost()
        return self.open


class Wires:
    """All of them, and who listens where."""

    def __init__(self, engine: "Engine", network: "Network", seed: int) -> None:
        self.engine, self.network = engine, network
        self.chance = Random(f"wires of {seed}")
        self.servers: dict[Address, tuple[VirtualLoop, Made]] = {}
        self.loops: list[VirtualLoop] = []
        self._ends: list[Wire] = []

    def begin(self) -> None:
        """Whatever is lost is noticed from now on."""
        self.engine.after(SWEEP_EVERY, self._sweep)

    def pid(self, loop: "VirtualLoop") -> int:
        """Of the process that the loop is of."""
        return self.loops.index(loop) + 1

    def delay(self, wire: Wire) -> float:
        """Of one message; loss is a delay to a stream."""
        if wire.loop.process.place is wire.other.loop.process.place:
            return NEAR
        usual, weather = 0.0005 + 0.003 * self.chance.random(), self.network.weather
        if weather is not CALM and self.chance.random() < weather.loss + weather.late:
            usual += 0.2 + self.chance.random()
        return usual

    def listen(self, loop: "VirtualLoop", made: Made, address: Address) -> Listening:
        """The latest who listens somewhere is the one."""
        self.servers[address] = loop, made
        return Listening(self, address)

    async def connect(
        self, loop: "VirtualLoop", made: Made, address: Address
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Raises OSError if nobody listens; waits for ever for a place that is not reached."""
        ready: asyncio.Future[tuple[asyncio.Transport, asyncio.BaseProtocol]]
        ready = loop.create_future()
        self.engine.after(NEAR, self._arrive, loop, made, address, ready)
        return await ready

    def _arrive(
        self, loop: "VirtualLoop", made: Made, address: Address, ready: "asyncio.Future[Any]"
    ) -> None:
        found = self.servers.get(address)
        if found is not None:
            there = found[0].process.place
            apart = not self.network.linked(loop.process.place.name, there.name)
            if apart or not there.powered or there.paused:
                return
        if found is None or not found[0].process.alive:
            loop.reach(_refuse, ready)
            return
        far_loop, far_made = found

        def accept() -> None:
            far = Wire(self, far_loop, far_made())
            loop.reach(open_, far)

        def open_(far: Wire) -> None:
            if ready.done():
                return
            near = Wire(self, loop, made())
            near.other, far.other = far, near
            self._ends += [near, far]
            far_loop.reach(far.protocol.connection_made, far)
            near.protocol.connection_made(near)
            ready.set_result((near, near.protocol))

        far_loop.reach(accept)

    def _sweep(self) -> None:
        self._ends = [end for end in self._ends if end.sweep()]
        self.begin()


def _refuse(ready: "asyncio.Future[Any]") -> None:
    if not ready.done():
        ready.set_exception(ConnectionRefusedError("nobody listens there"))
