"""Recording events when the disk may refuse them: in order, later if need be, said loudly."""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.events import Draft
from holdfast.recovery.messages import Refuse
from holdfast.recovery.orders import NOT_ITS_FAULT

MAX_UNRECORDED = 1024
MAX_REMEMBERED = 64
_log = logging.getLogger("holdfast.recovery")


class Recorder:
    """Between the cores and the outbox. A stop never waits for the record; a start does."""

    def __init__(self, emit: Callable[[Draft], object], reject: Callable[[str, str], None]) -> None:
        """`reject` counts a bad message: kind and reason."""
        self._emit, self._reject = emit, reject
        self._unrecorded: deque[Draft] = deque()
        self._refused: OrderedDict[tuple[str, str, int, str], None] = OrderedDict()

    @property
    def problem(self) -> str:
        """Why nothing may be started now; empty when all is recorded."""
        return f"{len(self._unrecorded)} events cannot be recorded" if self._unrecorded else ""

    def record(self, draft: Draft) -> None:
        """Spool an event after those that still wait."""
        self._unrecorded.append(draft)
        self.catch_up()

    def catch_up(self) -> None:
        """Try again what could not be spooled. Beyond MAX_UNRECORDED the oldest is given up."""
        while self._unrecorded:
            try:
                self._emit(self._unrecorded[0])
            except HoldfastError as error:
                if len(self._unrecorded) > MAX_UNRECORDED:
                    lost = self._unrecorded.popleft()
                    _log.critical("event %s is lost, it cannot be recorded: %s", lost.id, error)
                return
            self._unrecorded.popleft()

    def refused(self, refusal: Refuse) -> None:
        """Count a refused order; record it once, however often it is repeated."""
        order = refusal.order
        if refusal.kind not in NOT_ITS_FAULT:
            self._reject(refusal.kind, refusal.reply.error)
        key = (order.intent, order.action, order.epoch, refusal.kind)
        if key in self._refused:
            self._refused.move_to_end(key)
            return
        self._refused[key] = None
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)
        self.record(refusal.draft)
