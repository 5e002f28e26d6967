"""Streams and ownership records on a real cluster of three."""

import asyncio

import msgspec
import pytest

from holdfast import jetstream
from holdfast.bus import Bus, BusTimeout, BusUnavailable
from holdfast.bus_errors import Conflict, StoreRefused
from holdfast.ownership import OwnershipRecord
from holdfast.store import OWNERSHIP_STREAM, OwnershipStore, ensure_streams, move_stream_leaders
from holdfast.streams import stream_settings
from tests.support.buses import MakeBus
from tests.support.nats import MakeServers, NatsServer
from tests.support.waiting import until

Seen = list[tuple[int, int]]


def record(epoch: int, group: str = "ledger") -> OwnershipRecord:
    return OwnershipRecord(group=group, epoch=epoch, owner="alpha")


async def write_until_done(store: OwnershipStore, epoch: int, revision: int) -> int:
    """Compare-and-set across a change of stream leader, as the decider does."""
    while True:
        try:
            return await store.compare_and_set(record(epoch), revision, timeout=1)
        except (BusTimeout, BusUnavailable, StoreRefused):
            await asyncio.sleep(0.1)


@pytest.fixture
async def bus(nats_cluster: list[NatsServer], make_bus: MakeBus) -> Bus:
    bus = await make_bus(nats_cluster)
    await ensure_streams(bus, len(bus.servers))
    return bus


async def leader(bus: Bus, stream: str) -> str:
    try:
        info = await jetstream.api(bus, f"STREAM.INFO.{stream}", {}, timeout=0.5)
    except BusTimeout:  # nobody answers while a leader is elected
        return ""
    return str(info["cluster"].get("leader", ""))


async def elected(bus: Bus, stream: str) -> str:
    async with asyncio.timeout(10):
        while not (name := await leader(bus, stream)):
            pass
    return name


async def test_streams_are_made_once_and_corrected(bus: Bus) -> None:
    wanted = {settings["name"]: settings for settings in stream_settings(3)}
    for name, settings in wanted.items():
        info = await jetstream.api(bus, f"STREAM.INFO.{name}", {}, timeout=5)
        assert {key: info["config"].get(key, False) for key in settings} == settings
        changed = {**info["config"], "max_bytes": 12345678, "description": "an operator's"}
        await jetstream.api(bus, f"STREAM.UPDATE.{name}", changed, timeout=5)
    await ensure_streams(bus, len(bus.servers))
    for name, settings in wanted.items():
        info = await jetstream.api(bus, f"STREAM.INFO.{name}", {}, timeout=5)
        assert info["config"]["max_bytes"] == settings["max_bytes"]
        assert info["config"]["description"] == "an operator's"
    with pytest.raises(StoreRefused, match="not permitted"):
        await jetstream.api(bus, "STREAM.PURGE.HA_EVENTS", {}, timeout=5)


async def test_streams_on_five_places_bear_the_loss_of_two(
    make_nats: MakeServers, make_bus: MakeBus
) -> None:
    servers = make_nats(["alpha", "beta", "gamma", "delta", "witness"])
    bus = await make_bus(servers)
    await ensure_streams(bus, len(bus.servers))
    info = await jetstream.api(bus, f"STREAM.INFO.{OWNERSHIP_STREAM}", {}, timeout=5)
    assert len(info["cluster"]["replicas"]) == 4, "beside its leader"
    first = await OwnershipStore(bus).compare_and_set(record(1), 0, timeout=5)
    led = await elected(bus, OWNERSHIP_STREAM)
    lost = [server for server in servers if server.name == led]
    lost += [server for server in servers if server.name != led][:1]
    for server in lost:
        server.kill()
    async with asyncio.timeout(30):
        assert await write_until_done(OwnershipStore(bus), 2, first) > first


async def test_compare_and_set_lets_one_writer_win(bus: Bus) -> None:
    store = OwnershipStore(bus)
    results = await asyncio.gather(
        *(store.compare_and_set(record(epoch), 0, timeout=5) for epoch in range(5)),
        return_exceptions=True,
    )
    revisions = [result for result in results if isinstance(result, int)]
    assert len(revisions) == 1
    assert [type(result) for result in results if not isinstance(result, int)] == [Conflict] * 4
    newer = await store.compare_and_set(record(9), revisions[0], timeout=5)
    assert newer > revisions[0]
    with pytest.raises(Conflict):
        await store.compare_and_set(record(9), revisions[0], timeout=5)


async def test_a_write_without_a_majority_times_out_or_is_refused(
    bus: Bus, nats_cluster: list[NatsServer]
) -> None:
    store = OwnershipStore(bus)
    for server in nats_cluster[1:]:
        server.kill()
    with pytest.raises((BusTimeout, BusUnavailable, StoreRefused)):
        await store.compare_and_set(record(1), 0, timeout=0.5)


async def test_watch_gives_current_values_then_changes_across_a_loss_of_its_server(
    bus: Bus, nats_cluster: list[NatsServer], make_bus: MakeBus
) -> None:
    store = OwnershipStore(bus)
    first = await store.compare_and_set(record(1), 0, timeout=5)
    second = await store.compare_and_set(record(2), first, timeout=5)
    watcher = await make_bus([nats_cluster[1], nats_cluster[2]])
    seen: Seen = []
    loaded: list[int] = []
    watch = asyncio.create_task(
        OwnershipStore(watcher).watch(
            lambda r, revision: seen.append((r.epoch, revision)), lambda: loaded.append(len(seen))
        )
    )
    await until(lambda: seen == [(2, second)])
    assert loaded == [1]
    nats_cluster[1].kill()
    revision = second
    for epoch in range(3, 8):
        try:
            revision = await write_until_done(store, epoch, revision)
        except Conflict:  # an earlier attempt had its effect after all
            await until(lambda epoch=epoch: seen[-1][0] == epoch, within=20)  # type: ignore[misc]
            revision = seen[-1][1]
    await until(lambda: seen[-1][0] == 7, within=20)
    assert [epoch for epoch, _ in seen] == [2, 3, 4, 5, 6, 7]
    assert [revision for _, revision in seen] == sorted({revision for _, revision in seen})
    watch.cancel()


async def test_watch_rejects_what_is_not_a_record(bus: Bus) -> None:
    rejected: list[tuple[str, str]] = []
    bus.reject = lambda subject, kind, reason: rejected.append((subject, kind))
    seen: Seen = []
    store = OwnershipStore(bus)
    loaded = asyncio.Event()
    watch = asyncio.create_task(
        store.watch(lambda r, revision: seen.append((r.epoch, revision)), loaded.set)
    )
    await asyncio.wait_for(loaded.wait(), 10)
    for key, value, headers in (
        ("ledger", b"{", {}),
        ("ledger", msgspec.json.encode(record(1, "other")), {}),
        ("ledger", b"", {"KV-Operation": "DEL"}),
    ):
        await jetstream.publish(
            bus, f"$KV.ha_ownership.{key}", value, headers={"X": "y"} | headers, timeout=5
        )
    await store.compare_and_set(record(1, "good"), 0, timeout=5)
    await until(lambda: len(seen) == 1)
    subject = "$KV.ha_ownership.ledger"
    assert rejected == [(subject, "malformed"), (subject, "forged"), (subject, "forged")]
    watch.cancel()


async def test_stream_leaders_move_away_from_owners(bus: Bus) -> None:
    for _ in range(2):
        for stream in ("HA_EVENTS", OWNERSHIP_STREAM):
            at = await elected(bus, stream)
            away = {at, "alpha"} if at != "alpha" else {at, "beta"}
            (wanted,) = {"alpha", "beta", "witness"} - away
            await move_stream_leaders(bus, away)
            loop = asyncio.get_running_loop()
            deadline = loop.time() + 5
            while await leader(bus, stream) != wanted:
                assert loop.time() < deadline, f"{stream} is not led by {wanted}"


async def test_a_single_server_is_enough(make_nats: MakeServers, make_bus: MakeBus) -> None:
    bus = await make_bus(make_nats(["alpha"]))
    await ensure_streams(bus, len(bus.servers))
    assert await OwnershipStore(bus).compare_and_set(record(1), 0, timeout=5) == 1
