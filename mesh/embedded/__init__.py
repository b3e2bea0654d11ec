"""NATS and PostgreSQL as child processes with a data folder each: for local mode, tests and benchmarks."""

from __future__ import annotations

from mesh.embedded.nats import EmbeddedNats
from mesh.embedded.postgres import EmbeddedPostgres
from mesh.embedded.server import EmbeddedServer, free_port

__all__ = ["EmbeddedNats", "EmbeddedPostgres", "EmbeddedServer", "free_port"]
