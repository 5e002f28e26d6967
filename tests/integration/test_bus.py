"""The bus against real servers: what it delivers, refuses, and never delivers late."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from holdfast import wire
from holdfast.bus import BadReply, Bus, BusTimeout, BusUnavailable, MessageTooLarge
from holdfast.wire import Acknowledged, LeaseReply, LeaseTerm, MonitorPulse, Release, Vote
from tests.support.buses import MakeBus
from tests.support.nats import MakeServers, NatsServer
from tests.support.waiting import until

Rejected = list[tuple[str, str]]


def pulse(now: float = 1.0) -> MonitorPulse:
    return MonitorPulse(node="alpha", boot="b", now=now)


def keep(seen: list[float]) -> Callable[[wire.Pulse], None]:
    def hear(pulse: wire.Pulse) -> None:
        seen.append(pulse.now)

    return hear


def rejects_of(bus: Bus) -> Rejected:
    seen: Rejected = []
    bus.reject = lambda subject, kind, reason: seen.append((subject, kind))
    return seen


async def test_publishes_in_order_to_typed_subscribers(
    nats_server: NatsServer, make_bus: MakeBus
) -> None:
    sender, receiver = await make_bus([nats_server]), await make_bus([nats_server])
    seen: list[float] = []
    await receiver.subscribe("ha.pulse.*", wire.Pulse, keep(seen))
    await receiver.flush()
    for number in range(100):
        await sender.publish("ha.pulse.alpha", pulse(float(number)))
    await until(lambda: len(seen) == 100)
    assert seen == [float(number) for number in range(100)]


async def test_answers_requests_concurrently_and_none_is_silence(
    nats_server: NatsServer, make_bus: MakeBus
) -> None:
    asker, server = await make_bus([nats_server]), await make_bus([nats_server])
    both_here = asyncio.Barrier(2)

    async def answer(request: Release) -> Acknowledged | None:
        if request.term == 0:
            return None
        await both_here.wait()
        return Acknowledged(ok=True, error=request.lease)

    await server.serve("ha.lease.alpha", wire.LeaseRequest, answer)
    await server.flush()
    first, second = await asyncio.gather(
        asker.request("ha.lease.alpha", release("one"), Acknowledged, timeout=2),
        asker.request("ha.lease.alpha", release("two"), Acknowledged, timeout=2),
    )
    assert (first.error, second.error) == ("one", "two")
    with pytest.raises(BusTimeout):
        await asker.request("ha.lease.alpha", release("x", term=0), Acknowledged, timeout=0.1)


def release(lease: str, term: int = 1) -> Release:
    return Release(lease=lease, term=term, holder="alpha", boot="b")


async def test_a_subject_nobody_serves_is_unavailable(
    nats_server: NatsServer, make_bus: MakeBus
) -> None:
    bus = await make_bus([nats_server])
    with pytest.raises(BusUnavailable, match=r"ha\.lease\.beta"):
        await bus.request("ha.lease.beta", release("x"), Acknowledged, timeout=5)


async def test_bad_messages_change_nothing_and_are_told_apart(
    nats_server: NatsServer, make_bus: MakeBus
) -> None:
    sender, receiver = await make_bus([nats_server]), await make_bus([nats_server])
    rejected = rejects_of(receiver)
    seen: list[float] = []
    await receiver.subscribe("ha.pulse.*", wire.Pulse, keep(seen))
    await receiver.flush()
    future = msgspec.json.decode(msgspec.json.encode(pulse())) | {"wire": 2}
    for raw in (
        b"\xff\x00 not json",
        b"[" * 60_000,
        b'{"type":"monitor"}',
        b'{"type":"monitor","wire":"x"}',
        b"x" * (wire.MAX_MESSAGE_BYTES + 1),
        msgspec.json.encode(future),
    ):
        await sender.client.publish("ha.pulse.alpha", raw)
    await sender.publish("ha.pulse.alpha", pulse(7.0))
    await until(lambda: seen == [7.0])
    assert [kind for _, kind in rejected] == [
        "malformed",
        "malformed",
        "malformed",
        "malformed",
        "oversized",
        "unknown_version",
    ]


async def test_a_bad_reply_is_rejected(nats_server: NatsServer, make_bus: MakeBus) -> None:
    asker, server = await make_bus([nats_server]), await make_bus([nats_server])
    rejected = rejects_of(asker)

    async def answer(request: Release) -> Acknowledged:
        return Acknowledged(ok=True)

    await server.serve("ha.lease.alpha", wire.LeaseRequest, answer)
    await server.flush()
    with pytest.raises(BadReply):
        await asker.request("ha.lease.alpha", release("x"), LeaseReply, timeout=2)
    assert rejected == [("ha.lease.alpha", "malformed")]
    vote = Vote(voter="a", round=1, granted=True, stored=LeaseTerm(lease="x" * 70_000))
    with pytest.raises(MessageTooLarge):
        await asker.publish("ha.lease.alpha", vote)


async def test_disconnected_it_refuses_at_once_and_recovers(
    make_nats: MakeServers, make_bus: MakeBus
) -> None:
    server = make_nats(["alpha"])[0]
    bus, other = await make_bus([server]), await make_bus([server])
    seen: list[float] = []
    events: list[str] = []
    bus.on_connected.append(lambda: events.append("up"))
    bus.on_disconnected.append(lambda: events.append("down"))
    await other.subscribe("ha.pulse.*", wire.Pulse, keep(seen))
    server.kill()
    await until(lambda: not bus.connected and not other.connected)
    with pytest.raises(BusUnavailable):
        await bus.publish("ha.pulse.alpha", pulse(1.0))
    with pytest.raises(BusUnavailable):
        await bus.request("ha.pulse.alpha", pulse(2.0), Acknowledged, timeout=60)
    server.start()
    await until(lambda: bus.ready.is_set() and other.ready.is_set())
    await bus.publish("ha.pulse.alpha", pulse(3.0))
    await until(lambda: seen == [3.0])
    assert events == ["down", "up"]


async def test_a_broken_connection_ends_waiting_requests_at_once(
    nats_server: NatsServer, make_bus: MakeBus
) -> None:
    asker, server = await make_bus([nats_server]), await make_bus([nats_server])
    asked = asyncio.Event()

    async def never(request: Release) -> None:
        asked.set()

    await server.serve("ha.lease.alpha", wire.LeaseRequest, never)
    await server.flush()
    request = asyncio.create_task(
        asker.request("ha.lease.alpha", release("x"), Acknowledged, timeout=60)
    )
    await asked.wait()
    nats_server.kill()
    with pytest.raises(BusTimeout):
        await asyncio.wait_for(request, 5)


async def test_what_was_sent_while_cut_off_is_never_delivered(
    make_nats: MakeServers, make_bus: MakeBus
) -> None:
    server = make_nats(["alpha"])[0]
    sender, receiver = await make_bus([server], "sender"), await make_bus([server], "receiver")
    seen: list[float] = []
    await receiver.subscribe("ha.pulse.*", wire.Pulse, keep(seen))
    await receiver.flush()
    server.freeze()
    sent = 0
    while sender.connected:
        with pytest.raises((BusTimeout, BusUnavailable)):
            await sender.request("ha.pulse.alpha", pulse(float(sent)), Acknowledged, timeout=0.2)
        sent += 1
        assert sent < 40
    assert sent > 5
    # What the frozen server has in its socket it may still read, but must find nobody to tell.
    await until(lambda: not receiver.connected)
    server.thaw()
    await until(lambda: sender.ready.is_set() and receiver.ready.is_set())
    await sender.publish("ha.pulse.alpha", pulse(1000.0))
    await until(lambda: 1000.0 in seen)
    assert seen == [1000.0]


async def test_it_falls_back_to_another_server(
    nats_cluster: list[NatsServer], make_bus: MakeBus
) -> None:
    bus = await make_bus(nats_cluster)
    assert bus.client.connected_url is not None
    assert bus.client.connected_url.port == nats_cluster[0].port
    back = asyncio.Event()
    bus.on_connected.append(back.set)
    nats_cluster[0].kill()
    await asyncio.wait_for(back.wait(), 3)
    assert bus.client.connected_url.port in [server.port for server in nats_cluster[1:]]


async def test_a_handler_that_raises_is_a_fault(nats_server: NatsServer, make_bus: MakeBus) -> None:
    bus = await make_bus([nats_server])
    faults: list[BaseException] = []
    bus.on_fault = faults.append

    def broken(message: MonitorPulse) -> None:
        raise KeyError(message.node)

    await bus.subscribe("ha.pulse.*", MonitorPulse, broken)
    await bus.publish("ha.pulse.alpha", pulse())
    await until(lambda: len(faults) == 1)
    assert isinstance(faults[0], KeyError)
