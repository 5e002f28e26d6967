"""Which events are actions and which may begin a chain of causes: the table behind I7."""

from holdfast.events.hands import ResourceStarted
from holdfast.events.registry import EventData

ROOT_TYPES = frozenset({"health_signal", "operator_request"})
"""Types that may stand at the top of an action's chain of causes: what was seen, what was asked."""

ACTION_TYPES = frozenset(
    {
        "decision_made",
        "fence_started",
        "fence_finished",
        "lease_revoked",
        "ownership_changed",
        "order_sent",
        "order_accepted",
        "move_completed",
        "move_failed",
        "group_held",
        "resource_started",
        "resource_stopped",
        "resource_failed",
        "group_started",
        "group_verified",
        "group_stopped",
        "recovery_started",
        "recovery_succeeded",
        "recovery_exhausted",
        "volume_activated",
        "volume_released",
        "volume_created",
        "volume_set_changed",
        "volume_fell_back",
    }
)
"""Types that touch a machine or a group, or commit to doing so.

Neither: the life of Holdfast itself (services, leaders, leases won), refusals, which change
nothing, and notifications.
"""


def is_action(name: str, data: EventData | None) -> bool:
    """Whether this event needs an unbroken chain to a root. Adopting what runs touches nothing."""
    adopted = isinstance(data, ResourceStarted) and data.adopted
    return name in ACTION_TYPES and not adopted
