"""One member of a volume: its real data path, and its service, which is played."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from holdfast.clock import monotonic
from holdfast.storage_replication import control
from holdfast.storage_replication.control import (
    Ask,
    Done,
    Failed,
    Happened,
    Message,
    Order,
    State,
)
from tests.support.lab import inside

if TYPE_CHECKING:
    from tests.support.replicated import Volume

DEADLINE = 30.0
COMMAND = (sys.executable, "-m", "holdfast.storage_replication.data_path")

T = TypeVar("T")


class Node:
    """Its process, its files, and what it said."""

    def __init__(self, volume: "Volume", name: str) -> None:
        self.volume, self.name = volume, name
        self.folder = volume.folder / name
        self.folder.mkdir()
        self.file = self.folder / "volume.raw"
        self.nbd = self.folder / "nbd.sock"
        self.log = self.folder / "data_path.log"
        self.host = volume.lab.address(name) if volume.lab else "127.0.0.1"
        self.port = 0
        self.state: State | None = None
        self.events: list[Happened] = []
        self.told: list[tuple[float, State]] = []
        """What it said of itself since it was attached, and when that arrived."""
        self.replies: dict[int, Done | Failed] = {}
        self.process: subprocess.Popen[str] | None = None
        self.lost = False
        """The data path has closed the connection."""
        self.term = -1
        """Of the record, when this process was promoted."""
        self._socket: socket.socket | None = None
        self._sending = threading.Lock()

    @property
    def alive(self) -> bool:
        return self.process is not None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    def launch(self, *arguments: str) -> None:
        """Returns when it listens and its service is connected."""
        volume = self.volume
        given = (
            *("--volume", "v1", "--file", self.file, "--folder", self.folder, "--unix", self.nbd),
            *("--member", self.name, "--uuid", "7f3c", "--size", volume.size),
            *("--listen", f"{self.host}:{self.port}"),
        )
        command = [*COMMAND, *map(str, given), *volume.arguments(self.name), *arguments]
        where = inside(volume.lab.namespace(self.name)) if volume.lab else contextlib.nullcontext()
        with self.log.open("ab") as log, where:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("volume v1: member at port "), self.log.read_text()
        self.port = int(said.split()[-1])
        self.attach()

    def attach(self) -> None:
        """The service connects, anew if it was."""
        self.detach()
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        sock.connect(str(self.folder / control.SOCKET))
        sock.settimeout(None)
        self._socket, self.state, self.lost = sock, None, False
        self.told = []
        threading.Thread(target=self._read, args=(sock,), daemon=True).start()

    def detach(self) -> None:
        """The service goes away."""
        sock, self._socket = self._socket, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def send_signal(self, number: signal.Signals) -> None:
        """To the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """The exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(how)
        if how is signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        code = process.wait(DEADLINE)
        assert process.stdout is not None
        process.stdout.close()
        self.detach()
        return code

    def say(self, message: Message) -> None:
        """Lost if nobody is there, as on a real socket."""
        self.send(control.encode(message))

    def send(self, line: bytes) -> None:
        """As it is."""
        sock = self._socket
        if sock is None:
            return
        with self._sending, contextlib.suppress(OSError):
            sock.sendall(line)

    def order(self, order: Order) -> Done | Failed:
        """Waits for the answer."""
        self.say(order)
        what = f"{type(order).__name__} to {self.name}"
        self.volume.until(lambda: order.id in self.replies, what)
        return self.replies.pop(order.id)

    def done(self, order: Order) -> Done:
        """It must succeed."""
        reply = self.order(order)
        assert isinstance(reply, Done), reply
        return reply

    def happened(self, kind: type[T]) -> list[T]:
        """Events of that kind so far."""
        return [event.what for event in self.events if isinstance(event.what, kind)]

    def soon(self, kind: type[T]) -> list[T]:
        """The same, waiting for the first: an event comes on its own way, after the reply."""
        return self.volume.until(lambda: self.happened(kind), f"{kind.__name__} of {self.name}")

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock.makefile("rb") as lines:
            for line in lines:
                message = control.from_data_path(line)
                with self.volume.changed:
                    self._take(message)
                    self.volume.changed.notify_all()
        with self.volume.changed:
            self.lost = True
            self.volume.changed.notify_all()

    def _take(self, message: control.FromDataPath) -> None:
        match message:
            case State():
                self.state = message
                self.told.append((monotonic(), message))
            case Happened():
                self.events.append(message)
            case Ask():
                self.volume.asked(self, message)
            case Done() | Failed():
                self.replies[message.id] = message
