"""A host in the model: its hands hold a lease, do as they are told, and report it. Pure.

What the model assumes is in `ASSUMPTIONS`, which every prediction repeats.
"""

from typing import Literal

from holdfast.failover_decider.state import NodeView
from holdfast.lease import HolderState, VoterState, node_lease
from holdfast.structs import replace
from holdfast.timing import Timing
from holdfast.wire import GroupReport, HandsPulse, MonitorPulse, Order, OrderReply

START_TAKES = 1.0
STOP_TAKES = 0.5
FENCE_TAKES = 0.2
"""Seconds, unless something better is known."""
ASSUMPTIONS = (
    "every start and stop that is ordered succeeds; "
    f"a start takes {START_TAKES} s, a stop {STOP_TAKES} s",
    f"fence devices answer within {FENCE_TAKES} s: a lost host is off, a silent one is on until "
    "it is switched off",
    "every other place, voter and nats-server answers at once; the store of ownership may in truth "
    "stall for 4 to 9 s when the place that leads it is lost",
    "signals and copies of volumes stay as they are; nothing else fails meanwhile",
)


class Host:
    """One node. `state` is what is true of it, whoever knows."""

    def __init__(
        self, view: NodeView, heard_for: float, voters: dict[str, VoterState], timing: Timing
    ) -> None:
        """`heard_for`: seconds since the view's last pulse."""
        assert view.boot is not None
        self.name, self.boot, self._timing = view.node, view.boot, timing
        self.state: Literal["on", "silent", "off"] = "on"
        self._clock_at_start = view.clock + heard_for
        self._signals, self._volumes = view.signals, view.volumes
        self.groups = {r.group: r for r in view.hands.groups} if view.hands else {}
        self._done: dict[str, float] = {}
        lease = node_lease(view.node)
        rounds = [voter.promised_round.get(lease, 0) for voter in voters.values()]
        valid = view.hands is not None and view.hands.lease_valid
        term = view.hands.term if view.hands else 0
        self.lease = HolderState(
            lease=lease,
            holder=view.node,
            boot=view.boot,
            voters=len(voters),
            ttl=timing.ttl,
            margin=timing.margin,
            electorate=max((voter.electorate for voter in voters.values()), default=""),
            term=term,
            highest_seen=term,
            valid_until=self._clock_at_start + timing.ttl - timing.margin if valid else 0.0,
            next_round=max(rounds, default=0) + 1,
        )

    def clock(self, now: float) -> float:
        """This host's own monotonic seconds; `now` is the model's."""
        return self._clock_at_start + now

    def pulses(self, now: float) -> list[HandsPulse | MonitorPulse]:
        """What it tells of itself every `pulse_every` seconds."""
        clock = self.clock(now)
        hands = HandsPulse(
            node=self.name,
            boot=self.boot,
            now=clock,
            term=self.lease.term,
            lease_valid=self.lease.valid(clock + self._timing.stop_before),
            groups=list(self.groups.values()),
        )
        services = {"monitor": (), **self._signals}
        return [
            hands,
            *(
                MonitorPulse(
                    node=self.name,
                    boot=self.boot,
                    service=service,
                    now=clock,
                    signals=list(signals),
                    volumes=list(self._volumes) if service == "storage_replication" else [],
                )
                for service, signals in services.items()
            ),
        ]

    def obey(self, order: Order, now: float) -> OrderReply:
        """Carry out an order as the hands do: refused if it is not for them, else done in time."""
        clock, report = self.clock(now), self.groups.get(order.group)
        known = report.epoch if report else 0
        if order.boot != self.boot or clock > order.not_after or order.epoch < known:
            return OrderReply(intent=order.intent, accepted=False, error="it is not for this host")
        takes = START_TAKES if order.action == "start" else STOP_TAKES
        done_at = self._done.setdefault(order.intent, now + takes)
        done = now >= done_at
        state = _STATES[order.action, done]
        self.groups[order.group] = GroupReport(group=order.group, epoch=order.epoch, state=state)
        return OrderReply(intent=order.intent, accepted=True, done=done)

    def fail(self, group: str, event: str) -> None:
        """Local recovery of a group is used up; `event` says so on the record."""
        report = self.groups[group]
        self.groups[group] = replace(report, state="failed", event=event, incident=event)


_STATES: dict[tuple[str, bool], Literal["starting", "active", "stopping", "stopped"]] = {
    ("start", False): "starting",
    ("start", True): "active",
    ("stop", False): "stopping",
    ("stop", True): "stopped",
}
