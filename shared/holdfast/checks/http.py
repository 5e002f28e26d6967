"""The http check: a GET is answered, whole, with a 2xx status.

A strict and small HTTP/1.1 client: one request per connection, no redirects, no proxies, and
never more than a bounded amount read, whatever the server sends.
"""

import asyncio
import re
import ssl
from urllib.parse import SplitResult, quote, urlsplit

from holdfast import clock
from holdfast.checks.result import CheckResult, connection_problem, printable
from holdfast.config.model import HttpCheck

MAX_HEAD = 32 * 1024
MAX_BODY = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)


async def run(check: HttpCheck) -> CheckResult:
    """GET the URL once."""
    started = clock.monotonic()
    try:
        host, port, tls, request = _prepare(check.url)
    except ValueError as error:
        return CheckResult(ok=False, reason=printable(f"this URL cannot be used: {error}"))
    try:
        async with asyncio.timeout(check.deadline):
            status, problem = await _get(host, port, tls, request)
    except TimeoutError:
        problem = f"{host}:{port}: no whole answer within {check.deadline:g} s"
        return CheckResult(ok=False, reason=problem)
    except OSError as error:
        return CheckResult(ok=False, reason=connection_problem(host, port, error))
    ok = not problem and 200 <= status <= 299
    return CheckResult(
        ok=ok,
        reason=f"{host}:{port}: {problem or f'status {status}'}",
        measurements={"status": float(status), "answer_seconds": clock.monotonic() - started},
    )


def _prepare(url: str) -> tuple[str, int, bool, bytes]:
    """Host, port, whether TLS, and the bytes of the request. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it carries a user name or password")
    tls = parts.scheme == "https"
    default = 443 if tls else 80
    port = parts.port or default
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    request = (
        f"GET {_target(parts)} HTTP/1.1\r\n"
        f"Host: {host if port == default else f'{host}:{port}'}\r\n"
        "User-Agent: holdfast-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    return parts.hostname, port, tls, request.encode("ascii")


def _target(parts: SplitResult) -> str:
    """Path and query, with everything quoted that could end the request line early."""
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return f"{path}?{query}" if query else path


async def _get(host: str, port: int, tls: bool, request: bytes) -> tuple[int, str]:
    """Status, and a problem or "". A status of 0: there was none."""
    context = ssl.create_default_context() if tls else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=MAX_HEAD)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        line = _STATUS_LINE.match(head)
        if line is None:
            return 0, "the answer is not HTTP"
        status = int(line[1])
        return status, await _read_body(reader, head)
    except asyncio.IncompleteReadError as error:
        return 0, f"the connection was closed after {len(error.partial)} bytes of an answer"
    except asyncio.LimitOverrunError:
        return 0, f"the header is longer than {MAX_HEAD} bytes"
    finally:
        writer.transport.abort()  # a clean TLS shutdown could outlast the deadline


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> str:
    """Read a body of declared length up to a bound; "" or how it fell short.

    A body without a length is not waited for: where it ends is the server's choice, and one that
    keeps the connection open would look as if it hung.
    """
    length = _LENGTH.search(head)
    if length is None:
        return ""
    wanted = min(int(length[1]), MAX_BODY)
    try:
        await reader.readexactly(wanted)
    except asyncio.IncompleteReadError as error:
        return f"the body ended after {len(error.partial)} of {int(length[1])} bytes"
    return ""
