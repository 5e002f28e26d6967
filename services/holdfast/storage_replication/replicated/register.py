"""The records of this node's volumes: seen through a watch, changed only by compare-and-set."""

import asyncio
import logging
from collections.abc import Callable

from holdfast.bus import BusError
from holdfast.bus_errors import Conflict
from holdfast.clock import monotonic
from holdfast.errors import HoldfastError
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import VolumeRecord, VolumeStore

WRITE_TIMEOUT = 1.0
"""Seconds. While a leader is elected JetStream does not answer at all: ask again soon."""
PAUSE = 0.1
_log = logging.getLogger("holdfast.storage")

Transition = Callable[[VolumeRecord], VolumeRecord]


class ChangeUnknown(HoldfastError):
    """The record could not be changed in time, or nobody knows whether it was."""


class Register:
    """`changed` is called for every record that is seen or written."""

    def __init__(self, store: VolumeStore, changed: Callable[[VolumeRecord], None]) -> None:
        self._store, self._changed = store, changed
        self._seen: dict[str, tuple[VolumeRecord, int]] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follow the bucket until cancelled."""
        await self._store.watch(self._take, lambda: None)

    def record(self, volume: str) -> VolumeRecord | None:
        """The latest that was seen: perhaps late, never invented. None: none was."""
        found = self._seen.get(volume)
        return found[0] if found else None

    async def create(self, record: VolumeRecord, *, within: float) -> VolumeRecord:
        """Write the first record. Raises ChangeRefused if there is one, ChangeUnknown."""

        def same(present: VolumeRecord) -> VolumeRecord:
            if present.uuid != record.uuid:
                raise ChangeRefused(
                    "it exists already",
                    place=f"volume {record.volume}",
                    cure="`holdfast volume status` shows it",
                )
            return present

        return await self._change(record.volume, same, record, within)

    async def change(self, volume: str, transition: Transition, *, within: float) -> VolumeRecord:
        """Write what `transition` makes of the record; on return it surely was written.

        An attempt whose answer is lost is followed by another, on the revision seen then: it fails
        if the first one succeeded, and the next one, over that, succeeds. So what is returned rests
        on an answered compare-and-set, never on what was merely seen. Within `within` seconds.
        Raises ChangeRefused (of the transition), ChangeUnknown.
        """
        return await self._change(volume, transition, None, within)

    async def _change(
        self, volume: str, transition: Transition, first: VolumeRecord | None, within: float
    ) -> VolumeRecord:
        deadline, problem = monotonic() + within, "there was no time"
        while (left := deadline - monotonic()) > 0:
            record, revision = self._seen.get(volume, (None, 0))
            if record is None and first is None:
                raise _missing(volume)
            wanted = first if record is None else transition(record)
            assert wanted is not None
            self._news.clear()
            try:
                new = await self._store.compare_and_set(
                    wanted, revision, timeout=min(WRITE_TIMEOUT, left)
                )
            except Conflict as error:
                problem = error.problem
                await self._wait(volume, revision, min(left, WRITE_TIMEOUT))
            except BusError as error:
                problem = error.problem
                await asyncio.sleep(min(PAUSE, left))
            else:
                self._take(wanted, new)
                return wanted
        raise ChangeUnknown(
            f"the record could not be changed within {within:g} s: {problem}",
            place=f"volume {volume}",
            cure="is there a majority of nats-servers? It is tried again",
        )

    async def _wait(self, volume: str, revision: int, within: float) -> None:
        """Until something newer than `revision` is seen."""
        try:
            async with asyncio.timeout(within):
                while self._seen.get(volume, (None, 0))[1] <= revision:
                    await self._news.wait()
                    self._news.clear()
        except TimeoutError:
            return

    def _take(self, record: VolumeRecord, revision: int) -> None:
        _, known = self._seen.get(record.volume, (None, 0))
        if revision > known:
            self._seen[record.volume] = (record, revision)
            self._news.set()
            self._changed(record)


def _missing(volume: str) -> ChangeRefused:
    return ChangeRefused(
        "there is no such volume yet",
        place=f"volume {volume}",
        cure=f"`holdfast volume create {volume}`",
    )
