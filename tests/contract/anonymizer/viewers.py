"""Foreign clients of the live view, and what this machine lacks for them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
GSTREAMER_VIEWER: Final = Path(__file__).parent / "gstreamer_viewer.py"
GSTREAMER_PACKAGES: Final = "python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-{good,bad}"
_PROBE: Final = """
import gi
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
for name in ("webrtcbin", "nicesrc", "rtph264depay", "openh264dec"):
    assert Gst.ElementFactory.find(name), name
"""


def gstreamer_is_missing() -> bool:
    """Whether this machine has no GStreamer that can watch."""
    if not SYSTEM_PYTHON.exists():
        return True
    return subprocess.run([SYSTEM_PYTHON, "-c", _PROBE], check=False, capture_output=True).returncode != 0
