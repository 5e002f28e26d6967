"""Verifying operators' signed words: whether what fenced a node was said by who has the key."""

from collections.abc import Collection

import msgspec

from holdfast.events.audit.findings import Finding, Kind
from holdfast.events.envelope import Envelope, MalformedEvent
from holdfast.events.registry import decode_data
from holdfast.events.system import OperatorRequest
from holdfast.signed_word import fits, text
from holdfast.wire import FenceRequest

SIGNED = "fence "
"""How the requests begin that need a signature."""


class Words:
    """Counts words that hold. `operators`: their public keys; None where they are not known."""

    def __init__(self, operators: Collection[str] | None) -> None:
        self._operators = operators
        self._seen: set[str] = set()
        self.verified = 0
        self.findings: list[Finding] = []

    def add(self, envelope: Envelope) -> None:
        """Take one event in. Total: an event that does not read is found elsewhere."""
        if not envelope.type.startswith("holdfast.operator_request.") or envelope.id in self._seen:
            return
        try:
            data = decode_data(envelope)
        except MalformedEvent:
            return
        if not isinstance(data, OperatorRequest) or not data.request.startswith(SIGNED):
            return
        self._seen.add(envelope.id)
        cluster = envelope.source.removeprefix("/").partition("/")[0]
        problem = _problem(data, cluster, self._operators)
        if not problem:
            self.verified += 1
            return
        self.findings.append(
            Finding(
                kind=Kind.UNPROVEN_WORD,
                source=envelope.source,
                event=envelope.id,
                detail=f"{data.request} by {data.operator}: {problem}",
            )
        )


def _problem(data: OperatorRequest, cluster: str, operators: Collection[str] | None) -> str:
    key = data.arguments.get("key", "")
    if not data.signature:
        return "it holds no signature"
    if not fits(data.signed, key=key, signature=data.signature):
        return f"the signature is not by {key}"
    if data.signed != _said(data, cluster, key):
        return "what was signed is not what the event says"
    if operators is not None and key not in operators:
        return f"{key} is no operator's key"
    return ""


def _said(data: OperatorRequest, cluster: str, key: str) -> str:
    """The text that an operator would have signed who asked for what the event says."""
    try:
        signed_at = msgspec.json.decode(data.signed, type=list[str])[-1]
        request = msgspec.convert(
            {
                "type": "fence",
                "action": data.request.removeprefix(SIGNED),
                "node": data.arguments.get("node"),
                "boot": data.arguments.get("boot"),
                "operator": data.operator,
                "key": key,
                "signature": data.signature,
                "signed_at": signed_at,
            },
            FenceRequest,
        )
    except (msgspec.DecodeError, IndexError):
        return ""
    return text(request, cluster)
