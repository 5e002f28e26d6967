"""Every fence device of a cluster file against the metadata of its agent, before it is needed."""

from dataclasses import dataclass, field
from pathlib import Path

from holdfast.config.model import ClusterFile, FenceDevice
from holdfast.config.problem import Problem
from holdfast.fence_agents import options, program
from holdfast.fence_agents.errors import FenceError


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. `unchecked` are the agents that are not installed here."""

    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


async def check_devices(cluster: ClusterFile) -> Checked:
    """Compare all devices with their agents. Runs each agent once, for its metadata."""
    found = Checked()
    for name, node in cluster.nodes.items():
        for index, device in enumerate(node.fence):
            try:
                path = program.find(device.agent)
            except FenceError:
                if device.agent not in found.unchecked:
                    found.unchecked.append(device.agent)
                continue
            found.problems.extend(await _check(path, device, f"nodes.{name}.fence[{index}]"))
    return found


async def _check(path: Path, device: FenceDevice, key: str) -> list[Problem]:
    try:
        agent = await program.describe(path)
    except FenceError as error:
        return [Problem(key=f"{key}.agent", problem=error.problem, cure=error.cure)]
    secrets = None
    try:
        secrets = program.read_secrets(Path(device.secret_file)) if device.secret_file else {}
    except FenceError as error:
        problem = Problem(key=f"{key}.secret_file", problem=error.problem, cure=error.cure)
        return [problem, *options.problems(agent, device, key, None)]
    return options.problems(agent, device, key, secrets)
