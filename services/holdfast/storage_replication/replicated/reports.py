"""What is said of replicated volumes: health signals, and events that follow from them."""

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.events import Draft, EventData, Health
from holdfast.events.fields import volume_entity
from holdfast.events.storage import VolumeSetChanged
from holdfast.events.system import OperatorRequest
from holdfast.ids import uuid7
from holdfast.storage_replication.signals import Seen, Signals
from holdfast.volumes import VolumeRecord
from holdfast.wire import SignalSummary

_log = logging.getLogger("holdfast.storage")


class Trail(NamedTuple):
    """What the next event gives as incident and cause."""

    incident: str
    cause: str


class Reports:
    """Of all volumes of the node. `emit` records an event; `changed` is called on a new signal."""

    def __init__(self, node: str, emit: Callable[[Draft], object], changed: Callable[[], None]):
        self._emit, self._changed = emit, changed
        self.signals = Signals(node)

    @property
    def failing(self) -> tuple[SignalSummary, ...]:
        """All that is not ok now."""
        return self.signals.failing

    def set_changed(
        self, record: VolumeRecord, node: str, change: str, member: str, trail: Trail | None
    ) -> str:
        """The record was changed by `node`, about `member`; the event's id."""
        data = VolumeSetChanged(
            volume=record.volume,
            node=node,
            epoch=record.epoch,
            change=change,  # type: ignore[arg-type]
            member=member,
            in_sync=record.in_sync,
            following=record.following,
            size=record.size,
        )
        return self.say(record.volume, data, trail)

    def observe(self, seen: Seen, problem: str) -> Trail | None:
        """One look; where its signal stands, if it is or just became not ok, or ok again."""
        before = self.signals.of(seen.volume, seen.probe)
        signals, draft = self.signals.observe(seen, problem[:1000], clock.monotonic(), uuid7)
        if draft is not None:
            _log.warning("volume %s (%s): %s", seen.volume, seen.probe, problem or "ok again")
            self.signals = signals
            self._record(draft)
            self._changed()
            return Trail(draft.incident or draft.id, draft.id)
        return Trail(before.incident, before.event) if before else None

    def member(self, volume: str, epoch: int, member: str, problem: str) -> Trail | None:
        """A look at another member, as its primary."""
        return self.observe(
            Seen(
                volume=volume,
                epoch=epoch,
                probe=f"replica-{member}",
                state=Health.DEGRADED,
                about=member,
                well="it has everything again",
            ),
            problem,
        )

    def only_members(self, volume: str, epoch: int, members: Collection[str]) -> None:
        """What is known of others ends: they were removed."""
        for known in self.signals.failing:
            gone = known.entity == volume_entity(volume) and known.node not in members
            if gone and known.probe == f"replica-{known.node}":
                seen = Seen(
                    volume=volume,
                    epoch=epoch,
                    probe=known.probe,
                    state=Health.DEGRADED,
                    about=known.node,
                    well="it is no member any more",
                )
                self.observe(seen, "")

    def own(self, volume: str, epoch: int, problem: str) -> Trail | None:
        """A look at the copy here."""
        return self.observe(Seen(volume=volume, epoch=epoch), problem)

    def asked(self, volume: str, operator: str, request: str, **arguments: str) -> Trail:
        """An operator's request: what follows has it as its cause."""
        data = OperatorRequest(
            operator=operator, request=request, arguments={"volume": volume, **arguments}
        )
        event = self.say(volume, data, None)
        return Trail(event, event)

    def say(self, volume: str, data: EventData, after: Trail | None) -> str:
        """Record an event; its id."""
        draft = Draft(
            id=uuid7(),
            data=data,
            entity=volume_entity(volume),
            incident=after.incident if after else None,
            cause=after.cause if after else None,
        )
        self._record(draft)
        return draft.id

    def forget(self, volume: str) -> None:
        """Nobody here looks at it any more."""
        self.signals = self.signals.forget(volume)

    def forget_members(self, volume: str) -> None:
        """This node is not its primary: others look after its members."""
        self.signals = self.signals.forget(volume, keep="volume")

    def _record(self, draft: Draft) -> None:
        try:
            self._emit(draft)
        except HoldfastError as error:
            # The volume must go on when the spool is full; the pulse still carries the signals.
            _log.critical("an event of %s cannot be recorded: %s", draft.entity, error)
