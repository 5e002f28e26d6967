"""Running a node's fence devices, level by level, and what their answers are worth.

What makes it safe: every key is checked against the agent's metadata before use; `off` counts only
when `status` of every device of the level says off after every `off`; a time-out is a failure; and
before each step it is asked again whether the order still stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.config.model import FenceDevice, Node
from holdfast.fence_agents import options, program
from holdfast.fence_agents.errors import FenceError

Outcome = Literal["off", "on", "failed"]
Stands = Callable[[], bool]
MAX_DETAIL = 1000
_EXIT_OFF = 2


@dataclass(frozen=True, slots=True)
class FenceResult:
    """What came of a run, in words for the record. `devices` are those that gave the outcome."""

    outcome: Outcome
    agent: str
    detail: str
    devices: tuple[str, ...] = ()


async def fence(
    node: str,
    boot: str,
    config: Node,
    action: Literal["status", "off"],
    stands: Stands = lambda: True,
) -> FenceResult:
    """Try the levels in their order until one answers. Never raises: a failure is a result.

    `stands` says whether the order is still to be carried out: it may have expired, or been
    overtaken by a new boot or a new leader.
    """
    failures = []
    for devices in config.fence_levels():
        level = _Level(node, boot, devices, stands)
        try:
            result = await (level.off() if action == "off" else level.status())
        except FenceError as error:
            result = FenceResult("failed", level.agents, f"{error.place}: {error.problem}")
        if result.outcome != "failed":
            return result
        failures.append(result)
    return FenceResult(
        "failed",
        ", ".join(result.agent for result in failures),
        "; ".join(f"{result.agent}: {result.detail}" for result in failures)[:MAX_DETAIL],
    )


def label(device: FenceDevice, node: str) -> str:
    """A device for the record: agent, address and plug."""
    named = device.options
    address = next((named[name] for name in ("ip", "ipaddr") if name in named), "")
    plug = device.plug or named.get("plug") or named.get("port") or node
    return f"{device.agent} {plug}{f' at {address}' if address else ''}"[:200]


def together(answers: Sequence[Outcome], looks: int) -> Outcome:
    """What the devices of a level prove: `off` if every look at every one of them says so."""
    if "on" in answers:
        return "on"
    return "off" if len(answers) == looks and set(answers) == {"off"} else "failed"


class _Level:
    """Devices that only prove something together. Its methods raise FenceError.

    One after another: outlets of one power switch take a single session at a time.
    """

    def __init__(self, node: str, boot: str, devices: list[FenceDevice], stands: Stands) -> None:
        self._node, self._boot, self._devices, self._stands = node, boot, devices, stands
        self.agents = ", ".join(device.agent for device in devices)
        self._labels = tuple(label(device, node) for device in devices)

    async def off(self) -> FenceResult:
        """All are switched off, and only then each is looked at."""
        for device in self._devices:
            code, said = await self._tell(device, "off")
            if code != 0:
                detail = f"off exited with {code}: {said}"
                return FenceResult("failed", device.agent, detail)
        result = await self.status()
        if result.outcome == "on":
            return FenceResult("failed", result.agent, "off succeeded, yet status says on")
        return result

    async def status(self) -> FenceResult:
        """`off` if all are off together, `on` if one is on.

        Several are looked at twice: outlets that somebody switches off and on again, one after
        the other, are never off together.
        """
        looks = self._devices * (1 if len(self._devices) == 1 else 2)
        answers: list[Outcome] = []
        for device in looks:
            code, said = await self._tell(device, "status")
            answers.append("off" if code == _EXIT_OFF else "on" if code == 0 else "failed")
            if together(answers, len(looks)) == "on":
                return FenceResult(
                    "on", device.agent, "status says on", (label(device, self._node),)
                )
            if answers[-1] == "failed":
                return FenceResult("failed", device.agent, f"status exited with {code}: {said}")
        assert together(answers, len(looks)) == "off"
        return FenceResult("off", self.agents, "status says off", self._labels)

    async def _tell(self, device: FenceDevice, action: str) -> tuple[int, str]:
        path = program.find(device.agent)
        agent = await program.describe(path)
        secrets: dict[str, str] = {}
        if device.secret_file is not None:
            secrets = program.read_secrets(Path(device.secret_file))
        found = options.problems(agent, device, f"nodes.{self._node}.fence", secrets)
        if found:
            first = found[0]
            problem = f"{first.key}: {first.problem} ({first.cure})"
            raise FenceError(problem, place=device.agent, cure=first.cure)
        if not self._stands():
            raise FenceError(
                f"the order for boot {self._boot} is over",
                place=device.agent,
                cure="none is needed",
            )
        order = options.order(agent, device, secrets, self._node, self._boot)
        return await program.run(path, {**order, "action": action}, device.timeout)
