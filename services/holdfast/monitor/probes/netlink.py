"""The little of rtnetlink(7) that link events need: one request, one kind of message."""

import struct
from collections.abc import Iterator

import msgspec

LINK_GROUP = 1  # RTMGRP_LINK

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFINFO = struct.Struct("=BxHiII")  # family, device type, index, flags, changed flags
_ATTRIBUTE = struct.Struct("=HH")  # length, type

_NLMSG_DONE, _RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 3, 16, 17, 18
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 10, 18, 1
_TYPE_MASK = 0x3FFF  # the two highest bits of an attribute's type are flags


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An interface as the kernel last described it. `kind` is empty for a physical one."""

    name: str
    enabled: bool = False
    carrier: bool = False
    loopback: bool = False
    removed: bool = False
    enslaved: bool = False
    kind: str = ""

    @property
    def up(self) -> bool:
        """Switched on, and connected to something."""
        return self.enabled and self.carrier and not self.removed


LIST_ENDS = Change(name="")
"""Stands for the end of the answer to `list_request`."""


def list_request() -> bytes:
    """Ask for all interfaces."""
    body = _IFINFO.pack(0, 0, 0, 0, 0)
    flags = _NLM_F_REQUEST | _NLM_F_DUMP
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETLINK, flags, 1, 0) + body


def parse(data: bytes) -> list[Change]:
    """The messages of one datagram; others than about links are passed over.

    Raises ValueError when it is not netlink.
    """
    changes = []
    try:
        for kind, body in _messages(data):
            if kind == _NLMSG_DONE:
                changes.append(LIST_ENDS)
            elif kind in (_RTM_NEWLINK, _RTM_DELLINK):
                changes.append(_link(body, removed=kind == _RTM_DELLINK))
    except (struct.error, KeyError) as error:
        raise ValueError(f"not a netlink message: {error!r}") from error
    return changes


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind, *_ = _HEADER.unpack_from(data)
        if not _HEADER.size <= length <= len(data):
            raise ValueError(f"a netlink message of {length} bytes in {len(data)}")
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def _link(body: bytes, *, removed: bool) -> Change:
    _, _, _, flags, _ = _IFINFO.unpack_from(body)
    attributes = _attributes(body[_IFINFO.size :])
    info = _attributes(attributes.get(_IFLA_LINKINFO, b""))
    return Change(
        name=_text(attributes[_IFLA_IFNAME]),
        enabled=bool(flags & _IFF_UP),
        carrier=bool(flags & _IFF_LOWER_UP),
        loopback=bool(flags & _IFF_LOOPBACK),
        removed=removed,
        enslaved=_IFLA_MASTER in attributes,
        kind=_text(info.get(_IFLA_INFO_KIND, b"")),
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= length <= len(data):
            raise ValueError(f"a netlink attribute of {length} bytes in {len(data)}")
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("ascii", "replace")
