"""One incident is one trace across all processes, as a real OTLP/HTTP collector receives it."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.telemetry import STEPS, span_id, trace_id
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.cluster_fixture import running
from tests.support.collector import Collector, Received
from tests.support.follower import Seen
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

TELEMETRY = '\n[telemetry]\nendpoint = "{}"\n'


@pytest.fixture(scope="module")
def everything() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(
    tmp_path_factory: pytest.TempPathFactory, everything: Collector
) -> AsyncIterator[RunningCluster]:
    extra = TELEMETRY.format(everything.url)
    made = RunningCluster(tmp_path_factory.mktemp("traced"), extra=extra)
    async with running(made) as cluster:
        yield cluster


class Trace:
    """The spans and the events of one incident."""

    def __init__(self, cluster: RunningCluster, collector: Collector, incident: str) -> None:
        self._cluster, self._collector = cluster, collector
        self.incident = incident

    @property
    def events(self) -> dict[int, Seen]:
        """By the span id that each must have."""
        return {
            span_id(seen.envelope.id) or 0: seen
            for seen in self._cluster.follower.seen
            if seen.envelope.correlationid == self.incident
        }

    @property
    def spans(self) -> dict[int, Received]:
        """By span id."""
        return {
            number(received.span.span_id): received
            for received in list(self._collector.spans)
            if number(received.span.trace_id) == trace_id(self.incident)
        }

    async def complete(self, *steps: str) -> dict[int, Received]:
        """The spans, once these steps are among them, and every event has its span and its cause,
        which comes from another producer, perhaps later."""

        def whole() -> bool:
            names, events = {received.span.name for received in self.spans.values()}, self.events
            caused = [seen.envelope.causationid for seen in events.values()]
            causes = {span_id(cause) for cause in caused if cause}
            return names >= set(steps) and self.spans.keys() >= events.keys() >= causes

        await until(whole, within=30, what=f"spans {steps}")
        return self.spans

    def assert_is_the_causal_tree(self) -> None:
        """Every event is a span of its own producer, below the span of its cause."""
        spans, events = self.spans, self.events
        for key, seen in events.items():
            received = spans[key]
            cause = seen.envelope.causationid
            parent = number(received.span.parent_span_id)
            assert parent == (span_id(cause) if cause else 0), seen
            assert parent == 0 or parent in events, f"the cause of {seen} is in another trace"
            place, _, service = seen.service.partition("/")
            assert received.resource["service.name"] == f"holdfast-{service}"
            assert received.resource["host.name"] == place
            assert received.span.name == STEPS.get(seen.name, f"publish ha.events.{seen.name}")
            if "took" in seen.data and seen.name in STEPS:
                took = received.span.end_time_unix_nano - received.span.start_time_unix_nano
                assert took == pytest.approx(seen.data["took"] * 1e9, abs=2e3)
        roots = [key for key, seen in events.items() if seen.envelope.causationid is None]
        assert [events[key].envelope.id for key in roots] == [self.incident]
        names = {received.span.name for received in spans.values()}
        assert not [name for name in names if any(host in name for host in HOSTS)]


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


async def test_a_local_recovery_is_one_trace(traced: RunningCluster, everything: Collector) -> None:
    began = wall_time()
    os.kill(await traced.workload(), signal.SIGKILL)
    recovered = await traced.seen("recovery_succeeded", since=began)
    trace = Trace(traced, everything, recovered.envelope.correlationid)
    spans = await trace.complete("detect", "start", "recover", "notify")
    trace.assert_is_the_causal_tree()
    services = {received.resource["service.name"] for received in spans.values()}
    assert services == {"holdfast-monitor", "holdfast-recovery", "holdfast-notifier"}
    await traced.healthy()


async def test_a_failover_is_one_trace(traced: RunningCluster, everything: Collector) -> None:
    lost = await traced.owner()
    await traced.lead_from(lost)
    await traced.keep_streams_off(lost)
    began = await traced.kill_host(lost)
    moved = await traced.seen("move_completed", since=began, kind="failover", timeout=60)
    trace = Trace(traced, everything, moved.envelope.correlationid)
    spans = await trace.complete(
        "detect", "decide", "fence", "promote", "start", "verify", "notify"
    )
    trace.assert_is_the_causal_tree()
    by_step = {received.span.name: received.resource["service.name"] for received in spans.values()}
    assert by_step["decide"] == by_step["fence"] == "holdfast-failover_decider"
    assert by_step["promote"] == "holdfast-storage_replication"
    assert by_step["start"] == by_step["verify"] == "holdfast-recovery"
    assert by_step["notify"] == "holdfast-notifier"
    (decision,) = [seen for seen in trace.events.values() if seen.name == "decision_made"]
    links = {
        (number(link.trace_id), number(link.span_id))
        for link in spans[span_id(decision.envelope.id) or 0].span.links
    }
    correlations = {s.envelope.id: s.envelope.correlationid for s in traced.follower.seen}
    evidence = decision.data["evidence"]
    assert len(evidence) >= 2
    assert {span for _, span in links} == {span_id(one) for one in evidence}
    own = {span_id(one) for one in evidence if correlations[one] == trace.incident}
    assert own, "the signal that began it is evidence"
    assert moved.data["phases"].keys() >= {"suspect", "decide", "fence", "start"}
    await traced.local.place(lost).start()
    await traced.healthy()


@pytest.mark.chaos
async def test_a_collector_that_answers_nothing_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as black_hole:
        extra = TELEMETRY.format(f"http://127.0.0.1:{black_hole.getsockname()[1]}")
        made = RunningCluster(tmp_path_factory.mktemp("untraced"), extra=extra)
        async with running(made) as cluster, cluster.observed() as ledger:
            lost = await cluster.owner()
            other = next(host for host in HOSTS if host != lost)
            await cluster.lead_from(lost)
            await cluster.keep_streams_off(lost)
            began = await cluster.kill_host(lost)
            await cluster.seen("move_completed", since=began, node=other, timeout=60)
            assert await asyncio.to_thread(ledger.wait_acknowledged, 10, 10)
