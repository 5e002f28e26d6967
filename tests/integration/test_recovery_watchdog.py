"""The watchdog of a real recovery service: armed for what runs, and for nothing else."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.events import Health, decode_data
from holdfast.events.health import HealthSignal
from tests.support.buses import MakeBus
from tests.support.hands_armed import answered, armed_start
from tests.support.hands_host import BOOT, PATIENCE, host
from tests.support.nats import NatsServer
from tests.support.waiting import until

GROUPS = """
[nodes.alpha.watchdog]
device = "{folder}/dog.socket"
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/bin/sleep", "1000"]
environment = {{ TEST_FOLDER = "{folder}" }}
"""
NOBODY = {"boot_id": BOOT, "session": 2**22 - 1, "leader_start_ticks": 0}
"""Whom the watchdog would end."""


@pytest.fixture
async def said(tmp_path: Path) -> AsyncIterator[Callable[[], str]]:
    """A watchdog outside of the host, and what it said so far."""
    async with outside(tmp_path):
        yield (tmp_path / "dog.log").read_text


@asynccontextmanager
async def outside(tmp_path: Path) -> AsyncIterator[None]:
    """A watchdog that listens on `dog.socket`."""
    (tmp_path / "alpha").mkdir(exist_ok=True)
    (tmp_path / "alpha" / "host.json").write_text(json.dumps(NOBODY))
    with (tmp_path / "dog.log").open("wb") as log:
        program = [sys.executable, "-m", "holdfast.fence_host.watchdog", "--host", "alpha"]
        program += ["--run-dir", str(tmp_path), "--socket", str(tmp_path / "dog.socket")]
        dog = await asyncio.create_subprocess_exec(*program, stdout=log, stderr=log)
    try:
        await until((tmp_path / "dog.socket").exists, within=PATIENCE, what="the watchdog")
        yield
    finally:
        dog.kill()
        await dog.wait()


async def test_an_order_that_is_refused_or_known_arms_nothing(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path, said: Callable[[], str]
) -> None:
    groups = GROUPS.format(folder=tmp_path)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as alpha:
        # The first renewals in a row: before, it could not be armed at all.
        await armed_start(alpha, 1, "a")
        await alpha.done("stop", 1, "b")
        await until(lambda: said().count("disarmed") == 1, what="disarmed")
        late = [
            await alpha.order("start", 1, "late"),
            await alpha.order("start", 2, "other", boot="boot-0"),
            await alpha.order("stop", 1, "b"),
        ]
        assert [reply.accepted for reply in late] == [False, False, True]
        alpha.pulses.clear()
        await until(lambda: len(alpha.pulses) > 5, within=PATIENCE)
        assert [p.watchdog.armed for p in alpha.pulses if p.watchdog] == [False] * len(alpha.pulses)
        assert said().count("armed for") == 1

        assert (await alpha.done("start", 2, "c")).error == ""
        assert said().count("armed for") == 2
        alpha.voters.silent = {"beta", "witness"}
        await alpha.leased(held=False)
        await alpha.group("stopped")
        await until(lambda: said().count("disarmed") == 2, what="disarmed with the lease")
        alpha.voters.silent = set()
        await alpha.leased()
        assert (await alpha.order("start", 2, "c")).done, "known, and over"
        seen = len(alpha.pulses)
        await until(lambda: len(alpha.pulses) > seen + 5, within=PATIENCE)
        assert said().count("armed for") == 2


async def test_one_that_cannot_be_armed_is_on_record_until_it_can(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    """Nobody listens at its socket at first; it is tried again every ten seconds."""
    groups = GROUPS.format(folder=tmp_path)
    async with outside(tmp_path):
        pass
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as alpha:

        def said() -> list[HealthSignal]:
            found = [decode_data(envelope) for envelope in alpha.all(HealthSignal)]
            signals = [data for data in found if isinstance(data, HealthSignal)]
            return [signal for signal in signals if signal.probe == "watchdog"]

        reply = await answered(alpha, 1, "a")
        assert "cannot be armed" in reply.error
        await until(lambda: len(said()) == 1, within=PATIENCE, what="a signal")
        assert (said()[0].state, said()[0].node) == (Health.FAILED, "alpha")
        assert "dog.socket" in said()[0].reason or said()[0].reason in reply.error
        async with outside(tmp_path):
            await until(lambda: len(said()) == 2, within=PATIENCE, what="that it is well")
            assert said()[1].state is Health.OK
            await armed_start(alpha, 1, "a")
            await alpha.done("stop", 1, "a")
