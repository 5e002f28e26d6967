"""The monitor's core, fed with observations."""

import itertools

from holdfast.events import Draft
from holdfast.events.fields import Health, Layer
from holdfast.events.health import HealthSignal
from holdfast.monitor import core
from holdfast.monitor.observation import Observation, Subject

OK, DEGRADED, FAILED, UNKNOWN = Health.OK, Health.DEGRADED, Health.FAILED, Health.UNKNOWN


class Run:
    """A core being fed, with the drafts it gave."""

    def __init__(self) -> None:
        self.state = core.State(observer="alpha")
        self.drafts: list[Draft] = []
        self._ids = (f"id-{n}" for n in itertools.count(1))

    def see(
        self,
        state: Health,
        *,
        at: float = 0.0,
        probe: str = "http",
        entity: str = "resource/g/r",
        instance: str = "1:1",
        failures: int = 1,
        hold: float = 0.0,
    ) -> Draft | None:
        seen = Observation(
            subject=Subject(
                entity=entity,
                node="alpha",
                layer=Layer.APPLICATION,
                probe=probe,
                instance=instance,
            ),
            state=state,
            reason=f"{probe} {state}",
            failures=failures,
            hold=hold,
        )
        self.state, drafts = core.observe(self.state, seen, at, self._ids.__next__)
        self.drafts.extend(drafts)
        return drafts[0] if drafts else None

    @property
    def pulse(self) -> list[tuple[str, Health]]:
        return [(signal.probe, signal.state) for signal in core.pulse_signals(self.state)]


def health(draft: Draft | None) -> HealthSignal:
    assert draft is not None
    assert isinstance(draft.data, HealthSignal)
    return draft.data
