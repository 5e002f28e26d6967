"""Fence devices: they work, take their time, hang, fail, or say `on` of what is off.

One that says `off` of what is on is no part of ordinary runs: no software survives it.
"""

from random import Random
from typing import TYPE_CHECKING, Literal

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

    def run(self, asker: "DeciderService", node: str, boot: str, action: str) -> None:
        """One run of the agent, `off` with the `status` that must follow it."""
        self._world.invariants.on_fence(asker, node, boot, action)
        took = self._chance.uniform(0.05, 0.6)
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
