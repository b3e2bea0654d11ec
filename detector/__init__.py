"""Frames to verdicts, tracks and events."""

from __future__ import annotations

import os

# onnxruntime reports its use to its maker and keeps a database of that below ~/.cache, from the moment it is imported.
# Nothing may leave the segregated network, so it is told not to before any module of this package can import it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
