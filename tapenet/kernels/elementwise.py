"""Functions that NumPy would need many passes for, in one: activations and their gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.kernels.threads import deal
from tapenet.native.formulas import call
from tapenet.native.kernel import Kernel, Value

#: What one element costs, in multiply-adds.
COST = 20

#: By name: a formula of as many numbers as there are arrays, the gradient by the result first.
FORMULAS: dict[str, Callable[..., Value]] = {}


def _formula(f: Callable[..., Value]) -> Callable[..., Value]:
    FORMULAS[f.__name__.removeprefix("_")] = f
    return f


def apply(name: str, *arrays: Any) -> Any:
    """A formula over arrays of one shape, dtype and memory order, without gaps; the result lies like them."""
    first = arrays[0]
    out = np.empty_like(first)
    run = _compiled(name, len(arrays), first.dtype.char)
    deal(lambda begin, end: run(out, *arrays, begin, end), first.size, COST * first.size)
    return out


def alike(*arrays: Any) -> bool:
    """Whether arrays may be given to `apply` together."""
    first = arrays[0]
    if any(a.shape != first.shape or a.dtype != first.dtype or a.strides != first.strides for a in arrays[1:]):
        return False
    flags = first.flags
    if first.dtype.char not in "fd":
        return False
    if flags.c_contiguous or flags.f_contiguous:
        return True
    order = sorted(range(first.ndim), key=lambda i: -first.strides[i])
    return bool(first.transpose(order).flags.c_contiguous)


@functools.lru_cache(maxsize=64)
def _compiled(name: str, count: int, char: str) -> Any:
    k = Kernel(name, char)
    out, *arrays = (k.array(1) for _ in range(1 + count))
    begin, end = k.integer(), k.integer()
    for i in k.turns(end, begin):
        out.store(FORMULAS[name](*(a.load(i) for a in arrays)), i)
    return k.compile()


def _phi(x: Value) -> Value:
    """The normal distribution function."""
    return call("erf", x * math.sqrt(0.5)) * 0.5 + 0.5


def _density(x: Value) -> Value:
    """The normal density."""
    return call("exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def _tanh_inner(x: Value) -> Value:
    return (x * x * 0.044715 + 1.0) * x * math.sqrt(2 / math.pi)


@_formula
def _gelu(x: Value) -> Value:
    return x * _phi(x)


@_formula
def _gelu_grad(g: Value, x: Value) -> Value:
    return g * (_phi(x) + x * _density(x))


@_formula
def _gelu_tanh(x: Value) -> Value:
    return x * 0.5 * (call("tanh", _tanh_inner(x)) + 1.0)


@_formula
def _gelu_tanh_grad(g: Value, x: Value) -> Value:
    t = call("tanh", _tanh_inner(x))
    slope = (x * x * (3 * 0.044715) + 1.0) * math.sqrt(2 / math.pi)
    return g * ((t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * slope)


@_formula
def _sigmoid(x: Value) -> Value:
    return call("sigmoid", x)


@_formula
def _silu(x: Value) -> Value:
    return x * call("sigmoid", x)


@_formula
def _silu_grad(g: Value, x: Value) -> Value:
    s = call("sigmoid", x)
    return g * (s * ((1.0 - s) * x + 1.0))


@_formula
def _relu(x: Value) -> Value:
    return x.at_least(0.0)


@_formula
def _relu_grad(g: Value, x: Value) -> Value:
    return (x > 0.0).where(g, g.like(0.0))
