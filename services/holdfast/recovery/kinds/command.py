"""`command`: commands start, stop and probe it. Only the probe says whether it runs."""

import asyncio
import contextlib
from pathlib import Path

from holdfast import clock
from holdfast.child_log import last_line
from holdfast.config.model import CommandResource
from holdfast.recovery import children, processes
from holdfast.recovery.kinds.base import ActionFailed, Running, Stopped, epoch_instance
from holdfast.recovery.messages import RunAction
from holdfast.recovery.processes import Workload
from holdfast.recovery.state import ResourceState

RUNNING = 0
NOT_RUNNING = 7
KILL_GRACE = 2.0


class CommandKind:
    """Its commands get HOLDFAST_GROUP, _RESOURCE, _EPOCH and _NODE in their environment."""

    def __init__(self, config: CommandResource, *, node: str, log: Path) -> None:
        self._config, self._node, self._log = config, node, log

    async def start(self, action: RunAction) -> Running:
        """Run the start command, then ask the probe. The caller limits the time."""
        code, said = await self._run(self._config.start, action, action.timeout)
        if code != 0:
            raise ActionFailed(f"the start command {said}")
        code, said = await self._run(self._config.probe, action, action.timeout)
        if code != RUNNING:
            raise ActionFailed(f"after the start command, the probe {said}")
        return Running(epoch_instance(action))

    async def stop(self, action: RunAction) -> Stopped:
        """Probe; if it runs, or the probe does not know, stop it and probe again."""
        deadline = clock.monotonic() + action.timeout
        code, said = await self._run(self._config.probe, action, action.timeout)
        if code == NOT_RUNNING:
            return Stopped(found=False)
        code, said = await self._run(self._config.stop, action, deadline - clock.monotonic())
        if code != 0:
            raise ActionFailed(f"the stop command {said}")
        code, said = await self._run(self._config.probe, action, deadline - clock.monotonic())
        if code != NOT_RUNNING:
            raise ActionFailed(f"after the stop command, the probe {said}")
        return Stopped(found=True)

    def alive(self, known: ResourceState) -> bool:
        """Only its checks can tell, and the monitor runs them."""
        return bool(known.instance)

    async def _run(
        self, command: list[str], action: RunAction, timeout: float
    ) -> tuple[int | None, str]:
        """Exit code and what became of it, in words. None: killed, as it took too long."""
        if timeout <= 0:
            return None, "had no time left"
        environment = {
            **children.clean_environment(),
            "HOLDFAST_GROUP": action.group,
            "HOLDFAST_RESOURCE": action.resource,
            "HOLDFAST_EPOCH": str(action.epoch),
            "HOLDFAST_NODE": self._node,
        }
        try:
            child = await children.launch(
                command, environment=environment, directory=None, log=self._log
            )
        except OSError as error:
            return None, f"cannot be run: {error.strerror or error}"
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await child.ended.wait()
        finally:
            # Given up or too slow: the whole group goes. What a finished command left runs on.
            if child.code is None:
                processes.kill(Workload(child.process, ""))
        if child.code is None:
            gone = await processes.wait_gone(Workload(child.process, ""), KILL_GRACE)
            ended = "" if gone else ", and SIGKILL did not end it"
            return None, f"took longer than {timeout:.1f} s and was killed{ended}"
        said = last_line(self._log)
        return child.code, f"exited with {child.code}: {said}" if said else f"exited {child.code}"
