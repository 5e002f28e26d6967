"""A small NBD client on a plain socket, which can also say what no proper client says."""

import socket
import struct
from pathlib import Path

from holdfast import nbd_protocol as protocol
from holdfast.nbd_protocol import (
    CHUNK,
    CLIENT_FLAGS,
    GREETING,
    OPTION,
    OPTION_MAGIC,
    OPTION_REPLY,
    REQUEST,
    REQUEST_MAGIC,
    SIMPLE_REPLY,
    SIMPLE_REPLY_MAGIC,
    Command,
    Option,
    OptionReply,
)

DEADLINE = 20.0


def connect(where: Path | tuple[str, int], deadline: float = DEADLINE) -> socket.socket:
    """A socket with a deadline on everything."""
    if isinstance(where, Path):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(deadline)
        try:
            sock.connect(str(where))
        except OSError:
            sock.close()
            raise
        return sock
    return socket.create_connection(where, deadline)


def exactly(sock: socket.socket, count: int) -> bytes:
    """`count` bytes. Raises EOFError."""
    data = bytearray()
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += more
    return bytes(data)


def option(number: int, data: bytes = b"") -> bytes:
    """An option on the wire."""
    return OPTION.pack(OPTION_MAGIC, number, len(data)) + data


def go(name: bytes = b"v1") -> bytes:
    """NBD_OPT_GO with no information requests."""
    return option(Option.GO, struct.pack(">I", len(name)) + name + bytes(2))


def set_context(name: bytes = b"v1", query: bytes = protocol.ALLOCATION) -> bytes:
    """NBD_OPT_SET_META_CONTEXT with one query."""
    data = struct.pack(">I", len(name)) + name + struct.pack(">II", 1, len(query)) + query
    return option(Option.SET_META_CONTEXT, data)


def request(command: int, offset: int, length: int, *, cookie: int = 1, flags: int = 0) -> bytes:
    """A request's header."""
    return REQUEST.pack(REQUEST_MAGIC, flags, command, cookie, offset, length)


class Client:
    """In transmission, with structured replies and base:allocation unless told otherwise."""

    def __init__(
        self,
        where: Path | tuple[str, int],
        *,
        structured: bool = True,
        deadline: float = DEADLINE,
        export: bytes = b"v1",
    ) -> None:
        self.size = 0
        """Of the export, in bytes."""
        self.sock = connect(where, deadline)
        try:
            self._negotiate(structured, export)
        except BaseException:
            self.sock.close()
            raise

    def _negotiate(self, structured: bool, export: bytes) -> None:
        exactly(self.sock, GREETING.size)
        self.sock.sendall(CLIENT_FLAGS.pack(3))
        if structured:
            assert self.ask(option(Option.STRUCTURED_REPLY))[-1][0] == OptionReply.ACK
            assert self.ask(set_context(export))[-1][0] == OptionReply.ACK
        answers = self.ask(go(export))
        assert answers[-1][0] == OptionReply.ACK
        about = [
            data for kind, data in answers if kind == OptionReply.INFO and data[:2] == bytes(2)
        ]
        self.size = int.from_bytes(about[0][2:10], "big")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, words: bytes) -> list[tuple[int, bytes]]:
        """Send an option; its replies up to the last."""
        self.sock.sendall(words)
        return option_replies(self.sock)

    def call(
        self, command: int, offset: int = 0, length: int = 0, data: bytes = b"", flags: int = 0
    ) -> tuple[int, bytes]:
        """One request, alone in flight: its errno, and what a READ or BLOCK_STATUS brought."""
        self.sock.sendall(request(command, offset, length or len(data), flags=flags) + data)
        expected = (length or len(data)) if command == Command.READ else 0
        return reply(self.sock, expected, offset)

    def write(self, offset: int, data: bytes, flags: int = 0) -> int:
        """The errno."""
        return self.call(Command.WRITE, offset, data=data, flags=flags)[0]

    def send_write(self, offset: int, data: bytes) -> None:
        """`reply` waits for its end."""
        self.sock.sendall(request(Command.WRITE, offset, len(data)) + data)

    def reply(self) -> int:
        """The errno of what was sent. Raises EOFError, OSError."""
        return reply(self.sock, 0, 0)[0]

    def read(self, offset: int, length: int) -> bytes:
        """What is there."""
        error, data = self.call(Command.READ, offset, length)
        assert error == 0
        return data

    def flush(self) -> int:
        """The errno."""
        return self.call(Command.FLUSH)[0]


def option_replies(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Kind and data of each, up to the last."""
    found = []
    while True:
        _, _, kind, length = OPTION_REPLY.unpack(exactly(sock, OPTION_REPLY.size))
        found.append((kind, exactly(sock, length)))
        if kind not in (OptionReply.SERVER, OptionReply.INFO, OptionReply.META_CONTEXT):
            return found


def reply(sock: socket.socket, length: int, start: int) -> tuple[int, bytes]:
    """The answer to one request: errno, and the data of a READ put together from its chunks."""
    data, error = bytearray(length), 0
    while True:
        head = exactly(sock, SIMPLE_REPLY.size)
        magic, error, _ = SIMPLE_REPLY.unpack(head)
        if magic == SIMPLE_REPLY_MAGIC:
            return error, exactly(sock, length) if not error else b""
        head += exactly(sock, CHUNK.size - len(head))
        _, flags, kind, _, size = CHUNK.unpack(head)
        body = exactly(sock, size)
        if kind & 2**15:
            return int.from_bytes(body[:4], "big"), body[6:]
        if kind == protocol.CHUNK_BLOCK_STATUS:
            return 0, body[4:]
        if kind == protocol.CHUNK_OFFSET_DATA:
            at = int.from_bytes(body[:8], "big") - start
            data[at : at + size - 8] = body[8:]
        if flags & protocol.CHUNK_DONE:
            return 0, bytes(data)
