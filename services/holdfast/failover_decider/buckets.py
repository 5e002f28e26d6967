"""The buckets of the records, and this place's durable memory of which they are.

An empty bucket looks like that of a new cluster. If it took the place of one that was lost, all
that ran would be started a second time. So each decider remembers when each bucket was made, and
whoever leads makes none in the place of one that is remembered. A place without memory asks the
others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from holdfast.bus import Bus, BusError, BusUnavailable
from holdfast.failover_decider import voter_store
from holdfast.lease import majority
from holdfast.streams import bucket_times, ensure_streams
from holdfast.wire import Terms

FILE = "buckets.json"
LOOK_AGAIN = 2.0
_decoder = msgspec.json.Decoder(dict[str, str])
_log = logging.getLogger("holdfast.decider")

AskOthers = Callable[[], Awaitable[list[Terms]]]


class BucketMemory:
    """When each bucket was made. An operator who deletes the file says that they may be made anew;
    so it is read each time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @property
    def known(self) -> dict[str, str]:
        """By bucket; empty: nothing is remembered."""
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            _log.error("%s does not read, the others are asked: %s", self._path, error)
            return {}

    def store(self, known: dict[str, str]) -> None:
        """Durable when it returns. Raises VoterStoreError."""
        if known and known != self.known:
            voter_store.write(self._path, known)


class Buckets:
    """`others` asks the other deciders for what they remember; of `voters` in all."""

    def __init__(self, bus: Bus, memory: BucketMemory, others: AskOthers, voters: int) -> None:
        self._bus, self._memory, self._others, self._voters = bus, memory, others, voters

    async def ensure(self, places: int) -> None:
        """Make what is not there yet, as whoever leads. Raises BucketsLost, BusError,
        VoterStoreError."""
        known = await self._known()
        made = await ensure_streams(self._bus, places, known=known)
        self._memory.store(made)

    async def remember(self) -> None:
        """As whoever does not lead: returns once this place remembers them."""
        while not self._memory.known:
            await self._bus.ready.wait()
            try:
                known = await self._known()
                self._memory.store(known or await bucket_times(self._bus))
            except (BusError, voter_store.VoterStoreError) as error:
                _log.info("the buckets are not known yet: %s", error.problem)
            await asyncio.sleep(LOOK_AGAIN)

    async def _known(self) -> dict[str, str]:
        known = self._memory.known
        if known:
            return known
        told = await self._others()
        if len(told) + 1 < majority(self._voters):
            raise BusUnavailable(
                "this place remembers no bucket, and too few others tell what they remember",
                place="the deciders",
                cure="bring them back: a majority must be heard",
            )
        for one in told:
            known = {**one.buckets, **known}
        self._memory.store(known)
        return known
