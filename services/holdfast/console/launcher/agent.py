"""Whether a place lives, and its end, by the same fence agent that the cluster uses."""

import asyncio
import sys
from pathlib import Path

from holdfast.console.launcher.errors import LaunchError

TIMEOUT = 15.0
_OFF = 2


async def is_on(run_dir: Path, place: str) -> bool:
    """Whether any process of the place lives, workloads included. Raises LaunchError."""
    code, problem = await _ask("status", run_dir, place)
    if code not in (0, _OFF):
        raise _failed("status", place, problem)
    return code == 0


async def off(run_dir: Path, place: str) -> None:
    """SIGKILL for every process of the place; returns once none lives. Raises LaunchError."""
    code, problem = await _ask("off", run_dir, place)
    if code != 0:
        raise _failed("off", place, problem)


async def _ask(action: str, run_dir: Path, place: str) -> tuple[int, str]:
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast.fence_host",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    order = f"action={action}\nplug={place}\nrun_dir={run_dir}\ntimeout={TIMEOUT}\n"
    try:
        async with asyncio.timeout(TIMEOUT + 5):
            _, problem = await agent.communicate(order.encode())
    except TimeoutError:
        agent.kill()
        await agent.wait()
        return 1, "no answer in time"
    assert agent.returncode is not None
    return agent.returncode, problem.decode(errors="replace").strip()


def _failed(action: str, place: str, problem: str) -> LaunchError:
    return LaunchError(
        f"the fence agent could not do `{action}`: {problem}",
        place=f"place {place}",
        cure="look for its processes with `ps -eo pid,sess,stat,args`, and end them by hand",
    )
