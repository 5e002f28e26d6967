"""What probes tell the core: who was looked at, and how it was found."""

import msgspec

from holdfast.events.fields import Health, Layer


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One series of observations: one probe looking at one entity.

    `node` is the node it is about, which for a peer is not the node that looks.
    """

    entity: str
    node: str
    layer: Layer
    probe: str
    instance: str = ""

    def seen(
        self,
        state: Health,
        reason: str,
        measurements: dict[str, float] | None = None,
        *,
        failures: int = 1,
        hold: float = 0.0,
    ) -> "Observation":
        """An observation of this subject; see Observation for `failures` and `hold`."""
        return Observation(
            subject=self,
            state=state,
            reason=reason,
            measurements=measurements or {},
            failures=failures,
            hold=hold,
        )


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a subject, and how much it takes before it counts.

    A state other than the one in force counts once it was seen without interruption `failures`
    times (only if it is not ok: one good look is enough) and for `hold` seconds.
    """

    subject: Subject
    state: Health
    reason: str
    measurements: dict[str, float] = {}
    failures: int = 1
    hold: float = 0.0
