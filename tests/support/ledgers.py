"""The ledger as a real process."""

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from holdfast.ledger.exchange import exchange

DEADLINE = 10.0
COMMAND = [sys.executable, "-m", "holdfast.ledger"]


def _place(where: Path | str) -> list[str]:
    """A folder, or the address of a block device."""
    return ["--data", str(where)] if isinstance(where, Path) else ["--nbd", where]


class Ledger:
    """A running ledger process; `url` is known once it serves."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], DEADLINE)
        line = process.stdout.readline() if readable else "silence"
        assert "listening on" in line, line
        self.address = line.split()[3].rstrip(",")
        self.url = f"http://{self.address}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)

    def post(self, entry_id: str, note: str = "") -> tuple[int, dict[str, object]]:
        body = {"id": entry_id, "note": note}
        return exchange(self.url, "POST", "/entries", body, timeout=DEADLINE)

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        return exchange(self.url, "GET", path, timeout=DEADLINE)

    def connect(self) -> socket.socket:
        host, port = self.address.split(":")
        return socket.create_connection((host, int(port)), timeout=DEADLINE)


@contextlib.contextmanager
def ledger(
    where: Path | str, *options: str, listen: str = "127.0.0.1:0", prefix: list[str] | None = None
) -> Iterator[Ledger]:
    command = [*(prefix or []), *COMMAND, "--listen", listen, *_place(where), *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Ledger(process)
        finally:
            process.kill()


def refused_start(where: Path | str, *options: str, listen: str = "127.0.0.1:0") -> tuple[int, str]:
    command = [*COMMAND, "--listen", listen, *_place(where), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    return done.returncode, done.stderr
