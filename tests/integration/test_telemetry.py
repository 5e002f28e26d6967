"""Spans as a real OTLP collector receives them, and a collector that is dead."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import ids
from holdfast.events import ChainHead, Draft, EventData, Health, Layer, hands, health, seal
from holdfast.events.ownership import DecisionMade, MoveCompleted, MoveKind, OrderSent
from holdfast.otlp import EXPORT_TIMEOUT, SHUTDOWN_WITHIN, Telemetry
from holdfast.telemetry import span_id, trace_id
from tests.support.cluster_file import write_cluster_file, write_seed
from tests.support.collector import Collector, Received
from tests.support.events import draft
from tests.support.nats import NatsServer

PUBLISH = "publish ha.events."
PRODUCER = 4


def telemetry(endpoint: str, service: str) -> Telemetry:
    return Telemetry(endpoint, cluster="test", place="alpha", service=service)


def record(to: Telemetry, data: EventData, root: Draft | None, cause: Draft | None) -> Draft:
    incident = root.id if root else None
    event = Draft(
        id=ids.uuid7(), data=data, entity="e", incident=incident, cause=cause.id if cause else None
    )
    envelope, _ = seal(event, ChainHead(), source="/test/alpha/x", time="t")
    to.record(envelope, event)
    return event


def failed() -> health.HealthSignal:
    return health.HealthSignal(
        layer=Layer.APPLICATION,
        node="alpha",
        observer="alpha",
        probe="process",
        state=Health.FAILED,
        previous=Health.OK,
        reason="ended",
    )


def ids_of(received: Received) -> tuple[int, int, int]:
    span = received.span
    return tuple(  # type: ignore[return-value]
        int.from_bytes(part, "big") for part in (span.trace_id, span.span_id, span.parent_span_id)
    )


def test_one_incident_is_one_trace_across_services(collector: Collector) -> None:
    services = {
        name: telemetry(collector.url, name) for name in ("monitor", "failover_decider", "recovery")
    }
    other = record(services["monitor"], failed(), None, None)
    root = record(services["monitor"], failed(), None, None)
    decision = record(services["failover_decider"], decided([root.id, other.id]), root, root)
    order = record(services["failover_decider"], ordered(), root, decision)
    start = record(services["recovery"], started(), root, order)
    for service in services.values():
        service.shutdown()
    order_name = f"{PUBLISH}order_sent"
    publish_name = f"{PUBLISH}resource_started"
    spans = collector.wait_for("detect", "decide", "start", order_name, publish_name)
    trace = trace_id(root.id)
    assert ids_of(spans["decide"]) == (trace, span_id(decision.id), span_id(root.id))
    assert ids_of(spans[order_name]) == (trace, span_id(order.id), span_id(decision.id))
    assert ids_of(spans["start"]) == (trace, span_id(start.id), span_id(order.id))
    assert ids_of(spans[publish_name])[::2] == (trace, span_id(start.id))
    roots = [each for each in collector.spans if each.span.name == "detect"]
    assert {ids_of(each) for each in roots} == {
        (trace_id(event.id), span_id(event.id), 0) for event in (root, other)
    }
    links = [
        (int.from_bytes(link.trace_id, "big"), int.from_bytes(link.span_id, "big"))
        for link in spans["decide"].span.links
    ]
    assert links == [(trace_id(event.id), span_id(event.id)) for event in (root, other)]
    assert {
        name: spans[name].resource["service.name"] for name in ("detect", "decide", "start")
    } == {
        "detect": "holdfast-monitor",
        "decide": "holdfast-failover_decider",
        "start": "holdfast-recovery",
    }
    assert spans["start"].resource["host.name"] == "alpha"
    took = spans["start"].span.end_time_unix_nano - spans["start"].span.start_time_unix_nano
    assert took == 250_000_000


def decided(evidence: list[str]) -> DecisionMade:
    return DecisionMade(
        group="ledger",
        kind=MoveKind.FAILOVER,
        rule="node_dead",
        intent=ids.uuid7(),
        source="alpha",
        target="beta",
        epoch=2,
        evidence=evidence,
        alternatives=[],
    )


def ordered() -> OrderSent:
    return OrderSent(group="ledger", node="beta", action="start", epoch=2, intent=ids.uuid7())


def started() -> hands.ResourceStarted:
    return hands.ResourceStarted(
        group="ledger", resource="http", node="beta", epoch=2, instance="1:2", took=0.25
    )


def test_publishing_follows_the_messaging_conventions(collector: Collector) -> None:
    service = telemetry(collector.url, "recovery")
    event = record(service, started(), None, None)
    service.shutdown()
    span = collector.wait_for(f"{PUBLISH}resource_started")[f"{PUBLISH}resource_started"]
    assert span.span.kind == PRODUCER
    assert span.attributes == {
        "messaging.system": "nats",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "ha.events.resource_started",
        "messaging.message.id": event.id,
        "messaging.message.conversation_id": event.id,
    }


def test_metrics_arrive(collector: Collector) -> None:
    service = telemetry(collector.url, "failover_decider")
    service.gauge("holdfast.spool.depth", "{event}", lambda: 7)
    move = MoveCompleted(
        group="ledger",
        kind=MoveKind.FAILOVER,
        intent=ids.uuid7(),
        node="beta",
        epoch=2,
        total=2.5,
        phases={},
    )
    record(service, move, None, None)
    service.shutdown()
    metrics = {metric.name: metric for metric in collector.metrics}
    assert metrics["holdfast.failover.duration"].histogram.data_points[0].sum == 2.5
    assert metrics["holdfast.spool.depth"].gauge.data_points[0].as_int == 7


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Accepts connections in the kernel and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_dead_collector_slows_nothing(black_hole: str) -> None:
    service = telemetry(black_hole, "recovery")
    event = draft(1)
    envelope, _ = seal(event, ChainHead(), source="/test/alpha/x", time="t")
    slowest = 0.0
    for _ in range(10_000):
        before = time.perf_counter()
        service.record(envelope, event)
        slowest = max(slowest, time.perf_counter() - before)
    # Shared with other work a step may take long, yet never as long as waiting for one export.
    assert slowest < EXPORT_TIMEOUT
    before = time.perf_counter()
    service.shutdown()
    assert time.perf_counter() - before < SHUTDOWN_WITHIN + EXPORT_TIMEOUT


async def test_a_service_traces_itself(
    nats_server: NatsServer, collector: Collector, tmp_path: Path
) -> None:
    extra = f'[telemetry]\nendpoint = "{collector.url}"\n'
    config = write_cluster_file(tmp_path, [nats_server], extra=extra)
    write_seed(tmp_path / "secrets", "echo")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.echo_service", "--place", "alpha"),
        *("--config", str(config), "--state", str(tmp_path / "state")),
        *("--secrets", str(tmp_path / "secrets")),
        env=os.environ,
    )
    try:
        name = f"{PUBLISH}service_started"
        spans = await asyncio.to_thread(collector.wait_for, name)
        assert spans[name].resource["service.name"] == "holdfast-echo"
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(collector.wait_for, f"{PUBLISH}service_stopped")
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
