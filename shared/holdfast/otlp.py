"""Sending spans and metrics by OTLP over HTTP, from threads of their own, never in anyone's way.

A queue is bounded and drops what does not fit; the exporter has a short deadline; shutting down
has one, too. So a dead collector costs traces and nothing else.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextvars import ContextVar

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from holdfast import subjects
from holdfast.events import Draft, Envelope, event_name
from holdfast.events.ownership import MoveCompleted
from holdfast.telemetry import Step, project, span_id, trace_id

EXPORT_TIMEOUT = 2
QUEUE_SPANS = 4096
SPANS_EVERY_MS = 500
METRICS_EVERY_MS = 10_000
SHUTDOWN_WITHIN = 1.0
KNOWN_EVENTS = 2048

_next_trace: ContextVar[int | None] = ContextVar("next_trace", default=None)
_next_span: ContextVar[int | None] = ContextVar("next_span", default=None)


class Telemetry:
    """Spans and metrics of one service."""

    def __init__(self, endpoint: str, *, cluster: str, place: str, service: str) -> None:
        resource = Resource.create(
            {
                "service.name": f"holdfast-{service}",
                "service.instance.id": f"{service}@{place}",
                "host.name": place,
                "holdfast.node": place,
                "holdfast.cluster": cluster,
            }
        )
        base = endpoint.rstrip("/")
        self._traces = TracerProvider(
            resource=resource, id_generator=_EventIds(), shutdown_on_exit=False
        )
        self._traces.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=EXPORT_TIMEOUT),
                max_queue_size=QUEUE_SPANS,
                schedule_delay_millis=SPANS_EVERY_MS,
                export_timeout_millis=EXPORT_TIMEOUT * 1000,
            )
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=EXPORT_TIMEOUT),
            export_interval_millis=METRICS_EVERY_MS,
            export_timeout_millis=EXPORT_TIMEOUT * 1000,
        )
        self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("holdfast")
        self._meter = self._metrics.get_meter("holdfast")
        self._failovers = self._meter.create_histogram(
            "holdfast.failover.duration", unit="s", description="from the signal to verified"
        )
        self._incidents: OrderedDict[str, str] = OrderedDict()

    def gauge(self, name: str, unit: str, read: Callable[[], float]) -> None:
        """Report `read()` as a gauge. It is called from another thread and must only read."""

        self.gauges(name, unit, lambda: [(read(), {})])

    def gauges(
        self, name: str, unit: str, read: Callable[[], Iterable[tuple[float, dict[str, str]]]]
    ) -> None:
        """The same of several things, each with the attributes that tell it from the others."""

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, attributes) for value, attributes in read()]

        self._meter.create_observable_gauge(name, callbacks=[observe], unit=unit)

    def record(self, envelope: Envelope, draft: Draft) -> None:
        """Project one emitted event. Takes microseconds; never blocks; ids not UUIDs: nothing."""
        trace, span = trace_id(draft.correlation), span_id(draft.id)
        if trace is None or span is None:
            return
        self._remember(draft)
        step = project(draft)
        end = time.time_ns()
        start = end - int(step.duration * 1e9)
        parent = span_id(draft.cause) if draft.cause and draft.incident else None
        links = [*step.evidence, *([draft.cause] if draft.cause and not draft.incident else [])]
        if step.name is not None:
            self._span(step.name, SpanKind.INTERNAL, trace, span, parent, (start, end), step, links)
            parent, links, own = span, [], RandomIdGenerator().generate_span_id()
        else:
            own = span
        publish = _publishing(envelope, event_name(draft.data), step)
        name = f"publish {publish.attributes['messaging.destination.name']}"
        self._span(name, SpanKind.PRODUCER, trace, own, parent, (end, end), publish, links)
        if isinstance(draft.data, MoveCompleted):
            about = {"holdfast.group": draft.data.group, "holdfast.kind": str(draft.data.kind)}
            self._failovers.record(draft.data.total, about)

    def shutdown(self) -> None:
        """Send what is queued; give up after SHUTDOWN_WITHIN seconds. Blocks that long at most."""
        threads = [
            threading.Thread(target=provider.shutdown, daemon=True)
            for provider in (self._traces, self._metrics)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + SHUTDOWN_WITHIN
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _span(
        self,
        name: str,
        kind: SpanKind,
        trace: int,
        own: int,
        parent: int | None,
        times: tuple[int, int],
        step: Step,
        evidence: list[str],
    ) -> None:
        # Without a parent the context is an empty one: a span that merely is current is not ours.
        context = set_span_in_context(NonRecordingSpan(_context(trace, parent or 0)))
        _next_trace.set(trace)
        _next_span.set(own)
        span = self._tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=step.attributes,
            links=self._links(evidence),
            start_time=times[0],
        )
        if step.failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(times[1])

    def _links(self, evidence: list[str]) -> list[Link]:
        """Evidence of another incident is in that one's trace; unknown events are their own."""
        found = ((trace_id(self._incidents.get(each, each)), span_id(each)) for each in evidence)
        return [Link(_context(trace, span)) for trace, span in found if trace and span]

    def _remember(self, draft: Draft) -> None:
        self._incidents[draft.id] = draft.correlation
        if draft.cause and draft.incident:
            self._incidents.setdefault(draft.cause, draft.incident)
        while len(self._incidents) > KNOWN_EVENTS:
            self._incidents.popitem(last=False)


class _EventIds(IdGenerator):
    """Hands the tracer the ids that the event already has."""

    def generate_trace_id(self) -> int:
        trace = _next_trace.get()
        assert trace is not None
        return trace

    def generate_span_id(self) -> int:
        span = _next_span.get()
        assert span is not None
        return span


def _context(trace: int, span: int) -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id=trace, span_id=span, is_remote=True, trace_flags=sampled)


def _publishing(envelope: Envelope, name: str, step: Step) -> Step:
    """The PRODUCER span of an event, in the messaging conventions."""
    return Step(
        name=None,
        duration=0.0,
        failed=False,
        evidence=[],
        attributes={
            **({} if step.name else step.attributes),
            "messaging.system": "nats",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": subjects.event(name),
            "messaging.message.id": envelope.id,
            "messaging.message.conversation_id": envelope.correlationid,
        },
    )
