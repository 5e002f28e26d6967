"""Sentences about maintenance and quarantine."""

from holdfast.events import policies
from holdfast.events.sentences.words import say, until


@say.register
def _(data: policies.MaintenanceBegan) -> str:
    time = until(data.lasts)
    return f"{data.operator} takes {data.scope} {data.name} into maintenance{time}: {data.reason}"


@say.register
def _(data: policies.MaintenanceEnded) -> str:
    return f"The maintenance of {data.scope} {data.name} ends: {data.reason}"


@say.register
def _(data: policies.QuarantineBegan) -> str:
    return f"{data.scope} {data.name} is quarantined{until(data.lasts)}: {data.reason}"


@say.register
def _(data: policies.QuarantineEnded) -> str:
    return f"The quarantine of {data.scope} {data.name} ends: {data.reason}"
