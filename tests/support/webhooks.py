"""A real HTTP server that takes webhooks and answers as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    """One POST: its request line, headers (lower case) and body."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What arrived, in order. `answer` gives the status line for the nth request, from 1."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    answer: Callable[[int], str] = lambda number: "200 OK"

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://127.0.0.1:{self.port}/hook?token=s3cret"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, answer it, close."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append(Received(first, headers, body))
            status = self.answer(len(self.requests))
            if status:
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
            else:
                await reader.read()  # never answer: until the client has had enough
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    made = Receiver()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
