"""What a primary knows of another member."""

from dataclasses import dataclass, field
from enum import Enum

from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.engine.asynchronous import Lag
from holdfast.storage_replication.engine.backlog import Backlog
from holdfast.storage_replication.engine.resync import Resync
from holdfast.storage_replication.engine.verify import Verify
from holdfast.storage_replication.interfaces import Link


class Phase(Enum):
    """Where the member stands; what it does not get goes into its dirty map."""

    AWAY = "away"
    GREETING = "greeting"
    WAITING = "waiting"  # connected; the record must change before it may be resynced
    RECONCILING = "reconciling"  # counted on; compared in place, nothing is acknowledged meanwhile
    RESYNCING = "resyncing"  # not counted on; behind its undo log
    STREAMING = "streaming"  # has everything


FED = frozenset({Phase.RECONCILING, Phase.RESYNCING, Phase.STREAMING})
"""Gets the writes."""


@dataclass(slots=True)
class Peer:
    """`counts`: the record counts on it, or may do so because we asked for it."""

    name: str
    dirty: Bitmap
    counts: bool
    lag: Lag | None = None
    """Of an async member."""
    link: Link | None = None
    phase: Phase = Phase.AWAY
    applied: int = 0
    flushed: int = 0
    heard_at: float = 0.0
    silent: bool = False
    """For longer than it should be; not yet lost."""
    pinged_at: float = 0.0
    progress: tuple[int, int, int] = (0, 0, 0)
    """Applied, flushed, compared: when it was looked at last."""
    progress_at: float = 0.0
    seen: bool = False
    """It was fed by this primary before, so it lacks something if it has lost its memory."""
    settling: int = 0
    """The flush after which the record may count on it; 0: none."""
    asked: bool | None = None
    """What the record was asked to say, unanswered."""
    ticket: int = 0
    ask_at: float = 0.0
    leaving: bool = False
    instance: str = ""
    """Which copy `dirty` is about; empty: not known."""
    size: int = 0
    """Of its volume, as far as it said: so large that what was new there is zero."""
    greeted: int = 0
    """The size that it was told in HELLO."""
    resync: Resync | None = None
    backlog: Backlog | None = None
    """Of one in a resync that is not waited for."""
    verify: Verify | None = None
    hindered: bool = False
    """A part of it cannot be compared, because the primary cannot read its own."""
    refusal: str = field(default="")
    """Why it did not take part when it was last asked."""
    told: str = ""
    """The refusal of its own that people were told of; empty: it has taken part since."""

    @property
    def caught_up(self) -> bool:
        """Its `applied` speaks for everything that was acknowledged before."""
        if self.phase is Phase.RESYNCING:
            return bool(self.settling)
        return self.phase is Phase.STREAMING
