"""What happened, in one plain sentence per event type: for `holdfast why` and for notifications."""

from functools import singledispatch

from holdfast.events import hands, health, ownership, policies, storage, system
from holdfast.events.envelope import Envelope, MalformedEvent
from holdfast.events.registry import EventData, decode_data

_MOVES = {
    "start": ("start", "start"),
    "stop": ("stop", "stop"),
    "failover": ("fail over", "failover"),
    "relocate": ("relocate", "relocation"),
    "switchover": ("switch over", "switchover"),
    "failback": ("fail back", "failback"),
}
"""Verb and noun of every kind of move."""


def describe(envelope: Envelope) -> str:
    """The sentence for an envelope of any type, known to this version or not. Never raises."""
    try:
        data = decode_data(envelope)
    except MalformedEvent as error:
        return f"{envelope.type} about {envelope.subject}, unreadable here: {error.problem}"
    if data is None:
        return f"{envelope.type} about {envelope.subject}, a type this version does not know"
    return sentence(data, envelope.subject)


def sentence(data: EventData, entity: str) -> str:
    """One sentence without a full stop. `entity` is the event's subject."""
    if isinstance(data, health.HealthSignal):
        return _health_signal(data, entity)
    return _say(data)


def seconds(value: float) -> str:
    """A duration for people: milliseconds below one second, else two decimals."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def _until(lasts: float | None) -> str:
    return "" if lasts is None else f" for {lasts / 60:.0f} min"


def _health_signal(data: health.HealthSignal, entity: str) -> str:
    reason = f": {data.reason}" if data.reason else ""
    return f"{entity} is {data.state} ({data.layer}, {data.probe}; was {data.previous}){reason}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@singledispatch
def _say(data: EventData) -> str:
    raise NotImplementedError(f"no sentence for {type(data).__name__}")


@_say.register
def _(data: health.NodeSeen) -> str:
    return f"{data.node} is heard " + (
        "in a new boot" if data.previous_boot else "for the first time"
    )


@_say.register
def _(data: health.NodeSuspected) -> str:
    return f"{data.node} is suspected: silent for {seconds(data.silent_for)}"


@_say.register
def _(data: health.NodeCleared) -> str:
    return f"{data.node} is heard again after {seconds(data.silent_for)}; nothing was done to it"


@_say.register
def _(data: ownership.LeaderElected) -> str:
    return f"{data.leader} leads from now on (term {data.term}, {_number(len(data.votes), 'vote')})"


@_say.register
def _(data: ownership.LeaderLost) -> str:
    return f"{data.leader} no longer leads (term {data.term}): {data.reason}"


@_say.register
def _(data: ownership.DecisionMade) -> str:
    verb, _ = _MOVES[data.kind]
    if data.kind == "stop":
        return f"Decided to stop {data.group} on {data.source}"
    where = f"on {data.target}" if data.source is None else f"from {data.source} to {data.target}"
    return f"Decided to {verb} {data.group} {where} (epoch {data.epoch})"


@_say.register
def _(data: ownership.DecisionRefused) -> str:
    about = f" for {data.group or data.node}" if data.group or data.node else ""
    return f"Decided to do nothing{about}: {data.reason}"


@_say.register
def _(data: ownership.FenceStarted) -> str:
    return (
        f"{data.agent} is asked whether {data.node} is off"
        if data.action == "status"
        else f"{data.agent} is told to switch {data.node} {data.action}"
    )


@_say.register
def _(data: ownership.FenceFinished) -> str:
    answers = {
        "off": f"{data.node} is off",
        "on": f"{data.node} is on",
        "timeout": f"no answer about {data.node}",
    }
    answer = answers.get(data.outcome, f"{data.action} of {data.node} {data.outcome}")
    detail = f" ({data.detail})" if data.detail else ""
    return f"{data.agent} after {seconds(data.took)}: {answer}{detail}"


@_say.register
def _(data: ownership.LeaseRevoked) -> str:
    return (
        f"The lease of {data.node} is revoked for good (term {data.term}, "
        f"{_number(len(data.votes), 'vote')}); proof: {data.proof}"
    )


@_say.register
def _(data: ownership.OwnershipChanged) -> str:
    return f"{data.group} is recorded: {data.phase}, {data.owner or 'nobody'}, epoch {data.epoch}"


@_say.register
def _(data: ownership.OrderSent) -> str:
    return f"{data.node} is ordered to {data.action} {data.group} (epoch {data.epoch})"


@_say.register
def _(data: ownership.MoveCompleted) -> str:
    _, noun = _MOVES[data.kind]
    done = "is stopped" if data.kind == "stop" else "runs, verified,"
    return f"{data.group} {done} on {data.node}; the {noun} took {seconds(data.total)}"


@_say.register
def _(data: ownership.MoveFailed) -> str:
    _, noun = _MOVES[data.kind]
    return f"The {noun} of {data.group} failed on {data.node} at {data.step}: {data.reason}"


@_say.register
def _(data: ownership.GroupHeld) -> str:
    return f"{data.group} stays down: {data.reason}"


@_say.register
def _(data: policies.MaintenanceBegan) -> str:
    time = _until(data.lasts)
    return f"{data.operator} takes {data.scope} {data.name} into maintenance{time}: {data.reason}"


@_say.register
def _(data: policies.MaintenanceEnded) -> str:
    return f"The maintenance of {data.scope} {data.name} ends: {data.reason}"


@_say.register
def _(data: policies.QuarantineBegan) -> str:
    return f"{data.scope} {data.name} is quarantined{_until(data.lasts)}: {data.reason}"


@_say.register
def _(data: policies.QuarantineEnded) -> str:
    return f"The quarantine of {data.scope} {data.name} ends: {data.reason}"


@_say.register
def _(data: hands.LeaseAcquired) -> str:
    return f"{data.node} holds its lease (term {data.term}, {seconds(data.ttl)})"


@_say.register
def _(data: hands.LeaseLost) -> str:
    return f"{data.node} loses its lease and stops its groups: {data.reason}"


@_say.register
def _(data: hands.OrderAccepted) -> str:
    return f"{data.node} accepts the order to {data.action} {data.group} (epoch {data.epoch})"


@_say.register
def _(data: hands.OrderRefused) -> str:
    return f"{data.node} refuses to {data.action} {data.group} (epoch {data.epoch}): {data.reason}"


@_say.register
def _(data: hands.ResourceStarted) -> str:
    if data.adopted:
        return f"{data.group}/{data.resource} was found running on {data.node} and left alone"
    return f"{data.group}/{data.resource} started on {data.node} in {seconds(data.took)}"


@_say.register
def _(data: hands.ResourceStopped) -> str:
    verb = "was killed" if data.killed else "stopped"
    return f"{data.group}/{data.resource} {verb} on {data.node} in {seconds(data.took)}"


@_say.register
def _(data: hands.ResourceFailed) -> str:
    return f"{data.action} of {data.group}/{data.resource} on {data.node} failed: {data.reason}"


@_say.register
def _(data: hands.GroupStarted) -> str:
    return f"All of {data.group} started on {data.node} in {seconds(data.took)}"


@_say.register
def _(data: hands.GroupVerified) -> str:
    return (
        f"{data.group} answers on {data.node}: {_number(data.checks, 'check')} passed "
        f"after {seconds(data.took)}"
    )


@_say.register
def _(data: hands.GroupStopped) -> str:
    return f"All of {data.group} stopped cleanly on {data.node} in {seconds(data.took)}"


@_say.register
def _(data: hands.RecoveryStarted) -> str:
    wait = f" after {seconds(data.delay)}" if data.delay else ""
    return (
        f"{data.group}/{data.resource} is restarted on {data.node}{wait} "
        f"(attempt {data.attempt} of {data.attempts_allowed})"
    )


@_say.register
def _(data: hands.RecoverySucceeded) -> str:
    return f"{data.group}/{data.resource} is restored on {data.node} in {seconds(data.took)}"


@_say.register
def _(data: hands.RecoveryExhausted) -> str:
    return f"{data.group}/{data.resource} cannot be restored on {data.node}: {data.reason}"


@_say.register
def _(data: storage.VolumeActivated) -> str:
    return (
        f"Volume {data.volume} is usable on {data.node} at epoch {data.epoch} "
        f"({data.driver}, {seconds(data.took)})"
    )


@_say.register
def _(data: storage.VolumeReleased) -> str:
    return f"Volume {data.volume} is released on {data.node} (epoch {data.epoch})"


@_say.register
def _(data: storage.VolumeRefused) -> str:
    return f"Volume {data.volume} is refused on {data.node} (epoch {data.epoch}): {data.reason}"


@_say.register
def _(data: storage.VolumeCreated) -> str:
    copies = ", ".join(data.members)
    return f"Volume {data.volume} is created with {data.size} bytes on {copies}"


@_say.register
def _(data: storage.VolumeSetChanged) -> str:
    after = f"in sync: {', '.join(data.in_sync)}"
    if data.following:
        after += f"; following: {', '.join(data.following)}"
    what = {
        "promoted": f"{data.member} is its primary",
        "taken_out": f"{data.member} is taken out",
        "taken_in": f"{data.member} is taken in",
        "added": f"{data.member} is added",
        "removed": f"{data.member} is removed",
        "resized": f"it has {data.size} bytes",
    }[data.change]
    return f"Volume {data.volume} is recorded at epoch {data.epoch}: {what} ({after})"


@_say.register
def _(data: storage.VolumeLossAccepted) -> str:
    return f"Volume {data.volume} is promoted on {data.node} with a loss: {data.loss}"


@_say.register
def _(data: storage.VolumeMemberLost) -> str:
    return f"Volume {data.volume} loses its copy on {data.member}: {data.reason}"


@_say.register
def _(data: storage.VolumeMemberJoined) -> str:
    return f"Volume {data.volume} has all of its data on {data.member} again"


@_say.register
def _(data: storage.VolumeFrozen) -> str:
    return f"Writes to volume {data.volume} wait on {data.node} for {', '.join(data.members)}"


@_say.register
def _(data: storage.VolumeThawed) -> str:
    return f"Writes to volume {data.volume} go on on {data.node}"


@_say.register
def _(data: storage.VolumeResyncStarted) -> str:
    how = ", in place" if data.in_place else ""
    return f"Resync of volume {data.volume} on {data.member}: at most {data.bytes} bytes{how}"


@_say.register
def _(data: storage.VolumeResyncFinished) -> str:
    return f"Resync of volume {data.volume} on {data.member} is done: {data.bytes} bytes were sent"


@_say.register
def _(data: storage.VolumeDeposed) -> str:
    return (
        f"{data.node} is no longer the primary of volume {data.volume} (epoch {data.epoch}): "
        f"there is one at epoch {data.successor}"
    )


@_say.register
def _(data: storage.VolumeDiskFailed) -> str:
    return f"The disk of volume {data.volume} on {data.node} failed: {data.reason}"


@_say.register
def _(data: storage.VolumeFallbackLost) -> str:
    return f"Volume {data.volume} on {data.node} has no way back until its resync is done"


@_say.register
def _(data: storage.VolumeFellBack) -> str:
    return f"Volume {data.volume} on {data.node} is back at its last consistent state"


@_say.register
def _(data: storage.VolumeVerified) -> str:
    found = _number(data.differences, "difference") if data.differences else "no difference"
    return f"Volume {data.volume} on {data.member} was compared with {data.node}: {found}"


@_say.register
def _(data: storage.VolumeDataPathEnded) -> str:
    return f"The data path of volume {data.volume} on {data.node} ended: {data.reason}"


@_say.register
def _(data: system.ServiceStarted) -> str:
    return f"{data.service} {data.version} runs on {data.place} (pid {data.pid})"


@_say.register
def _(data: system.ServiceStopped) -> str:
    return f"{data.service} on {data.place} stops: {data.reason}"


@_say.register
def _(data: system.MessageRejected) -> str:
    return f"A {data.kind} message on {data.message_subject} was rejected: {data.reason}"


@_say.register
def _(data: system.SpoolSetAside) -> str:
    return (
        f"A damaged spool of {data.service} on {data.place} was set aside as {data.file}, "
        f"{_number(data.events_kept, 'event')} kept: {data.reason}"
    )


@_say.register
def _(data: system.OperatorRequest) -> str:
    given = "".join(f" {key}={value}" for key, value in sorted(data.arguments.items()))
    return f"{data.operator} asks: {data.request}{given}"


@_say.register
def _(data: system.NotificationSent) -> str:
    return f"{data.channel} was notified"


@_say.register
def _(data: system.NotificationFailed) -> str:
    tries = _number(data.attempts, "attempt")
    return f"{data.channel} could not be notified in {tries}: {data.reason}"
