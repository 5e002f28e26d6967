"""The activity log: the extents in which members may differ after a crash."""

from collections.abc import Callable, Iterable

from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.interfaces import Done

UNSETTLED = 1 << 63
"""As a sequence number: found on disk, and not compared with anybody yet."""


class ActivityLog:
    """An extent is active durably before its data changes, and until all members agree on it."""

    def __init__(self, bits: Bitmap, limit: int, failed: Done) -> None:
        """At most `limit` extents at a time; 0: as many as there are. `failed`: the disk did."""
        self.bits = bits
        self.limit = limit
        self.active: dict[int, int] = dict.fromkeys(bits, UNSETTLED)
        """Extent, durable on disk: the last write to it."""
        self._failed = failed
        self._waiting: list[tuple[list[int], Callable[[], None]]] = []
        self._next: list[tuple[list[int], Callable[[], None]]] = []
        self._entering: set[int] = set()
        self._batch: list[tuple[list[int], Callable[[], None]]] = []
        self._telling: list[tuple[list[int], Callable[[], None]]] = []

    @property
    def pressed(self) -> bool:
        """Somebody waits for room."""
        return bool(self._waiting)

    @property
    def crowded(self) -> bool:
        """More is active than there is room for, since the limit was another."""
        return 0 < self.limit < len(self.active)

    def activate(self, extents: Iterable[int], then: Callable[[], None]) -> None:
        """Call `then` once all are active. Who waits is served in order.

        It is called, too, when the disk has failed or `abandon` was called: whoever is told looks.
        """
        self._waiting.append((list(extents), then))
        self._admit()

    def clean(self, seq: int) -> None:
        """All members agree, durably, on what was written up to `seq`."""
        # Somebody was promised these, and is told when the disk has them.
        kept = {
            extent
            for extents, _ in (*self._telling, *self._batch, *self._next)
            for extent in extents
        }
        for extent in [e for e, last in self.active.items() if last <= seq and e not in kept]:
            del self.active[extent]
            self.bits.clear(extent)
        self._admit()

    def abandon(self) -> None:
        """Whoever waits for room need not wait any more: what it wanted is not to be done."""
        waiting, self._waiting = self._waiting, []
        self.limit = 0
        for _, then in waiting:
            then()

    def bound(self, limit: int) -> None:
        """Another limit, from now on; what is active stays so until it is cleaned."""
        if limit != self.limit:
            self.limit = limit
            self._admit()

    def coldest(self, number: int) -> int:
        """The sequence number of the `number`th of those that were written to longest ago."""
        return sorted(self.active.values())[:number][-1] if self.active else UNSETTLED

    def unsettle(self) -> None:
        """Another primary counts from now on: nothing that is active has been compared with it."""
        self.active = dict.fromkeys(self.active, UNSETTLED)

    def settle(self, seq: int) -> None:
        """What was found on disk has been compared: it counts as written at `seq`."""
        for extent, last in self.active.items():
            if last == UNSETTLED:
                self.active[extent] = seq

    def _admit(self) -> None:
        while self._waiting:
            wanted = self._waiting[0][0]
            new = [e for e in wanted if e not in self.active and e not in self._entering]
            used = len(self.active) + len(self._entering)
            # One that alone is larger than the bound goes when nothing else is active.
            if self.limit and new and used and used + len(new) > self.limit:
                break
            self._entering.update(new)
            self._next.append(self._waiting.pop(0))
            for extent in wanted:
                self.bits.set(extent)
        self._save()

    def _save(self) -> None:
        if not self._batch and self._next:
            self._batch, self._next = self._next, []
            self.bits.save(self._saved)

    def _saved(self, error: int) -> None:
        batch, self._batch = self._batch, []
        if error:
            self._failed(error)
        else:
            for extents, _ in batch:
                for extent in extents:
                    self._entering.discard(extent)
                    self.active.setdefault(extent, 0)
        # Whoever is told may clean, or activate more: the others keep what they were promised.
        self._telling += batch
        while self._telling:
            self._telling.pop(0)[1]()
        if not error:
            self._save()
