"""The storage service as a process, on a real directory that hangs, vanishes and is taken over."""

import asyncio
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast import subjects
from holdfast.bus import BusError
from holdfast.events import decode_data
from holdfast.events.storage import VolumeActivated, VolumeRefused, VolumeReleased
from holdfast.storage_replication.drivers.directory import LOCK, DirectoryDriver
from holdfast.storage_replication.epochs import Mark
from holdfast.wire import Acknowledged, MonitorPulse, Pulse, VolumeOrder
from tests.support.buses import MakeBus
from tests.support.hands_host import BOOT, PATIENCE, Host
from tests.support.nats import NatsServer
from tests.support.waiting import until

VOLUME = """
[volumes.data]
driver = "directory"
path = "{folder}/volume"
probe_interval = 0.1
probe_deadline = 0.5
"""


class Storage:
    """The service of alpha, and its pulses."""

    def __init__(self, host: Host, volume: Path) -> None:
        self.host, self.volume = host, volume
        self.pulses: list[MonitorPulse] = []
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers; an order for another boot changes nothing."""
        self._process = self.host.start(service="storage_replication")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.order("release", 0, boot="probe", timeout=0.2)
                except BusError:
                    await asyncio.sleep(0.02)
                    continue
                return

    async def order(
        self,
        action: str,
        epoch: int,
        *,
        boot: str = BOOT,
        node: str = "alpha",
        timeout: float = PATIENCE,
    ) -> Acknowledged:
        """One order, as recovery sends it."""
        order = VolumeOrder(
            action="activate" if action == "activate" else "release",
            volume="data",
            node=node,
            boot=boot,
            epoch=epoch,
            intent="intent",
            incident="incident",
            cause="cause",
        )
        subject = subjects.command("alpha", "storage_replication")
        return await self.host.bus.request(subject, order, Acknowledged, timeout=timeout)

    def hear(self, pulse: Pulse) -> None:
        """Note a pulse of the storage service."""
        if isinstance(pulse, MonitorPulse) and pulse.service == "storage_replication":
            self.pulses.append(pulse)

    def end(self) -> int:
        """End it in order; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture
async def storage(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> AsyncIterator[Storage]:
    """Alpha's storage service with an empty volume."""
    volume = tmp_path / "volume"
    volume.mkdir()
    host = Host(
        await make_bus([nats_server]), nats_server, tmp_path, VOLUME.format(folder=tmp_path)
    )
    await host.listen()
    made = Storage(host, volume)
    await host.bus.subscribe(subjects.pulse("alpha"), Pulse, made.hear)
    await made.start()
    yield made
    made.kill()


async def test_epochs_and_idempotence(storage: Storage) -> None:
    first = await storage.order("activate", 5)
    assert first.ok
    assert first.event == (await storage.host.event(VolumeActivated)).id
    assert (await storage.order("activate", 5)) == Acknowledged(ok=True)
    refused = await storage.order("activate", 4)
    assert "epoch 4 is past" in refused.error
    assert refused.event == (await storage.host.event(VolumeRefused)).id
    assert not (await storage.order("release", 4)).ok, "a past owner may not take it away"
    assert not (await storage.order("activate", 9, boot="boot-0")).ok
    assert not (await storage.order("activate", 9, node="beta")).ok
    assert (await storage.order("release", 5)).event == (
        await storage.host.event(VolumeReleased)
    ).id
    assert (await storage.order("release", 5)) == Acknowledged(ok=True)
    assert len(storage.host.all(VolumeActivated)) == 1


async def test_it_remembers_when_killed_and_the_volume_was_emptied(storage: Storage) -> None:
    assert (await storage.order("activate", 5)).ok
    storage.kill()
    for file in storage.volume.iterdir():
        file.unlink()
    await storage.start()
    assert "epoch 4 is past" in (await storage.order("activate", 4)).error


async def test_a_volume_that_hangs_is_refused_in_time_and_the_service_goes_on(
    storage: Storage,
) -> None:
    lock = os.open(storage.volume / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert (
            "no answer from its storage within 0.5 s" in (await storage.order("activate", 1)).error
        )
        assert "still hangs" in (await storage.order("activate", 1)).error
        assert (await storage.order("release", 1)).ok
    finally:
        os.close(lock)

    # What hung comes to its end when the storage answers again; then the volume is usable.
    for _ in range(100):
        if (await storage.order("activate", 2)).ok:
            break
    else:
        raise AssertionError("still refused")
    assert storage.end() == 0


async def test_a_failing_volume_is_told_until_it_is_well(storage: Storage) -> None:
    assert (await storage.order("activate", 1)).ok
    storage.volume.rename(storage.volume.with_name("gone"))
    await until(lambda: len(storage.pulses) >= 3, within=PATIENCE, what="pulses while it fails")
    (signal,) = storage.pulses[-1].signals
    assert (signal.entity, signal.layer, signal.state) == ("volume/data", "storage", "failed")
    assert len({pulse.signals[0].event for pulse in storage.pulses}) == 1
    storage.volume.with_name("gone").rename(storage.volume)
    await until(lambda: storage.pulses[-1].signals == [], within=PATIENCE, what="well again")


async def test_a_takeover_by_another_node_is_noticed(storage: Storage) -> None:
    assert (await storage.order("activate", 1)).ok
    beta = DirectoryDriver(str(storage.volume), "beta")
    await asyncio.to_thread(beta.activate, Mark(epoch=2, node="beta", boot="b"))
    await until(lambda: bool(storage.pulses), within=PATIENCE)
    assert "no longer that of epoch 1" in storage.pulses[-1].signals[0].reason
    assert not (await storage.order("activate", 1)).ok
    refused = decode_data(await storage.host.event(VolumeRefused))
    assert isinstance(refused, VolumeRefused)
    assert "beta" in refused.reason
