"""Single events and pairs that recur in the example story."""

from holdfast.events.envelope import Envelope
from holdfast.events.example_recorder import Recorder
from holdfast.events.fields import Health, Layer
from holdfast.events.hands import (
    RecoveryStarted,
)
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import (
    FenceFinished,
    FenceStarted,
)
from holdfast.events.system import (
    NotificationSent,
)

DECIDER = "failover_decider"
AGENT = "fence_ipmilan"


def heard(record: Recorder, observer: str, node: str) -> Envelope:
    """A node's pulse is heard; the root of what follows."""
    return record(observer, DECIDER, _pulse(observer, node, Health.OK, "its pulse is heard"))


def silent(record: Recorder, observer: str, node: str, seconds: float) -> Envelope:
    """A node's pulse is missing; the root of what follows."""
    reason = f"no pulse for {seconds:.2f} s"
    return record(observer, DECIDER, _pulse(observer, node, Health.UNKNOWN, reason))


def _pulse(observer: str, node: str, state: Health, reason: str) -> HealthSignal:
    return HealthSignal(
        layer=Layer.HOST_OS,
        node=node,
        observer=observer,
        probe="pulse",
        state=state,
        previous=Health.UNKNOWN if state is Health.OK else Health.OK,
        reason=reason,
    )


def voters_unheard(node: str) -> HealthSignal:
    """A node's own view that it is cut off."""
    return HealthSignal(
        layer=Layer.NETWORK,
        node=node,
        observer=node,
        probe="lease",
        state=Health.FAILED,
        previous=Health.OK,
        reason="no majority of voters answers",
    )


def fence_status(
    record: Recorder, place: str, node: str, boot: str, cause: Envelope, *, outcome: str
) -> Envelope:
    """A fence device is asked and answers; the answer is returned."""
    started = record(
        place, DECIDER, FenceStarted(node=node, boot=boot, action="status", agent=AGENT), cause
    )
    record.wait(0.18)
    return record(
        place,
        DECIDER,
        FenceFinished(
            node=node,
            boot=boot,
            action="status",
            agent=AGENT,
            outcome=outcome,
            detail=f"chassis power is {outcome}",
            took=0.18,
        ),
        started,
    )


def process_failed(node: str, instance: str, reason: str) -> HealthSignal:
    """A process of the group ended."""
    return HealthSignal(
        layer=Layer.APPLICATION,
        node=node,
        observer=node,
        probe="process",
        state=Health.FAILED,
        previous=Health.OK,
        reason=reason,
        instance=instance,
        measurements={"lived_seconds": 119.4},
    )


def recovery(node: str, *, epoch: int) -> RecoveryStarted:
    """A local restart."""
    return RecoveryStarted(
        group="ledger",
        resource="server",
        node=node,
        epoch=epoch,
        rule="restart_within_attempts",
        attempt=1,
        attempts_allowed=3 if node == "alpha" else 1,
        delay=0.0,
    )


def notified(record: Recorder, about: Envelope) -> None:
    """A channel took the news."""
    record(
        "witness", "notifier", NotificationSent(channel="ops", about=about.id, attempts=1), about
    )
