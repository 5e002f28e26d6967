"""The command check: a program exits with 0 within its deadline.

It runs in a process group of its own, which is killed whole when the program ends, hangs or is no
longer wanted; only a grandchild that leaves the group escapes. It stays in the host's session, by
which a host that is simulated on a shared machine is fenced. The group is killed while its leader
is still unreaped, so its number cannot belong to anybody else.
"""

import asyncio
import contextlib
import os
import signal
import subprocess

from holdfast import clock
from holdfast.checks.result import CheckResult, printable
from holdfast.config.model import CommandCheck

KILL_GRACE = 1.0
MAX_OUTPUT = 4096
# The shell only replaces itself. It is there because executing a file on storage that hangs would
# otherwise hang the caller, who waits until the execution succeeded or failed.
_LAUNCH = ["/bin/sh", "-c", 'exec "$@"', "check"]

_stuck: dict[tuple[str, ...], "_Program"] = {}
"""Programs that a kill did not end (they wait in the kernel): not started again meanwhile."""


async def run(check: CommandCheck) -> CheckResult:
    """Run the program once."""
    key = tuple(check.command)
    if (stuck := _stuck.get(key)) is not None:
        if not stuck.reap():
            reason = f"the previous run (pid {stuck.pid}) cannot be killed: it hangs in the kernel"
            return CheckResult(ok=False, reason=reason)
        del _stuck[key]
    started = clock.monotonic()
    try:
        program = _Program(check.command)
    except OSError as error:
        return CheckResult(ok=False, reason=printable(f"cannot be started: {error}"))
    try:
        async with asyncio.timeout(check.deadline):
            await program.ended.wait()
        in_time = True
    except TimeoutError:
        in_time = False
    finally:
        if not await asyncio.shield(program.finish()):
            _stuck[key] = program
    if not in_time:
        return CheckResult(ok=False, reason=f"did not end within {check.deadline:g} s; killed")
    return _result(program, clock.monotonic() - started)


def _result(program: "_Program", took: float) -> CheckResult:
    code = program.returncode
    how = f"exit {code}" if code >= 0 else f"killed by signal {-code}"
    said = program.last_line()
    return CheckResult(
        ok=code == 0,
        reason=printable(f"{how}: {said}" if said else how),
        measurements={"exit_code": float(code), "run_seconds": took},
    )


class _Program:
    """One run of the program: its pidfd, and the last of its output."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            [*_LAUNCH, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.pid = self._process.pid
        self.ended = asyncio.Event()
        self._tail = bytearray()
        self._loop = asyncio.get_running_loop()
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.communicate()
            raise
        self._loop.add_reader(self._pidfd, self._on_end)
        self._loop.add_reader(self._pipe.fileno(), self._on_output)

    @property
    def returncode(self) -> int:
        """Exit code, or the negated signal. Only after `finish`."""
        assert self._process.returncode is not None
        return self._process.returncode

    async def finish(self) -> bool:
        """Kill the group, reap the leader. False if it does not die within KILL_GRACE."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_GRACE):
                await self.ended.wait()
        self._on_output()
        self._loop.remove_reader(self._pipe.fileno())
        self._loop.remove_reader(self._pidfd)
        self._pipe.close()
        os.close(self._pidfd)
        return self.reap()

    def reap(self) -> bool:
        """Whether the leader is dead and reaped."""
        return self._process.poll() is not None

    def last_line(self) -> str:
        """The last line of output that is not blank."""
        lines = bytes(self._tail).decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.ended.set()

    def _on_output(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), 65_536)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._pipe.fileno())
        self._tail = (self._tail + data)[-MAX_OUTPUT:]
