"""The connection a service really has: its own nkey, mutual TLS, its permissions and no others."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.bus import Bus, BusTimeout
from holdfast.config.load import load
from holdfast.console.certificates import issue_missing
from holdfast.credentials import CredentialsMissing, bus_of
from holdfast.outbox import Outbox
from holdfast.ownership import OwnershipRecord
from holdfast.store import OwnershipStore, ensure_streams, move_stream_leaders
from holdfast.wire import MonitorPulse
from tests.support.cluster_file import write_cluster_file
from tests.support.events import draft
from tests.support.nats import MakeServers, NatsServer
from tests.support.users import authorization
from tests.support.waiting import until

USER = "failover_decider@alpha"


@pytest.fixture
async def secured(
    make_nats: MakeServers, tmp_path: Path
) -> AsyncIterator[tuple[list[NatsServer], Bus]]:
    """Servers that demand certificate and key, and the decider's bus, connected."""
    secrets = tmp_path / "secrets"
    places = load(write_cluster_file(tmp_path, [])).places()
    alpha = secrets / "alpha"
    alpha.mkdir(parents=True)
    issue_missing(places, [], secrets, {})
    tls = (
        f'tls {{ cert_file: "{alpha}/server.pem", key_file: "{alpha}/server.key",'
        f' ca_file: "{alpha}/ca.pem", verify: true }}'
    )
    extra = f"{tls}\n{authorization([USER], tmp_path)}"
    servers = make_nats(["alpha", "beta", "witness"], extra=extra)
    (tmp_path / f"{USER}.nk").rename(alpha / "failover_decider.nk")
    cluster = load(write_cluster_file(tmp_path, servers))
    bus = bus_of(cluster, "alpha", "failover_decider", alpha)
    await bus.connect()
    yield servers, bus
    await bus.close()


async def test_the_decider_can_do_its_work_with_its_own_permissions(
    secured: tuple[list[NatsServer], Bus], tmp_path: Path
) -> None:
    servers, bus = secured
    await ensure_streams(bus, len(bus.servers))
    store = OwnershipStore(bus)
    seen: list[int] = []
    loaded = asyncio.Event()
    watch = asyncio.create_task(store.watch(lambda r, revision: seen.append(r.epoch), loaded.set))
    await asyncio.wait_for(loaded.wait(), 5)
    await store.compare_and_set(OwnershipRecord(group="ledger", epoch=1), 0, timeout=5)
    await until(lambda: seen == [1])
    await move_stream_leaders(bus, {"beta"})
    outbox = Outbox(tmp_path / "spool", source="/test/alpha/failover_decider", bus=bus)
    publishing = asyncio.create_task(outbox.run())
    outbox.emit(draft(1))
    assert await outbox.flush(5)
    for task in (watch, publishing):
        task.cancel()
    await asyncio.gather(watch, publishing, return_exceptions=True)
    outbox.close()
    assert not any("Permissions Violation" in server.log for server in servers)


async def test_what_is_not_permitted_is_refused_by_the_server(
    secured: tuple[list[NatsServer], Bus], caplog: pytest.LogCaptureFixture
) -> None:
    _, bus = secured
    pulse = MonitorPulse(node="alpha", boot="b", now=1)
    with pytest.raises(BusTimeout):
        await bus.request("ha.pulse.alpha", pulse, MonitorPulse, timeout=0.5)
    assert "permissions violation" in caplog.text.lower()
    assert bus.connected


async def test_a_silent_server_is_left_within_seconds_despite_tls(
    secured: tuple[list[NatsServer], Bus],
) -> None:
    servers, bus = secured
    down, up = asyncio.Event(), asyncio.Event()
    bus.on_disconnected.append(down.set)
    bus.on_connected.append(up.set)
    servers[0].freeze()
    await asyncio.wait_for(down.wait(), 5)
    await asyncio.wait_for(up.wait(), 5)
    servers[0].thaw()


def test_missing_credentials_name_the_file(tmp_path: Path) -> None:
    cluster = load(write_cluster_file(tmp_path, []))
    with pytest.raises(CredentialsMissing, match=r"monitor\.nk"):
        bus_of(cluster, "alpha", "monitor", tmp_path)
