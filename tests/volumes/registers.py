"""Clients that use blocks as registers, and what they saw: every operation, at which member."""

import os
import threading
from collections.abc import Callable
from random import Random

from holdfast.clock import monotonic
from holdfast.nbd_protocol import Command
from tests.support.linearizable import Operation
from tests.support.nbd_client import Client, reply, request
from tests.support.replicated import MIB, Volume

BLOCK = 4096
PLACES = [0, BLOCK, 64 << 10, MIB, 5 * MIB, 15 * MIB]
QUIET = 10 * MIB
"""Nobody writes there, so a read waits for no write."""
CLIENTS = 4
PATIENCE = 3.0
"""Seconds of a client with one request."""
PROGRESS = 60.0
"""Seconds until what is waited for must have happened."""


class Clients:
    """Each in a thread of its own, at any member that takes it, the wrong one too."""

    def __init__(self, volume: Volume, seed: int) -> None:
        self._volume, self._seed = volume, seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._value = 0
        self.histories: dict[int, list[Operation]] = {place: [] for place in [*PLACES, QUIET]}
        self.acknowledged = self.unknown = self.reads = 0
        self.asked = dict.fromkeys(volume.nodes, 0.0)
        """Of each member: when the latest request to it began."""
        self.answered = dict.fromkeys(volume.nodes, 0.0)
        """When the latest began of those that it answered."""
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
        with self._lock:
            wanted = self.acknowledged + more
        deadline = monotonic() + PROGRESS
        while self.acknowledged < wanted:
            assert monotonic() < deadline, self._volume.standing()
            assert not self._stop.wait(0.02)

    def read_all(self) -> None:
        """Once more, from whoever is primary."""
        with self._volume.client() as client:
            for place in PLACES:
                self.read(self._volume.record.primary, client, place)

    def read(
        self, name: str, client: Client, place: int, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """At a member. `meanwhile`: once the request is sent."""
        began = self.asked[name] = monotonic()
        client.sock.sendall(request(Command.READ, place, BLOCK))
        meanwhile()
        error, data = reply(client.sock, BLOCK, place)
        ended = monotonic()
        if error:
            raise ConnectionError(os.strerror(error))
        value = int.from_bytes(data[:8], "big")
        assert data == value.to_bytes(8, "big") * (BLOCK // 8), "a torn block"
        with self._lock:
            self.histories[place].append(Operation(False, value, began, ended))
            self.answered[name] = max(self.answered[name], began)
            self.reads += 1

    def _write(self, name: str, client: Client, place: int) -> None:
        with self._lock:
            self._value += 1
            value = self._value
        began, error = monotonic(), -1
        self.asked[name] = began
        try:
            error = client.write(place, value.to_bytes(8, "big") * (BLOCK // 8))
        finally:
            ended = monotonic() if error == 0 else float("inf")
            with self._lock:
                self.histories[place].append(Operation(True, value, began, ended))
                if error == 0:
                    self.acknowledged += 1
                    self.answered[name] = max(self.answered[name], began)
                else:
                    self.unknown += 1
        if error:
            raise ConnectionError(os.strerror(error))

    def _work(self, number: int) -> None:
        random = Random(f"{self._seed} client {number}")
        try:
            while not self._stop.is_set():
                try:
                    node = random.choice(list(self._volume.nodes.values()))
                    with Client(node.nbd, deadline=PATIENCE) as client:
                        self._session(node.name, client, random)
                except (OSError, EOFError):
                    self._stop.wait(0.05)
        except BaseException as error:
            self.broken.append(error)

    def _session(self, name: str, client: Client, random: Random) -> None:
        for _ in range(random.choice((5, 50, 500))):
            if self._stop.is_set():
                return
            place = random.choice(PLACES)
            if random.random() < 0.4:
                self.read(name, client, place)
            else:
                self._write(name, client, place)
