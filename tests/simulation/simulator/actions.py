"""Starting, stopping and checking one resource, as the kinds of recovery do it to processes."""

from typing import TYPE_CHECKING

from holdfast.recovery.messages import ActionDone, RunAction, Spawned
from holdfast.structs import replace
from tests.simulation.simulator.machine import Process

if TYPE_CHECKING:
    from tests.simulation.simulator.hands import Actor, HandsService

KILL_GRACE = 3.0


class Action:
    """One action in flight. Given up, it does nothing more; what it did stays done."""

    def __init__(self, hands: "HandsService", actor: "Actor", order: RunAction) -> None:
        self._hands, self._actor, self._order = hands, actor, order
        self._machine = hands.world.machines[hands.place.name]
        self._began = hands.clock()
        self._ended = False
        self._spawning = False

    def begin(self) -> None:
        """Do the first part."""
        chance = self._hands.world.chance
        match self._order.verb:
            case "start":
                self._spawning = True
                self._hands.after(chance.uniform(0.002, 0.03), self._spawn)
                self._hands.after(self._order.timeout, self._fail, "not up in time")
            case "stop":
                self._stop()
            case "verify":
                self._hands.after(chance.uniform(0.005, 0.05), self._verify)

    def give_up(self) -> None:
        """Another action takes its place."""
        self._ended = True

    def _done(self, **changes: object) -> None:
        if self._ended:
            return
        self._ended = True
        took = self._hands.clock() - self._began
        done = replace(ActionDone(number=self._order.number, ok=True, took=took), **changes)  # type: ignore[arg-type]
        self._hands.turn(self._actor, done)

    def _fail(self, reason: str) -> None:
        self._done(ok=False, reason=reason)

    # --- start ----------------------------------------------------------------------------

    def _spawn(self) -> None:
        order, hands = self._order, self._hands
        if self._ended:
            return  # given up before it existed; if it came to life, it was killed at once
        if hands.dead_man.due():
            self._fail("the lease is about to end: nothing is started any more")
            return
        token = order.known.token
        process = self._machine.spawn(order.group, order.resource, order.epoch, token)
        hands.dead_man.hold(token, [process])
        process.on_end.append(lambda: hands.after(0.001, self._fail, "it ended while starting"))
        hands.after(0.001, self._tell, process)
        chance, moods = hands.world.chance, self._machine.moods
        if "start_fails" in moods:
            hands.after(chance.uniform(0.05, 0.5), self._machine.end, process, "gives up")
        elif "start_hangs" not in moods:
            hands.after(chance.uniform(0.02, 0.8), self._ready, process)

    def _tell(self, process: Process) -> None:
        spawned = Spawned(process.resource, process.token, process.instance, process.pid)
        self._hands.turn(self._actor, spawned)

    def _ready(self, process: Process) -> None:
        if process.alive:
            self._done(instance=process.instance)

    def _verify(self) -> None:
        known = self._order.known
        if any(p.instance == known.instance for p in self._machine.processes):
            self._done(checks=1)
        else:
            self._fail("its process is gone")

    # --- stop -----------------------------------------------------------------------------

    def _present(self) -> list[Process]:
        known = self._order.known
        return [
            p
            for p in self._machine.processes
            if (known.token and p.token == known.token) or p.instance == known.instance
        ]

    def _stop(self) -> None:
        chance, hands = self._hands.world.chance, self._hands
        present = self._present()
        if not present:
            hands.after(0.002, self._gone, False, False)
            return
        hangs = {"stop_hangs", "unkillable"} & self._machine.moods
        if hangs or self._order.group in self._machine.stuck:
            hands.world.seen["stop hangs"] += 1
            hands.after(self._order.timeout, self._kill)
            return
        for process in present:
            process.on_end.append(lambda: hands.after(0.001, self._gone, True, False))
            # The process ends by itself, whatever becomes of the service that asked it to.
            hands.world.engine.after(
                chance.uniform(0.01, 0.3), self._machine.end, process, "ends on SIGTERM"
            )

    def _kill(self) -> None:
        if self._ended:
            return
        for process in self._present():
            self._machine.kill(process, "is killed after its time to stop")
        if self._present():
            self._hands.after(KILL_GRACE, self._give_up_killing)
        else:
            self._gone(True, True)

    def _give_up_killing(self) -> None:
        if self._present() and not self._ended:
            self._hands.world.seen["stop fails"] += 1
            self._fail("SIGKILL did not end it: it hangs in the kernel")
        else:
            self._gone(True, True)

    def _gone(self, found: bool, killed: bool) -> None:
        if self._ended:
            return
        if self._present():
            self._hands.after(0.05, self._stop)
            return
        by_dead_man = self._hands.dead_man.drop(self._order.known.token)
        self._done(found=found or by_dead_man, killed=killed or by_dead_man)
