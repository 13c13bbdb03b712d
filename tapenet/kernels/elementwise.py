"""Functions that NumPy would need many passes for, in one: activations and their gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.kernels import like
from tapenet.kernels.threads import deal
from tapenet.native.emitter import Value
from tapenet.native.formulas import call
from tapenet.native.kernel import Kernel

#: What one element costs, in multiply-adds.
COST = 20

#: By name: a formula of as many numbers as there are arrays, the gradient by the result first, and then of options.
FORMULAS: dict[str, Callable[..., Any]] = {}
#: How many results a formula has, if not one.
RESULTS = {"gelu": 2, "gelu_tanh": 2}


def _formula(f: Callable[..., Any]) -> Callable[..., Any]:
    FORMULAS[f.__name__.removeprefix("_")] = f
    return f


def apply(name: str, *arrays: Any, numbers: tuple[float, ...] = ()) -> Any:
    """A formula over arrays of one shape, dtype and memory order, without gaps; the result, or each of them, lies alike.
    Its last arguments are the `numbers`."""
    first = arrays[0]
    made = [like(first) for _ in range(RESULTS.get(name, 1))]
    run = _compiled(name, len(arrays), len(numbers), first.dtype.char)
    options = np.array(numbers or (0.0,), first.dtype)
    deal(lambda begin, end: run(*made, *arrays, options, begin, end), first.size, COST * first.size)
    return made[0] if len(made) == 1 else tuple(made)


def alike(*arrays: Any) -> bool:
    """Whether arrays of one dtype may be given to `apply` together."""
    first = arrays[0]
    if any(a.shape != first.shape or a.strides != first.strides for a in arrays[1:]):
        return False
    flags = first.flags
    if flags.c_contiguous or flags.f_contiguous:
        return True
    order = sorted(range(first.ndim), key=lambda i: -first.strides[i])
    return bool(first.transpose(order).flags.c_contiguous)


@functools.lru_cache(maxsize=64)
def _compiled(name: str, count: int, numbers: int, char: str) -> Any:
    k = Kernel(name, char)
    results = [k.array(1) for _ in range(RESULTS.get(name, 1))]
    arrays = [k.array(1) for _ in range(count)]
    options = k.array(max(1, numbers))
    begin, end = k.integer(), k.integer()
    given = [options.load(j) for j in range(numbers)]
    for i in k.turns(end, begin):
        values = FORMULAS[name](*(a.load(i) for a in arrays), *given)
        for result, value in zip(results, values if isinstance(values, tuple) else (values,), strict=True):
            result.store(value, i)
    return k.compile()


@_formula
def _gelu(x: Value) -> tuple[Value, Value]:
    """x Φ(x), and Φ(x), the normal distribution function."""
    share = call("erf", x * math.sqrt(0.5)) * 0.5 + 0.5
    return x * share, share


@_formula
def _gelu_grad(g: Value, x: Value, share: Value) -> Value:
    density = call("exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return g * (share + x * density)


@_formula
def _gelu_tanh(x: Value) -> tuple[Value, Value]:
    inner = (x * x * 0.044715 + 1.0) * x * math.sqrt(2 / math.pi)
    share = (call("tanh", inner) + 1.0) * 0.5
    return x * share, share


@_formula
def _gelu_tanh_grad(g: Value, x: Value, share: Value) -> Value:
    slope = (x * x * (3 * 0.044715) + 1.0) * math.sqrt(2 / math.pi)
    return g * (share + x * (share * 2.0) * (1.0 - share) * slope)


@_formula
def _sigmoid(x: Value) -> Value:
    return call("sigmoid", x)


@_formula
def _sigmoid_grad(g: Value, out: Value) -> Value:
    return g * (out * (1.0 - out))


@_formula
def _relu(x: Value) -> Value:
    return x.at_least(0.0)


@_formula
def _relu_grad(g: Value, out: Value) -> Value:
    return out.ne(0.0).where(g, g.like(0.0))


# -- of straight pieces ------------------------------------------------------------------------------------------


@_formula
def _leaky_relu(x: Value, slope: Value) -> Value:
    return (x > 0.0).where(x, x * slope)


@_formula
def _leaky_relu_grad(g: Value, x: Value, slope: Value) -> Value:
    return (x > 0.0).where(g, g * slope)


@_formula
def _hardtanh_grad(g: Value, x: Value, least: Value, most: Value) -> Value:
    return ((x <= least) | (x >= most)).where(g.like(0.0), g)


@_formula
def _threshold(x: Value, threshold: Value, value: Value) -> Value:
    return (x <= threshold).where(value, x)


@_formula
def _threshold_grad(g: Value, x: Value, threshold: Value) -> Value:
    return (x <= threshold).where(g.like(0.0), g)


@_formula
def _hardshrink(x: Value, limit: Value) -> Value:
    return (abs(x) <= limit).where(x.like(0.0), x)


@_formula
def _softshrink(x: Value, limit: Value) -> Value:
    return (x > limit).where(x - limit, (x < -limit).where(x + limit, x - x))


@_formula
def _shrink_grad(g: Value, out: Value) -> Value:
    return out.ne(0.0).where(g, 0.0)


def _line(x: Value) -> Value:
    return (x * (1 / 6) + 0.5).at_least(0.0).at_most(1.0)


def _inside(x: Value) -> Value:
    return (x > -3.0) & (x < 3.0)


@_formula
def _hardsigmoid(x: Value) -> Value:
    return _line(x)


@_formula
def _hardsigmoid_grad(g: Value, x: Value) -> Value:
    return _inside(x).where(g * (1 / 6), 0.0)


@_formula
def _hardswish(x: Value) -> Value:
    return x * _line(x)


@_formula
def _hardswish_grad(g: Value, x: Value) -> Value:
    return g * (_line(x) + _inside(x).where(x * (1 / 6), 0.0))
