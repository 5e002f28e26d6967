"""Sentences about decisions, fences, leases and who owns what."""

from holdfast.events import ownership
from holdfast.events.sentences.words import number, say, seconds

_MOVES = {
    "start": ("start", "start"),
    "stop": ("stop", "stop"),
    "failover": ("fail over", "failover"),
    "relocate": ("relocate", "relocation"),
    "switchover": ("switch over", "switchover"),
    "failback": ("fail back", "failback"),
}
"""Verb and noun of every kind of move."""


@say.register
def _(data: ownership.LeaderElected) -> str:
    return f"{data.leader} leads from now on (term {data.term}, {number(len(data.votes), 'vote')})"


@say.register
def _(data: ownership.LeaderLost) -> str:
    return f"{data.leader} no longer leads (term {data.term}): {data.reason}"


@say.register
def _(data: ownership.DecisionMade) -> str:
    verb, _ = _MOVES[data.kind]
    if data.kind == "stop":
        return f"Decided to stop {data.group} on {data.source}"
    where = f"on {data.target}" if data.source is None else f"from {data.source} to {data.target}"
    return f"Decided to {verb} {data.group} {where} (epoch {data.epoch})"


@say.register
def _(data: ownership.DecisionRefused) -> str:
    about = f" for {data.group or data.node}" if data.group or data.node else ""
    return f"Decided to do nothing{about}: {data.reason}"


@say.register
def _(data: ownership.FenceStarted) -> str:
    return (
        f"{data.agent} is asked whether {data.node} is off"
        if data.action == "status"
        else f"{data.agent} is told to switch {data.node} {data.action}"
    )


@say.register
def _(data: ownership.FenceFinished) -> str:
    answers = {
        "off": f"{data.node} is off",
        "on": f"{data.node} is on",
        "timeout": f"no answer about {data.node}",
    }
    answer = answers.get(data.outcome, f"{data.action} of {data.node} {data.outcome}")
    detail = f" ({data.detail})" if data.detail else ""
    return f"{data.agent} after {seconds(data.took)}: {answer}{detail}"


@say.register
def _(data: ownership.LeaseRevoked) -> str:
    return (
        f"The lease of {data.node} is revoked for good (term {data.term}, "
        f"{number(len(data.votes), 'vote')}); proof: {data.proof}"
    )


@say.register
def _(data: ownership.OwnershipChanged) -> str:
    return f"{data.group} is recorded: {data.phase}, {data.owner or 'nobody'}, epoch {data.epoch}"


@say.register
def _(data: ownership.OrderSent) -> str:
    return f"{data.node} is ordered to {data.action} {data.group} (epoch {data.epoch})"


@say.register
def _(data: ownership.MoveCompleted) -> str:
    _, noun = _MOVES[data.kind]
    done = "is stopped" if data.kind == "stop" else "runs, verified,"
    return f"{data.group} {done} on {data.node}; the {noun} took {seconds(data.total)}"


@say.register
def _(data: ownership.MoveFailed) -> str:
    _, noun = _MOVES[data.kind]
    return f"The {noun} of {data.group} failed on {data.node} at {data.step}: {data.reason}"


@say.register
def _(data: ownership.GroupHeld) -> str:
    return f"{data.group} stays down: {data.reason}"
