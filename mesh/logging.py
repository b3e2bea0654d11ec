"""Structured logs: one JSON object per line on standard output, or coloured lines on a terminal.

An event is a constant, dotted, past-tense name listed in ``docs/events``; everything that varies is a field. Fields
that look like secrets are masked, and so are credentials inside URLs, also in what libraries log and in tracebacks.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import trace

from mesh.secrecy import MASK, is_secret_name, mask_text

if TYPE_CHECKING:
    from mesh.settings import ServiceSettings

_LIBRARY_LEVELS = {"grpc": logging.WARNING, "aiortc": logging.WARNING, "aioice": logging.WARNING, "nats":
logging.WARNING,
                   "asyncpg": logging.WARNING, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING,
                   "libav": logging.ERROR}  # fmt: skip


def configure(service: str, settings: ServiceSettings) -> None:
    """Sets up structlog and the standard library's logging for this process.

    Args:
        service: name of the service, on every line.
        settings: log format and level, and the environment's name.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Constants(service, settings.environment),
        add_trace_ids,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library_event, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings.log_format)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    for name, library_level in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(level, library_level))


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: masks fields with a secret's name and credentials in any text, at every depth."""
    return {key: MASK if is_secret_name(key) else _mask(value) for key, value in event.items()}


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: flat ``trace_id``, ``span_id`` and ``trace_flags`` in hexadecimal, when a span is current."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
        event["span_id"] = format(context.span_id, "016x")
        event["trace_flags"] = format(context.trace_flags, "02x")
    return event


class _Constants:
    """Processor: what is the same on every line of this process."""

    def __init__(self, service: str, environment: str) -> None:
        self._fields = {
            "service": service,
            "version": version(),
            "environment": environment,
            "pod": os.environ.get("HOSTNAME") or socket.gethostname(),
        }

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in self._fields.items():
            event.setdefault(key, value)
        return event


def version() -> str:
    """The installed version of ARGO, ``"unknown"`` when it runs from a bare source tree."""
    try:
        return importlib.metadata.version("argo")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _name_library_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # A library's sentence is not an event name: it becomes a field of one constant event.
    record = event.get("_record")
    event["message"] = event["event"]
    event["event"] = "library.logged"
    event["logger"] = record.name if record is not None else "unknown"
    return event


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    # Tracebacks become text before the masking, and never show local variables: those hold pixels, requests and
    # secrets.
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
        return [structlog.processors.format_exc_info, mask_secrets, renderer]
    to_dictionaries = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(to_dictionaries), mask_secrets, structlog.processors.JSONRenderer()]


def _mask(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: MASK if is_secret_name(str(key)) else _mask(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(item) for item in value]
    return mask_text(str(value))
