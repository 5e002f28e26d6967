"""Sentences about what the hands of a node do."""

from holdfast.events import hands
from holdfast.events.sentences.words import number, say, seconds


@say.register
def _(data: hands.LeaseAcquired) -> str:
    return f"{data.node} holds its lease (term {data.term}, {seconds(data.ttl)})"


@say.register
def _(data: hands.LeaseLost) -> str:
    return f"{data.node} loses its lease and stops its groups: {data.reason}"


@say.register
def _(data: hands.OrderAccepted) -> str:
    return f"{data.node} accepts the order to {data.action} {data.group} (epoch {data.epoch})"


@say.register
def _(data: hands.OrderRefused) -> str:
    return f"{data.node} refuses to {data.action} {data.group} (epoch {data.epoch}): {data.reason}"


@say.register
def _(data: hands.ResourceStarted) -> str:
    if data.adopted:
        return f"{data.group}/{data.resource} was found running on {data.node} and left alone"
    return f"{data.group}/{data.resource} started on {data.node} in {seconds(data.took)}"


@say.register
def _(data: hands.ResourceStopped) -> str:
    verb = "was killed" if data.killed else "stopped"
    return f"{data.group}/{data.resource} {verb} on {data.node} in {seconds(data.took)}"


@say.register
def _(data: hands.ResourceFailed) -> str:
    return f"{data.action} of {data.group}/{data.resource} on {data.node} failed: {data.reason}"


@say.register
def _(data: hands.GroupStarted) -> str:
    return f"All of {data.group} started on {data.node} in {seconds(data.took)}"


@say.register
def _(data: hands.GroupVerified) -> str:
    return (
        f"{data.group} answers on {data.node}: {number(data.checks, 'check')} passed "
        f"after {seconds(data.took)}"
    )


@say.register
def _(data: hands.GroupStopped) -> str:
    return f"All of {data.group} stopped cleanly on {data.node} in {seconds(data.took)}"


@say.register
def _(data: hands.RecoveryStarted) -> str:
    wait = f" after {seconds(data.delay)}" if data.delay else ""
    return (
        f"{data.group}/{data.resource} is restarted on {data.node}{wait} "
        f"(attempt {data.attempt} of {data.attempts_allowed})"
    )


@say.register
def _(data: hands.RecoverySucceeded) -> str:
    return f"{data.group}/{data.resource} is restored on {data.node} in {seconds(data.took)}"


@say.register
def _(data: hands.RecoveryExhausted) -> str:
    return f"{data.group}/{data.resource} cannot be restored on {data.node}: {data.reason}"
