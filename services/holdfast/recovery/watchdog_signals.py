"""What is on record of a node's watchdog: that it cannot be armed or petted, and that it can."""

from collections.abc import Callable

from holdfast.events import Draft, Health, Layer
from holdfast.events.fields import node_entity
from holdfast.events.health import HealthSignal
from holdfast.ids import uuid7
from holdfast.wire import WatchdogReport


class WatchdogSignals:
    """Says it once; another reason is no news. `record` takes an event."""

    def __init__(self, place: str, boot: str, record: Callable[[Draft], object]) -> None:
        self._place, self._boot, self._record = place, boot, record
        self._failed: Draft | None = None

    def see(self, report: WatchdogReport | None) -> None:
        """What the watchdog reports now; None for a node without one."""
        problem = report.problem if report is not None else ""
        before = self._failed
        if bool(problem) == (before is not None):
            return
        signal = HealthSignal(
            layer=Layer.HARDWARE,
            node=self._place,
            observer=self._place,
            probe="watchdog",
            state=Health.FAILED if problem else Health.OK,
            previous=Health.FAILED if before else Health.UNKNOWN,
            reason=problem or "it does as it is told again",
            instance=self._boot,
        )
        draft = Draft(
            id=uuid7(),
            data=signal,
            entity=node_entity(self._place),
            incident=before.correlation if before else None,
            cause=before.id if before else None,
        )
        self._failed = draft if problem else None
        self._record(draft)
