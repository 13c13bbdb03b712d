"""Averages, covariances and counts.

The rules of `covariance` are stated: derived ones take 1.6 to 2.4 times as long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapenet.ops.conditions import checked
from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate, real, warn_of_none
from tapenet.ops.reductions.sums import count
from tapenet.ops.registry import sample
from tapenet.typing import Array, Axis, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _weights_along(a: Array, weights: Array, axis: tuple[int, ...] | None) -> Array:
    """The weights in a shape that broadcasts to that of `a`: they are one for each element, or for each along `axis`."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError(
            f"average: weights of shape {weights.shape} for an array of shape {a.shape}: give the axis= they run along"
        )
    along = tuple(a.shape[i] for i in axis)
    if weights.shape != along:
        raise ValueError(
            f"average: weights have shape {weights.shape}, but a, of shape {a.shape}, has {along} along axis={axis}"
        )
    order = tuple(int(i) for i in np.argsort(axis))
    return np.reshape(np.transpose(weights, order), tuple(n if i in axis else 1 for i, n in enumerate(a.shape)))


@derived(
    numpy=np.average,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), -1, keepdims=True),
        sample(r.normal(size=(2, 3)), None, r.uniform(0.5, 2, (2, 3))),
        sample(r.normal(size=(2, 3)), 0, r.uniform(0.5, 2, 2)),
        sample(r.normal(size=(2, 3)), -1, r.uniform(0.5, 2, (2, 3)), True, keepdims=True),
        sample(r.normal(size=(2, 3, 2)), (-1, 0), r.uniform(0.5, 2, (2, 2)), returned=True),
        sample(r.normal(size=(2, 3)), 1, returned=True),
        sample(r.normal(size=()), None, r.uniform(0.5, 2, ())),
    ],
)
def average(
    a: Array, axis: Axis = None, weights: Array | None = None, returned: bool = False, *, keepdims: bool = False
) -> Array | tuple[Array, Array]:
    """The mean over `axis`, weighted if weights are given: Σ a w / Σ w.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        weights: one for each element, or for each along `axis`; they have a gradient too.
        returned: whether to return the sum of the weights as well.
        keepdims: keep the reduced axes, with length one.

    Returns:
        The average, or a tuple of it and the sum of the weights in its shape.

    Raises:
        TypeError, ValueError: the shape of the weights fits neither `a` nor the axes.
        ZeroDivisionError: the weights sum to 0.

    >>> import tapenet as tn
    >>> tn.average(tn.tensor([1.0, 2.0]), weights=[3, 1])
    Tensor(1.25)
    """
    a = array_like(a)
    axis = None if axis is None else normalize_axis_tuple(axis, a.ndim)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        return (mean, np.ones_like(mean) * count(a.shape, axis)) if returned else mean
    weights = _weights_along(a, array_like(weights), axis)
    dtype = np.result_type(a.dtype, weights.dtype, *(["f8"] if a.dtype.kind in "biu" else []))
    total = np.sum(weights, axis=axis, dtype=dtype, keepdims=keepdims)
    total = checked(total, lambda n: np.equal(n, 0), ZeroDivisionError, "average: the weights sum to 0")
    a = a if a.dtype.kind in "fc" else a.astype(dtype)
    mean = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (mean, np.ones_like(mean) * total) if returned else mean


def _variables(m: Array, name: str, turned: bool) -> Array:
    """Observations as a matrix with one row for each variable."""
    if m.ndim > 2:
        raise ValueError(f"cov: {name} has shape {m.shape}; give one axis for variables and one for observations")
    return m.T if turned else np.reshape(m, (1, -1)) if m.ndim < 2 else m


def _joined(m: ArrayLike, y: ArrayLike | None, rowvar: bool) -> Array:
    """All variables that `cov` is given, one in each row."""
    m = array_like(m)
    x = _variables(m, "m", not rowvar and m.ndim == 2)
    if y is None or x.shape[0] == 0:  # of no variables nothing, whatever the others are
        return x
    y = _variables(array_like(y), "y", False)
    y = y.T if not rowvar and y.shape[0] != 1 else y
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"cov: {x.shape[1]} observations in m and {y.shape[1]} in y: there must be as many")
    return np.concatenate([x, y])


def _checked(weights: Array, name: str, observations: int, dtype: DType) -> Array:
    weights = array_like(weights)
    if weights.shape != (observations,):
        raise RuntimeError(f"cov: {name} of shape {weights.shape} for {observations} observations")
    weights = checked(weights, lambda n: np.less(n, 0), ValueError, f"cov: {name} cannot be negative")
    if name == "fweights" and weights.dtype.kind == "f":
        text = "cov: fweights count observations, so they are whole numbers; for others use aweights"
        weights = checked(weights, lambda n: np.not_equal(n, np.rint(n)), TypeError, text)
    return weights if weights.dtype == dtype else weights.astype(dtype)


def _centred(x: Array, weights: Array | None) -> Array:
    """Variables less their means, twice, since the mean of large numbers is rounded."""
    total = None if weights is None else np.sum(weights)
    for _ in range(2):
        mean = np.mean(x, axis=1) if weights is None else x @ weights / total
        x = x - mean[:, np.newaxis]
    return x


def _parts(g: Array, freedom: Array | int) -> Array:
    return safe_mul(g, math.inf if type(freedom) is int and freedom == 0 else 1 / freedom)


def _reached(x: Array, g: Array) -> Array:
    """The variables that a gradient reaches; 0 in place of the others, which may be infinite."""
    if type(x) is np.ndarray and np.isfinite(x[:, :1]).all():  # as are all of a row, or none
        return x
    there = g != 0
    return np.where(np.logical_or(np.any(there, axis=0), np.any(there, axis=1))[:, np.newaxis], x, 0)


# The gradient through the means is 0, since the deviations from them sum to 0.


def _covariance_x(g: Array, x: Array, freedom: Array | int, weights: Array) -> Array:
    g = _parts(g + conjugate(g).T, freedom)
    x = g @ conjugate(_reached(_centred(x, weights), g))
    return x if weights is None else x * weights


def _covariance_weights(g: Array, x: Array, freedom: Array | int, weights: Array) -> Array:
    g = _parts(g, freedom)
    x = _reached(_centred(x, weights), g)
    return array_like(np.sum(g @ conjugate(x) * x, axis=0))


@op(
    x=_covariance_x,
    freedom=lambda g, out, freedom: -np.sum(safe_mul(g, out / freedom)),
    weights=_covariance_weights,
    formula="Σ w (x − μ) (x − μ)*ᵀ / freedom",
    gradients="x: (g + g*ᵀ) (x − μ)* w / freedom; freedom: −Σ g · out / freedom; weights: Σ g (x − μ)* · (x − μ) / freedom",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 3),
        sample(r.normal(size=(1, 3)), np.array(2.5)),
        sample(r.normal(size=(2, 3)), np.array(1.5), r.uniform(0.5, 2, 3)),
    ],
    multiply_adds=lambda x_shape: x_shape[0] ** 2 * x_shape[1],
)
def covariance(x: Array, freedom: Array | int, weights: Array | None = None) -> Array:
    """The covariances of the rows of a matrix: what `cov` is made of.

    Args:
        x: (variables, observations).
        freedom: what the sum over the observations is divided by.
        weights: (observations,).

    >>> from tapenet.ops.reductions.statistics import covariance
    >>> covariance(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]), 2)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    x = _centred(x, weights)
    return x @ conjugate(x if weights is None else x * weights).T / freedom


@derived(
    numpy=np.cov,
    samples=lambda r: [
        sample(r.normal(size=(2, 4))),
        sample(r.normal(size=5)),
        sample(r.normal(size=(4, 2)), rowvar=False, bias=True),
        sample(r.normal(size=(2, 3)), r.normal(size=3), ddof=0),
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 1)), False),
        sample(r.normal(size=(2, 4)), fweights=[1, 2, 1, 3]),
        sample(r.normal(size=(2, 3)), None, True, False, None, None, r.uniform(0.5, 2, 3)),
        sample(r.normal(size=(2, 3)), None, True, True, None, [2, 1, 1], r.uniform(0.5, 2, 3)),
    ],
)
def cov(
    m: Array, y: Array | None = None, rowvar: bool = True, bias: bool = False, ddof: float | None = None,
    fweights: Array | None = None,
    aweights: Array | None = None, *, dtype: DTypeLike | None = None,
) -> Array:  # fmt: skip
    """The covariances of variables: Σ (x − μ)(y − ν)* / (n − ddof) over n observations.

    Args:
        m: one row for each variable, one column for each observation; or one variable.
        y: further variables, of the same observations.
        rowvar: whether rows are variables; else columns are.
        bias: divide by n, rather than n - 1.
        ddof: divide by n - ddof, whatever `bias` is.
        fweights: how often each observation was made; constants.
        aweights: how much each observation weighs; they have a gradient too.
        dtype: of the result. float32 stays what it is, other than in NumPy.

    Returns:
        A matrix; of one variable alone its variance, without axes.

    Raises:
        ValueError, TypeError, RuntimeError: more than two axes, a dtype of integers, or weights that do not fit.
        ZeroDivisionError: the weights sum to 0.

    >>> import tapenet as tn
    >>> tn.cov(tn.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if ddof is None:
        ddof = 0 if bias else 1
    elif ddof != int(ddof):
        raise ValueError(f"cov: ddof={ddof} is no whole number")
    ddof = int(ddof)  # a NumPy integer would turn float32 into float64
    x = _joined(m, y, rowvar)
    if x.shape[0] == 0:
        return x @ x.T
    if dtype is None:
        dtype = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
    elif np.dtype(dtype).kind not in "fc":
        raise TypeError(f"cov: dtype={dtype} cannot hold a covariance: give one of floats or complex numbers")
    x = x if x.dtype == dtype else x.astype(dtype)
    n = x.shape[1]
    weight_dtype = np.empty(0, dtype).real.dtype
    weights = None if fweights is None else _checked(fweights, "fweights", n, weight_dtype)
    if aweights is not None:
        aweights = _checked(aweights, "aweights", n, weight_dtype)
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        warn_of_none(n - ddof)
        return array_like(np.squeeze(covariance(x, max(n - ddof, 0))))
    total = checked(np.sum(weights), lambda n: np.equal(n, 0), ZeroDivisionError, "cov: the weights sum to 0")
    lost = 1 if aweights is None else np.sum(weights * aweights) / total
    freedom = total if ddof == 0 else total - ddof * lost
    warn_of_none(freedom)
    return array_like(np.squeeze(covariance(x, np.maximum(freedom, 0), weights)))


@op(
    nondiff=True,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(np.array([[3, -7]])), sample(np.zeros((2, 0)))],
)
def magnitude(x: Array) -> Array:
    """How large the numbers in each row of a matrix are, as a power of 2, by which a division is exact. Returns a tensor
    without gradient: what `corrcoef`, which is free of scale, divides by.

    >>> from tapenet.ops.reductions.statistics import magnitude
    >>> magnitude(np.array([[3.0, -5.0], [0.25, 0.0]]))
    array([[4.  ],
           [0.25]])
    """
    top = np.max(np.abs(x), axis=1, keepdims=True, initial=0)
    top = top if top.dtype.kind == "f" else top.astype(np.float64)
    top = np.where(np.isfinite(top), np.maximum(top, np.finfo(top.dtype).tiny), 1)
    return array_like(np.ldexp(np.ones_like(top), np.frexp(top)[1] - 1))


@derived(
    numpy=np.corrcoef,
    samples=lambda r: [
        sample(r.normal(size=(2, 4))),
        sample(r.normal(size=(4, 3)), rowvar=False),
        sample(r.normal(size=(2, 4)), r.normal(size=4)),
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=4)),
    ],
)
def corrcoef(x: Array, y: Array | None = None, rowvar: bool = True, *, dtype: DTypeLike | None = None) -> Array:
    """The correlations of variables: their covariances over their standard deviations, from -1 to 1.

    Args:
        x, y, rowvar, dtype: as for `cov`.

    Returns:
        A matrix; of one variable alone 1, without axes. A variable that does not vary has the correlation nan.

    >>> import tapenet as tn
    >>> tn.corrcoef(tn.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = _joined(x, y, rowvar)
    if x.dtype in (np.float32, np.complex64):  # whose squares are soon too small, where NumPy computes in float64
        x = x / magnitude(x)
    c = cov(x, dtype=dtype)
    if not c.shape:
        return array_like(c / c)
    i = np.arange(c.shape[0])
    variance = c[i, i]
    deviation = np.sqrt(real(variance))
    r = c / deviation[:, None] / deviation
    if c.dtype.kind == "c":
        return np.clip(np.real(r), -1, 1) + 1j * np.clip(np.imag(r), -1, 1)
    return np.clip(r, -1, 1)


def _bincount_weights(g: Array, x: Array, weights_shape: tuple[int, ...]) -> Array:
    if x.size == 0:  # NumPy takes weights of any length then
        return np.zeros(weights_shape, g.dtype)
    return array_like(g[x if x.dtype.kind in "iu" else x.astype(np.int64)])


@op(
    numpy=np.bincount,
    nondiff=("x",),
    weights=_bincount_weights,
    samples=lambda r: [
        sample(np.array([0, 2, 2, 1])),
        sample(np.array([0, 2, 2]), r.normal(size=3)),
        sample(np.array([3, 0]), r.normal(size=2), minlength=6),
        sample(np.array([], int), None, 2),
    ],
    hint=lambda x, weights, minlength: "x holds whole numbers from 0, in one axis, and weights are as many",
)
def bincount(x: Array, weights: Array | None = None, minlength: int = 0) -> Array:
    """How often each number from 0 occurs in `x`, or the sum of the weights where it does.

    Args:
        x: whole numbers, not negative.
        weights: one for each of `x`. float32 stays what it is, other than in NumPy.
        minlength: the least length of the result, which else is one more than the largest number.

    >>> import tapenet as tn
    >>> tn.bincount(tn.tensor([0, 2, 2]), tn.tensor([1.0, 2.0, 4.0]))
    Tensor([1., 0., 6.])
    """
    sums = np.bincount(x, weights, minlength)
    dtype = getattr(weights, "dtype", sums.dtype)
    return sums.astype(dtype, copy=False) if dtype.kind == "f" else sums
