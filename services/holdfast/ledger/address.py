"""Where a block device is found: `unix:/PATH?export=NAME` or `tcp:HOST:PORT?export=NAME`."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from holdfast import unix_path


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """An export of an NBD server. `where` is a path, or host and port; `export` may be empty."""

    where: str | tuple[str, int]
    export: str

    def __str__(self) -> str:
        if isinstance(self.where, str):
            return f"unix:{self.where}?export={self.export}"
        return f"tcp:{self.where[0]}:{self.where[1]}?export={self.export}"

    def connect(self, timeout: float) -> socket.socket:
        """A connected socket, after at most `timeout` seconds. Raises OSError."""
        if not isinstance(self.where, str):
            sock = socket.create_connection(self.where, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(timeout)
            with unix_path.address(Path(self.where)) as short:
                sock.connect(short)
        except BaseException:
            sock.close()
            raise
        return sock

    def claim(self) -> socket.socket:
        """A claim on this device that one process of this machine can have, until it ends.

        It is a name in the kernel, so it needs no folder and leaves nothing behind. Raises OSError.
        """
        where = self.where if not isinstance(self.where, str) else os.path.realpath(self.where)
        name = hashlib.sha256(repr((where, self.export)).encode()).hexdigest()
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind(f"\0holdfast-ledger-{name}")
        except BaseException:
            sock.close()
            raise
        return sock


def parse(text: str) -> DeviceAddress:
    """Raises ValueError which says what it should be."""
    place, mark, query = text.partition("?")
    kind, _, rest = place.partition(":")
    name, _, export = query.partition("=")
    if mark and name != "export":
        raise ValueError(f"{text!r}: after the question mark comes export=NAME")
    if kind == "unix" and rest.startswith("/"):
        return DeviceAddress(rest, export)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) <= 65535:
        return DeviceAddress((host.removeprefix("[").removesuffix("]"), int(port)), export)
    raise ValueError(f"{text!r} is not unix:/PATH?export=NAME or tcp:HOST:PORT?export=NAME")
