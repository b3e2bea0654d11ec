"""Who may call what: one table for every service (``permissions.toml``), and the decision by it."""

from __future__ import annotations

from mesh.access.matrix import Caller, Matrix, Row, load, matrix
from mesh.access.settings import TokenSettings

__all__ = ["Caller", "Matrix", "Row", "TokenSettings", "load", "matrix"]
