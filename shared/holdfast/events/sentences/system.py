"""Sentences about services, messages, operators and notifications."""

from holdfast.events import system
from holdfast.events.sentences.words import number, say


@say.register
def _(data: system.ServiceStarted) -> str:
    return f"{data.service} {data.version} runs on {data.place} (pid {data.pid})"


@say.register
def _(data: system.ServiceStopped) -> str:
    return f"{data.service} on {data.place} stops: {data.reason}"


@say.register
def _(data: system.MessageRejected) -> str:
    return f"A {data.kind} message on {data.message_subject} was rejected: {data.reason}"


@say.register
def _(data: system.SpoolSetAside) -> str:
    deleted = f" (deleted for it: {', '.join(data.deleted)})" if data.deleted else ""
    return (
        f"A damaged spool of {data.service} on {data.place} was set aside as {data.file}{deleted}, "
        f"{number(data.events_kept, 'event')} kept: {data.reason}"
    )


@say.register
def _(data: system.OperatorRequest) -> str:
    given = "".join(f" {key}={value}" for key, value in sorted(data.arguments.items()))
    return f"{data.operator} asks: {data.request}{given}"


@say.register
def _(data: system.NotificationSent) -> str:
    return f"{data.channel} was notified"


@say.register
def _(data: system.NotificationFailed) -> str:
    tries = number(data.attempts, "attempt")
    return f"{data.channel} could not be notified in {tries}: {data.reason}"
