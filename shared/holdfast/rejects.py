"""Bad messages: counted, and reported once per subject and kind, then at every power of ten."""

import logging
from collections.abc import Callable, Mapping

from holdfast.errors import HoldfastError
from holdfast.events.system import MessageRejected

MAX_PAIRS = 256
OTHER = "other"
_log = logging.getLogger("holdfast.rejects")


class Rejects:
    """Counts rejected messages. `report` emits the event; a sender of garbage cannot flood it."""

    def __init__(self, report: Callable[[MessageRejected], None]) -> None:
        self._report = report
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many so far, by subject and kind."""
        return self._counts

    def reject(self, subject: str, kind: str, reason: str) -> None:
        """Count one bad message; report it if it is the first, tenth, hundredth... of its pair.

        Beyond MAX_PAIRS subjects and kinds, further ones are counted together as `other`.
        """
        pair = (subject[:200], kind[:40])
        if pair not in self._counts and len(self._counts) >= MAX_PAIRS:
            pair = (OTHER, OTHER)
        count = self._counts[pair] = self._counts.get(pair, 0) + 1
        if not _is_power_of_ten(count):
            return
        _log.warning("rejected %s message %d on %s: %s", kind, count, subject, reason)
        rejected = MessageRejected(
            message_subject=pair[0], kind=pair[1], reason=reason[:1000], count=count
        )
        try:
            self._report(rejected)
        except HoldfastError as error:
            # A full spool must not turn a stranger's garbage into a crash of this service.
            _log.error("could not record a rejected message: %s", error)


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1
