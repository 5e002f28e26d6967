"""A link to a member that takes nothing: what waits for it is bounded, and then the link ends."""

import asyncio
import socket

import pytest

from holdfast.storage_replication.data_path.link import LIMIT, LinkConnection
from holdfast.storage_replication.engine.frames import MAX_PAYLOAD, Frame, Kind, encode
from holdfast.storage_replication.engine.ports import Settings

MIB = 1 << 20
WRITE = bytes(64 << 10)


class Ends:
    """Of a link: how often it ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.downs = 0

    def up(self, link: LinkConnection) -> None:
        """Nothing to do."""

    def frame(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """Nothing to do."""

    def batch_over(self, link: LinkConnection) -> None:
        """Nothing to do."""

    def down(self, link: LinkConnection) -> None:
        """Once."""
        self.downs += 1
        self.ended.set()


async def linked(limit: int) -> tuple[Ends, LinkConnection, asyncio.Transport, socket.socket]:
    """The link's ends, the link, its transport, and the other side's socket."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ends = Ends()
    transport, link = await asyncio.get_running_loop().create_connection(
        lambda: LinkConnection(ends, limit), sock=ours
    )
    return ends, link, transport, theirs


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("turns", [True, False], ids=["turns", "one turn"])
async def test_what_is_not_taken_is_bounded(at_once: bool, turns: bool) -> None:
    ends, link, transport, theirs = await linked(MIB)
    header = encode(Kind.WRITE, 1, 1, length=len(WRITE), payload=WRITE)
    sent = most = 0
    with theirs:
        while not link.closed:
            assert sent < 8 * MIB, "it never ends"
            link.send(header, WRITE, at_once=at_once)
            sent += len(header) + len(WRITE)
            most = max(most, transport.get_write_buffer_size())
            if turns:
                await asyncio.sleep(0)
        assert sent > MIB, "as much is allowed"
        assert most <= MIB + len(WRITE) + len(header)
        link.send(header, WRITE, at_once=at_once)
        async with asyncio.timeout(10):
            await ends.ended.wait()
        assert transport.get_write_buffer_size() == 0, "nothing is kept of it"
    link.close()
    assert ends.downs == 1


async def test_who_takes_it_may_be_sent_any_amount() -> None:
    ends, link, _, theirs = await linked(MIB)
    header = encode(Kind.WRITE, 1, 1, length=len(WRITE), payload=WRITE)
    each = len(header) + len(WRITE)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    with theirs:
        for _ in range(20 * MIB // each):
            link.send(header, WRITE)
            taken = 0
            while taken < each:
                taken += len(await loop.sock_recv(theirs, each - taken))
        assert not link.closed
        link.close()
        async with asyncio.timeout(10):
            await ends.ended.wait()


def test_a_member_that_counts_is_bounded_by_the_window_before() -> None:
    """Else a slow member would lose its link where writes should only wait."""
    assert Settings().window + MAX_PAYLOAD < LIMIT
