"""One trace follows a frame through four processes, from the gateway to the alert, into a real OTLP collector's end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from argo.detector.v1 import bus_pb2 as bus
from mesh.local.environment import MeshOptions
from mesh.local.runner import LocalMesh
from mesh.local.state import StateFolder
from tests.e2e.street import CAMERA, OPTIC, Street, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROAD = {
    "frame": "camera-gateway",
    "detector.analyze": "detector",
    "detector.rules": "detector",
    "anonymizer.redact": "anonymizer",
    "alerting.store_event": "alerting",
}
TOLD = {
    "frame": {"optic", "sequence", "outcome"},
    "detector.analyze": {"batch_size", "outcome"},
    "detector.rules": set(),
    "anonymizer.redact": {"basis", "failed_closed"},
    "alerting.store_event": {"event_id", "optic", "rule"},
}
"""All that a span may say: nothing of a person, nothing of a picture."""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is exported, by trace."""

    def __init__(self) -> None:
        self.traces: dict[bytes, list[Span]] = {}
        self.services: dict[str, set[str]] = {}

    async def Export(  # noqa: N802 - the contract's name
        self, request: collector.ExportTraceServiceRequest, context: Any
    ) -> collector.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = _attributes(resource.resource)["service.name"].string_value
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                self.traces.setdefault(span.trace_id, []).append(span)
                self.services.setdefault(span.name, set()).add(service)
        return collector.ExportTraceServiceResponse()

    def road(self, event: bus.Event) -> dict[str, Span] | None:
        """The spans of an event's frame by name, when all of them have come; two rules may fire on one frame."""
        spans = self.traces.get(bytes.fromhex(event.traceparent.split("-")[1]), []) if event.traceparent else []
        found = {span.name: span for span in spans if _event_id(span) in {None, event.event_id}}
        return found if ROAD.keys() <= found.keys() else None


def _attributes(carrier: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value for attribute in carrier.attributes}


def _event_id(span: Span) -> str | None:
    value = _attributes(span).get("event_id")
    return value.string_value if value is not None else None


@asynccontextmanager
async def _collecting() -> AsyncIterator[tuple[Collector, str]]:
    server = grpc.aio.server()
    kept = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield kept, f"http://127.0.0.1:{port}"
    finally:
        await server.stop(None)


def _traced(endpoint: str) -> MeshOptions:
    """Every frame is sampled where it comes in; the others follow the gateway's decision."""
    tracing = {"ARGO_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "500"}
    settings = {service: tracing | {"ARGO_TRACE_SAMPLE_RATIO": "0"} for service in set(ROAD.values())}
    settings["camera-gateway"]["ARGO_TRACE_SAMPLE_RATIO"] = "1"
    settings["alerting"]["ARGO_GROUP_SECONDS"] = "1"
    return MeshOptions(settings=settings)


async def test_one_trace_leads_from_the_gateway_to_the_alert(tmp_path: Path, sample: Path) -> None:
    async with _collecting() as (kept, endpoint):
        with StateFolder(tmp_path / "mesh") as state:
            async with LocalMesh(state, _traced(endpoint)) as mesh:
                street = Street(mesh)
                await mesh.start_services()
                await street.register(CAMERA, await street.play(CAMERA, sample))

                async def arrived() -> dict[str, Span] | None:
                    roads = [kept.road(alert.event) for alert in await street.alerts()]
                    return next((road for road in roads if road is not None), None)

                spans = await until("an alert with its trace", arrived)

    root = spans["frame"]
    assert {name: kept.services[name] for name in ROAD} == {name: {service} for name, service in ROAD.items()}
    assert root.parent_span_id == b""
    for name in ("detector.analyze", "detector.rules", "anonymizer.redact"):
        assert spans[name].parent_span_id == root.span_id, name
    assert spans["alerting.store_event"].parent_span_id == spans["detector.rules"].span_id
    assert {name: set(_attributes(spans[name])) for name in ROAD} == TOLD
    assert _attributes(root)["optic"].string_value == OPTIC
    assert _attributes(root)["outcome"].string_value == "masked"
    assert _attributes(spans["detector.analyze"])["outcome"].string_value == "analysed"
