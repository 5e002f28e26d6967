"""The health of active volumes as signals: what changed, and what is not ok now. Pure."""

from dataclasses import dataclass, replace

from holdfast.events import Draft, Health, Layer
from holdfast.events.fields import volume_entity
from holdfast.events.health import HealthSignal
from holdfast.ids import Mint
from holdfast.wire import SignalSummary


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at. A problem of it makes the volume `state`."""

    volume: str
    epoch: int
    probe: str = "volume"
    state: Health = Health.FAILED
    about: str = ""
    """The node it speaks of, if not this one."""
    well: str = "it takes writes again"


@dataclass(frozen=True, slots=True)
class Signals:
    """What is not ok, by volume and probe. One look is enough: it has its own deadline."""

    node: str
    failing: tuple[SignalSummary, ...] = ()

    def observe(
        self, seen: Seen, problem: str, now: float, mint: Mint
    ) -> tuple["Signals", Draft | None]:
        """One probe's result; `problem` is empty if it passed. `now` is monotonic seconds."""
        entity, instance = volume_entity(seen.volume), f"epoch:{seen.epoch}"
        before = self.of(seen.volume, seen.probe)
        after = seen.state if problem else Health.OK
        if after is (before.state if before else Health.OK):
            return self, None
        others = tuple(s for s in self.failing if s is not before)
        event = mint()
        incident = before.incident if before else event
        draft = Draft(
            id=event,
            data=HealthSignal(
                layer=Layer.STORAGE,
                node=seen.about or self.node,
                observer=self.node,
                probe=seen.probe,
                state=after,
                previous=before.state if before else Health.OK,
                reason=problem or seen.well,
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
            node=seen.about or self.node,
            layer=Layer.STORAGE,
            probe=seen.probe,
            state=after,
            reason=problem,
            event=event,
            incident=incident,
            since=now,
            instance=instance,
        )
        return replace(self, failing=(*others, summary)), draft

    def of(self, volume: str, probe: str) -> SignalSummary | None:
        """What is wrong with a volume as that probe sees it."""
        entity = volume_entity(volume)
        return next((s for s in self.failing if (s.entity, s.probe) == (entity, probe)), None)

    def forget(self, volume: str, keep: str = "") -> "Signals":
        """It is not active any more: its health, but for one probe's, is not our business."""
        entity = volume_entity(volume)
        failing = tuple(s for s in self.failing if s.entity != entity or s.probe == keep)
        return replace(self, failing=failing)
