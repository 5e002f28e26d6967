"""`process`: a program of our own. SIGTERM to its group, then SIGKILL, until none is left."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from holdfast import clock
from holdfast.child_log import last_line
from holdfast.config.model import ProcessResource
from holdfast.recovery import children, processes
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.kinds.base import ActionFailed, Running, Stopped
from holdfast.recovery.launcher import HANGS, Launcher
from holdfast.recovery.messages import RunAction, Spawned
from holdfast.recovery.processes import Workload
from holdfast.recovery.state import ResourceState

KILL_GRACE = 3.0


class ProcessKind:
    """`spawned` is told of a new process the moment it exists."""

    def __init__(
        self,
        config: ProcessResource,
        *,
        node: str,
        log: Path,
        dead_man: DeadMan,
        spawned: Callable[[Spawned], None],
    ) -> None:
        self._config, self._node, self._log = config, node, log
        self._dead_man, self._spawned = dead_man, spawned
        self._launcher = Launcher()
        # One log per resource and host: no two clusters on a machine share the name.
        self._name = str(log.absolute())

    async def start(self, action: RunAction) -> Running:
        """Spawn it. Being checked is the caller's part."""
        token = action.known.token
        fill = {"{epoch}": str(action.epoch), "{node}": self._node, "{group}": action.group}
        configured = {k: _filled(v, fill) for k, v in self._config.environment.items()}
        try:
            child = await self._launcher.launch(
                [_filled(argument, fill) for argument in self._config.command],
                environment={
                    **children.clean_environment(),
                    **configured,
                    processes.TOKEN_VARIABLE: token,
                    processes.NAME_VARIABLE: self._name,
                },
                directory=self._config.directory,
                log=self._log,
                not_after=self._dead_man.due_at,
                born=lambda process: self._dead_man.hold(token, process),
            )
        except OSError as error:
            raise ActionFailed(f"{self._config.command[0]}: {error.strerror or error}") from error
        instance = child.process.instance
        self._spawned(Spawned(action.resource, token, instance, child.process.pid))
        return Running(instance, child.ended, lambda: self._epitaph(child))

    async def stop(self, action: RunAction) -> Stopped:
        """Confirmed by looking at the process group and at all that bear the token or the name."""
        deadline = clock.monotonic() + action.timeout
        workload = self._workload(action.known)
        present = await asyncio.to_thread(processes.members, workload)
        for process in present:
            processes.send(process, signal.SIGTERM)
        killed = False
        if not await processes.wait_gone(workload, action.timeout):
            killed = True
            processes.kill(workload)
            if not await self._gone_after_kill(workload):
                left = ", ".join(str(p.pid) for p in processes.members(workload))
                raise ActionFailed(f"SIGKILL did not end it: pid {left} hangs in the kernel")
        if not await self._launcher.settled(deadline - clock.monotonic()):
            raise ActionFailed(HANGS)
        by_dead_man = self._dead_man.drop(action.known.token)
        return Stopped(found=bool(present) or by_dead_man, killed=killed or by_dead_man)

    def alive(self, known: ResourceState) -> bool:
        """Whether the leader lives."""
        process = processes.parse_instance(known.instance)
        return process is not None and processes.alive(process)

    def hold(self, known: ResourceState) -> None:
        """Put what an earlier run of this service left behind under the dead man's switch."""
        if known.token:
            self._dead_man.hold(known.token, processes.parse_instance(known.instance))

    def _workload(self, known: ResourceState) -> Workload:
        # A start that was given up may know its process while the journal does not yet.
        held = self._dead_man.held(known.token) if known.token else None
        leader = held.leader if held else processes.parse_instance(known.instance)
        return Workload(leader, known.token, self._name)

    async def _gone_after_kill(self, workload: Workload) -> bool:
        """What forks between our looks is killed at the next one, within the grace."""
        for _ in range(int(KILL_GRACE)):
            if await processes.wait_gone(workload, 1.0):
                return True
            processes.kill(workload)
        return False

    def _epitaph(self, child: children.Child) -> str:
        said = last_line(self._log)
        return f"{child.how()}: {said}" if said else child.how()


def _filled(text: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
