"""Keeps whom the data path of a primary knows to whom the record names.

The record comes first, and whoever wrote it may die, or not be heard, before its data path knows.
"""

import asyncio
import logging

from holdfast.errors import HoldfastError
from holdfast.storage_replication.control import Member, SetMembers, State
from holdfast.storage_replication.replicated.client import DataPathFailed
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.volumes import VolumeRecord

TELL_WITHIN = 8.0
PAUSE = 0.5
"""Seconds between two orders: one who leaves may wait for the record."""
_log = logging.getLogger("holdfast.storage")


class Roster:
    """Of one volume on this node."""

    def __init__(self, place: Place, register: Register, paths: Supervisor) -> None:
        self._place, self._register, self._paths = place, register, paths
        self._news = asyncio.Event()
        self._look = asyncio.Condition()
        self._problem = ""
        self._told: tuple[int, dict[str, Member]] | None = None
        """Which data path knows whom: one from before there were instances shows none."""

    def look(self) -> None:
        """The record, or the data path, says something new."""
        self._news.set()

    async def run(self) -> None:
        """Tell it until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._apart():
                await self._tell()
                await asyncio.sleep(PAUSE)
            async with self._look:
                self._look.notify_all()

    async def settled(self, *, within: float) -> None:
        """Return once its data path knows whom the record names. Raises DataPathFailed."""
        self.look()
        try:
            async with asyncio.timeout(within), self._look:
                await self._look.wait_for(lambda: not self._apart())
        except TimeoutError as error:
            raise DataPathFailed(
                f"its data path does not know its members yet: {self._problem or 'no answer'}",
                place=f"volume {self._place.volume}",
                cure="it is told again and again; then repeat this",
            ) from error

    def _apart(self) -> bool:
        record, state = self._register.record(self._place.volume), self._paths.state
        if record is None or state is None or not apart(self._place, record, state):
            return False
        members = self._place.others(record)
        return (state.pid, members) != self._told or members.keys() != state.members.keys()

    async def _tell(self) -> None:
        record, client = self._register.record(self._place.volume), self._paths.client
        if record is None or client is None:
            return
        members = self._place.others(record)
        try:
            await client.order(lambda n: SetMembers(id=n, members=members), within=TELL_WITHIN)
            self._problem, self._told = "", (client.pid, members)
        except HoldfastError as error:
            if error.problem != self._problem:
                _log.warning("volume %s: its members: %s", self._place.volume, error.problem)
            self._problem = error.problem


def apart(place: Place, record: VolumeRecord, state: State) -> bool:
    """Whether a primary knows other members, or other copies, than the record of its epoch."""
    if state.role != "primary" or (record.primary, record.epoch) != (place.node, state.epoch):
        return False
    named = {name: one.instance for name, one in record.members.items() if name != place.node}
    return named != {name: one.instance for name, one in state.members.items()}
