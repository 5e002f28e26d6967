"""The hands' invariants under any sequence of orders, failures, restarts and ends of the lease."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.recovery.messages import ActionDone, LeaseEnded
from tests.support.hands_world import World, plan_of, resource

STEPS = st.sampled_from([1, 1, 1, 0, -1, 2])
"""Mostly the next epoch, as deciders send it, now and then one that is not."""
INTENTS = st.sampled_from("abc")


class Hands(RuleBasedStateMachine):
    """The world asserts I9 and "never started twice" itself, with every input."""

    @initialize(adopt=st.booleans())
    def begin(self, adopt: bool) -> None:
        self.world = World(plan_of(one=resource(), two=resource(after=("one",))))
        self.highest = 0
        self.world.allowed = set()
        self.boots = 1
        self.world.resume(adopt=adopt)

    @rule(action=st.sampled_from(["start", "stop"]), step=STEPS, intent=INTENTS)
    def order(self, action: str, step: int, intent: str) -> None:
        epoch = max(0, self.highest + step)
        known = self.world.state.order
        same = known is not None and (known.action, known.epoch, known.intent) == (
            action,
            epoch,
            intent,
        )
        past = epoch < self.highest or (action == "start" and epoch == self.highest)
        leased = action == "stop" or self.world.now < self.world.act_until
        if not same and not past and leased:
            self.highest = epoch
            self.world.allowed = {epoch} if action == "start" else set()
        begun = self.world.state.actions
        reply = self.world.order(action, epoch, intent)
        assert reply.accepted == (same or (not past and leased))
        if same or not reply.accepted:
            assert self.world.state.actions == begun, "a repetition (I8) or a past epoch (I2) acts"

    @precondition(lambda self: self.world.pending is not None)
    @rule(ok=st.booleans(), effective=st.booleans())
    def action_ends(self, ok: bool, effective: bool) -> None:
        self.world.finish(ok=ok, effective=effective)

    @rule()
    def nothing_fails_for_a_while(self) -> None:
        self.world.settle()

    @rule(number=st.integers(0, 30), ok=st.booleans())
    def stray_end(self, number: int, ok: bool) -> None:
        if number != self.world.state.action:
            before = self.world.state
            self.world.feed(ActionDone(number=number, ok=ok, took=0.0, instance="stray"))
            assert self.world.state == before

    @rule(name=st.sampled_from(["one", "two"]), event=st.sampled_from("vwxyz"))
    def resource_fails(self, name: str, event: str) -> None:
        self.world.signal(name, event)

    @rule(seconds=st.floats(0.0, 50.0))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tick()

    @rule(intent=INTENTS)
    def becomes_active(self, intent: str) -> None:
        """What deciders usually achieve; without it, few runs would get anywhere worth breaking."""
        self.world.act_until = self.world.now + 1000.0
        self.order("start", 1, intent)
        self.world.settle()
        assert self.world.state.phase == "active"

    @rule(what=st.sampled_from(["lease ends", "adopted", "too late", "new boot"]))
    def disturbed(self, what: str) -> None:
        match what:
            case "lease ends":
                self._lease_ends()
            case "new boot":
                self._host_restarts()
            case _:
                self._service_restarts(adopt=what == "adopted")

    def _lease_ends(self) -> None:
        self.world.act_until = self.world.now
        self.world.allowed = set()
        self.world.feed(LeaseEnded("lost", "signal", "the lease runs out"))
        assert self.world.pending is None or self.world.pending.verb == "stop"

    def _service_restarts(self, *, adopt: bool) -> None:
        lasts = adopt and self.world.now < self.world.act_until
        if not lasts:
            self.world.allowed = set()
        self.world.resume(adopt=lasts)

    def _host_restarts(self) -> None:
        self.boots += 1
        self.world.allowed = set()
        self.world.pending = None
        self.world.running.clear()
        self.world.resume(adopt=False, boot=f"boot-{self.boots}")

    @invariant()
    def epochs_only_rise(self) -> None:
        assert self.world.state.epoch == self.highest
        epochs = [epoch for _, epoch in self.world.started]
        assert epochs == sorted(epochs)

    @invariant()
    def what_is_called_stopped_does_not_run(self) -> None:
        """I4, resource by resource."""
        for name in self.world.running:
            assert self.world.state.resource(name).state != "stopped"

    @invariant()
    def stopped_is_true(self) -> None:
        if self.world.state.phase == "stopped":
            assert self.world.running == {}
            assert self.world.state.work is None

    @invariant()
    def active_is_true(self) -> None:
        if self.world.state.phase == "active":
            assert set(self.world.running) == {"one", "two"}

    @invariant()
    def it_comes_to_rest_as_ordered(self) -> None:
        """From here, if nothing fails any more, a stop always leads to stopped."""
        twin = World(self.world.plan)
        twin.__dict__.update(
            {
                **self.world.__dict__,
                "running": dict(self.world.running),
                "events": [],
                "started": [],
                "replies": [],
            }
        )
        twin.order("stop", self.highest, "final")
        twin.settle()
        assert twin.state.phase == "stopped"
        assert twin.running == {}


TestHands = Hands.TestCase
TestHands.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
