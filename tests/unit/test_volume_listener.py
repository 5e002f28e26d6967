"""The port of replication with TLS: whoever is quick is understood, too."""

import asyncio
import socket
import ssl
from pathlib import Path

import uvloop

from holdfast.config.load import load
from holdfast.console.certificates import issue_missing
from holdfast.storage_replication.data_path.link import LinkConnection
from holdfast.storage_replication.data_path.link_tls import link_tls
from holdfast.storage_replication.data_path.listener import MAX_LINKS, Listener
from holdfast.storage_replication.engine.frames import Frame
from tests.support.cluster_file import write_cluster_file

TIMES = 60


class Nobody:
    """What takes frames; there are none."""

    def from_primary(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None: ...
    def follows(self, link: LinkConnection) -> bool:
        """Nobody."""
        return False

    def acknowledge(self) -> None: ...
    def primary_gone(self, link: LinkConnection) -> None: ...


def secrets_in(folder: Path) -> Path:
    """Of the place alpha."""
    places = load(write_cluster_file(folder, [])).places()
    (folder / "secrets" / "alpha").mkdir(parents=True)
    issue_missing(places, [], folder / "secrets", {})
    return folder / "secrets" / "alpha"


def test_who_sends_its_first_words_at_once_is_understood(tmp_path: Path) -> None:
    """A ClientHello that is there before anybody reads was lost by one connection in three; and
    those that never end their handshake keep nobody away."""
    place = secrets_in(tmp_path)
    context = ssl.create_default_context(cafile=str(place / "ca.pem"))
    context.load_cert_chain(place / "server.pem", place / "server.key")
    context.check_hostname = False

    def quick(port: int) -> int:
        done = 0
        for number in range(TIMES):
            with socket.create_connection(("127.0.0.1", port), 5.0) as sock:
                if number % 3 == 0:
                    silent.append(socket.create_connection(("127.0.0.1", port), 5.0))
                try:
                    with context.wrap_socket(sock) as encrypted:
                        done += encrypted.version() == "TLSv1.3"
                except (TimeoutError, ConnectionError):
                    return done
        return done

    async def serve() -> int:
        listener = Listener(Nobody())
        port = await listener.listen("127.0.0.1", 0, link_tls(place))
        try:
            return await asyncio.to_thread(quick, port)
        finally:
            listener.close()

    silent: list[socket.socket] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(serve()) == TIMES
    assert len(silent) > MAX_LINKS
    for sock in silent:
        sock.close()
