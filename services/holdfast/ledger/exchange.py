"""One HTTP request and its whole answer within one deadline, whatever the server does."""

import http.client
import io
import json
import socket
import time
from urllib.parse import urlsplit

from holdfast.ledger.deadline import DeadlineReader

MAX_ANSWER_BYTES = 16 * 1024 * 1024


class ExchangeError(Exception):
    """No usable answer: whether the server acted on the request is unknown."""


class _Answering:
    """What http.client needs of a socket to parse an answer from it."""

    def __init__(self, reader: DeadlineReader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)


def exchange(
    url: str, method: str, path: str, body: dict[str, str] | None = None, *, timeout: float
) -> tuple[int, dict[str, object]]:
    """Returns status and JSON object. `timeout` seconds for all of it. Raises ExchangeError."""
    deadline = time.monotonic() + timeout
    host, port = host_and_port(url)
    try:
        with socket.create_connection((host, port), timeout=timeout) as sock:
            sock.sendall(_request(f"{host}:{port}", method, path, body))
            left = deadline - time.monotonic()
            reader = DeadlineReader(sock, begin=left, complete=left)
            return _answer(http.client.HTTPResponse(_Answering(reader), method=method))  # type: ignore[arg-type]
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise ExchangeError(f"{method} {url}{path}: {error or type(error).__name__}") from error


def host_and_port(url: str) -> tuple[str, int]:
    """Raises ValueError if it is not `http://HOST:PORT`."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"{url!r} is not http://HOST:PORT")
    return parts.hostname, parts.port or 80


def _request(host: str, method: str, path: str, body: dict[str, str] | None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode("ascii")
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return f"{head}\r\n".encode("ascii") + data


def _answer(response: http.client.HTTPResponse) -> tuple[int, dict[str, object]]:
    response.begin()
    data = response.read(MAX_ANSWER_BYTES + 1)
    if len(data) > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    if response.length:
        raise http.client.IncompleteRead(data, response.length)
    answer = json.loads(data)
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    return response.status, answer
