"""The ledger over HTTP/1.1: bounded connections, bounded requests, a deadline on every peer."""

import contextlib
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

from holdfast.ledger.errors import ListenError
from holdfast.ledger.handler import LedgerHandler, plain_response
from holdfast.ledger.journal import Journal

MAX_CONNECTIONS = 64
DRAIN_SECONDS = 1.0
_BUSY = plain_response(503, {"error": f"more than {MAX_CONNECTIONS} connections at once"})


class LedgerServer(ThreadingHTTPServer):
    """Serves one open journal on `address` = (host, port). Raises ListenError."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    timeout = 0

    def __init__(self, address: tuple[str, int], journal: Journal) -> None:
        self.journal = journal
        self.draining = False
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._idle = threading.Condition()
        self._in_flight = 0
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, LedgerHandler)
        except (OSError, OverflowError) as error:
            raise ListenError(
                f"cannot listen: {error}",
                place=f"{address[0]}:{address[1]}",
                cure="stop what listens there, or give an address of this machine and a free port",
            ) from error

    def server_bind(self) -> None:
        # The stdlib asks DNS for the address' name here, which can take seconds; nobody needs it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def serve_until(self, wake: socket.socket) -> None:
        """Accepts until `wake` is readable, then ends the requests in flight (DRAIN_SECONDS)."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while all(key.fileobj is not wake for key, _ in selector.select()):
                self.handle_request()
        with self._idle:
            self.draining = True
        self.server_close()
        with self._idle:
            self._idle.wait_for(lambda: self._in_flight == 0, timeout=DRAIN_SECONDS)

    @contextlib.contextmanager
    def request_in_flight(self) -> Iterator[bool]:
        """Held from a request's first line to the end of its answer; False: it came too late."""
        with self._idle:
            self._in_flight += 1
            in_time = not self.draining
        try:
            yield in_time
        finally:
            with self._idle:
                self._in_flight -= 1
                self._idle.notify_all()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        assert isinstance(request, socket.socket)
        if not self._slots.acquire(blocking=False):
            _refuse(request)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that went away is no error of the ledger; anything else is said in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            sys.stderr.write(f"ledger: request from {client_address}: {error!r}\n")


def _refuse(request: socket.socket) -> None:
    """Answers without waiting: the acceptor must not depend on a client."""
    request.setblocking(False)
    with contextlib.suppress(OSError):
        # Unread bytes would turn the close into a reset, and the answer would be lost.
        request.recv(65536)
    with contextlib.suppress(OSError):
        request.send(_BUSY)
