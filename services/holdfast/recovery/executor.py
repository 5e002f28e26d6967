"""Carrying out one action on one resource, within its time; whatever happens, it ends with a word.

"Verify" and "started" mean the same as for the monitor: the configured checks pass.
"""

import asyncio

from holdfast import checks, clock
from holdfast.config.model import ProcessCheck, Resource
from holdfast.recovery.kinds.base import ActionFailed, Kind, Running
from holdfast.recovery.messages import ActionDone, RunAction
from holdfast.recovery.plan import OVERTIME
from holdfast.recovery.state import ResourceState
from holdfast.stopping import end
from holdfast.structs import replace

CHECK_EVERY = 0.05
"""Between tries while something comes up: that a port answers is not an event anywhere."""


class Executor:
    """The resources of one group."""

    def __init__(self, kinds: dict[str, Kind], configs: dict[str, Resource]) -> None:
        self._kinds, self._configs = kinds, configs

    async def run(self, action: RunAction) -> ActionDone:
        """Never raises for a failed action; the reason is in the result."""
        began = clock.monotonic()
        failed = ActionDone(number=action.number, ok=False, took=0.0)
        try:
            done = await self._run(action)
        except ActionFailed as error:
            done = replace(failed, reason=str(error)[:900])
        except TimeoutError:
            done = replace(failed, reason=f"it did not end within {action.timeout:g} s")
        except OSError as error:
            done = replace(failed, reason=f"{type(error).__name__}: {error}"[:900])
        return replace(done, took=clock.monotonic() - began)

    def alive(self, resource: str, known: ResourceState) -> bool:
        """Whether the known instance is there."""
        return self._kinds[resource].alive(known)

    async def _run(self, action: RunAction) -> ActionDone:
        kind = self._kinds[action.resource]
        done = ActionDone(number=action.number, ok=True, took=0.0)
        match action.verb:
            case "start":
                return replace(done, instance=await self._start(kind, action))
            case "stop":
                async with asyncio.timeout(action.timeout + OVERTIME):
                    stopped = await kind.stop(action)
                return replace(done, found=stopped.found, killed=stopped.killed)
            case "verify":
                return replace(done, checks=await self._verify(kind, action))

    async def _start(self, kind: Kind, action: RunAction) -> str:
        progress = [""]
        try:
            async with asyncio.timeout(action.timeout):
                running = await kind.start(action)
                await self._until_ready(action.resource, running, progress)
        except TimeoutError:
            why = f": {progress[0]}" if progress[0] else ""
            raise ActionFailed(f"not up within {action.timeout:g} s{why}") from None
        return running.instance

    async def _until_ready(self, resource: str, running: Running, progress: list[str]) -> None:
        """Until every check passes; fails the moment the process ends."""
        ready = asyncio.create_task(self._until_checks_pass(resource, progress))
        waiting: list[asyncio.Task[object]] = [ready]
        if running.died is not None:
            waiting.append(asyncio.create_task(running.died.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*waiting)
        if running.died is not None and running.died.is_set():
            raise ActionFailed(f"it ended while it was starting: {running.how()}")
        ready.result()

    async def _until_checks_pass(self, resource: str, progress: list[str]) -> None:
        for check in self._configs[resource].checks:
            if isinstance(check, ProcessCheck):
                continue
            while not (result := await checks.run(check)).ok:
                progress[0] = result.reason
                await asyncio.sleep(CHECK_EVERY)

    async def _verify(self, kind: Kind, action: RunAction) -> int:
        """Every check once more, with as many failures allowed as the monitor allows."""
        configured = self._configs[action.resource].checks
        for check in configured:
            if isinstance(check, ProcessCheck):
                if not kind.alive(action.known):
                    raise ActionFailed("its process is gone")
                continue
            for failures in range(1, check.failures + 1):
                result = await checks.run(check)
                if result.ok:
                    break
                if failures == check.failures:
                    raise ActionFailed(f"check {checks.kind(check)}: {result.reason}")
        return len(configured)
