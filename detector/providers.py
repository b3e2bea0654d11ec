"""Which execution providers of onnxruntime this machine can really use."""

from __future__ import annotations

from ctypes.util import find_library
from pathlib import Path
from typing import Final

import onnxruntime

DEVICES: Final = Path("/dev")
"""Where the operating system lists the GPUs that this process may use."""
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
_TENSORRT_LIBRARY: Final = "nvinfer"


def providers() -> list[str]:
    """In order of preference; one is named only when what it needs exists: onnxruntime names all that it was built for.

    TensorRT needs its own library as well, which no wheel of ARGO's brings: who installs it asks for TensorRT.
    """
    built = onnxruntime.get_available_providers()
    usable = []
    if any(DEVICES.glob("nvidia[0-9]*")):
        if TENSORRT in built and find_library(_TENSORRT_LIBRARY):
            usable.append(TENSORRT)
        if CUDA in built:
            usable.append(CUDA)
    return [*usable, CPU]
