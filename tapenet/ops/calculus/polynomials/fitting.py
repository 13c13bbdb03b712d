"""Polynomials through points: the Vandermonde matrix, and fits by least squares."""

from __future__ import annotations

import operator
import warnings
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.calculus.polynomials.evaluation import powers
from tapenet.ops.derived import array_like, derived
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


@derived(
    numpy=np.vander,
    samples=lambda r: [
        sample(r.normal(size=3)),
        sample(r.normal(size=2), 4, True),
        sample(r.normal(size=3), N=2, increasing=True),
        sample(r.normal(size=2), 0),
        sample(np.array([0.0, 1.5])),
    ],
)
def vander(x: ArrayLike, N: int | None = None, increasing: bool = False) -> Array:
    """The Vandermonde matrix: the powers of each element in a row.

    Args:
        x: (n,).
        N: how many powers; n by default.
        increasing: from x⁰ up, rather than down to it.

    Returns:
        (n, N).

    Raises:
        ValueError: `x` does not have one axis, or N is negative.

    >>> import tapenet as tn
    >>> tn.vander(tn.tensor([2.0, 3.0]), 3)
    Tensor([[4., 2., 1.],
            [9., 3., 1.]])
    """
    x = array_like(x)
    if len(x.shape) != 1:
        raise ValueError(f"vander: x must have one axis, not shape {x.shape}")
    n = x.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError(f"vander: N must be 0 or more, not {n}")
    return powers(x, n, bool(increasing))


def _floats(a: ArrayLike) -> Array:
    a = array_like(a)
    return a if a.dtype.kind in "fc" else a + 0.0


def _precise(a: Array) -> Array:
    """An array in double precision at least."""
    return a if a.dtype.char in "dDgG" else a.astype(np.result_type(a.dtype, np.float64))


@derived(
    numpy=np.polyfit,
    samples=lambda r: [
        sample(np.array([0.0, 0.5, 1.1, 2.0]), r.normal(size=4), 1),
        sample(np.array([0.0, 0.5, 1.1, 2.0]), r.normal(size=(4, 2)), 2),
        sample(np.array([0.0, 0.5, 1.1]), r.normal(size=3), 1, None, False, np.array([1.0, 0.5, 2.0])),
        sample(np.array([0.0, 0.5, 1.1]), r.normal(size=3), 1, 1e-10),
        sample(np.array([0.0, 0.5, 1.1]), r.normal(size=3), 1, cov=True),
        sample(np.array([0.0, 0.5, 1.1]), r.normal(size=(3, 2)), 1, cov="unscaled"),
    ],
)
def polyfit(
    x: Array,
    y: Array,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Array | None = None,
    cov: bool | str = False,
) -> Array | tuple[object, ...]:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`.

    Args:
        x: (n,) where the points are.
        y: (n,) or (n, k): their values, of k data sets.
        deg: the degree.
        rcond: singular values up to this part of the largest count as 0; the precision of `x` times n by default.
        full: also return what `np.linalg.lstsq` does: the squared residuals, the rank and the singular values, and rcond.
        w: (n,) weights of the points' residuals.
        cov: also return the covariance matrix of the coefficients: scaled by the residuals, or "unscaled".

    Returns:
        the coefficients (deg + 1,) or (deg + 1, k), the highest power first; with `full` or `cov` a tuple that begins
        with them.

    Raises:
        TypeError: shapes that do not fit.
        ValueError: a negative degree, or too few points for a scaled covariance.

    Points that do not determine the polynomial bring NumPy's RankWarning where they are arrays; for tensors `full=True`
    gives the rank. The gradient is then that among fits of the same rank, as for `lstsq`.

    >>> import tapenet as tn
    >>> np.round(tn.polyfit(tn.tensor([0.0, 1.0, 2.0]), [1.0, 3.0, 5.0], 1).numpy(), 12)
    array([2., 1.])
    """
    x, y = _floats(x), _floats(y)
    order = int(deg) + 1
    if order < 1:
        raise ValueError(f"polyfit: deg must be 0 or more, not {deg}")
    if len(x.shape) != 1 or not x.shape[0] or len(y.shape) not in (1, 2) or y.shape[0] != x.shape[0]:
        raise TypeError(
            f"polyfit: x must be (n,) with n of 1 or more, and y (n,) or (n, k), not {x.shape} and {y.shape}"
        )
    n = x.shape[0]
    if rcond is None:
        rcond = n * float(np.finfo(x.dtype).eps)
    if w is not None:
        w = _floats(w)
        if w.shape != (n,):
            raise TypeError(f"polyfit: w must be ({n},) as x is, not {w.shape}")
    if any(v is not None and v.dtype.char in "dDgG" for v in (x, y, w)):
        x, y, w = _precise(x), _precise(y), None if w is None else _precise(w)
    left, right = powers(x, order), y
    if w is not None:
        left = left * np.expand_dims(w, 1)
        right = right * (np.expand_dims(w, 1) if len(y.shape) == 2 else w)
    scale = np.sqrt(np.sum(left * left, axis=0))
    left = left / scale
    c: Array
    c, residuals, rank, s = np.linalg.lstsq(left, right, rcond)
    c = c / (np.expand_dims(scale, 1) if len(y.shape) == 2 else scale)
    if full:
        return c, residuals, rank, s, rcond
    if isinstance(rank, np.integer) and rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
    if not cov:
        return c
    spread = np.linalg.inv(np.matmul(np.transpose(left), left)) / (np.expand_dims(scale, 1) * scale)
    if len(y.shape) == 2:
        spread = np.expand_dims(spread, 2)
    if isinstance(cov, str) and cov == "unscaled":
        return c, spread
    if n <= order:
        raise ValueError(f"polyfit: a scaled covariance takes more than {order} points, not {n}; give cov='unscaled'")
    return c, spread * (residuals / (n - order))
