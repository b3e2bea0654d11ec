"""Every method of every service, from the contracts' descriptors."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import argo


def services() -> dict[str, Any]:
    """All services by full name, whatever file they are in."""
    found = {}
    # The packages are namespaces, which pkgutil does not walk.
    for root in map(Path, argo.__path__):
        for file in sorted(root.rglob("*_pb2.py")):
            name = ".".join(("argo", *file.relative_to(root).with_suffix("").parts))
            for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
                found[service.full_name] = service
    return found


SERVICES = services()
METHODS = {f"/{service.full_name}/{method.name}": method for service in SERVICES.values() for method in service.methods}


def kind_of(method: Any) -> str:
    """``unary_unary``, ``stream_unary`` and so on, as grpc calls them."""
    sides = (method.client_streaming, method.server_streaming)
    return "_".join("stream" if streaming else "unary" for streaming in sides)
