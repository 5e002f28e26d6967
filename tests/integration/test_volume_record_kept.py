"""What must not happen to the record of a volume behind the back of whoever serves it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from holdfast.bus_errors import BusTimeout
from holdfast.storage_replication.control import SetMembers
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.requests import carry_out
from holdfast.structs import replace
from holdfast.volumes import VolumeRecord
from holdfast.wire.volumes import AcceptLoss, FallBackVolume
from tests.support.volume_agents import VOLUME, WITHIN, Host
from tests.support.waiting import until


@asynccontextmanager
async def frozen(host: Host) -> AsyncIterator[None]:
    """Its data path stands still; on return it is taken out of the record."""

    def whole() -> bool:
        state = host.agent.paths.state
        return state is not None and not state.resyncing

    await until(whole, within=WITHIN, what="its data path says that it has everything")
    state = host.agent.paths.state
    assert state is not None
    os.kill(state.pid, signal.SIGSTOP)
    try:
        await until(lambda: host.record.in_sync == ["alpha"], within=WITHIN, what="it is out")
        yield
    finally:
        os.kill(state.pid, signal.SIGCONT)


async def test_what_a_data_path_asked_is_void_once_its_successor_has_the_role(
    two: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the record counts on a member that the successor acknowledges without."""
    alpha, beta = two
    store = alpha.register._store
    real = store.compare_and_set
    asked, successor = asyncio.Event(), asyncio.Event()

    async def no_leader(record: VolumeRecord, revision: int, *, timeout: float) -> int:
        """Nobody answers a write by which beta is in sync, until the successor has its role."""
        if "beta" in record.in_sync:
            asked.set()
            if not successor.is_set():
                await asyncio.wait([asyncio.create_task(successor.wait())], timeout=timeout)
                raise BusTimeout("there is no leader", place="ha_volumes", cure="wait")
        revision = await real(record, revision, timeout=timeout)
        if asked.is_set() and record.in_sync == ["alpha"]:
            successor.set()
        return revision

    async with frozen(beta):
        monkeypatch.setattr(store, "compare_and_set", no_leader)
    async with asyncio.timeout(WITHIN):
        await asked.wait()
    first = alpha.agent.paths.state
    assert first is not None
    alpha.place.hosts["beta"] = ("127.0.0.1", 1)  # and the link fails at that moment
    os.kill(first.pid, signal.SIGKILL)

    def led_again() -> bool:
        state = alpha.agent.paths.state
        return state is not None and state.pid != first.pid and state.role == "primary"

    await until(led_again, within=WITHIN, what="alpha's next data path leads")
    seen = alpha.register._seen[VOLUME][1]
    # One more write after everything that was on its way: the question was answered by then.
    record = await alpha.register.change(
        VOLUME, lambda now: transitions.still(now, node="alpha", epoch=1), within=WITHIN
    )
    assert alpha.register._seen[VOLUME][1] > seen
    assert not alpha.agent._asks._waiting
    assert record.in_sync == ["alpha"]
    await asyncio.to_thread(alpha.write, 8 << 20, b"acknowledged")
    await alpha.end()
    assert not (await beta.agent.order(beta.activate(2))).ok


async def test_whom_the_record_counts_and_its_primary_does_not_is_taken_out(
    two: tuple[Host, Host],
) -> None:
    """Whatever brought that about: the primary acknowledges without that member."""
    alpha, beta = two

    def uncounted() -> bool:
        state = alpha.agent.paths.state
        return state is not None and not state.members["beta"].counts

    async with frozen(beta):
        await until(uncounted, within=WITHIN, what="alpha goes on without it")
        await alpha.register.change(
            VOLUME,
            lambda now: transitions.take_in(now, "alpha", 1, "beta", asynchronous=False),
            within=WITHIN,
        )
        await until(
            lambda: alpha.record.in_sync == ["alpha"], within=WITHIN, what="it is out again"
        )
    await alpha.counts("alpha", "beta")


async def test_a_fallback_that_is_refused_changes_nothing_for_who_serves(
    two: tuple[Host, Host],
) -> None:
    alpha, beta = two
    client, state = alpha.agent.paths.client, beta.agent.paths.state
    assert client is not None
    assert state is not None
    cut_off = {n: replace(m, port=1) for n, m in alpha.place.others(alpha.record).items()}
    await client.order(lambda n: SetMembers(id=n, members=cut_off), within=WITHIN)
    assert await kill(state.pid)
    await until(lambda: alpha.record.in_sync == ["alpha"], within=WITHIN, what="beta is out")
    before = alpha.record

    def back() -> bool:
        now = beta.agent.paths.state
        return now is not None and now.pid != state.pid and not now.connected

    await until(back, within=WITHIN, what="beta's next data path runs")
    answer = await carry_out(beta.agent, FallBackVolume(volume=VOLUME, operator="ana"))
    assert (answer.ok, "no resync" in answer.text) == (False, True)
    assert alpha.record == before
    await asyncio.to_thread(alpha.write, 0, b"goes on")


async def test_an_accepted_loss_does_not_outlive_its_occasion(two: tuple[Host, Host]) -> None:
    alpha, beta = two
    async with frozen(beta):
        await asyncio.to_thread(alpha.write, 0, b"lacking")
        word = AcceptLoss(volume=VOLUME, operator="ana", stated="it lacks 4 KiB")
        answer = await carry_out(beta.agent, word)
        assert answer.ok, answer.text
    await alpha.counts("alpha", "beta")
    assert alpha.record.accepted is None
    async with frozen(beta):
        await asyncio.to_thread(alpha.write, 4096, b"acknowledged")
        await alpha.end()
    assert not (await beta.agent.order(beta.activate(2))).ok
