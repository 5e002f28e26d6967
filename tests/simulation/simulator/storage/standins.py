"""What stands in for the machine while coroutines of a simulated process run: clocks, ids, and
processes. All of it is found by the loop that is running."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import clock
from holdfast.storage_replication.replicated import register, reports, role, supervisor

if TYPE_CHECKING:
    from tests.simulation.simulator.places import Service
    from tests.simulation.simulator.storage.loop import VirtualLoop
    from tests.simulation.simulator.storage.path import DataPath

LOGS = ("storage", "volume", "links", "control", "notifier")
LOOK_EVERY = 0.1
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def _loop() -> "VirtualLoop":
    loop: Any = asyncio.get_running_loop()
    return loop  # type: ignore[no-any-return]


def _process() -> "Service":
    return _loop().process


def _monotonic() -> float:
    return _loop().time()


def _wall_time_ago(seconds: float) -> str:
    then = FIRST_DAY + timedelta(seconds=_process().world.engine.now - seconds)
    return then.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _wall_time() -> str:
    return _wall_time_ago(0.0)


def _mint() -> str:
    return _process().world.mint()


class Child:
    """A data path that a supervisor started: `replicated.process.Process`."""

    def __init__(self, command: list[str], _log: Path) -> None:
        volume, uuid = (command[command.index(f) + 1] for f in ("--volume", "--uuid"))
        process = _process()
        volumes = process.world.volumes
        self._path = volumes.start_path(process.place, volume, uuid)
        self.ended = self

    def is_set(self) -> bool:
        """Whether it has ended."""
        return not self._path.alive

    def how(self) -> str:
        """How it ended."""
        return "signal 9"


class Sound:
    """Disks lose nothing here: `blocks.lost_pages.LostPages`."""

    def __init__(self, _path: Path, _note: object) -> None:
        return

    async def listen(self) -> None:
        """To nothing."""

    async def look(self) -> bool:
        """None."""
        return False

    def close(self) -> None:
        """Nothing is open."""


def _path(pid: int) -> "DataPath":
    wires = _loop().wires
    path: Any = wires.loops[pid - 1].process
    return path  # type: ignore[no-any-return]


async def _kill(pid: int) -> bool:
    path = _path(pid)
    _process().world.crash(path)
    await asyncio.sleep(0.002)
    return True


async def _gone(pid: int, within: float) -> bool:
    path = _path(pid)
    for _ in range(round(within / LOOK_EVERY)):
        if not path.alive:
            return True
        await asyncio.sleep(LOOK_EVERY)
    return not path.alive


STANDINS: list[tuple[Any, str, Any]] = [
    (clock, "monotonic", _monotonic),
    (clock, "wall_time", _wall_time),
    (clock, "wall_time_ago", _wall_time_ago),
    (register, "monotonic", _monotonic),
    (supervisor, "monotonic", _monotonic),
    (supervisor, "Process", Child),
    (supervisor, "LostPages", Sound),
    (supervisor, "kill", _kill),
    (supervisor, "gone", _gone),
    (supervisor, "last_line", lambda _log: ""),
    (role, "kill", _kill),
    (reports, "uuid7", _mint),
    # What they log is of a world that is not there; the timeline has it.
    *((logging.getLogger(f"holdfast.{name}"), "disabled", True) for name in LOGS),
]
_REAL = [(module, name, getattr(module, name)) for module, name, _ in STANDINS]


def stand_in() -> None:
    """For one turn of a loop, until `stand_back`."""
    for module, name, value in STANDINS:
        setattr(module, name, value)


def stand_back() -> None:
    """The machine is itself again."""
    for module, name, value in _REAL:
        setattr(module, name, value)
