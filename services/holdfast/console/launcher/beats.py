"""Hears the heartbeats of this place's programs, and says which of them stands still.

The protocol is systemd's, so a service cannot tell which of the two supervises it. The kernel
vouches for the sender's pid. A nats-server has no heartbeat: that it answers is one.
"""

import asyncio
import socket
import struct
from uuid import uuid4

from holdfast.heartbeat import BEAT
from holdfast.standstill import Standstill

START_LIMIT = 60.0
"""Seconds for the first beat: loading and reading a configuration on a busy machine."""
AT_ONCE = 64
_CREDENTIALS = struct.Struct("iII")


class Beats:
    """A socket in the abstract namespace: no file, and no limit to the length of a folder's name.

    `limit`: seconds without a beat after which a service stands still.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._heard: dict[int, int] = {}
        self._judges: dict[int, Standstill] = {}
        name = f"holdfast-{uuid4()}"
        self.address = f"@{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(f"\0{name}")
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def expect(self, pid: int) -> None:
        """This process was started just now, and will beat."""
        self._heard[pid] = 0
        self._judges[pid] = Standstill(START_LIMIT)

    def forget(self, pid: int) -> None:
        """This process has ended."""
        self._heard.pop(pid, None)
        self._judges.pop(pid, None)

    def still(self, now: float) -> list[int]:
        """The processes that stand still; to be asked every LOOK_EVERY seconds."""
        return [pid for pid, judge in self._judges.items() if judge.look(self._heard[pid], now)]

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, extra, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            for _, kind, value in extra:
                if kind == socket.SCM_CREDENTIALS and BEAT in data.split(b"\n"):
                    self.heard(_CREDENTIALS.unpack(value)[0])

    def heard(self, pid: int) -> None:
        """This process beats."""
        if self._heard.get(pid) == 0:
            self._judges[pid] = Standstill(self._limit)
        if pid in self._heard:
            self._heard[pid] += 1
