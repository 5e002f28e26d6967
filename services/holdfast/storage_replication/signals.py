"""The health of active volumes as signals: what changed, and what is not ok now. Pure."""

from dataclasses import dataclass, replace

from holdfast.events import Draft, Health, Layer
from holdfast.events.fields import volume_entity
from holdfast.events.health import HealthSignal
from holdfast.ids import Mint
from holdfast.wire import SignalSummary


@dataclass(frozen=True, slots=True)
class Signals:
    """What is not ok, by volume. One probe is enough for failed: it has its own deadline."""

    node: str
    failing: tuple[SignalSummary, ...] = ()

    def observe(
        self, volume: str, epoch: int, problem: str, now: float, mint: Mint
    ) -> tuple["Signals", Draft | None]:
        """One probe's result; `problem` is empty if it passed. `now` is monotonic seconds."""
        entity, instance = volume_entity(volume), f"epoch:{epoch}"
        before = next((s for s in self.failing if s.entity == entity), None)
        if bool(problem) == (before is not None):
            return self, None
        others = tuple(s for s in self.failing if s.entity != entity)
        event = mint()
        incident = before.incident if before else event
        draft = Draft(
            id=event,
            data=HealthSignal(
                layer=Layer.STORAGE,
                node=self.node,
                observer=self.node,
                probe="volume",
                state=Health.FAILED if problem else Health.OK,
                previous=Health.OK if problem else Health.FAILED,
                reason=problem or "it takes writes again",
                instance=instance,
            ),
            entity=entity,
            incident=incident,
            cause=before.event if before else None,
        )
        if not problem:
            return replace(self, failing=others), draft
        summary = SignalSummary(
            entity=entity,
            node=self.node,
            layer=Layer.STORAGE,
            probe="volume",
            state=Health.FAILED,
            reason=problem,
            event=event,
            incident=incident,
            since=now,
            instance=instance,
        )
        return replace(self, failing=(*others, summary)), draft

    def forget(self, volume: str) -> "Signals":
        """It is not active any more: its health is not our business."""
        entity = volume_entity(volume)
        return replace(self, failing=tuple(s for s in self.failing if s.entity != entity))
