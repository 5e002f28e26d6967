"""POSTs the CloudEvent to a URL, once per call, over HTTP/1.1. Redirects are not followed.

A small client of its own: the deadline must hold for the whole exchange, whatever the server does,
and a redirect could carry the event to a host that the operator never named.
"""

import asyncio
import re
import ssl
from urllib.parse import SplitResult, quote, urlsplit

from holdfast.config.model import WebhookChannel
from holdfast.events import CONTENT_TYPE, Envelope, encode_envelope
from holdfast.notifier.channels.failure import SendFailed

MAX_HEAD = 32 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_WORTH_ANOTHER_TRY = {408, 425, 429}


class Webhook:
    """Errors never quote the URL: its path or query may be a secret."""

    def __init__(self, settings: WebhookChannel) -> None:
        self.attempts = settings.attempts
        self._deadline = settings.deadline
        self._url = urlsplit(settings.url)

    async def send(self, envelope: Envelope) -> None:
        """POST and wait for a 2xx status. Raises SendFailed."""
        try:
            async with asyncio.timeout(self._deadline):
                status = await self._post(envelope)
        except TimeoutError as error:
            raise SendFailed(f"no answer within {self._deadline:g} s") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SendFailed(f"connection failed: {reason}") from error
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise SendFailed("the answer is not HTTP") from error
        if 200 <= status <= 299:
            return
        if 300 <= status <= 399:
            raise SendFailed(f"status {status}: redirects are not followed", final=True)
        final = 400 <= status <= 499 and status not in _WORTH_ANOTHER_TRY
        raise SendFailed(f"status {status}", final=final)

    async def _post(self, envelope: Envelope) -> int:
        tls = self._url.scheme == "https"
        reader, writer = await asyncio.open_connection(
            self._url.hostname,
            self._url.port or (443 if tls else 80),
            ssl=ssl.create_default_context() if tls else None,
            limit=MAX_HEAD,
        )
        try:
            writer.write(_request(self._url, envelope))
            status = _STATUS.match(await reader.readuntil(b"\r\n\r\n"))
            if status is None:
                raise ValueError("no status line")
            return int(status[1])
        finally:
            writer.transport.abort()  # a clean TLS shutdown could outlast the deadline


def _request(url: SplitResult, envelope: Envelope) -> bytes:
    body = encode_envelope(envelope)
    head = (
        f"POST {_target(url)} HTTP/1.1\r\n"
        f"Host: {url.netloc.rpartition('@')[2]}\r\n"
        "User-Agent: holdfast-notifier\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Idempotency-Key: {envelope.id}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _target(url: SplitResult) -> str:
    """Path and query, with everything quoted that could end the request line early."""
    path = quote(url.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(url.query, safe="/%:@!$&'()*+,;=~?")
    return f"{path}?{query}" if query else path
