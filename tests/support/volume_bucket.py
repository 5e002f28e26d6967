"""The bucket of records as its only writer sees it."""

from collections.abc import Callable

from holdfast.bus_errors import BusTimeout, Conflict
from holdfast.storage_replication.replicated import membership
from holdfast.volumes import VolumeRecord

FIRST = membership.create("v", "uuid", 1 << 20, ["alpha", "beta"], "alpha")


class Bucket:
    """The bucket as its only writer sees it. `lose`: answers that do not arrive."""

    def __init__(self, lose: int = 0, *, writes: bool = True) -> None:
        self.record, self.revision, self.tried = FIRST, 1, 0
        self.lose, self.writes = lose, writes
        self.handler: Callable[[VolumeRecord, int], None] = lambda _record, _revision: None

    async def compare_and_set(self, record: VolumeRecord, revision: int, *, timeout: float) -> int:
        """Write and answer; write and say nothing; or neither."""
        self.tried += 1
        assert timeout > 0
        if revision != self.revision:
            self.handler(self.record, self.revision)
            raise Conflict("not at that revision any more", place="v", cure="again")
        lost, self.lose = self.lose > 0, self.lose - 1
        if self.writes or not lost:
            self.record, self.revision = record, revision + 1
        if lost:
            raise BusTimeout("no answer", place="v", cure="again")
        return self.revision

    async def watch(
        self, handler: Callable[[VolumeRecord, int], None], loaded: Callable[[], None]
    ) -> None:
        """The current record, once; later ones when a writer meets them."""
        self.handler = handler
        handler(self.record, self.revision)
        loaded()
