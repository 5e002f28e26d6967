"""One connection's requests: what each path means, and how a bad one is refused."""

import contextlib
import io
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import ClassVar, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from holdfast.ledger.deadline import DeadlineReader
from holdfast.ledger.errors import UnavailableError
from holdfast.ledger.journal import Journal

MAX_BODY_BYTES = 4096
MAX_ID_CHARS = 128
MAX_LIMIT = 500
DEFAULT_LIMIT = 100
IDLE_SECONDS = 5.0
REQUEST_SECONDS = 5.0
LINGER_SECONDS = 0.5
_DISCARD_BYTES = 64 * 1024

Answer = tuple[int, dict[str, object]]


class Ledger(Protocol):
    """What the handler of a connection needs of its server."""

    journal: Journal
    draining: bool

    def request_in_flight(self) -> contextlib.AbstractContextManager[bool]:
        """Held from a request's first line to the end of its answer; False: it came too late."""
        ...


class _RefusedError(Exception):
    """A request that is wrong in itself."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


def plain_response(status: int, answer: dict[str, object]) -> bytes:
    """A whole HTTP/1.1 response that ends its connection."""
    body = json.dumps(answer).encode("ascii")
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class LedgerHandler(BaseHTTPRequestHandler):
    """`POST /entries`, `GET /entries`, `GET /healthz`; JSON in and out."""

    protocol_version = "HTTP/1.1"
    server_version = "holdfast-ledger"
    sys_version = ""
    disable_nagle_algorithm = True
    _routes: ClassVar[dict[tuple[str, str], Callable[["LedgerHandler"], Answer]]]

    def setup(self) -> None:
        super().setup()
        self._ledger = cast(Ledger, self.server)
        self._reader = DeadlineReader(self.connection, begin=IDLE_SECONDS, complete=REQUEST_SECONDS)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        self._reader.expect(begin=IDLE_SECONDS, complete=REQUEST_SECONDS)
        with contextlib.ExitStack() as self._turn:
            super().handle_one_request()

    def parse_request(self) -> bool:
        """Called by the base class when a request's first line is there."""
        self._in_time = self._turn.enter_context(self._ledger.request_in_flight())
        return super().parse_request()

    def do_GET(self) -> None:
        """Called by the base class."""
        if self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True  # its body is not read, and is not the next request
        self._dispatch()

    def do_POST(self) -> None:
        """Called by the base class."""
        self._dispatch()

    def _dispatch(self) -> None:
        if not self._in_time:
            self._send(503, {"error": "the ledger is stopping"}, close=True)
            return
        try:
            status, answer = self._route()(self)
        except _RefusedError as error:
            self._send(error.status, {"error": str(error)}, close=True)
        except UnavailableError as error:
            self._send(503, {"error": str(error)})
        else:
            self._send(status, answer)

    def _route(self) -> Callable[["LedgerHandler"], Answer]:
        path = urlsplit(self.path).path
        route = self._routes.get((self.command, path))
        if route is not None:
            return route
        if any(known == path for _, known in self._routes):
            raise _RefusedError(405, f"{path} does not know {self.command}")
        raise _RefusedError(404, f"no such path: {path[:100]}; try /entries or /healthz")

    def _append(self) -> Answer:
        entry_id, note = _parse_entry(self._body())
        entry, is_new = self._ledger.journal.append(entry_id, note)
        return 201 if is_new else 200, {"id": entry.id, "index": entry.index, "epoch": entry.epoch}

    def _list(self) -> Answer:
        after, limit = _parse_range(urlsplit(self.path).query)
        journal = self._ledger.journal
        entries = journal.entries(after, limit)
        more = bool(entries) and entries[-1].index < len(journal)
        return 200, {
            "entries": [asdict(entry) for entry in entries],
            "next": entries[-1].index if more else None,
            "total": len(journal),
        }

    def _health(self) -> Answer:
        journal = self._ledger.journal
        answer: dict[str, object] = {
            "entries": len(journal),
            "epoch": journal.epoch,
            "pid": os.getpid(),
        }
        trouble = journal.trouble()
        return (200, answer) if trouble is None else (503, answer | {"error": trouble})

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(lengths) != 1:
            raise _RefusedError(411, "send the body with one Content-Length")
        text = lengths[0].strip()
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise _RefusedError(400, "Content-Length is not a number")
        length = int(text)
        if length > MAX_BODY_BYTES:
            raise _RefusedError(413, f"an entry takes at most {MAX_BODY_BYTES} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away in the middle of a request")
        return body

    def _send(self, status: int, answer: dict[str, object], *, close: bool = False) -> None:
        body = json.dumps(answer).encode("ascii")
        self.connection.settimeout(REQUEST_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if close or self.close_connection or self._ledger.draining:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        if close:
            self._linger()

    def _linger(self) -> None:
        """Lets the client read a refusal: a close over unread bytes would reset the connection."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self._reader.expect(begin=LINGER_SECONDS, complete=LINGER_SECONDS)
            left = _DISCARD_BYTES
            while left > 0 and (unread := self.rfile.read1(left)):
                left -= len(unread)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class' own refusals (a malformed head), in the same form as all others."""
        self._send(code, {"error": message or HTTPStatus(code).phrase}, close=True)

    def log_message(self, format: str, *args: object) -> None:
        """No access log: the journal is the record."""


LedgerHandler._routes = {
    ("POST", "/entries"): LedgerHandler._append,
    ("GET", "/entries"): LedgerHandler._list,
    ("GET", "/healthz"): LedgerHandler._health,
}


def _parse_entry(body: bytes) -> tuple[str, str]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError(
            400, 'the body is not JSON; send {"id": "...", "note": "..."}'
        ) from None
    match fields:
        case {"id": str(entry_id), "note": str(note)} if len(fields) == 2:
            if 1 <= len(entry_id) <= MAX_ID_CHARS and entry_id.isprintable():
                return entry_id, note
            raise _RefusedError(400, f"id: 1 to {MAX_ID_CHARS} printable characters")
    raise _RefusedError(400, 'send exactly two texts: {"id": "...", "note": "..."}')


def _parse_range(query: str) -> tuple[int, int]:
    values = {"after": 0, "limit": DEFAULT_LIMIT}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=len(values))
    except ValueError:
        raise _RefusedError(400, "at most after=N and limit=M") from None
    for name, text in pairs:
        if name not in values:
            raise _RefusedError(400, f"unknown parameter {name[:40]!r}; there are after and limit")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise _RefusedError(400, f"{name} is not a whole number")
        values[name] = int(text)
    if not 1 <= values["limit"] <= MAX_LIMIT:
        raise _RefusedError(400, f"limit is 1 to {MAX_LIMIT}")
    return values["after"], values["limit"]
