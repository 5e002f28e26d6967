"""Connects a primary to the other members, and again when a connection is lost."""

import asyncio
import logging
import ssl
from functools import partial

from holdfast.storage_replication.data_path.link import LIMIT, LinkConnection
from holdfast.storage_replication.data_path.link_tls import LinkTls
from holdfast.storage_replication.engine.frames import Frame
from holdfast.storage_replication.engine.primary import Primary

CONNECT = 5.0
"""Seconds for TCP and TLS."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
STABLE = 5.0
"""Seconds after which a connection that is lost is no sign of trouble with connecting."""

Address = tuple[str, int]

_log = logging.getLogger("holdfast.links")


class Dial:
    """One member: the `Ends` of the connection to it, and what is known of trying."""

    def __init__(self, primary: Primary, name: str, address: Address) -> None:
        self._primary, self.name = primary, name
        self.address = address
        self.task: asyncio.Task[None] | None = None
        self.link: LinkConnection | None = None
        self.problem = ""
        self._pause = FIRST_PAUSE
        self._next = self._since = 0.0

    @property
    def due(self) -> bool:
        """Whether to try now."""
        return self.task is None and self.link is None and self._primary.now() >= self._next

    def failed(self, problem: str) -> None:
        """Longer and longer pauses."""
        if problem != self.problem:
            _log.info("member %s at %s:%d: %s", self.name, *self.address, problem)
        self.problem = problem
        self._next = self._primary.now() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def up(self, link: LinkConnection) -> None:
        """To the engine."""
        self.link, self.problem = link, ""
        self._since = self._primary.now()
        self._primary.link_up(self.name, link)

    def frame(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """To the engine."""
        self._primary.frame_received(self.name, link, frame, bytes(payload))

    def batch_over(self, link: LinkConnection) -> None:
        """The engine has nothing to say after a batch."""

    def down(self, link: LinkConnection) -> None:
        """To the engine; try again soon if it has lasted."""
        self.link = None
        if self._primary.now() - self._since >= STABLE:
            self._pause = FIRST_PAUSE
        self.failed("connection lost")
        self._primary.link_down(self.name, link)


class Dialer:
    """Of one primary, from its promotion until `close`."""

    def __init__(self, primary: Primary, tls: LinkTls | None, max_lag: int) -> None:
        """`max_lag`: what an async member may lack, in bytes."""
        self._primary = primary
        self._tls: ssl.SSLContext | None = tls.dialling if tls else None
        self._limit = LIMIT + max_lag
        self._dials: dict[str, Dial] = {}

    def know(self, addresses: dict[str, Address]) -> None:
        """Where the members are, from now on."""
        for name, address in addresses.items():
            if name in self._dials:
                self._dials[name].address = address
            else:
                self._dials[name] = Dial(self._primary, name, address)
        for name in self._dials.keys() - addresses.keys():
            if name not in self._primary.members.peers:
                self._forget(self._dials.pop(name))

    def tick(self) -> None:
        """Connect to whom it is due."""
        peers = self._primary.members.peers
        for name, dial in list(self._dials.items()):
            peer = peers.get(name)
            if peer is not None and peer.link is None and dial.due:
                dial.task = asyncio.create_task(self._dial(dial))
                dial.task.add_done_callback(partial(_ended, dial))

    def close(self) -> None:
        """No more connections, and none left."""
        for dial in self._dials.values():
            self._forget(dial)

    def _forget(self, dial: Dial) -> None:
        if dial.task is not None:
            dial.task.cancel()
        if dial.link is not None:
            dial.link.close()

    async def _dial(self, dial: Dial) -> None:
        host, port = dial.address
        try:
            async with asyncio.timeout(CONNECT):
                await asyncio.get_running_loop().create_connection(
                    lambda: LinkConnection(dial, self._limit),
                    host,
                    port,
                    ssl=self._tls,
                    # Places' certificates carry their names: an address may move.
                    server_hostname=dial.name if self._tls else None,
                )
        except TimeoutError:
            dial.failed(f"does not answer within {CONNECT:g} s")
        except OSError as error:
            dial.failed(error.strerror or str(error))


def _ended(dial: Dial, task: asyncio.Task[None]) -> None:
    dial.task = None
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
