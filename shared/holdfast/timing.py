"""Timing profiles: how long a lease lasts and when silence becomes suspicion. All in seconds."""

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One profile. The order of these times is what keeps two owners apart; see `check`."""

    ttl: float
    """How long a voter's promise to a node lasts."""
    renew_every: float
    leader_ttl: float
    """The same for the deciders' leadership, shorter: a change of leader moves no workload."""
    margin: float
    """What a holder subtracts from its lease, for drift of clock rates."""
    stop_before: float
    """A holder that could not renew begins to stop its groups this long before its lease ends."""
    kill_before: float
    """... and kills what has not stopped this long before its lease ends."""
    suspect_after: float
    pulse_every: float
    order_expiry: float
    """How long an order to a node's hands stays valid, on the receiving node's clock."""
    frozen_after: float
    """A service that stands still this long, on a host that does not, is ended and started again.
    Where leases last (`tolerant`), hands are then back before they would have to stop anything."""

    @property
    def stall(self) -> float:
        """A node that stands still for less moves nothing."""
        return self.ttl - self.margin - self.stop_before - self.renew_every

    def check(self) -> None:
        """Assert the order of the times on which safety rests."""
        assert 0 < self.kill_before < self.stop_before < self.ttl - self.margin
        assert self.renew_every * 3 <= self.ttl - self.margin - self.stop_before
        assert 0 < self.pulse_every * 3 <= self.suspect_after < self.ttl
        assert self.margin >= self.ttl * 0.02
        assert self.frozen_after > 5.0


PROFILES = {
    "fast": Timing(
        ttl=2.5,
        renew_every=0.25,
        leader_ttl=2.0,
        margin=0.1,
        stop_before=0.8,
        kill_before=0.4,
        suspect_after=1.0,
        pulse_every=0.2,
        order_expiry=2.0,
        frozen_after=10.0,
    ),
    # Bears a stall of 5 s: one that wakes needs up to 0.6 s for the bus and its next renewal.
    "standard": Timing(
        ttl=6.5,
        renew_every=0.25,
        leader_ttl=3.0,
        margin=0.13,
        stop_before=0.35,
        kill_before=0.2,
        suspect_after=1.5,
        pulse_every=0.25,
        order_expiry=3.0,
        frozen_after=10.0,
    ),
    "tolerant": Timing(
        ttl=15.0,
        renew_every=1.0,
        leader_ttl=6.0,
        margin=0.5,
        stop_before=4.0,
        kill_before=1.0,
        suspect_after=4.0,
        pulse_every=0.5,
        order_expiry=6.0,
        frozen_after=6.0,
    ),
}

LONGEST_TTL = max(timing.ttl for timing in PROFILES.values())
"""No version ever promised for longer: what holds where a promise's length is not known."""

for _timing in PROFILES.values():
    _timing.check()
