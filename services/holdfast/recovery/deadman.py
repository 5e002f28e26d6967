"""The dead man's switch: kills every workload when the lease is about to end, whatever hangs.

A thread of its own: no event loop, no bus, no disk (only /proc), no lock that is held for long.
It is the last line; before it, the groups were told to stop in order.
"""

import signal
import threading

from holdfast import clock
from holdfast.recovery import processes
from holdfast.recovery.processes import Process, Workload

# Waiting does not count the time a machine was suspended, so it never waits long.
LONGEST_WAIT = 0.1


class DeadMan:
    """Holds what must not outlive the lease. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kill_at = 0.0
        self._held: dict[str, Workload] = {}
        self._killed: set[str] = set()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="dead-man", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching, kill nothing: an orderly end of the service leaves workloads alone."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def arm(self, kill_at: float) -> None:
        """Everything held dies at `kill_at`, in monotonic seconds; in the past: now."""
        with self._changed:
            self._kill_at = kill_at
            self._changed.notify()

    def due_at(self) -> float:
        """When its time comes, in monotonic seconds: whatever began then would only be killed."""
        with self._changed:
            return self._kill_at

    def hold(self, token: str, leader: Process | None) -> None:
        """A workload lives: it is killed with the lease, at once if that is over."""
        with self._changed:
            self._held[token] = Workload(leader, token)
            self._killed.discard(token)
            self._changed.notify()

    def drop(self, token: str) -> bool:
        """The workload is surely gone. Returns whether it was this that killed it."""
        with self._changed:
            self._held.pop(token, None)
            killed = token in self._killed
            self._killed.discard(token)
            return killed

    def held(self, token: str) -> Workload | None:
        """The workload of a token, if it is held."""
        with self._changed:
            return self._held.get(token)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._ending:
                    return
                left = self._kill_at - clock.monotonic()
                if not self._held:
                    self._changed.wait()
                    continue
                if left > 0:
                    self._changed.wait(min(left, LONGEST_WAIT))
                    continue
                doomed = dict(self._held)
            for token, workload in doomed.items():
                self._kill(token, workload)
            with self._changed:
                # What was forked while we looked is found the next time round.
                if not self._ending:
                    self._changed.wait(LONGEST_WAIT)

    def _kill(self, token: str, workload: Workload) -> None:
        present = processes.members(workload)
        with self._changed:
            if present and token in self._held:
                # Noted before the deed, because whoever sees the death may ask at once.
                self._killed.add(token)
        for process in present:
            processes.send(process, signal.SIGKILL)
