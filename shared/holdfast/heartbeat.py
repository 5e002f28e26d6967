"""Ends a service whose event loop stands still, and tells its supervisor that it runs.

A thread of its own watches the loop; while that turns, it beats by systemd's notification protocol
(`NOTIFY_SOCKET`; READY=1, then WATCHDOG=1 twice a second), which `holdfast up` understands, too.
So a loop that hangs is ended here, with its stack in the log, and a process that does not run at
all by its supervisor. In a container nobody listens: only the first of the two remains.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import threading
import time

from holdfast.clock import monotonic, wall_time
from holdfast.standstill import LOOK_EVERY, Standstill

ADDRESS = "NOTIFY_SOCKET"
READY, BEAT = b"READY=1", b"WATCHDOG=1"
LAST_WORDS = 2
"""Seconds for the stack to reach the log; whoever reads the log may be what hangs."""


class Heartbeat:
    """The heartbeat of this process. `limit`: seconds without a turn of the loop that end it."""

    def __init__(self, limit: float) -> None:
        # Taken out of the environment, because it is nothing for workloads and helpers.
        self._address = os.environ.pop(ADDRESS, "").replace("@", "\0", 1)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._limit = limit
        self._turns = 0

    def start(self) -> None:
        """Watch the running loop until the process ends: its teardown must not hang either."""
        self._turn(asyncio.get_running_loop())
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        loop.call_later(LOOK_EVERY, self._turn, loop)

    def _run(self) -> None:
        judge = Standstill(self._limit)
        self._tell(READY)
        while not judge.look(self._turns, monotonic()):
            self._tell(BEAT)
            time.sleep(LOOK_EVERY)
        self._end()

    def _tell(self, what: bytes) -> None:
        if self._address:
            with contextlib.suppress(OSError):  # nobody listens, or not fast enough
                self._socket.sendto(what, self._address)

    def _end(self) -> None:
        """Past every lock that a thread may hold: no logging, no buffers, no handlers at exit."""
        signal.alarm(LAST_WORDS)
        said = f"{wall_time()} CRITICAL the event loop has stood still for {self._limit} s: ended\n"
        os.write(2, said.encode())
        faulthandler.dump_traceback(2)
        os._exit(1)
