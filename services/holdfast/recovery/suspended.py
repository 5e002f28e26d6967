"""Groups in maintenance: what fails in them is not restarted here. Lease and orders are untouched.

The monitor repeats what is not well with every pulse, so what failed meanwhile is heeded as soon
as the maintenance is over. A restart that was begun before, and waits, waits for that, too.
Hands that have just started do not know yet what they were told before, so they listen first.
"""

from holdfast.wire import Suspend

TOLD_WITHIN = 3.0
"""Seconds: the leader says it every two, while there is such a group."""


class Suspended:
    """What the leading decider last said, for as long as it is valid. Times: monotonic seconds."""

    def __init__(self, node: str, boot: str, started: float) -> None:
        self._here = (node, boot)
        self._listens_until = started + TOLD_WITHIN
        self._groups: frozenset[str] = frozenset()
        self._until = 0.0

    def hear(self, told: Suspend, now: float) -> None:
        """Take the set over, unless it is meant for another boot or too late."""
        if (told.node, told.boot) == self._here and now <= told.not_after:
            self._groups, self._until = frozenset(told.groups), told.not_after
            self._listens_until = 0.0

    def covers(self, group: str, now: float) -> bool:
        """Whether local recovery leaves the group alone now."""
        return now <= self.until(group)

    def until(self, group: str) -> float:
        """Until when it does, as far as was said; 0 if it does not."""
        return max(self._until if group in self._groups else 0.0, self._listens_until)
