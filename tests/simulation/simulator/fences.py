"""Fence devices: they work, take their time, hang, fail, say `on` of what is off, or stay on.

One that says `off` of what is on is no part of ordinary runs, unless that is heard
(`aftermath.py`): no software survives it.
"""

from random import Random
from typing import TYPE_CHECKING, Literal

from holdfast.failover_decider import fence_agent
from holdfast.failover_decider.fencing import stands
from holdfast.failover_decider.messages import FenceDone, RunFence

if TYPE_CHECKING:
    from tests.simulation.simulator.decider import DeciderService
    from tests.simulation.simulator.world import World

TIMEOUT = 20.0
MODES = ("hangs", "fails", "says on", "slow")
STAYS_ON = "stays on"
"""`off` succeeds and does nothing, and `status` says so. Drawn apart from the other modes."""
Outcome = Literal["off", "on", "failed"]


class Fences:
    """One device per host. `mode` of a host is empty while its device works."""

    def __init__(self, world: "World", chance: Random) -> None:
        self._world, self._chance = world, chance
        self.mode: dict[str, str] = {}
        self.lies_off: set[str] = set()
        self._cut: dict[str, set[str]] = {}
        """Outlets that are off, of hosts with two power supplies."""
        self._running: dict[tuple[DeciderService, str], RunFence] = {}

    def devices(self, node: str) -> list[str]:
        """The names of a host's devices, by which `mode` knows them."""
        count = len(self._world.file.nodes[node].fence)
        return [node] if count == 1 else [f"{node}/{number}" for number in range(count)]

    def restore(self, node: str) -> None:
        """Somebody switches the host on: all its outlets have power."""
        self._cut.pop(node, None)

    def end_overtaken(self, asker: "DeciderService") -> None:
        """Kill the agents whose order does not stand any more, as the shell does."""
        if not self._running:
            return
        for (whose, node), run in list(self._running.items()):
            if whose is asker and not stands(asker.state, run, asker.clock()):
                del self._running[whose, node]
                self._world.seen["fence order overtaken"] += 1
                why = "the order was over before its end"
                self._world.engine.after(0.0, self._tell, asker, run, 0.0, "failed", why)

    def run(self, asker: "DeciderService", run: RunFence) -> None:
        """One run of the agent, `off` with the `status` that must follow it."""
        node = run.node
        self._world.invariants.on_fence(asker, run)
        self._running[asker, node] = run
        took = self._chance.uniform(0.05, 0.6)
        if len(self.devices(node)) > 1:
            self._run_level(asker, run)
            return
        mode, after = self.mode.get(node, ""), self._world.engine.after
        self._world.seen[f"fence device {mode or 'works'}"] += 1
        match mode:
            case "hangs":
                after(TIMEOUT, self._say, asker, run, TIMEOUT, "failed", "no answer")
            case "fails":
                after(took, self._say, asker, run, took, "failed", "exited with 1")
            case "slow":
                took = self._chance.uniform(3.0, 12.0)
                after(took, self._act, asker, run, took)
            case _:
                after(took, self._act, asker, run, took)

    def _run_level(self, asker: "DeciderService", run: RunFence) -> None:
        """Two outlets of one level: off, one after the other, and then a look at both."""
        took = 0.0
        for device in self.devices(run.node):
            slow = {"hangs": TIMEOUT, "slow": self._chance.uniform(3.0, 12.0)}
            took += slow.get(self.mode.get(device, ""), self._chance.uniform(0.05, 0.4))
        self._world.engine.after(took, self._act_on_level, asker, run, took)

    def _act_on_level(self, asker: "DeciderService", run: RunFence, took: float) -> None:
        if not self._runs(asker, run):
            return
        node = run.node
        devices, cut = self.devices(node), self._cut.setdefault(node, set())
        broken = [d for d in devices if self.mode.get(d, "") in ("hangs", "fails")]
        if run.action == "off":
            reached = devices[: devices.index(broken[0])] if broken else devices
            reached = [d for d in reached if self.mode.get(d, "") != STAYS_ON]
            cut |= set(reached)
            self._world.seen["outlet off"] += len(reached)
            if cut == set(devices):
                self._power_off(asker, run, f"both its outlets are off, ordered for {run.boot}")
        powered = self._world.places[node].powered
        answers: list[Outcome] = []
        for device in devices:
            off = not powered or device in cut
            says_on = self.mode.get(device, "") == "says on"
            answers.append("failed" if device in broken else "off" if off and not says_on else "on")
        outcome = fence_agent.together(answers, len(devices))
        if run.action == "off" and (broken or outcome == "on"):
            outcome = "failed" if outcome != "off" else outcome
        self._say(asker, run, took, outcome, f"its outlets say {answers}")

    def _act(self, asker: "DeciderService", run: RunFence, took: float) -> None:
        if not self._runs(asker, run):
            return
        node, mode = run.node, self.mode.get(run.node, "")
        if run.action == "off" and node not in self.lies_off and mode != STAYS_ON:
            self._power_off(asker, run, f"its fence device cuts the power, ordered for {run.boot}")
        off = not self._world.places[node].powered or node in self.lies_off
        outcome: Outcome = "off" if off and mode != "says on" else "on"
        said = f"status says {outcome}"
        if run.action == "off" and outcome == "on":
            outcome = "failed"
        self._say(asker, run, took, outcome, said)

    def _runs(self, asker: "DeciderService", run: RunFence) -> bool:
        """Whether the agent was not killed before it came to its work."""
        return self._running.get((asker, run.node)) is run

    def _power_off(self, asker: "DeciderService", run: RunFence, why: str) -> None:
        self._world.invariants.on_power_cut(asker, run)
        self._world.power_off(self._world.places[run.node], why)

    def _say(
        self, asker: "DeciderService", run: RunFence, took: float, outcome: Outcome, why: str
    ) -> None:
        if self._runs(asker, run):
            del self._running[asker, run.node]
            self._tell(asker, run, took, outcome, why)

    def _tell(
        self, asker: "DeciderService", run: RunFence, took: float, outcome: Outcome, why: str
    ) -> None:
        node, action = run.node, run.action
        done = FenceDone(node, run.boot, action, outcome, "fence_simulated", why, took)
        if self._world.tape is not None:
            self._world.note(
                asker.place, f"fence device of {node}: {action} gives {outcome} ({why})"
            )
        asker.run(asker.fenced, (done,))
