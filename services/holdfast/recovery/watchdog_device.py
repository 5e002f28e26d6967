"""The machine's watchdog: Linux' device, or the socket of a simulated one.

A device counts down and resets the machine, unless it is petted or closed with the magic `V`. The
simulated one (`holdfast.fence_host.watchdog`) takes the same three words over a socket, and kills
the processes of a host that is simulated as a session.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path

from holdfast.errors import HoldfastError

GET_SUPPORT = 0x80285700
SET_OPTIONS = 0x80045704
KEEP_ALIVE = 0x80045705
SET_TIMEOUT = 0xC0045706
GET_TIMEOUT = 0x80045707
"""ioctl numbers of linux/watchdog.h; a test compares them with the header."""
CAN_SET_TIMEOUT, CAN_CLOSE = 0x0080, 0x0100
STOP, START = 0x0001, 0x0002
_INT = struct.Struct("i")
_INFO = struct.Struct("II32s")
_UNKNOWN = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_LOAD = "load its driver (softdog, if the machine has none); is another program using it?"
_NOWAYOUT = "load its driver with nowayout=0"
ANSWER_WITHIN = 0.2
"""Seconds for the simulated device, which is a process on this machine."""


class WatchdogError(HoldfastError):
    """The watchdog cannot be armed, petted or disarmed."""


class Unstoppable(WatchdogError):
    """It counts and cannot be disarmed: the node is reset unless it is petted from now on."""


def device(path: str) -> "KernelWatchdog | SocketWatchdog":
    """The device at a path. What is wrong with it shows when it is armed."""
    try:
        simulated = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        simulated = False
    return SocketWatchdog(path) if simulated else KernelWatchdog(path)


class KernelWatchdog:
    """A character device of Linux' watchdog interface."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    def open(self, timeout: int, *, idle: bool) -> int:
        """Arm it for at most `timeout` seconds; how many the driver granted. `idle`: nothing runs
        here, so it may stop counting for a moment, to see that it can.

        Raises Unstoppable, and else WatchdogError: then it is not armed by us.
        """
        try:
            if not stat.S_ISCHR(os.stat(self._path).st_mode):
                problem = "neither a character device nor a socket"
                raise WatchdogError(problem, place=self._path, cure="name the watchdog device")
            self._refuse_nowayout()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise WatchdogError(_words(error), place=self._path, cure=_LOAD) from error
        try:
            granted = self._set(timeout)
            if idle:
                self._stop()
                self._start()
        except Unstoppable:
            raise
        except WatchdogError:
            self.close()
            raise
        except OSError as error:
            self.close()
            problem = f"no watchdog: {_words(error)}"
            raise WatchdogError(problem, place=self._path, cure=_LOAD) from error
        return granted

    def pet(self) -> None:
        """Begin to count anew. Raises WatchdogError."""
        try:
            fcntl.ioctl(self._file, KEEP_ALIVE, bytes(_INT.size))
        except OSError as error:
            cure = "look at the kernel's log; this node resets itself unless it can be petted again"
            raise WatchdogError(_words(error), place=self._path, cure=cure) from error

    def close(self) -> None:
        """Disarm it. Raises Unstoppable, and then it counts on and is still open, to be petted."""
        self._stop()
        try:
            os.write(self._file, b"V")
        except OSError as error:
            raise self._unstoppable(f"it does not take the magic close: {_words(error)}") from error
        file, self._file = self._file, -1
        os.close(file)

    def _set(self, timeout: int) -> int:
        said = fcntl.ioctl(self._file, GET_SUPPORT, bytes(_INFO.size))
        options, _, _ = _INFO.unpack(said)
        lacking = [
            what
            for flag, what in ((CAN_SET_TIMEOUT, "set its time-out"), (CAN_CLOSE, "magic close"))
            if not options & flag
        ]
        if lacking:
            cure = "use another driver: one without these lets a node outlive its lease"
            raise WatchdogError(f"it cannot {', '.join(lacking)}", place=self._path, cure=cure)
        fcntl.ioctl(self._file, SET_TIMEOUT, _INT.pack(timeout))
        # Asked again, because not every driver says it in the answer to what was asked of it.
        (granted,) = _INT.unpack(fcntl.ioctl(self._file, GET_TIMEOUT, bytes(_INT.size)))
        if not 0 < granted <= timeout:
            cure = "choose a profile with a longer ttl, or another driver"
            problem = f"it takes {granted} s, and the lease leaves {timeout} s"
            raise WatchdogError(problem, place=self._path, cure=cure)
        return int(granted)

    def _refuse_nowayout(self) -> None:
        """A watchdog that cannot be disarmed would reset a node that has nothing to do.

        Seen before it is opened, and so set going, where the kernel shows it (WATCHDOG_SYSFS).
        """
        name = Path(self._path).resolve().name
        with contextlib.suppress(OSError):
            if Path(f"/sys/class/watchdog/{name}/nowayout").read_text().strip() == "1":
                raise WatchdogError("nowayout is set", place=self._path, cure=_NOWAYOUT)

    def _stop(self) -> None:
        """No more counting. A driver that does not know the word has the magic close alone."""
        try:
            fcntl.ioctl(self._file, SET_OPTIONS, _INT.pack(STOP))
        except OSError as error:
            if error.errno in _UNKNOWN:
                return
            nowayout = error.errno == errno.EBUSY
            problem = "nowayout is set" if nowayout else f"it does not stop: {_words(error)}"
            raise self._unstoppable(problem) from error

    def _start(self) -> None:
        try:
            fcntl.ioctl(self._file, SET_OPTIONS, _INT.pack(START))
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise

    def _unstoppable(self, problem: str) -> Unstoppable:
        cure = f"{_NOWAYOUT}; until then this node resets itself when recovery ends"
        return Unstoppable(problem, place=self._path, cure=cure)


class SocketWatchdog:
    """A simulated watchdog: one word, one answer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def open(self, timeout: int, *, idle: bool) -> int:
        """Arm it; it grants what it is asked for. Raises WatchdogError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER_WITHIN)
        try:
            self._socket.connect(self._path)
            self._tell(f"T{timeout}".encode())
        except (OSError, WatchdogError):
            self._socket.close()
            self._socket = None
            raise self._failed("is not there, or not free") from None
        return timeout

    def pet(self) -> None:
        """Begin to count anew. Raises WatchdogError."""
        self._tell(b"K")

    def close(self) -> None:
        """Disarm it. Raises WatchdogError."""
        try:
            self._tell(b"V")
        finally:
            if self._socket is not None:
                self._socket.close()
            self._socket = None

    def _tell(self, word: bytes) -> None:
        try:
            if self._socket is None:
                raise self._failed("is not open")
            self._socket.sendall(word)
            answer = self._socket.recv(16)
        except OSError as error:
            raise self._failed(_words(error)) from error
        if answer != b"ok":
            raise self._failed("refuses")

    def _failed(self, problem: str) -> WatchdogError:
        cure = "start it: python -m holdfast.fence_host.watchdog"
        return WatchdogError(f"the simulated watchdog {problem}", place=self._path, cure=cure)


def _words(error: OSError) -> str:
    return error.strerror or str(error)
