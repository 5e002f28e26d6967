"""Requests through a network that is cut for five seconds: which of them arrive late?

Run inside a network namespace of its own: `python -m tests.support.cut_off safe|stock <folder>`.
The cut takes the loopback interface down, so packets are lost as on a pulled cable. Prints the
numbers of the requests that were delivered after their sender had been told of a time-out.
"""

import asyncio
import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from holdfast.bus import Bus
from tests.support.nats import NatsServer

CUT_SECONDS = 5.0
HEALED_SECONDS = 4.0
"""The kernel repeats unacknowledged bytes 6.2 s after they were first sent, so this is enough."""
SUBJECT = "ha.commands.alpha.recovery"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def loopback(up: bool) -> None:
    """Raise or cut the loopback interface of this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)
        flags = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))


async def ask_while_cut(client: Client) -> int:
    """Send requests until the cut is over; how many were accepted and timed out."""
    loop = asyncio.get_running_loop()
    deadline, asked = loop.time() + CUT_SECONDS, 0
    while loop.time() < deadline:
        try:
            await client.request(SUBJECT, str(asked).encode(), timeout=0.25)
        except nats.errors.TimeoutError:
            asked += 1
        except nats.errors.Error:
            await asyncio.sleep(0.05)
    return asked


async def sender(kind: str, server: NatsServer) -> Client:
    """Holdfast's connection, or nats-py's as it comes."""
    if kind == "stock":
        client = Client()
        await client.connect(server.url, reconnect_time_wait=0.1)  # type: ignore[arg-type]
        return client
    bus = Bus([server.url], name="sender", inbox="_INBOX_sender")
    await bus.connect()
    return bus.client


async def main(kind: str, folder: Path) -> None:
    """One server, one receiver, one sender; the cut takes all three apart."""
    loopback(up=True)
    server = NatsServer("alpha", 4222, folder, "", "")
    server.start()
    try:
        receiver = Bus([server.url], name="receiver", inbox="_INBOX_receiver")
        await receiver.connect()
        seen: list[str] = []

        async def hear(message: Msg) -> None:
            seen.append(message.data.decode())

        await receiver.client.subscribe("ha.commands.>", cb=hear)
        await receiver.flush()
        client = await sender(kind, server)
        loopback(up=False)
        asked = await ask_while_cut(client)
        loopback(up=True)
        await receiver.ready.wait()
        await asyncio.sleep(HEALED_SECONDS)  # that nothing comes takes time to see
        sys.stdout.write(json.dumps({"asked": asked, "late": seen}))
    finally:
        server.kill()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
