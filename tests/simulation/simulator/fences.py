"""Fence devices: they work, take their time, hang, fail, or say `on` of what is off.

One that says `off` of what is on is no part of ordinary runs: no software survives it.
"""

from random import Random
from typing import TYPE_CHECKING, Literal

from holdfast.failover_decider import fence_agent
from holdfast.failover_decider.messages import FenceDone
from tests.simulation.simulator.places import Service

if TYPE_CHECKING:
    from tests.simulation.simulator.decider import DeciderService
    from tests.simulation.simulator.world import World

TIMEOUT = 20.0
MODES = ("hangs", "fails", "says on", "slow")
Outcome = Literal["off", "on", "failed"]


class Fences:
    """One device per host. `mode` of a host is empty while its device works."""

    def __init__(self, world: "World", chance: Random) -> None:
        self._world, self._chance = world, chance
        self.mode: dict[str, str] = {}
        self.lies_off: set[str] = set()
        self._cut: dict[str, set[str]] = {}
        """Outlets that are off, of hosts with two power supplies."""

    def devices(self, node: str) -> list[str]:
        """The names of a host's devices, by which `mode` knows them."""
        count = len(self._world.file.nodes[node].fence)
        return [node] if count == 1 else [f"{node}/{number}" for number in range(count)]

    def restore(self, node: str) -> None:
        """Somebody switches the host on: all its outlets have power."""
        self._cut.pop(node, None)

    def run(self, asker: "DeciderService", node: str, boot: str, action: str) -> None:
        """One run of the agent, `off` with the `status` that must follow it."""
        self._world.invariants.on_fence(asker, node, boot, action)
        took = self._chance.uniform(0.05, 0.6)
        if len(self.devices(node)) > 1:
            self._run_level(asker, node, boot, action)
            return
        mode = self.mode.get(node, "")
        self._world.seen[f"fence device {mode or 'works'}"] += 1
        match mode:
            case "hangs":
                self._end(asker, node, boot, action, TIMEOUT, "failed", "no answer")
            case "fails":
                self._end(asker, node, boot, action, took, "failed", "exited with 1")
            case "says on":
                self._world.engine.after(took, self._act, None, node, boot, action, took)
                outcome: Outcome = "on" if action == "status" else "failed"
                self._end(asker, node, boot, action, took, outcome, "status says on")
            case "slow":
                took = self._chance.uniform(3.0, 12.0)
                self._world.engine.after(took, self._act, asker, node, boot, action, took)
            case _:
                self._world.engine.after(took, self._act, asker, node, boot, action, took)

    def _run_level(self, asker: "DeciderService", node: str, boot: str, action: str) -> None:
        """Two outlets of one level: off, one after the other, and then a look at both."""
        took = 0.0
        for device in self.devices(node):
            slow = {"hangs": TIMEOUT, "slow": self._chance.uniform(3.0, 12.0)}
            took += slow.get(self.mode.get(device, ""), self._chance.uniform(0.05, 0.4))
        self._world.engine.after(took, self._act_on_level, asker, node, boot, action, took)

    def _act_on_level(
        self, asker: "DeciderService", node: str, boot: str, action: str, took: float
    ) -> None:
        devices, cut = self.devices(node), self._cut.setdefault(node, set())
        broken = [d for d in devices if self.mode.get(d, "") in ("hangs", "fails")]
        if action == "off":
            reached = devices[: devices.index(broken[0])] if broken else devices
            cut |= set(reached)
            self._world.seen["outlet off"] += len(reached)
            if cut == set(devices):
                host = self._world.places[node]
                self._world.power_off(host, f"both its outlets are off, ordered for {boot}")
        powered = self._world.places[node].powered
        answers: list[Outcome] = []
        for device in devices:
            off = not powered or device in cut
            says_on = self.mode.get(device, "") == "says on"
            answers.append("failed" if device in broken else "off" if off and not says_on else "on")
        outcome = fence_agent.together(answers, len(devices))
        if action == "off" and (broken or outcome == "on"):
            outcome = "failed" if outcome != "off" else outcome
        self._say(asker, node, boot, action, took, outcome, f"its outlets say {answers}")

    def _act(
        self, asker: "DeciderService | None", node: str, boot: str, action: str, took: float
    ) -> None:
        host = self._world.places[node]
        if action == "off" and node not in self.lies_off:
            self._world.power_off(host, f"its fence device cuts the power, ordered for {boot}")
        off = not host.powered or node in self.lies_off
        if asker is not None:
            outcome: Outcome = "off" if off else "on"
            self._say(asker, node, boot, action, took, outcome, f"status says {outcome}")

    def _end(
        self,
        asker: Service,
        node: str,
        boot: str,
        action: str,
        took: float,
        outcome: Outcome,
        why: str,
    ) -> None:
        self._world.engine.after(took, self._say, asker, node, boot, action, took, outcome, why)

    def _say(
        self,
        asker: "DeciderService",
        node: str,
        boot: str,
        action: str,
        took: float,
        outcome: Outcome,
        why: str,
    ) -> None:
        verb: Literal["status", "off"] = "off" if action == "off" else "status"
        done = FenceDone(node, boot, verb, outcome, "fence_simulated", why, took)
        if self._world.tape is not None:
            self._world.note(
                asker.place, f"fence device of {node}: {action} gives {outcome} ({why})"
            )
        asker.run(asker.fenced, (done,))
