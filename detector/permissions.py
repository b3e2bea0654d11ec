"""Who may call the detector."""

from __future__ import annotations

from typing import Final

POLICY: Final = {"/argo.detector.v1.DetectionService/Analyze": ("service/camera-gateway",)}
"""Raw frames come from the gateway and from nobody else."""
