"""Smoothing splines."""

from __future__ import annotations

from typing import NoReturn, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.indexing.items import scatter_add
from tapenet.ops.op import op
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.bsplines import BSpline
from tapenet.scipy.interpolate.fitted_splines import interpolating, knots_of
from tapenet.scipy.interpolate.piecewise import coefficients
from tapenet.scipy.linalg import solve_banded
from tapenet.typing import Array


def _scipys(x: Array, y: Array, w: Array, lam: Array) -> Array:
    return coefficients("make_smoothing_spline", x, y, w, float(lam))


@followed(_scipys, "x", "y", "w", "lam", name="make_smoothing_spline")
def smoothing(x: Array, y: Array, w: Array, lam: Array) -> Array:
    """The coefficients of the natural cubic spline with the least Σ w (y - s(x))² + lam ∫ s″². Its second derivatives γ at the
    inner points solve (R + lam Qᵀ W⁻¹ Q) γ = Qᵀ y, and its values are y - lam W⁻¹ Q γ: Green and Silverman, Nonparametric
    Regression and Generalized Linear Models (1994), section 2.3."""
    n, flat = x.shape[0], np.reshape(y, (y.shape[0], -1))
    h = x[1:] - x[:-1]
    q = [1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]]  # the rows of Qᵀ: three numbers each
    bands = np.zeros((5, n - 2))
    for r in range(3):
        for s in range(3):
            # rows i and j = i + r - s of Qᵀ meet in the column i + r = j + s
            first, size = max(0, s - r), n - 2 - abs(r - s)
            i = np.arange(first, first + size)
            entry = lam * q[r][i] * q[s][i + r - s] / w[i + r]
            bands = bands + scatter_add(entry, (2 + s - r + 0 * i, i + r - s), (5, n - 2))
    i = np.arange(n - 2)
    bands = bands + scatter_add((h[:-1] + h[1:]) / 3, (2 + 0 * i, i), (5, n - 2))
    for j, row in ((i[1:], 1), (i[:-1], 3)):
        bands = bands + scatter_add(h[1:-1] / 6, (row + 0 * j, j), (5, n - 2))
    right = sum(q[r][:, None] * flat[r : n - 2 + r] for r in range(3))
    bent = solve_banded((2, 2), bands, right)
    pulled = np.zeros(flat.shape)
    for r in range(3):
        pulled = pulled + scatter_add(q[r][:, None] * bent, (i + r,), flat.shape)
    values = np.reshape(flat - lam * pulled / w[:, None], y.shape)
    none = np.zeros((1, *y.shape[1:]))
    return cast("Array", interpolating(x, values, knots_of(x, 3, True), none, none, 3, ((2,), (2,))))


def _searched(g: Array) -> NoReturn:
    raise NotImplementedError(
        "make_smoothing_spline: with lam=None a search chooses lam, and gives values alone: give lam= for derivatives"
    )


@op(x=_searched, y=_searched, w=_searched, opaque="the best lam is searched for")
def cross_validated(x: Array, y: Array, w: Array) -> Array:
    """The coefficients with the `lam` that generalised cross-validation finds."""
    return coefficients("make_smoothing_spline", x, y, w)


def make_smoothing_spline(x: object, y: object, w: object = None, lam: object = None, *, axis: int = 0) -> BSpline:
    """The natural cubic spline with the least Σ w (y - s(x))² + lam ∫ s″², as `scipy.interpolate.make_smoothing_spline`,
    differentiable in values, points, weights and `lam`.

    Args:
        x: the points, in order, five at least.
        y: the values.
        w: the weights; by default 1.
        lam: how smooth, 0 at least; None for what generalised cross-validation finds, without derivatives.
        axis: the axis of `y` that belongs to `x`.

    Raises:
        ValueError: SciPy's, for points that are not in order and numbers that do not fit.
        NotImplementedError: a derivative is asked for with lam=None.

    >>> import numpy as np, tapenet as tn
    >>> x = np.arange(6.0)
    >>> lam = tn.tensor(1.0, requires_grad=True)
    >>> at = tn.scipy.interpolate.make_smoothing_spline(x, x**2, lam=lam)(2.5)
    >>> at.backward()
    >>> at.detach().round(6), lam.grad.round(6)
    (Tensor(6.987212), Tensor(0.637182))
    """
    points, values = asarray(x), asarray(y)
    axis %= values.ndim
    moved = cast("Tensor", ops.moveaxis(values, axis, 0))
    weights = asarray(np.ones(points.size) if w is None else w)
    if lam is None:
        c = cross_validated(points, moved, weights)
    else:
        c = smoothing(points, moved, weights, asarray(lam))
    return BSpline.of(asarray(knots_of(cast("Array", points), 3, True)), cast("Tensor", c), 3, True, axis)
