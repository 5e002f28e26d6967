"""A link that takes slowly: a TCP relay that passes on so many bytes a second."""

import contextlib
import socket
import threading
import time

_PIECE = 16 << 10
_BUFFER = 128 << 10


class SlowRelay:
    """To `target`, a port of this machine, from `port`; the way back is as fast as it goes."""

    def __init__(self, speed: float) -> None:
        """`speed` in bytes per second."""
        self._speed = speed
        self.target = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Before it listens is too late for what it accepts: both are small from the beginning.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """And every connection."""
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self._open += [near, far]
                for way in ((near, far, self._speed), (far, near, 0.0)):
                    threading.Thread(target=_pass_on, args=way, daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, speed: float) -> None:
    began, passed = time.monotonic(), 0
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            passed += len(data)
            early = passed / speed - (time.monotonic() - began) if speed else 0.0
            if early > 0:
                time.sleep(early)
            elif early < -0.1:
                began, passed = time.monotonic(), 0  # what was not used is not made up for
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
