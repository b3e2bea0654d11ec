"""OpenTelemetry traces: off unless a collector is configured; one trace follows a frame from the gateway to an alert.

The trace context travels as W3C ``traceparent``: in gRPC metadata for unary calls, in a message header on NATS, and
inside the messages of long streams, where one stream carries many traces.

What is done for every frame asks ``is_on`` or for a ``traceparent`` first, and works with a span that records nothing
otherwise: traces that are off cost a branch.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import Attributes

    from mesh.settings import ServiceSettings

TRACEPARENT: Final = "traceparent"

_propagator = TraceContextTextMapPropagator()
_NAME: Final = "argo"


class _Process:
    """What ``configure`` leaves behind; a process has one."""

    provider: TracerProvider | None = None
    tracer: trace.Tracer | None = None


def configure(service: str, settings: ServiceSettings) -> None:
    """Starts exporting spans when ``otlp_endpoint`` is set, of ``trace_sample_ratio`` of the traces begun here."""
    if settings.otlp_endpoint is None:
        return
    # The SDK and its exporter are loaded only where traces are wanted.
    from mesh import trace_export

    ratio = settings.trace_sample_ratio
    use(trace_export.provider(service, settings.environment, settings.otlp_endpoint, ratio))


def use(provider: TracerProvider | None) -> None:
    """Makes the spans of this process with ``provider``; None turns traces off."""
    _Process.provider = provider
    _Process.tracer = provider.get_tracer(_NAME) if provider is not None else None


def shutdown() -> None:
    """Sends the spans that wait, at most a few seconds; does nothing when traces are off."""
    if _Process.provider is not None:
        _Process.provider.shutdown()


def is_on() -> bool:
    """Whether this process exports spans at all; says nothing of what is sampled."""
    return _Process.tracer is not None


def tracer() -> trace.Tracer:
    """The tracer of this process; its spans cost next to nothing while traces are off."""
    return _Process.tracer or trace.NoOpTracer()


def inject() -> dict[str, str]:
    """The current trace context as headers; empty when no trace is current."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def extract(headers: Mapping[str, str]) -> Context:
    """The trace context of headers with lower-case names; an empty context if they carry none."""
    return _propagator.extract(headers)


def traceparent(span: trace.Span) -> str:
    """The W3C Trace Context of a span, for a message; empty when the span is not recorded."""
    if not span.is_recording():
        return ""
    headers: dict[str, str] = {}
    _propagator.inject(headers, trace.set_span_in_context(span, Context()))
    return headers[TRACEPARENT]


def start_root(name: str, *, start_nanoseconds: int | None = None, attributes: Attributes = None) -> trace.Span:
    """Begins a trace, whatever span is current; the sampler decides whether it is recorded. The caller ends the span.

    Args:
        name: of the span.
        start_nanoseconds: since the epoch; now if None.
        attributes: of the span; nothing that says something of a person.
    """
    return tracer().start_span(name, Context(), start_time=start_nanoseconds, attributes=attributes)


def start_child(name: str, parent: str, *, attributes: Attributes = None) -> trace.Span:
    """A span under one in another process. The caller ends it.

    Args:
        name: of the span.
        parent: its ``traceparent``; without one, or with one that cannot be read, nothing is recorded.
        attributes: of the span; nothing that says something of a person.
    """
    if not parent or _Process.tracer is None:
        return trace.INVALID_SPAN
    context = extract({TRACEPARENT: parent})
    if not trace.get_current_span(context).get_span_context().is_valid:
        return trace.INVALID_SPAN
    return _Process.tracer.start_span(name, context, attributes=attributes)


@contextmanager
def ending(span: trace.Span) -> Iterator[trace.Span]:
    """Runs the block with ``span`` as the current one and ends it after the block.

    An error leaves its type in the span and not its text, which may have been made of what was in a message.
    """
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except Exception as error:
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


@contextmanager
def continued(headers: Mapping[str, str], name: str) -> Iterator[trace.Span]:
    """Runs the block in a span named ``name`` whose parent is the trace context in ``headers``."""
    token = attach(extract(headers))
    try:
        with ending(tracer().start_span(name)) as span:
            yield span
    finally:
        detach(token)
