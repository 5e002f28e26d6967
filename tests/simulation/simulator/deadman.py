"""The dead man's switch as `recovery/deadman.py` has it: SIGKILL at the end, whatever hangs."""

from typing import TYPE_CHECKING

from tests.simulation.simulator.machine import Process

if TYPE_CHECKING:
    from tests.simulation.simulator.hands import HandsService

LATEST = 0.02
AGAIN = 0.1


class DeadMan:
    """Part of the hands' process: it dies and stands still with them."""

    def __init__(self, hands: "HandsService") -> None:
        self._hands = hands
        self._kill_at = 0.0
        self._held: dict[str, list[Process]] = {}
        self._killed: set[str] = set()
        self._waiting_until = float("inf")

    def arm(self, kill_at: float) -> None:
        """Everything held dies at `kill_at` on this machine's clock; in the past: now."""
        self._kill_at = kill_at
        self._wait()

    def due(self) -> bool:
        """Whether its time has come."""
        return self._hands.clock() >= self._kill_at

    def hold(self, token: str, processes: list[Process]) -> None:
        """A workload lives, or may."""
        self._held[token] = processes
        self._killed.discard(token)
        self._wait()

    def drop(self, token: str) -> bool:
        """The workload is surely gone. Returns whether it was this that killed it."""
        self._held.pop(token, None)
        killed = token in self._killed
        self._killed.discard(token)
        return killed

    def _wait(self) -> None:
        now = self._hands.clock()
        at = max(self._kill_at, now + LATEST * self._hands.world.chance.random())
        if self._held and at < self._waiting_until:
            self._waiting_until = at
            self._hands.after(at - now, self._look)

    def _look(self) -> None:
        self._waiting_until = float("inf")
        if self._hands.clock() < self._kill_at:
            self._wait()
            return
        self._hands.world.invariants.on_dead_man(self._hands)
        machine = self._hands.world.machines[self._hands.place.name]
        for token in self._held:
            for process in [p for p in machine.processes if p.token == token]:
                if token not in self._killed:
                    self._killed.add(token)
                    self._hands.world.seen["killed by the dead man's switch"] += 1
                machine.kill(process, "is killed by the dead man's switch")
        if self._held:
            self._waiting_until = self._hands.clock() + AGAIN
            self._hands.after(AGAIN, self._look)
