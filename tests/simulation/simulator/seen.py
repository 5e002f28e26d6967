"""What a cluster did, by name, so that a test can say that it all still happens."""

from collections import Counter
from collections.abc import Iterable

from holdfast.events import EventData
from holdfast.events.hands import (
    OrderRefused,
    RecoveryExhausted,
    RecoverySucceeded,
    ResourceStarted,
)
from holdfast.events.health import NodeCleared
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    FenceFinished,
    GroupHeld,
    LeaderElected,
    LeaseRevoked,
    MoveCompleted,
    MoveFailed,
)


def done(events: Iterable[EventData]) -> Counter[str]:
    """How often each outcome is on the record."""
    return Counter(filter(None, map(_outcome, events)))


def _outcome(data: EventData) -> str:
    match data:
        case DecisionMade():
            return f"decided: {data.rule}"
        case MoveCompleted():
            return f"completed: {data.kind}"
        case DecisionRefused():
            return "refusal"
        case MoveFailed():
            return "roll-back of a start" if data.step == "start" else "move failed at its stop"
        case ResourceStarted(adopted=True):
            return "adoption"
        case RecoverySucceeded():
            return "local recovery"
        case RecoveryExhausted():
            return "escalation"
        case FenceFinished():
            return f"fence run: {data.outcome}"
        case LeaseRevoked():
            return "lease revoked"
        case GroupHeld():
            return "group held"
        case OrderRefused():
            return "order refused"
        case NodeCleared():
            return "suspect heard again"
        case LeaderElected():
            return "leader elected"
    return ""
