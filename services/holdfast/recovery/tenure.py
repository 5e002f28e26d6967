"""When the node's lease counts as held, and when its groups must stop. Pure; times monotonic."""

from typing import Literal

import msgspec

from holdfast.structs import replace


class Tenure(msgspec.Struct, frozen=True):
    """The lease as the groups feel it: it ends `stop_before` seconds ahead of its real end.

    So stopping in order begins while takeover is still impossible. `valid_until` is what votes
    gave, margin subtracted; 0 if a majority took it away. `since` is when it was acquired: while it
    is held there was no gap.
    """

    stop_before: float
    valid_until: float = 0.0
    held: bool = False
    since: float = 0.0

    def taken_up(self, since: float, valid_until: float, now: float) -> "Tenure":
        """What an earlier run of this service held goes on if it lasts."""
        new, change = self.advance(valid_until, now)
        return replace(new, since=since) if change == "acquired" else new

    @property
    def act_until(self) -> float:
        """Until when a start may begin."""
        return self.valid_until - self.stop_before if self.held else 0.0

    def advance(
        self, valid_until: float, now: float
    ) -> tuple["Tenure", Literal["acquired", "lost"] | None]:
        """What votes and the passing of time make of it. Call at `act_until` at the latest."""
        ends = valid_until - self.stop_before
        new = replace(self, valid_until=valid_until, held=now < ends)
        if new.held and not self.held:
            return replace(new, since=now), "acquired"
        if self.held and not new.held:
            return new, "lost"
        return new, None
