"""From the greeting to transmission, sans I/O: bytes in, bytes out, and what comes next."""

from enum import Enum, auto

import msgspec

from holdfast.nbd_protocol import (
    ALLOCATION,
    ALLOCATION_ID,
    CLIENT_FLAGS,
    OPTION,
    OPTION_MAGIC,
    Handshake,
    Info,
    Option,
    OptionReply,
    option_reply,
)
from holdfast.storage_replication.nbd.options import (
    Export,
    Malformed,
    name_and_infos,
    name_and_queries,
)

MAX_OPTION = 64 * 1024
"""Bytes of data with one option; more closes the connection."""
MAX_OPTIONS = 256
"""Options on one connection; more close it."""


class Next(Enum):
    """What the connection does after a step."""

    OPTIONS = auto()
    START_TLS = auto()
    TRANSMISSION = auto()
    CLOSE = auto()


class Step(msgspec.Struct, frozen=True):
    """`consumed` bytes of the input are dealt with; `reply` goes out; then `next`."""

    consumed: int
    reply: bytes
    next: Next = Next.OPTIONS


class Tls(Enum):
    """Whether the connection is, or has to become, a TLS one."""

    NOT_OFFERED = auto()
    REQUIRED = auto()
    ACTIVE = auto()


class Negotiation:
    """One connection's handshake."""

    def __init__(self, export: Export, tls: Tls) -> None:
        self._export = export
        self._tls = tls
        self._flags: int | None = None
        self._options = 0
        self._context: bytes | None = None
        self.structured = False
        """Whether replies may come in chunks."""
        self.allocation = False
        """Whether BLOCK_STATUS was agreed on; final when transmission begins."""

    def tls_started(self) -> None:
        """All that was negotiated in the clear is forgotten, as the protocol demands."""
        self._tls = Tls.ACTIVE
        self._forget()

    def receive(self, data: memoryview) -> Step | None:
        """One step on what has arrived so far; None: more is needed. Never raises."""
        if self._flags is None:
            return self._client_flags(data)
        if len(data) < OPTION.size:
            return None
        magic, option, length = OPTION.unpack_from(data)
        self._options += magic == OPTION_MAGIC and len(data) >= OPTION.size + length
        if magic != OPTION_MAGIC or length > MAX_OPTION or self._options > MAX_OPTIONS:
            return Step(len(data), b"", Next.CLOSE)
        if len(data) < OPTION.size + length:
            return None
        body = bytes(data[OPTION.size : OPTION.size + length])
        reply, following = self._option(option, body)
        return Step(OPTION.size + length, reply, following)

    def _client_flags(self, data: memoryview) -> Step | None:
        if len(data) < CLIENT_FLAGS.size:
            return None
        (flags,) = CLIENT_FLAGS.unpack_from(data)
        known = int(Handshake.FIXED_NEWSTYLE | Handshake.NO_ZEROES)
        if flags & ~known or not flags & Handshake.FIXED_NEWSTYLE:
            return Step(len(data), b"", Next.CLOSE)
        self._flags = flags
        return Step(CLIENT_FLAGS.size, b"")

    def _option(self, option: int, data: bytes) -> tuple[bytes, Next]:
        if option == Option.ABORT:
            return option_reply(option, OptionReply.ACK), Next.CLOSE
        if option == Option.STARTTLS:
            return self._start_tls(data)
        if self._tls is Tls.REQUIRED:
            if option == Option.EXPORT_NAME:  # it has no error reply
                return b"", Next.CLOSE
            return _refused(option, OptionReply.ERR_TLS_REQD, "this server asks for TLS first")
        if option == Option.EXPORT_NAME:
            return self._export_name(data)
        try:
            return self._haggle(option, data)
        except Malformed as error:
            self._forget_context(option)
            return _refused(option, OptionReply.ERR_INVALID, str(error))

    def _haggle(self, option: int, data: bytes) -> tuple[bytes, Next]:
        if option in (Option.INFO, Option.GO):
            return self._information(option, data)
        if option in (Option.LIST_META_CONTEXT, Option.SET_META_CONTEXT):
            return self._meta_context(option, data)
        if option not in (Option.LIST, Option.STRUCTURED_REPLY):
            return _refused(option, OptionReply.ERR_UNSUP, "unknown option")
        if data:
            raise Malformed("this option carries no data")
        if option == Option.STRUCTURED_REPLY:
            self.structured = True
            return option_reply(option, OptionReply.ACK), Next.OPTIONS
        name = self._export.name.encode()
        server = option_reply(option, OptionReply.SERVER, len(name).to_bytes(4, "big") + name)
        return server + option_reply(option, OptionReply.ACK), Next.OPTIONS

    def _start_tls(self, data: bytes) -> tuple[bytes, Next]:
        option = Option.STARTTLS
        if self._tls is Tls.NOT_OFFERED:
            return _refused(option, OptionReply.ERR_POLICY, "this server has no TLS here")
        if self._tls is Tls.ACTIVE:
            return _refused(option, OptionReply.ERR_INVALID, "TLS is already active")
        if data:
            return _refused(option, OptionReply.ERR_INVALID, "this option carries no data")
        return option_reply(option, OptionReply.ACK), Next.START_TLS

    def _export_name(self, name: bytes) -> tuple[bytes, Next]:
        if not self._export.is_called(name):
            return b"", Next.CLOSE
        self._settle_context(name)
        flags = self._export.flags(structured=self.structured)
        reply = self._export.size.to_bytes(8, "big") + flags.to_bytes(2, "big")
        if not (self._flags or 0) & Handshake.NO_ZEROES:
            reply += bytes(124)
        return reply, Next.TRANSMISSION

    def _information(self, option: int, data: bytes) -> tuple[bytes, Next]:
        name, asked = name_and_infos(data)
        if not self._export.is_called(name):
            return self._unknown(option)
        replies = []
        for kind in dict.fromkeys([Info.EXPORT, *asked, Info.BLOCK_SIZE]):
            told = self._export.info(kind, structured=self.structured)
            if told is not None:
                replies.append(option_reply(option, OptionReply.INFO, told))
        replies.append(option_reply(option, OptionReply.ACK))
        if option == Option.INFO:
            return b"".join(replies), Next.OPTIONS
        self._settle_context(name)
        return b"".join(replies), Next.TRANSMISSION

    def _meta_context(self, option: int, data: bytes) -> tuple[bytes, Next]:
        self._forget_context(option)
        if not self.structured:
            raise Malformed("structured replies come first")
        name, queries = name_and_queries(data)
        if not self._export.is_called(name):
            return self._unknown(option)
        listing = option == Option.LIST_META_CONTEXT
        wanted = ALLOCATION in queries or (listing and (not queries or b"base:" in queries))
        reply = option_reply(option, OptionReply.ACK)
        if wanted:
            number = 0 if listing else ALLOCATION_ID
            told = number.to_bytes(4, "big") + ALLOCATION
            reply = option_reply(option, OptionReply.META_CONTEXT, told) + reply
        if wanted and not listing:
            self._context = name
        return reply, Next.OPTIONS

    def _unknown(self, option: int) -> tuple[bytes, Next]:
        text = f"the only export here is {self._export.name!r}"
        return _refused(option, OptionReply.ERR_UNKNOWN, text)

    def _settle_context(self, name: bytes) -> None:
        """A context counts for the export name it was asked for with, and no other."""
        self.allocation = self._context is not None and self._context == name

    def _forget_context(self, option: int) -> None:
        if option == Option.SET_META_CONTEXT:
            self._context = None

    def _forget(self) -> None:
        self.structured = False
        self._context = None


def _refused(option: int, kind: OptionReply, text: str) -> tuple[bytes, Next]:
    return option_reply(option, kind, text.encode()), Next.OPTIONS
