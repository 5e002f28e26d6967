"""Seals the events of the example story as real producers would, with made-up clock and ids."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from holdfast.events.chain import ChainHead, Draft, seal
from holdfast.events.envelope import Envelope
from holdfast.events.fields import (
    group_entity,
    node_entity,
    resource_entity,
    service_entity,
    volume_entity,
)
from holdfast.events.registry import EventData

BEGIN = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
CLUSTER = "demo"


class Recorder:
    """Seals drafts as producers would, at times the story tells."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._heads: dict[str, ChainHead] = {}
        self._now = BEGIN

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def __call__(
        self, place: str, service: str, data: EventData, cause: Envelope | None = None
    ) -> Envelope:
        """Record one event; without a cause it begins an incident."""
        source = f"/{CLUSTER}/{place}/{service}"
        draft = Draft(
            id=self._id(),
            data=data,
            entity=_entity(data, place, service),
            incident=cause.correlationid if cause else None,
            cause=cause.id if cause else None,
        )
        envelope, self._heads[source] = seal(
            draft,
            self._heads.get(source, ChainHead()),
            source=source,
            time=self._now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        )
        self.envelopes.append(envelope)
        self.wait(0.003)
        return envelope

    def _id(self) -> str:
        milliseconds = int(self._now.timestamp() * 1000)
        value = milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | len(self.envelopes) + 1
        return str(UUID(int=value))


def _entity(data: EventData, place: str, service: str) -> str:
    group = getattr(data, "group", None)
    resource = getattr(data, "resource", None)
    if group and resource:
        return resource_entity(group, resource)
    if group:
        return group_entity(group)
    if volume := getattr(data, "volume", None):
        return volume_entity(volume)
    # A check's signal is about the resource it checks, which only the subject says.
    if getattr(data, "probe", None) in ("process", "http"):
        return resource_entity("ledger", "server")
    if node := getattr(data, "node", None):
        return node_entity(node)
    return service_entity(place, service)
