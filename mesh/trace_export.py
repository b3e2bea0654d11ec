"""Spans to an OTLP collector. Loaded only where traces are wanted: the SDK and its exporter take their time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

log = structlog.get_logger()

EXPORT_SECONDS: Final = 2.0
"""How long a batch of spans may take to reach the collector; a stop waits for it, so it is short."""


def provider(service: str, environment: str, endpoint: str, sample_ratio: float) -> TracerProvider:
    """Makes the spans of a process and sends them in the background.

    Args:
        service: name of the service.
        environment: name of the deployment.
        endpoint: ``https://host:port`` is spoken to over TLS; ``http://host:port`` and ``host:port`` are not.
        sample_ratio: share of the traces begun here that is recorded; those begun elsewhere are as decided there.
    """
    made = TracerProvider(
        resource=Resource.create({"service.name": service, "deployment.environment.name": environment}),
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
    )
    # It has a line for every batch that does not arrive; `CollectorExporter` tells the change.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    insecure = not endpoint.startswith("https://")
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=insecure, timeout=EXPORT_SECONDS)
    made.add_span_processor(BatchSpanProcessor(CollectorExporter(exporter)))
    return made


class CollectorExporter(SpanExporter):
    """Says once when the collector is lost and once when it is back; spans that do not arrive are gone.

    Args:
        exporter: that sends the spans.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch."""
        result = self._exporter.export(spans)
        is_lost = result is not SpanExportResult.SUCCESS
        if is_lost and not self._is_lost:
            log.warning("tracing.collector_lost")
        elif self._is_lost and not is_lost:
            log.info("tracing.collector_recovered")
        self._is_lost = is_lost
        return result

    def shutdown(self) -> None:
        """Closes the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Sends what waits."""
        return self._exporter.force_flush(timeout_millis)
