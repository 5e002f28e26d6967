"""A real OTLP/HTTP collector: it decodes what is posted to it. A pytest plugin."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class Received:
    """One span and the resource it came from."""

    span: Span
    resource: dict[str, str]

    @property
    def attributes(self) -> dict[str, str]:
        """Its string attributes."""
        return strings(self.span.attributes)


def strings(attributes: "object") -> dict[str, str]:
    """The string-valued ones of protobuf attributes."""
    pairs: list[KeyValue] = list(attributes)  # type: ignore[call-overload]
    return {pair.key: pair.value.string_value for pair in pairs}


class Collector:
    """Listens on loopback; `wait_for` returns spans by name once they have come."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.metrics: list[Metric] = []
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, path: str, body: bytes) -> bytes:
        """Decode one request and keep what is in it."""
        with self._changed:
            if path == "/v1/traces":
                for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                    resource = strings(part.resource.attributes)
                    for scope in part.scope_spans:
                        self.spans += [Received(span, resource) for span in scope.spans]
                answer: bytes = ExportTraceServiceResponse().SerializeToString()
            else:
                assert path == "/v1/metrics", path
                for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scoped in group.scope_metrics:
                        self.metrics += scoped.metrics
                answer = ExportMetricsServiceResponse().SerializeToString()
            self._changed.notify_all()
        return answer

    def wait_for(self, *names: str, within: float = 10.0) -> dict[str, Received]:
        """One span of each name; fails when one has not come within the time. Blocks."""

        def by_name() -> dict[str, Received]:
            return {received.span.name: received for received in self.spans}

        with self._changed:
            came = self._changed.wait_for(lambda: set(names) <= by_name().keys(), within)
            assert came, f"only {sorted(by_name())}"
            return by_name()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running collector."""
    running = Collector()
    yield running
    running.close()
