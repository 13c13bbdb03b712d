"""Kernels beside the same in NumPy, which the tests of all of them share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tapenet import kernels

R = np.random.default_rng(0)

#: How much work, or how long a row, is worth a kernel, by module.
BOUNDS = {
    "formula": ("WORTH",),
    "layers.attention.kernel_dispatch": ("WORTH",),
    "layers.convolution.kernel_dispatch": ("WORTH",),
    "layers.pooling.kernel_dispatch": ("WORTH", "APART"),
    "layers.quantized": ("WORTH", "WORTH_BACK"),
    "layers.recurrent.layers": ("WORTH",),
    "layers.recurrent.products": ("WORTH",),
    "layers.resampling.kernel_dispatch": ("WORTH",),
    "products.matmul": ("WORTH", "ALONE"),
}


def lift(patch: Any) -> None:
    """Have kernels take work of any size."""
    for module, names in BOUNDS.items():
        for name in names:
            patch.setattr(importlib.import_module(f"tapenet.ops.{module}"), name, 0)
    patch.setattr("tapenet.kernels.linear.WORTH", 0)
    patch.setattr("tapenet.kernels.linear.LEAST", dict.fromkeys(("product", "product_turned", "weight_grad"), 1))
    patch.setattr("tapenet.kernels.linear.TINY", 0)


def many_threads(patch: Any, count: int) -> None:
    """Have work of any size dealt out to so many threads."""
    patch.setattr("tapenet.llvm.sharing.PART", 1)
    patch.setattr("tapenet.llvm.sharing.OWN", 0)
    patch.setattr("tapenet.llvm.workers._number", count)


def returned(patch: Any, module: Any, name: str) -> list[Any]:
    """What a function of a module returns from here on."""
    found: list[Any] = []
    function = getattr(module, name)

    def noted(*args: Any) -> Any:
        found.append(function(*args))
        return found[-1]

    patch.setattr(module, name, noted)
    return found


def plans(patch: Any) -> list[Any]:
    """The plans that are made from here on of ops whose kernels a program calls by itself; None for those that Python calls."""
    return returned(patch, importlib.import_module("tapenet.program.native.launches"), "record")


def batch_last(x: Any) -> Any:
    """The same array with the batch innermost in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def both(f: Callable[..., Any], *arrays: Any, dtype: Any, g: Any = None) -> tuple[list[Any], list[Any]]:
    """The result and the gradients for `g` (by default any): with kernels in the dtype, and in NumPy in float64."""

    def run(kind: Any) -> list[Any]:
        nonlocal g
        t = [tn.tensor(a.astype(kind), requires_grad=True) for a in arrays]
        out = f(*t)
        g = np.asarray(R.normal(size=out.shape)) if g is None else g
        out.backward(g.astype(kind))
        return [out.data, *(x.grad.data for x in t)]

    found = run(dtype)
    with kernels.switched(False):
        return found, run("d")


def agree(found: Any, expected: Any, dtype: Any, error: float, least: float = 1.0) -> None:
    """Arrays of the dtype, as near to those expected as `error` of their largest number, or of `least`."""
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == np.dtype(dtype)
        assert a.shape == b.shape
        assert abs(a - b).max() <= error * max(least, abs(b).max())
