"""Bugs to plant in what keeps replicated volumes, one at a time: of the services, not of the bytes,
which the crash tester has."""

import asyncio
import contextlib
from typing import Any
from unittest.mock import patch

from holdfast.bus_errors import BusTimeout
from holdfast.errors import HoldfastError
from holdfast.failover_decider import liveness
from holdfast.storage_replication.engine import accepting, membership, primary
from holdfast.storage_replication.replicated import role, supervisor, tenancy, transitions
from holdfast.structs import replace
from tests.simulation.planted import Bug
from tests.simulation.simulator.storage import bucket


def promotion_ignores_the_in_sync_set() -> Any:
    """Any copy may be promoted, and the record calls that no loss."""
    return patch.object(transitions, "_loss", lambda *_: "")


def lost_answer_counts_as_agreed() -> Any:
    """A compare-and-set without an answer is taken for one that succeeded."""
    real = bucket.BucketAt.compare_and_set

    async def compare_and_set(self: Any, record: Any, revision: int, *, timeout: float) -> int:
        try:
            return await real(self, record, revision, timeout=timeout)
        except BusTimeout:
            return revision

    return patch.object(bucket.BucketAt, "compare_and_set", compare_and_set)


def member_dropped_without_the_record() -> Any:
    """A primary goes on without a member at once, and the record goes on counting on it."""
    real = membership.Membership.ask

    def ask(self: Any, peer: Any, counts: bool) -> None:
        real(self, peer, counts)
        if not counts:
            self.agreed(peer.name, False, peer.ticket)

    return patch.object(membership.Membership, "ask", ask)


def lease_gap_ignored() -> Any:
    """After a gap in the lease the record is not asked whether the volume is still ours, and what
    was seen of it is not looked at."""
    return patch.object(tenancy.Tenancy, "holds", lambda _self, known: known.active)


def lease_ignored() -> Any:
    """A data path that leads answers its clients for ever."""
    real = primary.Primary.renew
    return patch.object(primary.Primary, "renew", lambda self, _: real(self, float("inf")))


def told_before_recorded() -> Any:
    """The data path leads before the record says so, which is written beside it."""
    real = role.Role._recorded

    async def recorded(self: Any, epoch: int, state: Any, trail: Any) -> Any:
        async def write() -> None:
            with contextlib.suppress(HoldfastError):
                await real(self, epoch, state, trail)

        record = self._register.record(self._volume)
        self.writing = asyncio.create_task(write())
        return replace(record, epoch=epoch, primary=self._place.node, loss=""), 0

    return patch.object(role.Role, "_recorded", recorded)


def released_without_demoting() -> Any:
    """A release is answered, and the data path leads on."""

    async def leave(_self: Any) -> list[str]:
        return []

    return patch.object(role.Role, "leave", leave)


def older_primary_accepted() -> Any:
    """A member follows whoever says HELLO, whatever epoch that is."""
    real = accepting.refusal

    def refusal(disk: Any, epoch: int, told: Any) -> str:
        problem = real(disk, epoch, told)
        return "" if "epoch" in problem else problem

    return patch.object(accepting, "refusal", refusal)


def lost_files_not_noticed() -> Any:
    """A copy that lost what it knew is started as the one that the record counts on."""
    real = supervisor.Supervisor._unfit

    async def unfit(self: Any, record: Any) -> str:
        known = record.members.get(self._place.node)
        if known is not None and known.instance not in ("", self._place.instance()):
            self._place.copy.store.replace("instance", known.instance.encode())
        return await real(self, record)

    return patch.object(supervisor.Supervisor, "_unfit", unfit)


def copies_of_the_past_believed() -> Any:
    """The decider goes on believing what a storage service first said of its copies."""
    real = liveness.on_pulse

    def on_pulse(turn: Any, pulse: Any) -> None:
        known = turn.state.nodes.get(pulse.node)
        real(turn, pulse)
        view = turn.state.nodes.get(pulse.node)
        if known is not None and known.volumes and view is not None:
            turn.set_node(replace(view, volumes=known.volumes))

    return patch.object(liveness, "on_pulse", on_pulse)


FOUND_AT: dict[str, tuple[int, ...]] = {
    "promotion_ignores_the_in_sync_set": (257,),
    "lost_answer_counts_as_agreed": (896,),
    "member_dropped_without_the_record": (68,),
    "lease_gap_ignored": (1778,),
    "lease_ignored": (14,),
    "told_before_recorded": (5,),
    "released_without_demoting": (257,),
    "older_primary_accepted": (1085,),
    "lost_files_not_noticed": (86,),
    "copies_of_the_past_believed": (5,),
}
"""Seeds at which they were found when this was written."""
BUGS: list[Bug] = [
    promotion_ignores_the_in_sync_set,
    lost_answer_counts_as_agreed,
    member_dropped_without_the_record,
    lease_gap_ignored,
    lease_ignored,
    told_before_recorded,
    released_without_demoting,
    older_primary_accepted,
    lost_files_not_noticed,
    copies_of_the_past_believed,
]
