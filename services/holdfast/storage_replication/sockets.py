"""How the kernel treats a connection: small messages go at once, a dead machine is noticed."""

import asyncio
import socket
from typing import NamedTuple

JOIN_UP_TO = 64 * 1024
"""Bytes that are cheaper to copy into one piece than to hand over as many."""


class Liveness(NamedTuple):
    """When a silent TCP connection is given up."""

    idle: int
    """Seconds until it is asked."""
    every: int
    """Seconds between further questions."""
    tries: int
    unsent: int
    """Seconds that what was sent may wait for its acknowledgement."""


def tune(transport: asyncio.Transport, liveness: Liveness) -> None:
    """Of a TCP connection; others are left alone."""
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, liveness.idle),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, liveness.every),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, liveness.tries),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, liveness.unsent * 1000),
    ):
        sock.setsockopt(level, option, value)
