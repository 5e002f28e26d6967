"""A guest: a user-mode Linux whose root is this machine's own. Its console is seen from outside."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.clock import monotonic

MODULES = Path("/usr/lib/uml/modules")
ENDED = "guest: ended"
OFF_WITHIN = 30.0
POLL = 0.02
LAST_WORDS = 0.5
"""Seconds until all is read that it said before it ended."""
_INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /run; ip link set lo up; cd {here}
({commands})
echo {ended} $?; sync; echo o >/proc/sysrq-trigger; sleep 60
"""


def module(name: str) -> Path | None:
    """A module of the guest's kernel (Debian: user-mode-linux), if it has it."""
    return next(MODULES.glob(f"*/kernel/**/{name}.ko"), None)


class Guest:
    """A running guest. Times are monotonic seconds on this machine's clock, not on the guest's.

    Its console is a file: the signal that a pipe sends about itself ends a kernel that boots again.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", file: Path) -> None:
        self._process, self._file = process, file
        self._lines: list[tuple[float, str]] = []
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def console(self) -> str:
        """All of it so far, with the times."""
        return "\n".join(f"{at:.2f} {line}" for at, line in list(self._lines))

    def seen(self, text: str, *, within: float) -> tuple[float, str]:
        """The first line with `text`, and when it was seen; waits for it at most so long."""
        deadline = monotonic() + within
        while (found := self.find(text)) is None:
            if self._process.poll() is not None:
                deadline = min(deadline, monotonic() + LAST_WORDS)
            assert monotonic() < deadline, (
                f"no {text!r}, and {within} s or it are over:\n{self.console}"
            )
            time.sleep(POLL)
        return found

    def find(self, text: str) -> tuple[float, str] | None:
        """The same, if it was seen so far."""
        return next(((at, line) for at, line in list(self._lines) if text in line), None)

    def last(self, text: str) -> float:
        """When the last line with `text` so far was seen."""
        return max(at for at, line in list(self._lines) if text in line)

    def end(self) -> None:
        """Nothing of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(OFF_WITHIN)
        self._over.set()
        self._reader.join(OFF_WITHIN)

    def _read(self) -> None:
        rest = b""
        with self._file.open("rb") as console:
            while not self._over.wait(POLL):
                *lines, rest = (rest + console.read()).split(b"\n")
                now = monotonic()
                self._lines += [(now, line.decode(errors="replace").rstrip()) for line in lines]


@contextlib.contextmanager
def booted(folder: Path, commands: Sequence[str]) -> Iterator[Guest]:
    """A guest that runs `commands` in a shell, at every boot, and then switches itself off.

    Its last line is ENDED with the exit code. After a reset it may boot again.
    """
    program = shutil.which("linux.uml")
    assert program is not None
    init = folder / "init"
    init.write_text(_INIT.format(here=os.getcwd(), commands="\n".join(commands), ended=ENDED))
    init.chmod(0o755)
    argv = [program, "mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw"]
    argv += [f"init={init}", "quiet", "con=null", "con0=fd:0,fd:1", f"umid=holdfast-{os.getpid()}"]
    file = folder / "console"
    with file.open("wb") as console:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
            start_new_session=True,
        )
    guest = Guest(process, file)
    try:
        yield guest
    finally:
        guest.end()
