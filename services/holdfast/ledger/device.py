"""A block device behind an NBD server, as a client that waits: one request at a time.

A connection that is lost is made anew, and the request that got no answer is repeated on it, until
its deadline. So a request may be done twice; whoever repeats a write must not have written
anything else there in between.
"""

import contextlib
import errno
import os
import socket
import struct
import time
from typing import NamedTuple

from holdfast.ledger.address import DeviceAddress
from holdfast.nbd_protocol import (
    CLIENT_FLAGS,
    FLAG_FUA,
    GREETING,
    NBD_MAGIC,
    OPTION,
    OPTION_MAGIC,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    REQUEST,
    REQUEST_MAGIC,
    SIMPLE_REPLY,
    SIMPLE_REPLY_MAGIC,
    Command,
    Handshake,
    Info,
    Option,
    OptionReply,
    Transmission,
)

CALL_SECONDS = 10.0
"""For one request with all its repetitions."""
CONNECT_SECONDS = 5.0
RECONNECT_PAUSE_SECONDS = 0.05
MAX_OPTION_REPLY = 64 * 1024
MAX_OPTION_REPLIES = 64
_EXPORT = struct.Struct(">HQH")
_DURABLE = Transmission.SEND_FLUSH | Transmission.SEND_FUA


class DeviceError(Exception):
    """A request was not done, or its answer is not known."""


class RefusedError(DeviceError):
    """The server says no, and would say so again."""


class _LostError(Exception):
    """The connection cannot be used any more; another one may."""


class _Request(NamedTuple):
    command: Command
    offset: int = 0
    length: int = 0
    data: bytes = b""
    flags: int = 0


class Device:
    """One export, for one thread at a time. Everything raises DeviceError."""

    def __init__(self, address: DeviceAddress, *, seconds: float = CALL_SECONDS) -> None:
        """Connects; `seconds` for this and for every request."""
        self.address = address
        self.size = 0
        self._seconds = seconds
        self._flags = Transmission(0)
        self._cookie = 0
        self._sock: socket.socket | None = None
        self._call()

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes."""
        return self._call(_Request(Command.READ, offset, length))

    def write(self, offset: int, data: bytes) -> None:
        """Durable on return. After an error the data may be there or not, or become so."""
        fua = Transmission.SEND_FUA in self._flags
        write = _Request(Command.WRITE, offset, len(data), data, FLAG_FUA if fua else 0)
        self._call(*([write] if fua else [write, _Request(Command.FLUSH)]))

    def flush(self) -> None:
        """All that was written, by whomever, is durable on return."""
        if Transmission.SEND_FLUSH in self._flags:
            self._call(_Request(Command.FLUSH))

    def close(self) -> None:
        """Say goodbye."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.sendall(REQUEST.pack(REQUEST_MAGIC, 0, Command.DISC, 0, 0, 0))
        self._drop()

    def _call(self, *requests: "_Request") -> bytes:
        """All of them on one connection, else all again; the last one's answer."""
        deadline = time.monotonic() + self._seconds
        while True:
            answer = b""
            try:
                sock = self._sock or self._connect(deadline)
                for request in requests:
                    answer = self._ask(sock, request, deadline)
                return answer
            except (OSError, _LostError) as error:
                self._drop()
                left = deadline - time.monotonic()
                if left <= 0:
                    said = str(error) or type(error).__name__
                    raise DeviceError(f"no answer for {self._seconds:.0f} s: {said}") from error
                time.sleep(min(left, RECONNECT_PAUSE_SECONDS))

    def _connect(self, deadline: float) -> socket.socket:
        deadline = min(deadline, time.monotonic() + CONNECT_SECONDS)
        sock = self.address.connect(_left(deadline))
        try:
            size, flags = _negotiate(sock, self.address.export, deadline)
            self._check(size, flags)
        except BaseException:
            sock.close()
            raise
        self.size, self._flags, self._sock = self.size or size, flags, sock
        return sock

    def _check(self, size: int, flags: Transmission) -> None:
        if Transmission.READ_ONLY in flags:
            raise RefusedError("it is read-only")
        if not flags & _DURABLE:
            raise RefusedError("its server can make nothing durable: it has neither FLUSH nor FUA")
        if size < self.size:
            raise RefusedError(f"it shrank from {self.size} to {size} bytes")

    def _ask(self, sock: socket.socket, request: "_Request", deadline: float) -> bytes:
        self._cookie = (self._cookie + 1) % 2**64
        command, offset, length, data, flags = request
        sock.settimeout(_left(deadline))
        head = REQUEST.pack(REQUEST_MAGIC, flags, command, self._cookie, offset, length)
        sock.sendall(head + data)
        magic, error, cookie = SIMPLE_REPLY.unpack(_receive(sock, SIMPLE_REPLY.size, deadline))
        if magic != SIMPLE_REPLY_MAGIC or cookie != self._cookie:
            raise _LostError("the server's answer is not one to this request")
        if error == errno.ESHUTDOWN:
            raise _LostError("the server is going away")
        if error:
            raise DeviceError(f"{command.name}: {os.strerror(error)}")
        return _receive(sock, length, deadline) if command is Command.READ else b""

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()


def _negotiate(sock: socket.socket, export: str, deadline: float) -> tuple[int, Transmission]:
    """From the greeting to transmission: the export's size and what it can do."""
    magic, option_magic, offered = GREETING.unpack(_receive(sock, GREETING.size, deadline))
    if (magic, option_magic) != (NBD_MAGIC, OPTION_MAGIC):
        raise RefusedError("what answers there is not an NBD server")
    if not offered & Handshake.FIXED_NEWSTYLE:
        raise RefusedError("its server is too old: it has no fixed newstyle negotiation")
    name = export.encode()
    request = len(name).to_bytes(4, "big") + name + bytes(2)
    sock.settimeout(_left(deadline))
    sock.sendall(
        CLIENT_FLAGS.pack(offered & (Handshake.FIXED_NEWSTYLE | Handshake.NO_ZEROES))
        + OPTION.pack(OPTION_MAGIC, Option.GO, len(request))
        + request
    )
    told: tuple[int, Transmission] | None = None
    for _ in range(MAX_OPTION_REPLIES):
        kind, data = _option_reply(sock, deadline)
        if kind == OptionReply.ACK and told is not None:
            return told
        if kind & 2**31:
            raise RefusedError(f"the server refuses {export!r}: {data.decode(errors='replace')}")
        if kind == OptionReply.INFO and data[:2] == Info.EXPORT.to_bytes(2, "big"):
            told = _export(data)
    raise _LostError("the server did not say what it serves")


def _option_reply(sock: socket.socket, deadline: float) -> tuple[int, bytes]:
    head = _receive(sock, OPTION_REPLY.size, deadline)
    magic, option, kind, length = OPTION_REPLY.unpack(head)
    if magic != OPTION_REPLY_MAGIC or option != Option.GO or length > MAX_OPTION_REPLY:
        raise _LostError("the server's answer is not one to GO")
    return kind, _receive(sock, length, deadline)


def _export(data: bytes) -> tuple[int, Transmission]:
    if len(data) != _EXPORT.size:
        raise _LostError("the server's description of the export has the wrong length")
    _, size, flags = _EXPORT.unpack(data)
    return size, Transmission(flags)


def _receive(sock: socket.socket, count: int, deadline: float) -> bytes:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        sock.settimeout(_left(deadline))
        got = sock.recv_into(view)
        if not got:
            raise _LostError("the server closed the connection")
        view = view[got:]
    return bytes(data)


def _left(deadline: float) -> float:
    """Seconds; of a deadline that has passed, so few that nothing is waited for."""
    return max(deadline - time.monotonic(), 0.001)
