"""Derivatives of sampled functions along an axis, of which `gradient` is made.

Rules are stated: derived ones take 1.2 to 3 times as long.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

# -- samples at equal distances ----------------------------------------------------------------------------------


def _zeros(like: Array, n: int) -> Array:
    """Zeros in the shape of an array but for the last axis, which has `n`."""
    return np.zeros((*like.shape[:-1], n), like.dtype)


def _slopes_f(g: Array, f_shape: Shape, h: float, axis: int, edge_order: int) -> Array:
    g = np.moveaxis(g, axis, -1)
    first, last = g[..., :1], g[..., -1:]
    if edge_order == 1:
        # Row i of the linear map has ½ and −½ beside i. At the edges it has 1 and −1: as if these were there twice, and
        # beyond them once more with the other sign.
        g = np.concatenate([-2 * first, 2 * first, g[..., 1:-1], 2 * last, -2 * last], -1)
        return np.moveaxis((g[..., :-2] - g[..., 2:]) / (2 * h), -1, axis)
    two = _zeros(g, 2)
    inside = np.concatenate([two, g[..., 1:-1], two], -1)
    rest = _zeros(g, f_shape[axis] - 3)
    edges = np.concatenate([-3 * first, 4 * first, -first, rest], -1)
    edges = edges + np.concatenate([rest, last, -4 * last, 3 * last], -1)
    return np.moveaxis((inside[..., :-2] - inside[..., 2:] + edges) / (2 * h), -1, axis)


@op(
    label="gradient",
    f=_slopes_f,
    formula="(f[i+1] − f[i−1])/2h, one-sided at the edges",
    gradients="f: (g[i−1] − g[i+1])/2h, with the edges' own weights",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 0.5, 1, 1),
        sample(r.normal(size=(2, 2)), 2.0, 0, 1),
        sample(r.normal(size=(5, 2)), 2.0, 0, 2),
        sample(r.normal(size=3), 0.5, 0, 2),
    ],
)
def slopes(f: Array, h: float, axis: int, edge_order: int) -> Array:
    """What `gradient` gives along one axis if its samples are `h` apart, a number that needs no gradient.

    Args:
        f: the samples, more than `edge_order` along the axis.
        h: the spacing.
        axis: the axis.
        edge_order: 1 or 2.

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.slopes import slopes
    >>> slopes(tn.tensor([1.0, 4.0, 9.0, 16.0]), 0.5, 0, 1)
    Tensor([ 6.,  8., 12., 14.])
    """
    f = np.moveaxis(f, axis, -1)
    first, last = f[..., 1:2] - f[..., :1], f[..., -1:] - f[..., -2:-1]
    if edge_order == 2:
        first = 2 * f[..., 1:2] - 1.5 * f[..., :1] - 0.5 * f[..., 2:3]
        last = 1.5 * f[..., -1:] + 0.5 * f[..., -3:-2] - 2 * f[..., -2:-1]
    return np.moveaxis(np.concatenate([first, 0.5 * (f[..., 2:] - f[..., :-2]), last], -1) / h, -1, axis)


# -- samples anywhere --------------------------------------------------------------------------------------------
# Where two samples lie at one place weights are infinite, and `safe_mul` keeps zeros apart.


def _edges(f: Array, w: Array, edge_order: int) -> tuple[Array, Array]:
    if edge_order == 1:  # a difference first, as NumPy has it: two products would lose digits
        return safe_mul(f[..., 1:2] - f[..., :1], w[1, 0]), safe_mul(f[..., -1:] - f[..., -2:-1], w[1, -1])
    first, last = safe_mul(f[..., :3], w[:, 0]), safe_mul(f[..., -3:], w[:, -1])
    return np.sum(first, -1, keepdims=True), np.sum(last, -1, keepdims=True)


def _edges_back(x: Array, w: Array, edge_order: int) -> tuple[Array, Array]:
    first, last = x[..., :1], x[..., -1:]
    if edge_order == 2:
        return safe_mul(first, w[:, 0]), safe_mul(last, w[:, -1])
    first, last = safe_mul(first, w[1, 0]), safe_mul(last, w[1, -1])
    return np.concatenate([-first, first], -1), np.concatenate([-last, last], -1)


def _three_point_back_lowered(x: Array, w: Array, axis: int, edge_order: int) -> Array:
    x = np.moveaxis(x, axis, -1)
    inside, n = x[..., 1:-1], x.shape[-1]
    one, two = _zeros(x, 1), _zeros(x, 2)
    left, own, right = (safe_mul(inside, w[k, 1:-1]) for k in range(3))
    out = np.concatenate([left, two], -1) + np.concatenate([two, right], -1) + np.concatenate([one, own, one], -1)
    first, last = _edges_back(x, w, edge_order)
    rest = _zeros(x, n - edge_order - 1)
    out = out + np.concatenate([first, rest], -1) + np.concatenate([rest, last], -1)
    return np.moveaxis(out, -1, axis)


def _by_weights(x: Array, f: Array, axis: int, edge_order: int) -> Array:
    """The gradient by the weights, x being that by the result."""
    x, f = np.moveaxis(x, axis, -1), np.moveaxis(f, axis, -1)
    n, rest = f.shape[-1], tuple(range(f.ndim - 1))

    def total(a: Array, b: Array) -> Array:
        return array_like(np.sum(a * b, rest))

    inside = np.stack([total(x[..., 1:-1], f[..., k : n - 2 + k]) for k in range(3)])
    first, last = x[..., :1], x[..., -1:]
    if edge_order == 1:
        nothing = np.zeros(1, inside.dtype)
        first, last = (
            np.stack([nothing, total(g, f[..., i : i + 1] - f[..., i - 1 : i]), nothing])
            for g, i in ((first, 1), (last, n - 1))
        )
    else:
        first, last = np.expand_dims(total(first, f[..., :3]), 1), np.expand_dims(total(last, f[..., -3:]), 1)
    return np.concatenate([first, inside, last], 1)


def _three_point_f(g: Array, w: Array, axis: int, edge_order: int) -> Array:
    return three_point_back(g, w, axis, edge_order)


@op(
    label="gradient",
    f=_three_point_f,
    w=lambda g, f, axis, edge_order: _by_weights(g, f, axis, edge_order),
    formula="Σₖ w[k, i] · f[i − 1 + k], at the edges from those inside",
    gradients="w: Σ g[i] · f[i − 1 + k]",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), r.normal(size=(3, 4)), 1, 1),
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), 0, 1),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 3)), 0, 2),
        sample(r.normal(size=5), r.normal(size=(3, 5)), 0, 2),
    ],
)
def three_point(f: Array, w: Array, axis: int, edge_order: int) -> Array:
    """Weighted sums of three neighbours along an axis: what `gradient` gives for samples at any distances.

    Args:
        f: the samples, more than `edge_order` along the axis.
        w: (3, n) the weights of the left neighbour, of the sample itself and of the right neighbour. Those of the first and
            the last sample are for the three samples at that edge; if `edge_order` is 1, w[1] is for the difference of two.
        axis: the axis.
        edge_order: 1 or 2.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.slopes import three_point
    >>> three_point(tn.tensor([1.0, 4.0, 9.0]), np.array([[0, -0.5, 0], [1, 0, 1], [0, 0.5, 0]]), 0, 1)
    Tensor([3., 4., 5.])
    """
    f = np.moveaxis(f, axis, -1)
    left, own, right = f[..., :-2], f[..., 1:-1], f[..., 2:]
    inside = safe_mul(left, w[0, 1:-1]) + safe_mul(own, w[1, 1:-1]) + safe_mul(right, w[2, 1:-1])
    first, last = _edges(f, w, edge_order)
    return np.moveaxis(np.concatenate([first, inside, last], -1), -1, axis)


@op(
    label="gradient, transposed",
    lower=_three_point_back_lowered,  # the forward works in place where the weights are finite, in a third of the time
    x=lambda g, w, axis, edge_order: three_point(g, w, axis, edge_order),
    w=lambda g, x, axis, edge_order: _by_weights(x, g, axis, edge_order),
    formula="Σₖ w[k, i + 1 − k] · x[i + 1 − k], at the edges from those inside",
    gradients="w: Σ x[i] · g[i − 1 + k]",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), r.normal(size=(3, 4)), 1, 1),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 3)), 0, 2),
        sample(r.normal(size=2), r.normal(size=(3, 2)), 0, 1),
    ],
)
def three_point_back(x: Array, w: Array, axis: int, edge_order: int) -> Array:
    """The gradient of `three_point` by its samples, x being that by its result.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.slopes import three_point_back
    >>> three_point_back(tn.tensor([0.0, 1.0, 0.0]), np.array([[0, -0.5, 0], [1, 0, 1], [0, 0.5, 0]]), 0, 1)
    Tensor([-0.5,  0. ,  0.5])
    """
    if not np.all(np.isfinite(w)):
        return _three_point_back_lowered(x, w, axis, edge_order)
    x = np.moveaxis(x, axis, -1)
    out = np.zeros_like(x, np.result_type(x, w))
    inside = x[..., 1:-1]
    np.multiply(w[0, 1:-1], inside, out[..., :-2])
    out[..., 1:-1] += w[1, 1:-1] * inside
    out[..., 2:] += w[2, 1:-1] * inside
    first, last = _edges_back(x, w, edge_order)
    out[..., : first.shape[-1]] += first
    out[..., -last.shape[-1] :] += last
    return np.moveaxis(out, -1, axis)


def _weights(d: Array, edge_order: int) -> Array:
    """The weights for samples that lie `d` apart from their neighbours, which make a parabola through three exact."""
    left, right = d[:-1], d[1:]
    both = left + right
    inside = np.stack([-right / (left * both), (right - left) / (left * right), left / (right * both)])
    if edge_order == 1:
        one, nothing = 1 / d, np.zeros(1, d.dtype)
        first, last = (np.stack([nothing, v, nothing]) for v in (one[:1], one[-1:]))
    else:
        a, b, c = left[:1], right[:1], both[:1]
        first = np.stack([-(a + c) / (a * c), c / (a * b), -a / (b * c)])
        a, b, c = left[-1:], right[-1:], both[-1:]
        last = np.stack([b / (a * c), -c / (a * b), (b + c) / (b * c)])
    return np.concatenate([first, inside, last], 1)


def along(f: Array, h: Array | float, axis: int, edge_order: int) -> Array:
    """The derivative of `f` along one axis; `h` is the spacing or the coordinates."""
    if isinstance(h, (int, float, np.integer, np.floating)):
        return slopes(f, float(h), axis, edge_order)
    if not np.ndim(h):
        return slopes(f, 1.0, axis, edge_order) / h
    d = np.diff(h.astype(np.float64) if h.dtype.kind in "iu" else h)
    if isinstance(d, np.ndarray) and d.dtype.kind == "f" and np.all(d == d[0]):
        return slopes(f, float(d[0]), axis, edge_order)
    return three_point(f, _weights(d, edge_order), axis, edge_order)
