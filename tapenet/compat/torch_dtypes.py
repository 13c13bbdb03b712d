"""The names that PyTorch and the array API standard have for types of numbers, for `tn.float32` and so on. They are NumPy's:
`tn.float32` is `np.float32`."""

from __future__ import annotations

import numpy as np

from tapenet.program.low import dtype_of
from tapenet.typing import DType

bool = np.bool_
uint8 = np.uint8
uint16 = np.uint16
uint32 = np.uint32
uint64 = np.uint64
int8 = np.int8
int16 = short = np.int16
int32 = int = np.int32
int64 = long = np.int64
float16 = half = np.float16
float32 = float = np.float32
float64 = double = np.float64
complex64 = np.complex64
complex128 = np.complex128


def __getattr__(name: str) -> DType:
    if name == "bfloat16":  # of a package that may not be there
        return dtype_of(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
