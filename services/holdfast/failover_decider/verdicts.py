"""What a rule may say: a decision, a refusal, or nothing yet. And what several rules share."""

from collections.abc import Callable

import msgspec

from holdfast.events.ownership import Alternative, MoveKind
from holdfast.failover_decider.placement import Choice, alive, choose
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.ownership import Phase
from holdfast.wire import GroupReport

ORDERED_DOWN = "an operator stopped it; `holdfast start` starts it again"


class Decision(msgspec.Struct, frozen=True):
    """What shall be done, and all that the event about it needs."""

    rule: str
    kind: MoveKind
    phase: Phase
    target: str | None
    after: Trail
    evidence: list[str] = msgspec.field(default_factory=list)
    alternatives: list[Alternative] = msgspec.field(default_factory=list)
    reason: str = ""
    suspected_for: float = 0.0
    needed_since: float = 0.0
    boot: str | None = None
    """The owner's boot that shall be emptied, if it is not that of the record."""
    by_operator: bool = False
    """An operator's word: what failed before does not count against it."""
    failed: list[str] = msgspec.field(default_factory=list)
    """Boots on which it is known to have failed: this move does not lead back there."""


class Refusal(msgspec.Struct, frozen=True):
    """Something calls for action and will not get it; said once until the reason changes."""

    rule: str
    reason: str
    after: Trail
    evidence: list[str] = msgspec.field(default_factory=list)
    quarantine: bool = False
    """Too much failed: the group is to be left alone from now on."""


Verdict = Decision | Refusal | None
Rule = Callable[[State, GroupView, float], Verdict]


def chosen(rule: str, kind: MoveKind, phase: Phase, choice: Choice, after: Trail) -> Decision:
    """The decision for a choice of node, resting on the one event that called for it."""
    return Decision(
        rule=rule,
        kind=kind,
        phase=phase,
        target=choice.target,
        after=after,
        evidence=[after.cause],
        alternatives=choice.alternatives,
    )


def onward(state: State, view: GroupView, now: float) -> tuple[MoveKind, Choice]:
    """As what a group whose owner is lost goes on, and where. An operator's stop remains one."""
    if view.record.ordered_down:
        return MoveKind.STOP, Choice(target=None, alternatives=[])
    return MoveKind.FAILOVER, choose(state, view.group, now, [])


def nowhere(rule: str, choice: Choice, after: Trail) -> Refusal:
    """There is no node for it."""
    return Refusal(rule, choice.nobody(), after, [after.cause])


def owner_of(state: State, view: GroupView) -> NodeView:
    """The node that the record names as owner; there is one."""
    assert view.record.owner is not None
    return state.nodes[view.record.owner]


def current_report(state: State, view: GroupView, now: float) -> GroupReport | None:
    """What the living owner, still in the boot of the record, says since the phase began."""
    owner = owner_of(state, view)
    if owner.seen is None or not alive(state, owner, now) or owner.boot != view.record.boot:
        return None
    return owner.report(view.group) if owner.hands_heard > view.phase_since else None
