"""Activations in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import kernels

#: Elements from which a kernel is quicker than NumPy's passes.
WORTH = 8192


def elementwise(name: str, *arrays: Any, numbers: tuple[float, ...] = ()) -> Any:
    """A formula of `tapenet.kernels.elementwise` over arrays alike, and of numbers."""
    first = arrays[0]
    if type(first) is not np.ndarray or first.size < WORTH or any(type(a) is not np.ndarray for a in arrays):
        return None
    kernel = kernels.use("elementwise") if kernels.fit(*arrays) else None
    if kernel is None or not kernel.alike(*arrays):
        return None
    return kernel.apply(name, *arrays, numbers=numbers)


def rows(name: str, axis: int, *arrays: Any) -> Any:
    """A function of `tapenet.kernels.softmax` over the rows of arrays in C order."""
    first = arrays[0]
    if type(first) is not np.ndarray or first.size < WORTH or axis not in (-1, first.ndim - 1):
        return None
    if any(type(a) is not np.ndarray or a.shape != first.shape or not a.flags.c_contiguous for a in arrays):
        return None
    kernel = kernels.use("softmax") if kernels.fit(*arrays) else None
    if kernel is None:
        return None
    return getattr(kernel, name)(*(a.reshape(-1, first.shape[-1]) for a in arrays)).reshape(first.shape)
