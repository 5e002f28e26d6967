"""A node: a machine made of namespaces, with a power switch and a network plug."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.lab import Lab, inside

HERE = Path(__file__).parent
ENDED_WITHIN = 20.0
_UNSHARE = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"),
]


class Node:
    """Own network, mounts, processes, shared memory and host name; off until `power_on`.

    All of it ends with its first process, at once and without a word to anybody, as by a power
    cut. `folder` holds what outlives it, and the script `start` which each boot runs.
    """

    def __init__(self, name: str, lab: Lab, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._lab = lab
        self._holder: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def add(self, program: Path, path: str) -> None:
        """Let a program appear under `path` in this node, beside what the machine has there."""
        target = self.folder / "add" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, target)
        self._list("adds", str(next(one for one in Path(path).parents if one.is_dir())))

    def disk(self, path: str, files: dict[str, str] | None = None) -> Path:
        """Let the folder `path` be this node's own, and outlive a power cut; returns it.

        It begins with the folders, but none of the files, that the machine has there.
        """
        source, mounted = Path(path), self.folder / "disk" / path.lstrip("/")
        for each in [source, *(one for one in source.rglob("*") if one.is_dir())]:
            like, copy = each.stat(), mounted / each.relative_to(source)
            copy.mkdir(parents=True)
            os.chown(copy, like.st_uid, like.st_gid)
            copy.chmod(like.st_mode & 0o7777)
        for name, text in (files or {}).items():
            (mounted / name).write_text(text)
        self._list("disks", path)
        return mounted

    def _list(self, name: str, path: str) -> None:
        """For `boot`, which mounts what stands there."""
        with (self.folder / name).open("a") as file:
            file.write(path.lstrip("/") + "\n")

    @property
    def on(self) -> bool:
        """Whether its first process lives."""
        return self._holder is not None and self._holder.poll() is None

    def power_on(self) -> None:
        """Boot it, with its network plugged in. Call it from the main thread only.

        If the benchmark itself is killed, so is the node: the parent-death signal follows the
        thread that started it.
        """
        if self.on:
            return
        self._lab.plug_in(self.name)
        log = (self.folder / "console.log").open("ab")
        with log, inside(self._lab.namespace(self.name)):
            self._holder = subprocess.Popen(
                [*_UNSHARE, str(HERE / "boot"), self.name, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                env={**os.environ, "PYTHON": sys.executable},
            )

    def cut_power(self) -> None:
        """No frame leaves it any more, then nothing of it lives. Returns when that is so.

        The plug comes first: a machine without power does not close its connections either.
        """
        self._lab.unplug(self.name)
        if self._holder is None:
            return
        # A holder without a child has not forked yet, or has seen its end.
        for pid in _children(self._holder.pid) or [self._holder.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # The kernel reports the end of a namespace's first process after that of all others.
        self._holder.wait(ENDED_WITHIN)

    def first(self) -> int:
        """Its first process, seen from outside. Raises LookupError while there is none."""
        if not self.on or self._holder is None:
            raise LookupError(f"{self.name} is off")
        children = _children(self._holder.pid)
        if not children:
            raise LookupError(f"{self.name} is not booted yet")
        return children[0]

    def processes(self, word: str) -> list[int]:
        """Those with this word among their arguments, seen from outside."""
        here = _namespace(self.first())
        return [
            pid
            for pid in (int(name) for name in os.listdir("/proc") if name.isdigit())
            if word in _arguments(pid) and _namespace(pid) == here
        ]

    def within(self, *command: str) -> list[str]:
        """A command line that runs a command in this node. Raises LookupError."""
        target = ["--target", str(self.first()), "--mount", "--net", "--pid", "--ipc", "--uts"]
        return ["nsenter", *target, *command]

    def run(self, *command: str, timeout: float = 20.0, text: str = "") -> str:
        """Run a command in this node; returns what it says.

        Raises LookupError, subprocess.CalledProcessError, subprocess.TimeoutExpired.
        """
        return subprocess.run(
            self.within(*command),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=True,
        ).stdout


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _namespace(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0
