"""Real data paths of one volume's members, and their services played over the control sockets.

The record is a compare-and-set register in memory: what `ha_volumes` is to a real service.
"""

import contextlib
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from holdfast import clock
from holdfast.storage_replication import control
from holdfast.storage_replication.control import (
    Answer,
    Ask,
    Bounds,
    Demote,
    Done,
    Failed,
    Happened,
    Lease,
    Message,
    Order,
    Promote,
    State,
)
from tests.support.nbd_client import Client

MIB = 1 << 20
DEADLINE = 30.0
LEASE = 2.0
RENEW = 0.25
COMMAND = (sys.executable, "-m", "holdfast.storage_replication.data_path")

T = TypeVar("T")


@dataclass
class Record:
    """`term` rises with every start of the primary's process: what an earlier one asked is void."""

    epoch: int = 0
    primary: str = ""
    in_sync: set[str] = field(default_factory=set)
    following: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    """On whom the record counted that was replaced, if it counted on the primary."""
    term: int = 0


class Node:
    """One member: its process, and the connection of its service."""

    def __init__(self, volume: "Volume", name: str) -> None:
        self.volume, self.name = volume, name
        self.folder = volume.folder / name
        self.folder.mkdir()
        self.file = self.folder / "volume.raw"
        self.nbd = self.folder / "nbd.sock"
        self.log = self.folder / "data_path.log"
        self.port = 0
        self.state: State | None = None
        self.events: list[Happened] = []
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

    def launch(self, *arguments: str) -> None:
        """Returns when it listens and its service is connected."""
        volume = self.volume
        given = (
            *("--volume", "v1", "--file", self.file, "--folder", self.folder, "--unix", self.nbd),
            *("--member", self.name, "--uuid", "7f3c", "--size", volume.size),
            *("--listen", f"127.0.0.1:{self.port}"),
        )
        command = [*COMMAND, *map(str, given), *volume.arguments(self.name), *arguments]
        with self.log.open("ab") as log:
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
            case Happened():
                self.events.append(message)
            case Ask():
                self.volume.asked(self, message)
            case Done() | Failed():
                self.replies[message.id] = message


class Volume:
    """The members, the record, and what a decider does."""

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...] = ("a", "b"),
        *,
        size: int = 16 * MIB,
        asynchronous: tuple[str, ...] = (),
        bounds: Bounds | None = None,
        secrets: Path | None = None,
    ) -> None:
        self.folder, self.size, self.secrets = folder, size, secrets
        self.bounds = bounds or Bounds()
        self.asynchronous = set(asynchronous)
        self.changed = threading.Condition()
        self.record = Record()
        self.obeys = "yes"
        """What the service does when asked: `yes`, `refuses`, or `silent`."""
        self.renewing = True
        self.lease: dict[str, float] = {}
        """Until when each was told that its lease lasts."""
        self._ids = itertools.count(1)
        self.nodes = {name: Node(self, name) for name in names}
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def arguments(self, name: str) -> tuple[str, ...]:
        """More, for a member's data path."""
        return () if self.secrets is None else ("--secrets", str(self.secrets / name))

    def id(self) -> int:
        """For an order."""
        return next(self._ids)

    def start(self, primary: str = "a") -> None:
        """All of them; one is promoted."""
        for node in self.nodes.values():
            node.launch()
        self._renewer.start()
        self.record.in_sync = {primary}
        self.promote(primary)

    def stop(self) -> None:
        """Whatever is left is killed."""
        self._stop.set()
        for node in self.nodes.values():
            node.end()

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """Wait until it is true."""
        deadline = time.monotonic() + DEADLINE
        with self.changed:
            while not (value := found()):
                left = deadline - time.monotonic()
                assert left > 0, f"{what}: {self.standing()}"
                self.changed.wait(left)
            return value

    def standing(self) -> str:
        """For whoever looks at a failure."""
        return f"{self.record}; {[(n.name, n.state) for n in self.nodes.values()]}"

    @property
    def primary(self) -> Node:
        """Of the record."""
        return self.nodes[self.record.primary]

    def others(self, name: str) -> dict[str, control.Member]:
        """The members without that one, as the record has them."""
        counting = self.record.in_sync | self.record.following
        return {
            n.name: control.Member(
                host="127.0.0.1",
                port=n.port,
                counts=n.name in counting,
                asynchronous=n.name in self.asynchronous,
                before=n.name in self.record.before,
            )
            for n in self.nodes.values()
            if n.name != name and n.port
        }

    def fail_over(self, name: str, *, accept_loss: bool = False) -> None:
        """As a decider that has no proof but time: to another member once the lease is over."""
        with self.changed:
            self.renewing = False
            until = max(self.lease.values(), default=0.0)
        while (left := until - clock.monotonic()) > 0:
            self._stop.wait(left)
        self.promote(name, accept_loss=accept_loss)

    def promote(self, name: str, *, accept_loss: bool = False) -> None:
        """As decider: change the record, then order it. Of the last one there must be proof.

        Who does not run is in sync no more, as with a real service.
        """
        with self.changed:
            self.renewing = True
            record = self.record
            counted = name in record.in_sync
            kept_from = record.epoch if record.primary == name else 0
            counting = record.in_sync | record.following
            record.before = counting if name in counting else set()
            record.epoch += 1
            record.primary = name
            record.in_sync = {n for n in record.in_sync if n == name or self.nodes[n].alive}
            if accept_loss:
                record.in_sync, record.following = {name}, set()
        self._order(name, counted, kept_from, accept_loss)

    def restart(self, name: str, *arguments: str) -> None:
        """In the role that the record gives it."""
        self.nodes[name].launch(*arguments)
        if self.record.primary == name:
            self._order(name, name in self.record.in_sync, self.record.epoch, False)

    def _order(self, name: str, counted: bool, kept_from: int, accept_loss: bool) -> None:
        node = self.nodes[name]
        with self.changed:
            self.record.term += 1
            node.term = self.record.term
            members = self.others(name)
            valid_until = self.lease[name] = clock.monotonic() + LEASE
        node.done(
            Promote(
                id=self.id(),
                epoch=self.record.epoch,
                counted=counted,
                kept_from=kept_from,
                members=members,
                accept_loss=accept_loss,
                valid_until=valid_until,
                bounds=self.bounds,
            )
        )

    def demote(self, name: str) -> Done:
        """Orderly."""
        return self.nodes[name].done(Demote(id=self.id()))

    def settled(self) -> None:
        """Everybody is in step."""
        count = len(self.nodes)

        def all_in() -> bool:
            state = self.primary.state
            record = self.record
            return (
                state is not None
                and state.role == "primary"
                and not state.frozen
                and len(record.in_sync | record.following) == count
                and all(m.phase == "streaming" for m in state.members.values())
                and len(state.members) == count - 1
            )

        self.until(all_in, "settled")

    def client(self) -> Client:
        """Of the primary."""
        return Client(self.primary.nbd)

    def same(self) -> None:
        """The members hold the same, byte by byte. Nothing may be under way."""
        contents = {n.name: n.file.read_bytes() for n in self.nodes.values()}
        first = next(iter(contents.values()))
        assert all(content == first for content in contents.values()), self.standing()

    # The service.

    def asked(self, node: Node, ask: Ask) -> None:
        """Under the lock."""
        if self.obeys == "silent":
            return
        record = self.record
        agreed = (
            self.obeys == "yes"
            and (record.primary, record.epoch, record.term) == (node.name, ask.epoch, node.term)
        )  # fmt: skip
        if agreed:
            kept = record.following if ask.asynchronous else record.in_sync
            (kept.add if ask.change == "take_in" else kept.discard)(ask.member)
        reason = "" if agreed else "the record cannot be changed"
        node.say(Answer(ask=ask.ask, agreed=agreed, reason=reason))

    def _renew(self) -> None:
        while not self._stop.wait(RENEW):
            with self.changed:
                if not self.renewing or not self.record.primary:
                    continue
                name, epoch = self.record.primary, self.record.epoch
                valid_until = self.lease[name] = clock.monotonic() + LEASE
            self.nodes[name].say(Lease(epoch=epoch, valid_until=valid_until))


@contextmanager
def running(volume: Volume, primary: str = "a") -> Iterator[Volume]:
    """Started, and gone afterwards whatever happens."""
    try:
        volume.start(primary)
        yield volume
    except BaseException:
        for node in volume.nodes.values():
            sys.stderr.write(f"--- {node.name}\n{node.log.read_text() if node.port else ''}\n")
        raise
    finally:
        volume.stop()
