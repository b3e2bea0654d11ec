from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from mesh import tracing
from mesh.trace_export import CollectorExporter

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = SAMPLED[:-1] + "0"


@pytest.fixture
def exported(request: pytest.FixtureRequest) -> Iterator[InMemorySpanExporter]:
    sampler: Sampler = getattr(request, "param", ALWAYS_ON)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(sampler))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


def test_without_a_collector_nothing_is_recorded_and_no_context_travels() -> None:
    root = tracing.start_root("frame")

    assert not tracing.is_on()
    assert not root.is_recording()
    assert tracing.traceparent(root) == ""
    assert not tracing.start_child("detector.analyze", SAMPLED).is_recording()


def test_a_child_continues_the_trace_that_the_message_carries(exported: InMemorySpanExporter) -> None:
    root = tracing.start_root("frame", start_nanoseconds=5, attributes={"sequence": 7})
    tracing.start_child("detector.analyze", tracing.traceparent(root)).end()
    root.end()

    child, parent = exported.get_finished_spans()
    assert child.context.trace_id == parent.context.trace_id
    assert child.parent is not None
    assert child.parent.span_id == parent.context.span_id
    assert parent.start_time == 5
    assert dict(parent.attributes or {}) == {"sequence": 7}


def test_a_root_begins_a_trace_of_its_own_inside_of_another_span(exported: InMemorySpanExporter) -> None:
    with tracing.continued({"traceparent": SAMPLED}, "outer"):
        tracing.start_root("frame").end()

    frame, outer = exported.get_finished_spans()
    assert frame.parent is None
    assert frame.context.trace_id != outer.context.trace_id


@pytest.mark.parametrize("exported", [ALWAYS_OFF], indirect=True)
def test_a_frame_that_is_not_sampled_carries_no_context(exported: InMemorySpanExporter) -> None:
    root = tracing.start_root("frame")
    root.end()

    assert tracing.traceparent(root) == ""
    assert exported.get_finished_spans() == ()


@pytest.mark.parametrize("exported", [ALWAYS_OFF], indirect=True)
def test_the_decision_of_the_root_holds_for_all_services(exported: InMemorySpanExporter) -> None:
    tracing.start_child("detector.analyze", SAMPLED).end()
    tracing.start_child("detector.analyze", NOT_SAMPLED).end()

    assert len(exported.get_finished_spans()) == 1


@pytest.mark.parametrize("parent", ["", "not a trace context", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_what_cannot_be_read_begins_no_trace(exported: InMemorySpanExporter, parent: str) -> None:
    tracing.start_child("detector.analyze", parent).end()

    assert exported.get_finished_spans() == ()


def test_the_text_of_an_error_stays_out_of_the_span(exported: InMemorySpanExporter) -> None:
    with (
        pytest.raises(ValueError, match="Mario Rossi"),
        tracing.ending(tracing.start_child("alerting.store_event", SAMPLED)),
    ):
        raise ValueError("Mario Rossi")

    (span,) = exported.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "Rossi" not in span.to_json()


def test_the_context_of_a_caller_passes_through_a_service_without_traces() -> None:
    with tracing.continued({"traceparent": SAMPLED}, "outer"):
        assert tracing.inject() == {"traceparent": SAMPLED}


class FlakyExporter(SpanExporter):
    """A collector that answers as it is told."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._results.pop(0)


def test_a_collector_that_is_lost_is_told_once_and_so_is_its_return() -> None:
    lost, there = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    exporter = CollectorExporter(FlakyExporter(there, lost, lost, lost, there, there))

    with structlog.testing.capture_logs() as lines:
        results = [exporter.export([]) for _ in range(6)]

    assert results == [there, lost, lost, lost, there, there]
    assert [line["event"] for line in lines] == ["tracing.collector_lost", "tracing.collector_recovered"]
