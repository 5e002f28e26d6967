"""`command`: commands start, stop and probe it. Only the probe says whether it runs."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from holdfast import clock
from holdfast.child_log import last_line
from holdfast.config.model import CommandResource
from holdfast.recovery import children, processes
from holdfast.recovery.children import Child
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.kinds.base import ActionFailed, Running, Stopped, epoch_instance
from holdfast.recovery.launcher import HANGS, Launcher
from holdfast.recovery.messages import RunAction, Spawned
from holdfast.recovery.processes import Process, Workload
from holdfast.recovery.state import ResourceState

RUNNING = 0
NOT_RUNNING = 7
KILL_GRACE = 2.0


class CommandKind:
    """Its commands get HOLDFAST_GROUP, _RESOURCE, _EPOCH and _NODE in their environment.

    A command that was given up and does not end may still do what it was for, so nothing is
    believed before it has ended. A start command is under the dead man's switch while it runs, and
    `spawned` is told of it, so that a restart of this service finds it.
    """

    def __init__(
        self,
        config: CommandResource,
        *,
        node: str,
        log: Path,
        dead_man: DeadMan,
        spawned: Callable[[Spawned], None],
    ) -> None:
        self._config, self._node, self._log = config, node, log
        self._dead_man, self._spawned = dead_man, spawned
        self._launcher = Launcher()
        self._unended: set[Process] = set()

    async def start(self, action: RunAction) -> Running:
        """Run the start command, then ask the probe. The caller limits the time."""
        await self._end_earlier(action)
        token = action.known.token

        def born(process: Process) -> None:
            self._dead_man.hold(token, process)
            self._spawned(Spawned(action.resource, token, process.instance, 0))

        code, said = await self._run(
            self._config.start, action, action.timeout, not_after=self._dead_man.due_at, born=born
        )
        if code is not None:
            self._dead_man.drop(token)
        if code != 0:
            raise ActionFailed(f"the start command {said}")
        code, said = await self._run(self._config.probe, action, action.timeout)
        if code != RUNNING:
            raise ActionFailed(f"after the start command, the probe {said}")
        return Running(epoch_instance(action))

    async def stop(self, action: RunAction) -> Stopped:
        """Probe; if it runs, or the probe does not know, stop it and probe again."""
        deadline = clock.monotonic() + action.timeout
        await self._end_earlier(action)
        self._dead_man.drop(action.known.token)
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

    def hold(self, known: ResourceState) -> None:
        """A start command that an earlier run of this service left is under the switch, too."""
        if known.token and (process := processes.parse_instance(known.instance)) is not None:
            self._dead_man.hold(known.token, process)

    async def _end_earlier(self, action: RunAction) -> None:
        """Be sure that no command of an action that was given up runs on. Raises ActionFailed."""
        left = set(self._unended)
        if (begun := processes.parse_instance(action.known.instance)) is not None:
            left.add(begun)
        for process in left:
            if processes.alive(process) or process in self._unended:
                processes.kill(Workload(process, ""))
                if not await processes.wait_gone(Workload(process, ""), KILL_GRACE):
                    raise ActionFailed(
                        "a command that was given up may still take effect: SIGKILL did not end it "
                        f"(pid {process.pid} hangs in the kernel)"
                    )
                self._unended.discard(process)
        if not await self._launcher.settled(KILL_GRACE):
            raise ActionFailed(HANGS)

    async def _run(
        self,
        command: list[str],
        action: RunAction,
        timeout: float,
        *,
        not_after: Callable[[], float] = lambda: math.inf,
        born: Callable[[Process], None] = lambda _: None,
    ) -> tuple[int | None, str]:
        """Exit code and what became of it, in words. None: killed, as it took too long."""
        if timeout <= 0:
            return None, "had no time left"
        begun: list[Process] = []
        child: Child | None = None

        def noted(process: Process) -> None:
            begun.append(process)
            self._unended.add(process)
            born(process)

        try:
            async with asyncio.timeout(timeout):
                child = await self._launcher.launch(
                    command,
                    environment=self._environment(action),
                    directory=None,
                    log=self._log,
                    not_after=not_after,
                    born=noted,
                )
                await child.ended.wait()
        except TimeoutError:
            pass
        except OSError as error:
            self._unended.difference_update(begun)
            return None, f"cannot be run: {error.strerror or error}"
        finally:
            # Given up or too slow: the whole group goes. What a finished command left runs on.
            if child is not None and child.code is not None:
                self._unended.difference_update(begun)
            else:
                for process in begun:
                    processes.kill(Workload(process, ""))
        if child is not None and child.code is not None:
            said = last_line(self._log)
            how = f"exited with {child.code}: {said}" if said else f"exited {child.code}"
            return child.code, how
        for process in begun:
            if not await processes.wait_gone(Workload(process, ""), KILL_GRACE):
                return None, f"took longer than {timeout:.1f} s, and SIGKILL did not end it"
            self._unended.discard(process)
        return None, f"took longer than {timeout:.1f} s and was killed"

    def _environment(self, action: RunAction) -> dict[str, str]:
        return {
            **children.clean_environment(),
            "HOLDFAST_GROUP": action.group,
            "HOLDFAST_RESOURCE": action.resource,
            "HOLDFAST_EPOCH": str(action.epoch),
            "HOLDFAST_NODE": self._node,
        }
