"""A member's data path from its start to its end."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

from holdfast import clock
from holdfast.storage_replication import control
from holdfast.storage_replication.blocks.rawfile import RawFile
from holdfast.storage_replication.data_path.arguments import Settings
from holdfast.storage_replication.data_path.control_socket import ControlSocket, Service
from holdfast.storage_replication.data_path.door import Door
from holdfast.storage_replication.data_path.link_tls import link_tls
from holdfast.storage_replication.data_path.listener import Listener
from holdfast.storage_replication.data_path.node import TICK, Node
from holdfast.storage_replication.data_path.opening import confirmed, open_disk
from holdfast.storage_replication.data_path.orders import Orders
from holdfast.storage_replication.data_path.state import state
from holdfast.storage_replication.data_path.waiting import ended
from holdfast.storage_replication.engine.ports import FallbackLost

STATE_EVERY = 1.0
DRAIN = 10.0
LAST_FLUSH = 30.0
"""Seconds."""

_log = logging.getLogger("holdfast.volume")


async def serve(settings: Settings) -> int:
    """Until SIGTERM or SIGINT; the exit code. Raises HoldfastError when it cannot start."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    broken = False

    def unexpected(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A core that was interrupted in the middle is not to be trusted: the disk is, as after
        # any crash.
        nonlocal broken
        error = context.get("exception")
        if isinstance(error, OSError):
            _log.warning("%s: %s", context.get("message"), error)
            return
        _log.critical("%s", context.get("message"), exc_info=error)
        broken = True
        stopping.set()

    loop.set_exception_handler(unexpected)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    member = await Member.open(settings)
    sys.stdout.write(f"volume {settings.volume}: member at port {member.port}\n")
    sys.stdout.flush()
    member.tick()
    await stopping.wait()
    if broken:
        os._exit(1)
    return await member.end()


class Member:
    """Everything of one process. Made by `open`."""

    def __init__(self, settings: Settings, file: RawFile, node: Node) -> None:
        self._settings, self._file, self._node = settings, file, node
        self._orders = Orders(node)
        self.port = 0
        self._told = 0.0
        self._superblock = node.disk.superblock
        self._timer: asyncio.TimerHandle | None = None
        self.control: ControlSocket
        self.listener = Listener(node)

    @classmethod
    async def open(cls, settings: Settings) -> "Member":
        """Raises HoldfastError when it cannot start."""
        given = settings.member
        assert given is not None
        tls = link_tls(settings.secrets)
        file, disk = open_disk(settings.file, given, clock.boot_id())
        await confirmed(disk)
        door = Door(settings.volume, settings.unix, settings.tcp, tls.accepting if tls else None)
        said: list[ControlSocket] = []
        node = Node(disk, file.grow, door, tls, lambda message: said[0].say(message))
        member = cls(settings, file, node)
        member.control = ControlSocket(member._receive, member._greet)
        said.append(member.control)
        if disk.undo_rotted:
            node.report(FallbackLost())
        member.port = await member.listener.listen(*given.listen, tls)
        await member.control.listen(given.folder / control.SOCKET)
        return member

    def tick(self) -> None:
        """What time brings, and the service is to know."""
        self._timer = asyncio.get_running_loop().call_later(TICK, self.tick)
        self._node.tick()
        changed = self._node.changed or self._node.disk.superblock is not self._superblock
        if changed or clock.monotonic() - self._told >= STATE_EVERY:
            self._tell()

    async def end(self) -> int:
        """Demote, make all durable and remember that; the exit code."""
        self._orders.end()
        warning = (await self._orders.carry_out(control.Demote(id=0, deadline=DRAIN))).warning
        if self._timer is not None:
            self._timer.cancel()
        self.listener.close()
        self._node.leave()
        self.control.close()
        error = -1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FLUSH):
                error = await ended(self._node.disk.close)
        if warning:
            _log.warning("%s", warning)
        if error:
            _log.critical("the last flush did not succeed; what was not flushed may be lost")
            return 3
        return 0

    def _receive(self, service: Service, message: control.FromService) -> None:
        self._orders.receive(service, message)

    def _greet(self) -> None:
        self._tell()
        self._node.ask_again()

    def _tell(self) -> None:
        self._told = clock.monotonic()
        self._node.disk.note_failure()
        self._node.changed = False
        self._superblock = self._node.disk.superblock
        self.control.say(state(self._node, self._settings.volume, self.port))
