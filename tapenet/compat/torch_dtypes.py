"""PyTorch's names of types of numbers, for `tn.float32` and so on; they are NumPy's dtypes."""

from __future__ import annotations

import numpy as np

from tapenet.program.low import dtype_of
from tapenet.typing import DType

bool = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
complex64 = np.dtype(np.complex64)
complex128 = np.dtype(np.complex128)


def __getattr__(name: str) -> DType:
    if name == "bfloat16":  # of a package that may not be there
        return dtype_of(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
