"""`python -m tests.support.watchdog_driver NAME LEAST MOST`: /dev/NAME, a watchdog in user space.

A character device (CUSE) that grants no time-out outside of LEAST to MOST seconds, as drivers do
whose hardware counts in other steps; and, as old ones, knows only the magic close. It resets
nothing: each word is told, with the time, on standard output.
"""

import os
import struct
import sys

from holdfast.clock import monotonic
from holdfast.recovery.watchdog_device import (
    CAN_CLOSE,
    CAN_SET_TIMEOUT,
    GET_SUPPORT,
    GET_TIMEOUT,
    KEEP_ALIVE,
    SET_TIMEOUT,
)

INIT, OPEN, WRITE, RELEASE, FLUSH, IOCTL = 4096, 14, 16, 18, 25, 39
ENOTTY, ENOSYS = 25, 38
_IN = struct.Struct("=IIQQIIII")
_OUT = struct.Struct("=IiQ")
_INT = struct.Struct("=i")
_IOCTL_IN, _IOCTL_OUT = struct.Struct("=QIIQII"), struct.Struct("=iIII")
_WRITE_BYTES = 40
"""What precedes the data of a write."""
LARGEST = 65536


class Driver:
    """The device behind a connection to the kernel. All structures are those of linux/fuse.h."""

    def __init__(self, kernel: int, name: str, least: int, most: int) -> None:
        self._kernel, self._name = kernel, name
        self._least, self._most = least, most
        self._timeout = 60

    def serve(self) -> None:
        """Obey for ever."""
        while True:
            request = os.read(self._kernel, LARGEST + 4096)
            _, opcode, unique, *_ = _IN.unpack_from(request)
            error, answer = self._answer(opcode, request[_IN.size :])
            os.write(self._kernel, _OUT.pack(_OUT.size + len(answer), -error, unique) + answer)

    def _answer(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        match opcode:
            case _ if opcode == INIT:
                major, minor = struct.unpack_from("=II", body)
                numbers = struct.pack("=8I40x", major, minor, 0, 0, LARGEST, LARGEST, 0, 0)
                return 0, numbers + f"DEVNAME={self._name}\0".encode()
            case _ if opcode == OPEN:
                self._say("opened")
                return 0, bytes(16)
            case _ if opcode == WRITE:
                written = body[_WRITE_BYTES:]
                self._say(f"wrote {written.decode()}")
                return 0, struct.pack("=II", len(written), 0)
            case _ if opcode == RELEASE:
                self._say("closed")
                return 0, b""
            case _ if opcode == IOCTL:
                _, _, word, _, _, _ = _IOCTL_IN.unpack_from(body)
                return self._word(word, body[_IOCTL_IN.size :])
            case _:
                return ENOSYS, b""

    def _word(self, word: int, data: bytes) -> tuple[int, bytes]:
        if word == GET_SUPPORT:
            return _said(struct.pack("=II32s", CAN_SET_TIMEOUT | CAN_CLOSE, 0, b"a test's"))
        if word == SET_TIMEOUT:
            (asked,) = _INT.unpack_from(data)
            self._timeout = min(max(asked, self._least), self._most)
            self._say(f"asked for {asked} s")
            return _said(data)  # as asked: what was granted is said only when it is asked for
        if word == GET_TIMEOUT:
            return _said(_INT.pack(self._timeout))
        if word == KEEP_ALIVE:
            self._say("petted")
            return _said(_INT.pack(0))
        return ENOTTY, b""

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{monotonic():.3f} {text}\n")
        sys.stdout.flush()


def _said(data: bytes) -> tuple[int, bytes]:
    return 0, _IOCTL_OUT.pack(0, 0, 0, 0) + data


if __name__ == "__main__":
    Driver(os.open("/dev/cuse", os.O_RDWR), sys.argv[1], *map(int, sys.argv[2:])).serve()
