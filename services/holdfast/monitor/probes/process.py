"""The life of one process, through its pidfd: its end is an event, seen in milliseconds."""

import asyncio
import os
import select

from holdfast.clock import process_start_ticks
from holdfast.events.fields import Health
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes.base import ProbeUnavailable, Report


class ProcessProbe:
    """Watches the process that the subject's instance, `pid:start ticks`, names.

    It is somebody else's child: it is not reaped here, and its exit code is not known.
    """

    def __init__(self, subject: Subject, pid: int) -> None:
        self.subject = subject
        self._pid = pid

    async def run(self, report: Report) -> None:
        """Report it alive, and return with the report of its end."""
        try:
            pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:
            report(self.subject.seen(Health.FAILED, f"gone: there is no process {self._pid}"))
            return
        try:
            # Only now, with the pidfd pinning the process, does reading its start ticks prove
            # that it is the one meant and not a later one with the same number.
            if self._is_another(pidfd):
                reason = f"gone: process {self._pid} is another one by now"
                report(self.subject.seen(Health.FAILED, reason))
                return
            if not _has_ended(pidfd):
                report(self.subject.seen(Health.OK, f"process {self._pid} lives"))
                await _readable(pidfd)
            report(self.subject.seen(Health.FAILED, f"process {self._pid} ended"))
        finally:
            os.close(pidfd)

    def _is_another(self, pidfd: int) -> bool:
        try:
            return f"{self._pid}:{process_start_ticks(self._pid)}" != self.subject.instance
        except (FileNotFoundError, ProcessLookupError):
            if _has_ended(pidfd):
                return False
            raise ProbeUnavailable(
                "the process lives, but its start time cannot be read",
                place=f"/proc/{self._pid}/stat",
                cure="mount /proc so that the monitor sees it (no hidepid, same PID namespace)",
            ) from None


def _has_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])


async def _readable(pidfd: int) -> None:
    """Wait until the process has ended, reaped or not."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
