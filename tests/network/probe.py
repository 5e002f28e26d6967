"""The observer: `python -m tests.network.probe --data FOLDER --out FILE HOST=URL,INODE ...`

Every 50 ms, until SIGTERM, it asks the ledger of each host, and looks which ledgers' processes
exist, and in which host's network namespace; a line of JSON for each finding.
"""

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.clock import monotonic
from holdfast.ledger.exchange import ExchangeError, exchange
from tests.network.owners import Alive, Answer, Sample

EVERY = 0.05
ANSWER_WITHIN = 0.4
YOUNG = 2.0
"""Seconds in which a process that was forked may still become a ledger."""

Write = Callable[[Sample], None]


def main() -> None:
    """Observe until SIGTERM."""
    parser = argparse.ArgumentParser(prog="tests.network.probe")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("hosts", nargs="+")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    hosts: dict[int, str] = {}
    threads: list[threading.Thread] = []
    with options.out.open("ab") as out:
        lock = threading.Lock()

        def write(sample: Sample) -> None:
            with lock:
                out.write(msgspec.json.encode(sample) + b"\n")
                out.flush()

        for text in options.hosts:
            host, _, rest = text.partition("=")
            url, _, inode = rest.rpartition(",")
            hosts[int(inode)] = host
            threads.append(threading.Thread(target=_ask, args=(host, url, write, stop)))
        threads.append(threading.Thread(target=_look, args=(options.data, hosts, write, stop)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _ask(host: str, url: str, write: Write, stop: threading.Event) -> None:
    while not stop.is_set():
        asked = monotonic()
        epoch = pid = None
        with contextlib.suppress(ExchangeError):
            status, answer = exchange(url, "GET", "/healthz", timeout=ANSWER_WITHIN)
            if status == 200:
                epoch, pid = int(str(answer["epoch"])), int(str(answer["pid"]))
        answered = monotonic()
        write(Answer(host=host, asked=asked, answered=answered, epoch=epoch, pid=pid))
        stop.wait(max(0.0, asked + EVERY - answered))


def _look(data: str, hosts: dict[int, str], write: Write, stop: threading.Event) -> None:
    first_seen: dict[int, float] = {}
    ledgers: dict[int, tuple[str, int]] = {}
    while not stop.is_set():
        now = monotonic()
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        for pid in first_seen.keys() - present:
            del first_seen[pid]
            ledgers.pop(pid, None)
        for pid in present:
            if pid not in ledgers and now - first_seen.setdefault(pid, now) <= YOUNG:
                found = _ledger(pid, data, hosts)
                if found is not None:
                    ledgers[pid] = found
        for pid, (host, epoch) in ledgers.items():
            state = _state(pid)
            if state not in "ZX":
                write(Alive(host=host, at=now, pid=pid, epoch=epoch, frozen=state in "Tt"))
        stop.wait(EVERY)


def _ledger(pid: int, data: str, hosts: dict[int, str]) -> tuple[str, int] | None:
    """The host and epoch of a ledger of this cluster."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "holdfast.ledger" not in argv or not any(one.startswith(data) for one in argv):
            return None
        host = hosts[os.stat(f"/proc/{pid}/ns/net").st_ino]
        return host, int(argv[argv.index("--epoch") + 1])
    except OSError:
        return None


def _state(pid: int) -> str:
    """The letter of /proc/<pid>/stat; X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "X"


if __name__ == "__main__":
    main()
