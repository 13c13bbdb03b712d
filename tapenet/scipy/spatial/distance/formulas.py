"""What each distance is, along the last axis of two arrays that broadcast: the formula that derivatives are taken of.

Where a distance has a kink its gradient is 0 there: that of equal points, and of what stands in an absolute value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.special.exponentials import rel_entr
from tapenet.typing import Array

Formula = Callable[..., Array]


def _total(x: Array, w: Array | None) -> Array:
    return cast("Array", np.sum(x if w is None else w * x, axis=-1))


def _root(x: Array, p: float = 2.0) -> Array:
    """The p-th root, with the derivative 0 at 0."""
    positive = x > 0
    safe = np.where(positive, x, 1)
    return np.where(positive, np.sqrt(safe) if p == 2 else safe ** (1 / p), 0)


def _over(x: Array, y: Array) -> Array:
    """x / y, 0 where y is 0."""
    null = y == 0
    return np.where(null, 0, x / np.where(null, 1, y))


def sqeuclidean(u: Array, v: Array, w: Array | None = None) -> Array:
    """Σ (u - v)²."""
    d = u - v
    return _total(d * d, w)


def euclidean(u: Array, v: Array, w: Array | None = None) -> Array:
    """√Σ (u - v)²."""
    return _root(sqeuclidean(u, v, w))


def chebyshev(u: Array, v: Array, w: Array | None = None) -> Array:
    """max |u - v|; of weights only whether they are 0 counts."""
    d = np.abs(u - v)
    return cast("Array", np.max(d if w is None else np.where(w > 0, d, 0), axis=-1))


def minkowski(u: Array, v: Array, w: Array | None = None, p: float = 2) -> Array:
    """(Σ |u - v|ᵖ)^(1/p)."""
    if p == 2:
        return euclidean(u, v, w)
    if p == 1:
        return cityblock(u, v, w)
    if math.isinf(p):
        return chebyshev(u, v, None if w is None else np.abs(w))
    d = np.abs(u - v)
    null = d == 0
    return _root(_total(np.where(null, 0, np.where(null, 1, d) ** p), w), p)


def cityblock(u: Array, v: Array, w: Array | None = None) -> Array:
    """Σ |u - v|."""
    return _total(np.abs(u - v), w)


def canberra(u: Array, v: Array, w: Array | None = None) -> Array:
    """Σ |u - v| / (|u| + |v|)."""
    return _total(_over(np.abs(u - v), np.abs(u) + np.abs(v)), w)


def braycurtis(u: Array, v: Array, w: Array | None = None) -> Array:
    """Σ |u - v| / Σ |u + v|."""
    return cast("Array", _total(np.abs(u - v), w) / _total(np.abs(u + v), w))


def cosine(u: Array, v: Array, w: Array | None = None) -> Array:
    """1 - u · v / (|u| |v|)."""
    return cast("Array", 1 - _total(u * v, w) / np.sqrt(_total(u * u, w) * _total(v * v, w)))


def correlation(u: Array, v: Array, w: Array | None = None, centered: bool = True) -> Array:
    """That of u and v less their means."""
    if not centered:
        return cosine(u, v, w)
    if w is None:
        return cosine(u - np.mean(u, axis=-1, keepdims=True), v - np.mean(v, axis=-1, keepdims=True))
    part = w / np.sum(w)
    mean_u, mean_v = (np.sum(part * x, axis=-1, keepdims=True) for x in (u, v))
    return cosine(u - mean_u, v - mean_v, part)


def seuclidean(u: Array, v: Array, V: Array) -> Array:
    """√Σ (u - v)² / V."""
    d = u - v
    return _root(np.sum(d * d / V, axis=-1))


def mahalanobis(u: Array, v: Array, VI: Array) -> Array:
    """√((u - v) · VI (u - v))."""
    d = u - v
    return _root(np.sum(np.matmul(d, VI) * d, axis=-1))


def jensenshannon(u: Array, v: Array, base: float | None = None) -> Array:
    """√((KL(p, m) + KL(q, m)) / 2) with p, q the parts of their sums, and m their mean."""
    p, q = (x / np.sum(x, axis=-1, keepdims=True) for x in (u, v))
    m = (p + q) / 2
    divergence = np.sum(rel_entr(p, m) + rel_entr(q, m), axis=-1) / 2
    return _root(divergence if base is None else divergence / math.log(base))


# -- of boolean vectors ------------------------------------------------------------------------------------------


def _counts(u: Array, v: Array, w: Array | None) -> tuple[Array, Array, Array, Array]:
    """How many places are false in both, false and true, true and false, true in both; of other numbers as polynomials."""
    u, v = 1.0 * u, 1.0 * v
    return _total((1 - u) * (1 - v), w), _total((1 - u) * v, w), _total(u * (1 - v), w), _total(u * v, w)


def hamming(u: Array, v: Array, w: Array | None = None) -> Array:
    """Which part of the places differs."""
    differ = 1.0 * (u != v)
    return np.mean(differ, axis=-1) if w is None else cast("Array", _total(differ, w) / np.sum(w))


def jaccard(u: Array, v: Array, w: Array | None = None) -> Array:
    """Which part of the places that are not both 0 differs."""
    u, v = u != 0, v != 0
    return _over(_total(1.0 * (u ^ v), w), _total(1.0 * (u | v), w))


def dice(u: Array, v: Array, w: Array | None = None) -> Array:
    """(FT + TF) / (2 TT + FT + TF)."""
    _, ft, tf, tt = _counts(u, v, w)
    return cast("Array", (ft + tf) / (2 * tt + ft + tf))


def rogerstanimoto(u: Array, v: Array, w: Array | None = None) -> Array:
    """2 (FT + TF) / (TT + FF + 2 (FT + TF))."""
    ff, ft, tf, tt = _counts(u, v, w)
    return cast("Array", 2 * (ft + tf) / (tt + ff + 2 * (ft + tf)))


def russellrao(u: Array, v: Array, w: Array | None = None) -> Array:
    """(n - TT) / n."""
    *_, tt = _counts(u, v, w)
    n = u.shape[-1] if w is None else np.sum(w)
    return cast("Array", (n - tt) / n)


def sokalsneath(u: Array, v: Array, w: Array | None = None) -> Array:
    """2 (FT + TF) / (TT + 2 (FT + TF))."""
    _, ft, tf, tt = _counts(u, v, w)
    return cast("Array", 2 * (ft + tf) / (tt + 2 * (ft + tf)))


def yule(u: Array, v: Array, w: Array | None = None) -> Array:
    """2 FT TF / (TT FF + FT TF)."""
    ff, ft, tf, tt = _counts(u, v, w)
    return _over(2 * ft * tf, np.where(ft * tf == 0, 0, tt * ff + ft * tf))


FORMULAS: dict[str, Formula] = {
    f.__name__: f
    for f in (
        braycurtis, canberra, chebyshev, cityblock, correlation, cosine, dice, euclidean, hamming, jaccard, jensenshannon,
        mahalanobis, minkowski, rogerstanimoto, russellrao, seuclidean, sokalsneath, sqeuclidean, yule,
    )
}  # fmt: skip
#: Those that `cdist` and `pdist` take of whether elements are 0 alone.
BOOLEAN = ("dice", "rogerstanimoto", "russellrao", "sokalsneath", "yule")
