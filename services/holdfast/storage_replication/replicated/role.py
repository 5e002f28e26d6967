"""Taking and giving up the role of a volume's primary.

The record comes first, always: nothing is told to the data path that the record does not say.
"""

import asyncio
import logging
from collections.abc import Callable

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.events.storage import VolumeLossAccepted
from holdfast.storage_replication.control import Demote, Promote, State
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.client import DataPathFailed
from holdfast.storage_replication.replicated.past import alone_if_of_the_past
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.presence import answering
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports, Trail
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.storage_replication.replicated.transitions import ChangeRefused, Promoted
from holdfast.volumes import VolumeRecord

CHANGE_WITHIN = 8.0
"""Seconds: a change of JetStream's leader may take that long."""
PROMOTE_WITHIN = 20.0
DEMOTE_WITHIN = 6.0
COMPLETE_WITHIN = 3.0
READY_WITHIN = 3.0
_log = logging.getLogger("holdfast.storage")


class Role:
    """Of the copy on this node. `valid_until`: the end of the node's lease, as it is known now."""

    def __init__(
        self,
        place: Place,
        register: Register,
        paths: Supervisor,
        reports: Reports,
        valid_until: Callable[[], float],
    ) -> None:
        self._place, self._volume = place, place.volume
        self._register, self._paths, self._reports = register, paths, reports
        self._valid_until = valid_until

    async def take(self, epoch: int, trail: Trail | None) -> None:
        """Become the primary. Raises HoldfastError: it is none then."""
        state = await self._healthy()
        record, kept_from = await self._recorded(epoch, state, trail)
        client = self._paths.client
        if client is None:
            raise DataPathFailed(
                self._paths.problem, place=f"volume {self._volume}", cure="see its log"
            )
        await client.order(
            lambda number: Promote(
                id=number,
                epoch=epoch,
                counted=not record.loss,
                kept_from=kept_from,
                members=self._place.others(record),
                accept_loss=bool(record.loss),
                valid_until=self._valid_until(),
                bounds=self._place.bounds(),
            ),
            within=PROMOTE_WITHIN,
        )

    async def _recorded(
        self, epoch: int, state: State, trail: Trail | None
    ) -> tuple[VolumeRecord, int]:
        """The record that names this node, and `Promotion.kept_from`."""
        place = self._place
        present = await answering(place, self._register.record(self._volume))
        found: list[tuple[VolumeRecord, Promoted]] = []
        at = clock.wall_time()
        led = (state.epoch, state.primary) == (epoch, place.node)

        def transition(record: VolumeRecord) -> VolumeRecord:
            if state.resyncing and place.node not in record.in_sync:
                raise ChangeRefused(
                    "its resync is not complete: the data is between two states",
                    place=f"volume {self._volume}",
                    cure=f"let it end; else `holdfast volume fallback {self._volume}` goes back to "
                    "the last consistent state, if nobody has a newer one",
                )
            if led and not state.intact:
                transitions.go_on(record, place.node)
            asynchronous = place.config.mode == "async"
            own = transitions.promote(
                alone_if_of_the_past(record, place.node, state.epoch),
                place.node,
                epoch,
                present,
                place.max_lag(),
                asynchronous=asynchronous,
                intact=state.intact,
                at=at,
            )
            _require_known(place, own.record)
            found.append((record, own))
            return own.record

        record = await self._register.change(self._volume, transition, within=CHANGE_WITHIN)
        # Of several attempts the last one on an earlier epoch was written, with an answer or
        # without: had it not been, the next would have met an earlier epoch, too.
        replaced, own = next((one for one in reversed(found) if one[0].epoch < epoch), found[-1])
        if replaced.epoch < epoch:
            self._say_promoted(record, trail)
        return record, epoch if led else own.kept_from

    async def _healthy(self) -> State:
        """The data path, ready to be told. Raises DataPathFailed."""
        paths = self._paths
        try:
            async with asyncio.timeout(READY_WITHIN):
                await paths.ready.wait()
        except TimeoutError:
            pass
        state = paths.state
        problem = paths.problem if state is None else broken(state)
        if state is None or problem:
            raise DataPathFailed(
                problem,
                place=f"volume {self._volume} on {self._place.node}",
                cure=f"see {self._place.folder}",
            )
        return state

    def _say_promoted(self, record: VolumeRecord, trail: Trail | None) -> None:
        node = self._place.node
        self._reports.set_changed(record, node, "promoted", node, trail)
        if record.loss:
            data = VolumeLossAccepted(
                volume=self._volume, node=node, epoch=record.epoch, loss=record.loss
            )
            self._reports.say(self._volume, data, trail)

    async def leave(self) -> list[str]:
        """On return nothing is served here; the async members that have everything. Raises
        DataPathFailed if that is not sure."""
        client = self._paths.client
        if client is None:
            await self._end_unheard()
            return []
        try:
            done = await client.order(
                lambda number: Demote(id=number, deadline=DEMOTE_WITHIN - 1.0),
                within=DEMOTE_WITHIN,
            )
            if done.warning:
                _log.warning("volume %s: %s", self._volume, done.warning)
            return done.complete
        except DataPathFailed as error:
            _log.error(
                "volume %s is not given up (%s): its data path is killed", self._volume, error
            )
            if not await kill(client.pid):
                raise
            return []

    async def _end_unheard(self) -> None:
        """One that runs may be the primary, whoever hears it; the next starts as a replica."""
        try:
            await self._paths.end_unheard()
        except OSError as error:
            raise DataPathFailed(
                str(error) or "its control socket does not answer",
                place=f"volume {self._volume}",
                cure=f"end the process; its log is in {self._place.folder}",
            ) from error

    async def complete(self, epoch: int, members: list[str], trail: Trail) -> None:
        """Nothing is written any more, so async members that have everything are in sync: whoever
        is promoted next loses nothing. If it cannot be recorded, only an operator promotes them."""
        if not members:
            return
        node = self._place.node
        try:
            record = await self._register.change(
                self._volume,
                lambda now: transitions.complete(now, node, epoch, members),
                within=COMPLETE_WITHIN,
            )
        except HoldfastError as error:
            _log.warning("volume %s: %s has all, unrecorded: %s", self._volume, members, error)
            return
        for member in members:
            self._reports.set_changed(record, node, "taken_in", member, trail)


def _require_known(place: Place, record: VolumeRecord) -> None:
    """Raises ChangeRefused if this node's cluster file does not name a member that counts: it would
    be waited for and never reached, and the others know a newer file."""
    unknown = [name for name in record.members if record.counts(name) and name not in place.hosts]
    if unknown:
        raise ChangeRefused(
            f"the cluster file of {place.node} names no member {', '.join(unknown)}, and the "
            "record counts on it",
            place=f"volume {place.volume}",
            cure=f"give {place.node} the cluster file of the others and restart "
            "storage_replication there",
        )


def broken(state: State) -> str:
    """What is wrong with a copy's disk; empty: nothing."""
    return f"its disk failed (errno {state.failed})" if state.failed else ""
