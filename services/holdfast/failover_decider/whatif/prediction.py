"""From a question and the live state to what would happen. Pure."""

from typing import Any

import msgspec

from holdfast.errors import HoldfastError
from holdfast.events.ownership import (
    Alternative,
    DecisionMade,
    DecisionRefused,
    LeaderElected,
    MoveCompleted,
)
from holdfast.failover_decider.inputs.codec import Snapshot
from holdfast.failover_decider.whatif.hosts import ASSUMPTIONS
from holdfast.failover_decider.whatif.question import Question, parse
from holdfast.failover_decider.whatif.world import World
from holdfast.ownership import Phase
from holdfast.wire import GroupRequest, Refused

SLICE = 0.5
QUIET = 20.0
"""Seconds without an event or a change of ownership after which the cluster is at rest."""
LONGEST = 600.0
"""Virtual seconds after which the answer is given although it is not at rest."""
MOVING = (Phase.FENCING, Phase.STOPPING, Phase.STARTING)


class NoAnswer(HoldfastError):
    """The live state does not allow a prediction."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that would be made."""

    at: float
    """Seconds after the change."""
    group: str
    rule: str
    kind: str
    source: str | None
    target: str | None
    alternatives: list[Alternative]


class NotMade(msgspec.Struct, frozen=True, kw_only=True):
    """Something that would call for action, and be refused."""

    at: float
    group: str | None
    rule: str
    reason: str


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A move that would be completed."""

    at: float
    group: str
    node: str
    phases: dict[str, float]
    """Seconds in each phase, as `move_completed` tells them."""


class GroupEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Where a group would be in the end."""

    group: str
    before: str | None
    owner: str | None
    phase: str
    reason: str
    served: bool


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen."""

    question: str
    leader: str
    """Who leads now."""
    leader_after: str | None
    answer: str
    """What an operator would be told: begun, or why not. Empty: nobody asked."""
    decisions: list[Made]
    refusals: list[NotMade]
    moves: list[Moved]
    groups: list[GroupEnd]
    unserved: list[str]
    at_rest_after: float | None
    """Seconds until nothing changes any more; None: that was not reached."""
    missing: list[str]
    """Places that did not tell their state: taken for lost already."""
    assumptions: tuple[str, ...] = ASSUMPTIONS


def predict(text: str, snapshots: dict[str, Snapshot]) -> Prediction:
    """Raises BadQuestion, NoAnswer."""
    if not snapshots:
        raise NoAnswer(
            "no decider told its state",
            place="the cluster",
            cure="are deciders running? See `holdfast status`",
        )
    cluster = next(iter(snapshots.values())).state.cluster
    question = parse(text, cluster)
    world = World(snapshots)
    leader = world.leader()
    if leader is None:
        raise NoAnswer("nobody leads now", place="the cluster", cure="ask again in a few seconds")
    before = {name: record.owner for name, (record, _) in world.records.items()}
    _change(world, question)
    rested = _to_rest(world)
    made, refused, moves, elected = _told(world)
    groups = _groups(world, before, list(cluster.groups))
    return Prediction(
        question=text,
        leader=leader,
        leader_after=elected or world.leader(),
        answer=_answer(world, question),
        decisions=made,
        refusals=refused,
        moves=moves,
        groups=groups,
        unserved=[end.group for end in groups if not end.served],
        at_rest_after=round(world.changed_at, 3) if rested else None,
        missing=[place for place in cluster.cluster.voters if place not in snapshots],
    )


def _change(world: World, question: Question) -> None:
    match question.change:
        case "lost" | "silent":
            world.remove(question.subject, silent=question.change == "silent")
        case "fails":
            record = world.records.get(question.subject)
            owner = record[0].owner if record else None
            runs = world.hosts[owner].groups if owner in world.hosts else {}
            if owner is None or question.subject not in runs:
                raise NoAnswer(
                    "nobody runs it, so it cannot fail",
                    place=f"group {question.subject}",
                    cure="see `holdfast status`",
                )
            world.fail(owner, question.subject)
        case "switchover" | "stop" | "start":
            world.ask(
                GroupRequest(
                    action=question.change,
                    group=question.subject,
                    target=question.target,
                    operator="whatif",
                )
            )


def _to_rest(world: World) -> bool:
    """Let time pass until nothing changes any more; whether that was reached."""
    while world.now < LONGEST:
        world.run(SLICE)
        moving = any(record.phase in MOVING for record, _ in world.records.values())
        if not moving and world.now - world.changed_at >= QUIET:
            return True
    return False


def _told(world: World) -> tuple[list[Made], list[NotMade], list[Moved], str | None]:
    made, refused, moves, elected = list[Made](), list[NotMade](), list[Moved](), None
    for at, draft in world.emitted:
        told: dict[str, Any] = {"at": round(at, 3)}
        match draft.data:
            case DecisionMade() as data:
                made.append(
                    Made(
                        **told,
                        group=data.group,
                        rule=data.rule,
                        kind=data.kind,
                        source=data.source,
                        target=data.target,
                        alternatives=data.alternatives,
                    )
                )
            case DecisionRefused() as data:
                refused.append(
                    NotMade(**told, group=data.group, rule=data.rule, reason=data.reason)
                )
            case MoveCompleted() as data:
                moves.append(Moved(**told, group=data.group, node=data.node, phases=data.phases))
            case LeaderElected() as data:
                elected = data.leader
            case _:
                pass
    return made, refused, moves, elected


def _groups(world: World, before: dict[str, str | None], names: list[str]) -> list[GroupEnd]:
    ends = []
    for name in names:
        record = world.records[name][0] if name in world.records else None
        owner = record.owner if record else None
        host = world.hosts.get(owner) if owner else None
        report = host.groups.get(name) if host is not None and host.state == "on" else None
        ends.append(
            GroupEnd(
                group=name,
                before=before.get(name),
                owner=owner,
                phase=record.phase if record else Phase.STOPPED,
                reason=record.reason if record else "",
                served=report is not None and report.state == "active",
            )
        )
    return ends


def _answer(world: World, question: Question) -> str:
    if question.change not in ("switchover", "stop", "start"):
        return ""
    if not world.answers:
        return "nobody answers"
    reply = world.answers[0]
    return f"refused: {reply.reason}" if isinstance(reply, Refused) else "begun"
