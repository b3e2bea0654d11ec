"""Which execution providers of onnxruntime this machine can really use, and memory that its GPU can fetch by itself."""

from __future__ import annotations

import ctypes
import functools
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnxruntime

if TYPE_CHECKING:
    from detector.domain.inputs import Batch

DEVICES: Final = Path("/dev")
"""Where the operating system lists the GPUs that this process may use."""
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
_TENSORRT_LIBRARY: Final = "nvinfer"
_CUDA_RUNTIME: Final = "libcudart.so.13"
"""Of the CUDA that the locked onnxruntime is built for; it is loaded when the providers are."""


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


def pin(array: Batch) -> bool:
    """Page-lock an array for the GPU; false where there is none, or where it refuses. The array works either way."""
    runtime = _cuda_runtime()
    return runtime is not None and runtime.cudaHostRegister(_address(array), ctypes.c_size_t(array.nbytes), 0) == 0


def unpin(array: Batch) -> None:
    """Take back what `pin` did, before the array's memory is freed."""
    runtime = _cuda_runtime()
    if runtime is not None:
        runtime.cudaHostUnregister(_address(array))


def _address(array: Batch) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@functools.lru_cache(maxsize=1)
def _cuda_runtime() -> Any:
    try:
        return ctypes.CDLL(_CUDA_RUNTIME)
    except OSError:
        return None
