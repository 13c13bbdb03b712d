"""Sums, means, extremes and products over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.op import Op, Rule, Samples, op, sample


def spread(g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> Any:
    """Bring a reduced array to a shape that broadcasts against what was reduced."""
    if keepdims or axis is None or g.ndim == len(shape):
        return g
    return np.reshape(g, kept_shape(shape, axis))


def kept_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """`shape` with the reduced axes at length one."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    reduced = {a % len(shape) for a in axes}
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements of `shape` one reduction over `axis` takes in."""
    if axis is None:
        return math.prod(shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return math.prod(shape[a] for a in axes)


def axis_samples(positive: bool = False) -> Samples:
    """Calls of a reduction over no, one, several and negative axes, with and without keepdims."""

    def make(r: np.random.Generator) -> list[Any]:
        def array(*shape: int) -> Any:
            return r.uniform(0.5, 2.0, shape) if positive else r.normal(size=shape)

        return [
            sample(array(2, 3)),
            sample(array(2, 3), axis=0),
            sample(array(2, 3, 4), axis=(0, -1)),
            sample(array(2, 3, 4), axis=1, keepdims=True),
            sample(array(2, 3), keepdims=True),
            sample(array()),
        ]

    return make


_ARGS = """
    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
"""


def _reduction(
    forward: Any, numpy: Any, name: str, formula: str, gradient: str, summary: str, example: str, samples: Samples,
    **rules: Rule,
) -> Op:  # fmt: skip
    made: Op = op(
        forward,
        name=name,
        numpy=numpy,
        formula=formula,
        gradients=f"a: {gradient}",
        doc=f"{summary}\n{_ARGS}\n    >>> import tapenet as tn\n    >>> tn.{example}\n    ",
        samples=samples,
        mend=lambda a, *_: f"axis must lie within the {np.ndim(a)} axes of a",
        grads=rules,
    )
    made.__module__ = __name__
    return made


sum = _reduction(
    lambda a, axis=None, dtype=None, *, keepdims=False: np.add.reduce(a, axis=axis, dtype=dtype, keepdims=keepdims),
    np.sum,
    "sum",
    "Σ a",
    "g, repeated along the axes",
    "The sum of the elements over `axis`; `dtype` is that of the result.",
    "sum(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)\n    Tensor([4., 6.])",
    axis_samples(),
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims),
)


def _mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False) -> Any:
    if dtype is None and type(a) is np.ndarray and a.dtype.char in "fd" and a.size:
        # What np.mean does, without its detour through Python.
        return np.add.reduce(a, axis=axis, keepdims=keepdims) / count(a.shape, axis)
    return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims)


mean = _reduction(
    _mean,
    np.mean,
    "mean",
    "Σ a / n",
    "g / n, repeated along the axes",
    "The arithmetic mean over `axis`.",
    "mean(tn.tensor([1.0, 3.0]))\n    Tensor(2.)",
    axis_samples(),
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims) / count(a_shape, axis),
)


def _var_a(g: Any, a: Any, axis: Any, ddof: int, keepdims: bool) -> Any:
    n = count(a.shape, axis) - ddof
    centred = a - np.mean(a, axis=axis, keepdims=True)
    return spread(g, a.shape, axis, keepdims) * centred * (2 / n if n > 0 else math.nan)


def _std_a(g: Any, out: Any, a: Any, axis: Any, ddof: int, keepdims: bool) -> Any:
    # At zero deviation the gradient is taken as 0, its mean over directions.
    n = count(a.shape, axis) - ddof
    centred = a - np.mean(a, axis=axis, keepdims=True)
    safe = spread(np.where(out == 0, 1, out), a.shape, axis, keepdims)
    return spread(g, a.shape, axis, keepdims) * (centred / safe) * (1 / n if n > 0 else math.nan)


var = _reduction(
    lambda a, axis=None, dtype=None, *, ddof=0, keepdims=False: np.var(
        a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims
    ),
    np.var,
    "var",
    "Σ (a − μ)² / (n − ddof), μ = Σ a / n",
    "g · 2 (a − μ)/(n − ddof)",
    "The variance over `axis`: the mean squared deviation, divided by n - ddof.",
    "var(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    lambda r: [*axis_samples()(r), sample(r.normal(size=(2, 5)), axis=1, ddof=1)],
    a=_var_a,
)
std = _reduction(
    lambda a, axis=None, dtype=None, *, ddof=0, keepdims=False: np.std(
        a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims
    ),
    np.std,
    "std",
    "√(Σ (a − μ)² / (n − ddof)), μ = Σ a / n",
    "g · (a − μ)/((n − ddof) · out)",
    "The standard deviation over `axis`, the square root of `var`; its gradient is 0 where it is 0.",
    "std(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    lambda r: [*list(axis_samples()(r))[:-1], sample(r.normal(size=(2, 5)), axis=1, ddof=1)],
    a=_std_a,
)


def _extreme_a(g: Any, out: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    chosen = a == spread(out, a.shape, axis, keepdims)
    ties = np.sum(chosen, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(chosen, spread(g, a.shape, axis, keepdims) / ties, 0)


max = _reduction(
    lambda a, axis=None, *, keepdims=False: np.max(a, axis=axis, keepdims=keepdims),
    (np.max, np.amax),
    "max",
    "the largest element of a",
    "g/k at each of the k largest, else 0",
    "The largest element over `axis`; equal ones share the gradient evenly.",
    "max(tn.tensor([1.0, 3.0]))\n    Tensor(3.)",
    axis_samples(),
    a=_extreme_a,
)
min = _reduction(
    lambda a, axis=None, *, keepdims=False: np.min(a, axis=axis, keepdims=keepdims),
    (np.min, np.amin),
    "min",
    "the smallest element of a",
    "g/k at each of the k smallest, else 0",
    "The smallest element over `axis`; equal ones share the gradient evenly.",
    "min(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    axis_samples(),
    a=_extreme_a,
)


def _others(a: Any) -> Any:
    """For each element along the last axis, the product of all the others.

    Halves are multiplied pairwise, and their own others found in turn: no division, so zeros are no exception,
    and n elements cost about 3n multiplications.
    """
    n = a.shape[-1]
    if n <= 1:
        return np.ones_like(a)
    half = n // 2
    low, high, rest = a[..., :half], a[..., half : 2 * half], a[..., 2 * half :]
    pairs = _others(np.concatenate([low * high, rest], axis=-1))
    shared = pairs[..., :half]
    return np.concatenate([shared * high, shared * low, pairs[..., half:]], axis=-1)


def _prod_a(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    axes = tuple(range(a.ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(i % a.ndim for i in axes)
    order = tuple(i for i in range(a.ndim) if i not in axes) + axes
    moved = np.transpose(a, order)
    lead = moved.shape[: a.ndim - len(axes)]
    others = np.reshape(_others(np.reshape(moved, (*lead, math.prod(a.shape[i] for i in axes)))), moved.shape)
    back = np.transpose(others, tuple(int(i) for i in np.argsort(order)))
    return spread(g, a.shape, axis, keepdims) * back


prod = _reduction(
    lambda a, axis=None, dtype=None, *, keepdims=False: np.prod(a, axis=axis, dtype=dtype, keepdims=keepdims),
    np.prod,
    "prod",
    "Π a",
    "g · Π of the other elements",
    "The product of the elements over `axis`. The gradient is right with zeros among them.",
    "prod(tn.tensor([2.0, 3.0]))\n    Tensor(6.)",
    lambda r: [*axis_samples()(r), sample(np.array([2.0, 0.0, 3.0])), sample(np.array([0.0, 0.0, 3.0]))],
    a=_prod_a,
)


def _logsumexp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # a row of -inf alone: log 0
        out = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.reshape(out, np.max(a, axis=axis).shape)


def _logsumexp_a(g: Any, out: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    out = spread(out, a.shape, axis, keepdims)
    return spread(g, a.shape, axis, keepdims) * np.exp(a - np.where(np.isfinite(out), out, 0))


logsumexp = _reduction(
    _logsumexp,
    (),
    "logsumexp",
    "ln Σ eᵃ",
    "g · e^(a − out)",
    "The logarithm of the sum of exponentials over `axis`, without overflow. The gradient of a row of -inf alone is 0.",
    "logsumexp(tn.tensor([0.0, 0.0]))\n    Tensor(0.69314718)",
    axis_samples(),
    a=_logsumexp_a,
)

# -- without a derivative ----------------------------------------------------------------------------------------


def _plain(forward: Any, numpy: Any, name: str, formula: str, summary: str, example: str) -> Op:
    made: Op = op(
        forward,
        name=name,
        numpy=numpy,
        nondiff=("a",),
        formula=formula,
        doc=f"{summary} Returns a tensor without gradient.\n{_ARGS}\n    >>> import tapenet as tn\n    >>> tn.{example}\n    ",
        samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), axis=1, keepdims=True)],
    )
    made.__module__ = __name__
    return made


argmax = _plain(lambda a, axis=None, *, keepdims=False: np.argmax(a, axis, keepdims=keepdims), np.argmax, "argmax",
                "the index of the largest element of a",
                "The index of the largest element along `axis`.", "argmax(tn.tensor([1.0, 3.0])).item()\n    1")  # fmt: skip
argmin = _plain(lambda a, axis=None, *, keepdims=False: np.argmin(a, axis, keepdims=keepdims), np.argmin, "argmin",
                "the index of the smallest element of a",
                "The index of the smallest element along `axis`.", "argmin(tn.tensor([1.0, 3.0])).item()\n    0")  # fmt: skip
all = _plain(lambda a, axis=None, *, keepdims=False: np.all(a, axis, keepdims=keepdims), np.all, "all",
             "whether all elements of a are true",
             "Whether all elements over `axis` are true.", "all(tn.tensor([True, False])).item()\n    False")  # fmt: skip
any = _plain(lambda a, axis=None, *, keepdims=False: np.any(a, axis, keepdims=keepdims), np.any, "any",
             "whether any element of a is true",
             "Whether any element over `axis` is true.", "any(tn.tensor([True, False])).item()\n    True")  # fmt: skip
