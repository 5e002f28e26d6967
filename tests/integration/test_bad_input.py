"""Bad messages, on every subject, from those who may send there: they change nothing."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from holdfast.bus import Bus
from holdfast.clock import wall_time
from holdfast.errors import HoldfastError
from holdfast.subjects import EVENTS, OWNERSHIP_BUCKET
from tests.support.bad_messages import Facts, families, spoiled, stale
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.follower import event
from tests.support.waiting import gone, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

NAMES = [family.name for family in families(Facts("alpha", "b", 1, "i", "c"))]
TIMES = 10
"""The first of a kind is reported, then the tenth."""


@contextlib.asynccontextmanager
async def unchanged(cluster: RunningCluster) -> AsyncIterator[Facts]:
    """The same record, the same process, the same decisions, before and after."""
    group, pid = await cluster.wait_active(), await cluster.workload()
    status = await cluster.status_where(lambda status: bool(status.nodes), "a status")
    boots = {node.node: node.boot for node in status.nodes}
    assert group.owner is not None
    began = wall_time()
    async with cluster.observed() as ledger:
        last = await cluster.seen("order_sent", node=group.owner, epoch=group.epoch)
        trail = (last.envelope.correlationid, last.envelope.id)
        yield Facts(group.owner, boots[group.owner], group.epoch, *trail)
        assert await asyncio.to_thread(ledger.wait_acknowledged, 10, 10)
    assert await cluster.wait_active() == group
    assert not gone(pid)
    assert await cluster.workload() == pid
    after = cluster.follower.since(began)
    acted = event(
        "ownership_changed", "decision_made", "resource_stopped", "resource_started",
        "volume_released", "lease_lost", "leader_lost", "order_accepted", "service_stopped",
    )  # fmt: skip
    assert not [str(seen) for seen in after if acted(seen)]


@contextlib.asynccontextmanager
async def connected(cluster: RunningCluster, user: str) -> AsyncIterator[Bus]:
    bus = await cluster.local.connect(user)
    try:
        yield bus
    finally:
        await bus.close()


async def send(cluster: RunningCluster, user: str, subject: str, raw: bytes, times: int) -> None:
    async with connected(cluster, user) as bus:
        for _ in range(times):
            await bus.client.publish(subject, raw)
        await bus.flush()


@pytest.mark.parametrize(
    "number", range(6), ids=lambda n: families(Facts("alpha", "b", 1, "i", "c"))[n].name
)
async def test_unreadable_messages_are_counted_and_said_once(
    cluster: RunningCluster, number: int
) -> None:
    async with unchanged(cluster) as now:
        family = families(now)[number]
        began = wall_time()
        for kind, raw in spoiled(family).items():
            await send(cluster, family.sender, family.subject, raw, TIMES)
            about = {"message_subject": family.subject, "kind": kind}
            for receiver in family.receivers:
                tenth = await cluster.seen_where(
                    lambda seen, receiver=receiver, about=about: (  # type: ignore[misc]
                        seen.service == receiver
                        and event("message_rejected", count=TIMES, **about)(seen)
                    ),
                    what=f"{receiver} counts ten {kind} ones",
                    since=began,
                    timeout=20,
                )
                counts = [
                    seen.data["count"]
                    for seen in cluster.follower.since(began)
                    if seen.service == receiver and event("message_rejected", **about)(seen)
                ]
                assert sorted(counts) == [1, TIMES]
                assert tenth.data["reason"]


async def test_messages_of_another_boot_time_or_epoch_are_refused(cluster: RunningCluster) -> None:
    async with unchanged(cluster) as now:
        for family, message in stale(now):
            began = wall_time()
            raw = json.dumps(message).encode()
            for _ in range(2 * TIMES):  # a replay of what was stale remains so
                await send(cluster, family.sender, family.subject, raw, 1)
            orders = [message["intent"]] if family.name == "recovery" else []
            for intent in orders:
                refused = await cluster.seen("order_refused", since=began, intent=intent)
                assert refused.data["reason"]
        receivers = {"pulse": f"{now.owner}/recovery", "monitor": f"{now.owner}/monitor"}
        for name in ("storage_replication", "recovery"):
            receivers[name] = f"{now.owner}/{name}"
        for family in families(now):
            if family.name in receivers:
                await cluster.seen_where(
                    lambda seen, family=family: (  # type: ignore[misc]
                        seen.service == receivers[family.name]
                        and event("message_rejected", kind="stale")(seen)
                        and seen.data["message_subject"] == family.subject
                    ),
                    what=f"{receivers[family.name]} rejects what is stale",
                    since="",
                    timeout=20,
                )


async def test_old_lease_requests_are_refused(cluster: RunningCluster) -> None:
    """A claim of a past term, and a release of another boot, take no lease from anybody."""
    async with unchanged(cluster) as now:
        family = next(family for family in families(now) if family.name == "lease")
        claim = {"wire": 1, **family.message, "term": 0, "holder": "mallory"}
        release = {k: v for k, v in family.message.items() if k != "ttl"}
        release |= {"wire": 1, "type": "release", "boot": "another"}
        async with connected(cluster, family.sender) as bus:
            for message in (claim, release):
                raw = json.dumps(message).encode()
                answer = await bus.client.request(family.subject, raw, timeout=5)
                vote = json.loads(answer.data)
                assert vote["granted"] is False
                assert vote["reason"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda record: b"{", id="malformed"),
        pytest.param(lambda record: json.dumps({**record, "epoch": 0}).encode(), id="past-epoch"),
        pytest.param(
            lambda record: json.dumps({**record, "group": "x"}).encode(),
            id="other",
            marks=pytest.mark.chaos,
        ),
    ],
)
async def test_a_spoiled_record_is_put_right_and_moves_nothing(
    cluster: RunningCluster, spoil: Callable[[dict[str, object]], bytes]
) -> None:
    key = "$KV.ha_ownership.ledger"
    began = wall_time()
    async with unchanged(cluster) as now:
        record = {"group": "ledger", "epoch": now.epoch, "owner": now.owner, "boot": now.boot}
        raw = spoil({**record, "phase": "active"})
        async with connected(cluster, "failover_decider@witness") as bus:
            await bus.jetstream().publish(key, raw)
        for decider in ("alpha", "beta", "witness"):
            await cluster.seen_where(
                lambda seen, decider=decider: (  # type: ignore[misc]
                    seen.service == f"{decider}/failover_decider"
                    and event("message_rejected", message_subject=key)(seen)
                ),
                what=f"the decider of {decider} rejects it",
                since=began,
                timeout=20,
            )
    # The proof that nothing is stuck: the group still moves.
    lost = await cluster.owner()
    left = next(host for host in HOSTS if host != lost)
    await cluster.kill_host(lost)
    await cluster.wait_active(on=left)
    await cluster.local.place(lost).start()
    await cluster.healthy()


async def test_a_reader_sees_events_and_can_do_nothing(cluster: RunningCluster) -> None:
    async with connected(cluster, "reader") as bus:
        heard: list[str] = []
        errors: list[str] = []

        async def complain(error: Exception) -> None:
            errors.append(str(error).lower())

        async def hear(message: Msg) -> None:
            heard.append(message.subject)

        bus.client._error_cb = complain
        await bus.client.subscribe(EVENTS, cb=hear)
        async with unchanged(cluster) as now:
            forbidden = [family.subject for family in families(now)]
            await try_everything(bus, forbidden, hear)
            await until(
                lambda: len(errors) >= 2 * len(forbidden) + 6, what=f"refusals, got {errors}"
            )
        assert all("permissions violation" in error for error in errors)
        # Something is said while we listen: a service restarts.
        old = cluster.send("witness", "notifier", signal.SIGTERM)
        await cluster.restarted("witness", "notifier", old)
        await until(lambda: bool(heard), within=20, what="an event is heard")
        assert {subject.rpartition(".")[0] for subject in heard} == {"ha.events"}


async def try_everything(
    bus: Bus, forbidden: list[str], hear: Callable[[Msg], Awaitable[None]]
) -> None:
    """Subscribe and publish where a reader may not."""
    for subject in [*forbidden, "ha.pulse.*", "ha.>", f"$KV.{OWNERSHIP_BUCKET}.*", ">"]:
        await bus.client.subscribe(subject, cb=hear)
    for subject in [*forbidden, "ha.events.x", f"$KV.{OWNERSHIP_BUCKET}.ledger"]:
        await bus.client.publish(subject, b"{}")
    await bus.flush()


async def test_without_a_key_nobody_gets_in(cluster: RunningCluster) -> None:
    place = cluster.local.cluster.places()["witness"]
    client = Client()
    with pytest.raises(nats.errors.Error):
        await client.connect(
            f"nats://{place.address}:{place.bus.client_port}",
            allow_reconnect=False,
            connect_timeout=2,
            max_reconnect_attempts=0,
        )
    await client.close()
    with pytest.raises((HoldfastError, FileNotFoundError)):
        await cluster.local.connect("nobody@alpha", timeout=2)


async def test_a_corrupt_spool_is_set_aside_and_said(cluster: RunningCluster) -> None:
    owner = await cluster.owner()
    place = next(host for host in HOSTS if host != owner)
    state = cluster.local.place(place).state / "storage_replication"
    supervisor = int(cluster.local.place(place).record()["session"])
    os.kill(supervisor, signal.SIGSTOP)
    try:
        old = cluster.send(place, "storage_replication", signal.SIGKILL)
        await until(lambda: gone(old), what="it is down")
        last = max((state / "spool").glob("*.seg"))
        with last.open("ab") as segment:
            segment.write(b"00000000 {this was never an event}\n")
        began = wall_time()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    said = await cluster.seen("spool_set_aside", since=began, place=place)
    assert said.data["service"] == "storage_replication"
    assert "checksum" in said.data["reason"]
    assert list((state / "spool").glob("*.corrupt-*"))
    await cluster.healthy()
    await cluster.audit()


async def test_what_is_no_event_is_rejected_and_the_audit_says_where(
    cluster: RunningCluster,
) -> None:
    """Last: nothing can be taken out of the record, so this cluster's audit never passes again."""
    async with unchanged(cluster) as now:
        async with connected(cluster, f"monitor@{now.owner}") as bus:
            for _ in range(TIMES):
                await bus.jetstream().publish("ha.events.forged", b'{"specversion":"9"}')
        await cluster.seen(
            "message_rejected", message_subject="ha.events.forged", kind="malformed", count=TIMES
        )
    with pytest.raises(AssertionError, match="unreadable"):
        await cluster.audit(timeout=5)
