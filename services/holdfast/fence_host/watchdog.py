"""`python -m holdfast.fence_host.watchdog`: the watchdog of a simulated host, outside of it.

It stands in for a hardware watchdog: armed and not petted in time, it kills every process of the
boot that armed it. It speaks the words of recovery/watchdog_device.py on a socket: `T<seconds>`
arms, `K` pets, `V` disarms, each answered by `ok`. A client that goes away without `V` leaves it
armed, and a later client may take it over.
"""

import argparse
import select
import socket
import sys
import time
from pathlib import Path

from holdfast.fence_host.errors import FenceError
from holdfast.fence_host.host import Host, kill, read_host

LONGEST_TIMEOUT = 60
KILL_WITHIN = 10.0
MAX_WORD = 16


class Watchdog:
    """One host's. Times are monotonic seconds."""

    def __init__(self, run_dir: Path, host: str) -> None:
        self._run_dir, self._name = run_dir, host
        self._host: Host | None = None
        self._timeout = 0
        self._fires_at: float | None = None

    def hear(self, word: bytes) -> bool:
        """Carry a word out; False if it means nothing here."""
        kind, argument = word[:1], word[1:]
        if kind == b"T" and argument.isdigit() and 0 < int(argument) <= LONGEST_TIMEOUT:
            self._host = read_host(self._run_dir, self._name)
            self._timeout = int(argument)
            self._say(f"armed for {self._timeout} s")
        elif word == b"V" and self._fires_at is not None:
            self._fires_at = None
            self._say("disarmed")
            return True
        elif word != b"K" or self._fires_at is None:
            return False
        self._fires_at = time.monotonic() + self._timeout
        return True

    def left(self) -> float | None:
        """Seconds until it acts; None if it is not armed."""
        return None if self._fires_at is None else max(0.0, self._fires_at - time.monotonic())

    def act(self) -> None:
        """Its time is up. Raises FenceError if a process of the host outlives it."""
        assert self._host is not None
        self._fires_at = None
        self._say(f"resets boot {self._host.boot_id}")
        kill(self._host, self._name, KILL_WITHIN)
        self._say("every process of it is gone")

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{self._name}: {text}\n")
        sys.stdout.flush()


def serve(listener: socket.socket, watchdog: Watchdog) -> None:
    """Obey one client at a time, for ever. Raises FenceError."""
    client: socket.socket | None = None
    while True:
        readable, _, _ = select.select(
            [client or listener, *([listener] if client else [])], [], [], watchdog.left()
        )
        if watchdog.left() == 0.0:
            watchdog.act()
        if listener in readable:
            newcomer, _ = listener.accept()
            if client is None:
                client = newcomer
            else:
                newcomer.close()  # busy, as a device that is open already
        if client is not None and client in readable and not _obey(client, watchdog):
            client.close()
            client = None


def _obey(client: socket.socket, watchdog: Watchdog) -> bool:
    """Hear one word; whether the client is still there. Without one the watchdog counts on."""
    try:
        word = client.recv(MAX_WORD)
        if word:
            client.send(b"ok" if watchdog.hear(word) else b"no")
    except ConnectionError:  # killed before it read an answer
        return False
    return bool(word)


def main() -> int:
    """Entry point. It ends when it is killed, or with 1 when a host outlives it."""
    parser = argparse.ArgumentParser(prog="holdfast.fence_host.watchdog")
    parser.add_argument("--run-dir", type=Path, required=True, help="holds HOST/host.json")
    parser.add_argument("--host", required=True)
    parser.add_argument("--socket", type=Path, required=True, help="made here")
    given = parser.parse_args()
    given.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(given.socket))
        listener.listen(4)
        try:
            serve(listener, Watchdog(given.run_dir, given.host))
        except FenceError as error:
            sys.stderr.write(f"watchdog: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
