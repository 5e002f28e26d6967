"""Whether a volume that is served here may go on with the lease that this node has now.

A lease says that the node lives, not that the volume is still its own: while there was none,
another node may have become the primary, and members that are out of reach cannot tell. After such
a gap the record must say anew, by a compare-and-set, that this node is the primary at that epoch.
What is seen to be another's is told of no lease in any case.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from holdfast.errors import HoldfastError
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.register import Register
from holdfast.structs import replace
from holdfast.wire.volumes import NodeLease

CONFIRM_WITHIN = 3.0
"""Seconds. The next renewal has it tried again."""


class Tenancy:
    """Of one volume on this node. `turn` keeps orders and this apart; `renewed` is called when what
    is active may be told of the lease's end."""

    def __init__(
        self,
        volume: str,
        register: Register,
        memory: Memory,
        turn: asyncio.Lock,
        renewed: Callable[[], None],
    ) -> None:
        self._volume, self._register, self._memory = volume, register, memory
        self._turn, self._renewed = turn, renewed
        self._doubtful = asyncio.Event()
        self.problem = ""
        """Why what is active here is told of no lease; empty: it is."""
        self.valid_until = 0.0
        """An end that was known is not taken back."""
        self.since = 0.0
        """The lease has lasted since then, without a gap."""

    def renew(self, lease: NodeLease) -> None:
        """What recovery says again and again."""
        if lease.since < self.since:
            return  # late: of a lease that is over
        self.valid_until = max(self.valid_until, lease.valid_until)
        self.since = lease.since
        known = self._memory.of(self._volume)
        if known.active and not self.holds(known):
            self._doubtful.set()
            return
        self.problem = ""
        if known.active:
            self._renewed()

    def holds(self, known: Remembered) -> bool:
        """Whether it is active and known to be ours under the lease of now, and nothing newer was
        seen."""
        if not known.active or known.since != self.since:
            return False
        seen = self._register.record(self._volume)
        return seen is None or (seen.primary, seen.epoch) == (known.mark.node, known.mark.epoch)

    async def run(self) -> None:
        """Ask the record when it is needed, until cancelled."""
        while True:
            await self._doubtful.wait()
            self._doubtful.clear()
            async with self._turn:
                try:
                    await self.confirm()
                    self.problem = ""
                except HoldfastError as error:
                    self.problem = f"not served after a gap in the lease: {error.problem}"

    async def confirm(self) -> None:
        """What is active goes on under this lease. Raises HoldfastError: it is another's, or nobody
        can tell."""
        known, since = self._memory.of(self._volume), self.since
        if not known.active or self.holds(known):
            return
        still = partial(transitions.still, node=known.mark.node, epoch=known.mark.epoch)
        await self._register.change(self._volume, still, within=CONFIRM_WITHIN)
        self._memory.store(self._volume, replace(known, since=since))
        if self.holds(self._memory.of(self._volume)):
            self._renewed()
