"""Blocks as registers under kill, pause and promotion of real processes, in the manner of Jepsen.

Clients read and write blocks over NBD at any member that answers, the wrong one too. Every run is
drawn from its seed: `make volumes RUNS=100 SEED=1`.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.nbd_protocol import Command
from tests.support import linearizable
from tests.support.linearizable import Operation
from tests.support.nbd_client import Client, reply, request
from tests.support.replicated import MIB, Node, Volume, running

pytestmark = pytest.mark.volumes

RUNS = int(os.environ.get("VOLUME_RUNS") or "10")
SEED = int(os.environ.get("VOLUME_SEED") or "1")
BLOCK = 4096
PLACES = [0, BLOCK, 64 << 10, MIB, 5 * MIB, 15 * MIB]
CLIENTS = 4
FAULTS = 3
PATIENCE = 3.0
"""Seconds of a client with one request."""


class Clients:
    """Each in a thread of its own, with a history of what it saw."""

    def __init__(self, volume: Volume, seed: int) -> None:
        self._volume, self._seed = volume, seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._value = 0
        self.histories: dict[int, list[Operation]] = {place: [] for place in PLACES}
        self.acknowledged = self.unknown = self.reads = 0
        self.broken: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """All of them are over then."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.broken, self.broken

    def acknowledge(self, more: int) -> None:
        """Wait until that many more writes were."""
        deadline = time.monotonic() + 60
        with self._lock:
            wanted = self.acknowledged + more
        while self.acknowledged < wanted:
            assert time.monotonic() < deadline, self._volume.standing()
            assert not self._stop.wait(0.02)

    def read_all(self) -> None:
        """Once more, from whoever is primary."""
        with self._volume.client() as client:
            for place in PLACES:
                self.read(client, place)

    def _work(self, number: int) -> None:
        random = Random(f"{self._seed} client {number}")
        try:
            while not self._stop.is_set():
                try:
                    node = random.choice(list(self._volume.nodes.values()))
                    with Client(node.nbd, deadline=PATIENCE) as client:
                        self._session(client, random)
                except (OSError, EOFError):
                    self._stop.wait(0.05)
        except BaseException as error:
            self.broken.append(error)

    def _session(self, client: Client, random: Random) -> None:
        for _ in range(random.choice((5, 50, 500))):
            if self._stop.is_set():
                return
            place = random.choice(PLACES)
            if random.random() < 0.4:
                self.read(client, place)
            else:
                self._write(client, place)

    def _write(self, client: Client, place: int) -> None:
        with self._lock:
            self._value += 1
            value = self._value
        began, error = time.monotonic(), -1
        try:
            error = client.write(place, value.to_bytes(8, "big") * (BLOCK // 8))
        finally:
            ended = time.monotonic() if error == 0 else float("inf")
            with self._lock:
                self.histories[place].append(Operation(True, value, began, ended))
                if error == 0:
                    self.acknowledged += 1
                else:
                    self.unknown += 1
        if error:
            raise ConnectionError(os.strerror(error))

    def read(
        self, client: Client, place: int, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """`meanwhile`: once the request is sent."""
        began = time.monotonic()
        client.sock.sendall(request(Command.READ, place, BLOCK))
        meanwhile()
        error, data = reply(client.sock, BLOCK, place)
        ended = time.monotonic()
        if error:
            raise ConnectionError(os.strerror(error))
        value = int.from_bytes(data[:8], "big")
        assert data == value.to_bytes(8, "big") * (BLOCK // 8), "a torn block"
        with self._lock:
            self.histories[place].append(Operation(False, value, began, ended))
            self.reads += 1


class Trouble:
    """What happens to the members: drawn, and carried out one after another."""

    def __init__(self, volume: Volume, clients: Clients, random: Random) -> None:
        self.volume, self.clients, self.random = volume, clients, random
        self.done: list[str] = []

    def strike(self) -> None:
        """Something; afterwards everybody is alive again, though perhaps not caught up."""
        fault = self.random.choice(
            (
                self.kill_primary, self.kill_and_promote, self.pause_and_promote, self.switch_over,
                self.pause_replica, self.kill_replica, self.no_service, self.kill_both,
                self.strand_replica,
            )
        )  # fmt: skip
        self.done.append(fault.__name__)
        fault()

    def kill_primary(self) -> None:
        name = self.volume.record.primary
        self.volume.nodes[name].end()
        self.volume.restart(name)

    def kill_and_promote(self) -> None:
        old = self.volume.record.primary
        self.volume.nodes[old].end()
        if (new := self._successor()) is not None:
            self.volume.fail_over(new)
        self.volume.restart(old)

    def pause_and_promote(self) -> None:
        """A client that has waited asks the old one, which then wakes: no stale answer (V7)."""
        old = self.volume.primary
        with Client(old.nbd, deadline=PATIENCE) as late:
            old.send_signal(signal.SIGSTOP)
            if (new := self._successor()) is not None:
                self.volume.fail_over(new)
                self.clients.acknowledge(20)
            place = self.random.choice(PLACES)
            with contextlib.suppress(OSError, EOFError):
                self.clients.read(late, place, lambda: old.send_signal(signal.SIGCONT))
            old.send_signal(signal.SIGCONT)

    def strand_replica(self) -> None:
        """It lags, is in the record, and gets promoted: nothing was acknowledged meanwhile (V3)."""
        old, replica = self.volume.primary, self._replica()
        self.volume.obeys = "silent"
        replica.send_signal(signal.SIGSTOP)
        self._wait()
        old.end()
        replica.send_signal(signal.SIGCONT)
        self.volume.obeys = "yes"
        if replica.name in self.volume.record.in_sync:
            self.volume.fail_over(replica.name)
        self.volume.restart(old.name)

    def switch_over(self) -> None:
        old = self.volume.record.primary
        self.volume.demote(old)
        # While nobody is primary the in-sync set does not change.
        self.volume.promote(self._successor() or old)

    def pause_replica(self) -> None:
        replica = self._replica()
        replica.send_signal(signal.SIGSTOP)
        self._wait()
        replica.send_signal(signal.SIGCONT)

    def kill_replica(self) -> None:
        replica = self._replica()
        replica.end()
        self._wait()
        self.volume.restart(replica.name)

    def kill_both(self) -> None:
        names = list(self.volume.nodes)
        self.random.shuffle(names)
        for name in names:
            self.volume.nodes[name].end()
        for name in names:
            self.volume.restart(name)

    def no_service(self) -> None:
        self.volume.obeys = self.random.choice(("refuses", "silent"))
        self.kill_replica()
        self.volume.obeys = "yes"

    def _successor(self) -> str | None:
        """In sync; None: nobody else is."""
        with self.volume.changed:
            others = sorted(self.volume.record.in_sync - {self.volume.record.primary})
            return self.random.choice(others) if others else None

    def _replica(self) -> Node:
        primary = self.volume.record.primary
        return self.random.choice([n for n in self.volume.nodes.values() if n.name != primary])

    def _wait(self) -> None:
        """As long as it takes, or not, to be found missing."""
        threading.Event().wait(self.random.choice((0.1, 0.8, 2.5)))


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_every_block_is_a_register(tmp_path: Path, seed: int) -> None:
    random = Random(f"{seed} faults")
    names = random.choice((("a", "b"), ("a", "b", "c")))
    with running(Volume(tmp_path, names)) as volume:
        clients = Clients(volume, seed)
        trouble = Trouble(volume, clients, random)
        try:
            for _ in range(FAULTS):
                clients.acknowledge(30)
                if random.random() < 0.7:
                    volume.settled()  # else whoever could take over is still being brought up
                trouble.strike()
            clients.acknowledge(30)
        finally:
            clients.stop()
        volume.settled()
        clients.read_all()
        volume.same()
    print(  # noqa: T201
        f"seed {seed}: {clients.acknowledged} writes acknowledged, {clients.unknown} unknown, "
        f"{clients.reads} reads; {', '.join(trouble.done)}"
    )
    for place, history in clients.histories.items():
        found = linearizable.problem(history)
        assert not found, f"block at {place}, {trouble.done}: {found}"
