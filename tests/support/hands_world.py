"""One group's core against a pretended machine that may fail, lag, and be cut off from its core.

The machine is the truth that the core must never misreport: what really runs, and since which
epoch. Used by the tests of the core; it knows nothing of how the core works.
"""

from dataclasses import dataclass, field, replace

from holdfast.config.model import CommandResource, LocalRecovery, Resource
from holdfast.events import Draft, EventData, Health, Layer, event_name
from holdfast.events.fields import resource_entity
from holdfast.recovery.core import decide
from holdfast.recovery.messages import (
    ActionDone,
    Effect,
    Emit,
    Input,
    Journal,
    OrderReceived,
    Refuse,
    Reply,
    Resumed,
    RunAction,
    SignalHeard,
    Tick,
)
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.state import GroupState, blank
from holdfast.wire import Order, OrderReply, SignalSummary

NODE, BOOT, GROUP = "alpha", "boot-1", "web"


def resource(
    after: tuple[str, ...] = (), attempts: int = 2, window: float = 100.0, backoff: float = 0.0
) -> Resource:
    """A resource whose commands do not matter: the world carries the actions out."""
    rules = LocalRecovery(attempts=attempts, window=window, backoff=backoff)
    argv = ["/bin/true"]
    return CommandResource(start=argv, stop=argv, probe=argv, after=list(after), recovery=rules)


def plan_of(**resources: Resource) -> GroupPlan:
    """A plan; name the resources in starting order."""
    return GroupPlan(group=GROUP, node=NODE, boot=BOOT, resources=resources)


@dataclass
class World:
    """The core's shell, machine and clock. `running` maps a resource to the epoch it runs at."""

    plan: GroupPlan
    now: float = 1000.0
    act_until: float = 10_000.0
    running: dict[str, int] = field(default_factory=dict)
    stored: GroupState | None = None
    pending: RunAction | None = None
    events: list[Draft] = field(default_factory=list)
    started: list[tuple[str, int]] = field(default_factory=list)
    replies: list[OrderReply] = field(default_factory=list)
    minted: int = 0
    suspended_until: float = 0.0
    allowed: set[int] | None = None
    """Epochs at which something may be started now; None: not checked."""

    def __post_init__(self) -> None:
        self.state = blank(self.plan.group, self.plan.names)

    @property
    def phase(self) -> str:
        """The group's phase as it would be reported."""
        return self.state.phase

    def mint(self) -> str:
        """A fresh id."""
        self.minted += 1
        return f"id-{self.minted}"

    def feed(self, event: Input) -> list[Effect]:
        """Give the core an input and carry out its effects, all but the end of actions."""
        self.state, effects = decide(
            self.plan, self.state, event, self.now, self.mint, self.suspended_until
        )
        replies = 0
        for effect in effects:
            match effect:
                case Emit():
                    self.events.append(effect.draft)
                case Journal():
                    self.stored = effect.state
                case RunAction():
                    self._begin(effect)
                case Reply() | Refuse():
                    self.replies.append(effect.reply)
                    replies += 1
        assert replies == (1 if isinstance(event, OrderReceived) else 0)
        # I9: whatever follows an input can be taken up from the disk alone.
        assert self.stored == self.state or self.state == blank(self.plan.group, self.plan.names)
        return effects

    def _begin(self, action: RunAction) -> None:
        assert self.stored is not None
        assert self.stored.action == action.number, "acted before it was stored"
        self._give_up()
        self.pending = action
        if action.verb == "start":
            assert action.resource not in self.running, "started twice"
            assert self.allowed is None or action.epoch in self.allowed, "no order allows it now"
            self.started.append((action.resource, action.epoch))

    def finish(self, *, ok: bool = True, effective: bool = True, reason: str = "it broke") -> None:
        """End the action in flight. A failed one may have had its effect all the same."""
        action, self.pending = self.pending, None
        assert action is not None
        found = action.resource in self.running
        if ok or effective:
            self._take_effect(action)
        instance = f"epoch:{action.epoch}.{action.known.starts}"
        self.feed(
            ActionDone(
                number=action.number,
                ok=ok,
                took=0.1,
                reason="" if ok else reason,
                instance=instance,
                found=found,
                checks=1,
            )
        )

    def _give_up(self) -> None:
        """An action that is given up has had its effect every other time."""
        if self.pending is not None and self.pending.number % 2:
            self._take_effect(self.pending)
        self.pending = None

    def _take_effect(self, action: RunAction) -> None:
        if action.verb == "start":
            self.running[action.resource] = action.epoch
        elif action.verb == "stop":
            self.running.pop(action.resource, None)

    def settle(self) -> None:
        """Let every action succeed until the core wants nothing more; time passes as it asks."""
        for _ in range(1000):
            if self.pending is not None:
                self.finish()
            elif (wake := self.state.wake_at()) is not None:
                self.now = max(self.now, wake)
                self.tick()
            else:
                return
        raise AssertionError("the core never comes to rest")

    def tick(self) -> None:
        """The back-off may have passed."""
        self.feed(Tick())

    def resume(self, *, adopt: bool, boot: str = BOOT) -> None:
        """Kill the service and start it again from what is stored."""
        self._give_up()
        self.plan = replace(self.plan, boot=boot)
        self.state = self.stored or blank(self.plan.group, self.plan.names)
        self.feed(Resumed(boot=boot, adopt=adopt, alive=frozenset(self.running)))

    def order(self, action: str, epoch: int, intent: str, not_after: float = 1e9) -> OrderReply:
        """Send an order; returns the reply."""
        order = Order(
            action="start" if action == "start" else "stop",
            group=GROUP,
            node=NODE,
            boot=self.plan.boot,
            epoch=epoch,
            intent=intent,
            incident="incident",
            cause="order-sent",
            not_after=not_after,
            leader_term=1,
        )
        self.feed(OrderReceived(order, self.act_until))
        return self.replies[-1]

    def signal(self, name: str, event: str, state: Health = Health.FAILED, **changes: str) -> None:
        """A pulse says that a resource's current instance is in this state."""
        summary = SignalSummary(
            entity=resource_entity(GROUP, name),
            node=NODE,
            layer=Layer(changes.get("layer", "application")),
            probe="http",
            state=state,
            reason="no answer",
            event=event,
            incident="signal-incident",
            since=self.now - 0.5,
            instance=changes.get("instance", self.state.resource(name).instance),
        )
        self.feed(SignalHeard(summary))

    def names(self) -> list[str]:
        """Names of all events so far."""
        return [event_name(draft.data) for draft in self.events]

    def last(self, kind: type[EventData]) -> Draft:
        """The newest event of a type."""
        return next(d for d in reversed(self.events) if isinstance(d.data, kind))
