"""The per-producer hash chain: sealing a draft into an envelope that names its predecessor."""

from dataclasses import dataclass

import msgspec

from holdfast.events.envelope import (
    FIRST_PREVIOUS_HASH,
    Envelope,
    compute_hash,
    sequence_text,
)
from holdfast.events.registry import EventData, event_name, event_type

SCHEMA_ROOT = "https://holdfast.example/schemas"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a core decides it: everything but the producer's chain and the wall time.

    `incident` is the id of the event that began the incident; None makes this event such a root.
    """

    id: str
    data: EventData
    entity: str
    incident: str | None = None
    cause: str | None = None

    @property
    def correlation(self) -> str:
        """The incident this event belongs to; its own id if it begins one."""
        return self.incident or self.id


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a producer's chain stands: the last sequence number and hash it sealed."""

    sequence: int = 0
    hash: str = FIRST_PREVIOUS_HASH


def seal(
    draft: Draft, head: ChainHead, *, source: str, time: str, traceparent: str | None = None
) -> tuple[Envelope, ChainHead]:
    """Give a draft its place in the producer's chain. Returns the envelope and the new head."""
    unsealed = Envelope(
        id=draft.id,
        source=source,
        type=event_type(draft.data),
        subject=draft.entity,
        time=time,
        dataschema=f"{SCHEMA_ROOT}/{event_name(draft.data)}.json",
        correlationid=draft.correlation,
        causationid=draft.cause,
        sequence=sequence_text(head.sequence + 1),
        previoushash=head.hash,
        hash="",
        traceparent=traceparent,
        data=msgspec.Raw(msgspec.json.encode(draft.data)),
    )
    sealed = msgspec.structs.replace(unsealed, hash=compute_hash(unsealed))
    return sealed, ChainHead(head.sequence + 1, sealed.hash)


def head_after(envelope: Envelope) -> ChainHead:
    """The chain's head once `envelope` is its last event."""
    return ChainHead(int(envelope.sequence), envelope.hash)
