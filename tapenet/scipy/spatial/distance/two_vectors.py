"""Distances of two vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.spatial.distance import formulas
from tapenet.scipy.spatial.distance.distance_ops import Options, distance_op
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _pair(metric: str, u: ArrayLike, v: ArrayLike, w: ArrayLike | None, options: Options = ()) -> Array:
    if w is None:
        return cast("Array", distance_op("pair", metric, None, options)(u, v))
    return cast("Array", distance_op("pair", metric, "w", options)(u, v, w))


def mahalanobis(u: ArrayLike, v: ArrayLike, VI: ArrayLike) -> Array:
    """The Mahalanobis distance √((u - v) · VI (u - v)), as `scipy.spatial.distance.mahalanobis`.

    Args:
        u, v: (n,).
        VI: (n, n), the inverse of a covariance.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.spatial.distance.mahalanobis(tn.tensor([3.0, 0.0]), [0.0, 4.0], np.eye(2))
    Tensor(5.)
    """
    return cast("Array", distance_op("pair", "mahalanobis", "VI")(u, v, VI))


def seuclidean(u: ArrayLike, v: ArrayLike, V: ArrayLike) -> Array:
    """The distance √Σ (u - v)² / V, as `scipy.spatial.distance.seuclidean`.

    Args:
        u, v: (n,).
        V: the variances, (n,).

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.seuclidean(tn.tensor([3.0, 0.0]), [0.0, 4.0], [1.0, 1.0])
    Tensor(5.)
    """
    return cast("Array", distance_op("pair", "seuclidean", "V")(u, v, V))


def minkowski(u: ArrayLike, v: ArrayLike, p: float = 2, w: ArrayLike | None = None) -> Array:
    """The distance (Σ w |u - v|ᵖ)^(1/p), as `scipy.spatial.distance.minkowski`.

    Args:
        u, v: (n,).
        p: the order, a number above 0; by it there is no derivative.
        w: weights, (n,).

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.minkowski(tn.tensor([1.0, 0.0]), [0.0, 2.0], 1)
    Tensor(3.)
    """
    return _pair("minkowski", u, v, w, (("p", float(p)),))


def correlation(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None, centered: bool = True) -> Array:
    """1 less the correlation of u and v, as `scipy.spatial.distance.correlation`.

    Args:
        u, v: (n,).
        w: weights, (n,).
        centered: whether their means are taken off first.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.correlation(tn.tensor([0.0, 1.0]), [1.0, 0.0])
    Tensor(2.)
    """
    return _pair("correlation", u, v, w, (("centered", centered),))


def braycurtis(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The Bray-Curtis distance Σ w |u - v| / Σ w |u + v|, as `scipy.spatial.distance.braycurtis`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.braycurtis(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(1.)
    """
    return _pair("braycurtis", u, v, w)


def canberra(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The Canberra distance Σ w |u - v| / (|u| + |v|), as `scipy.spatial.distance.canberra`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.canberra(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(2.)
    """
    return _pair("canberra", u, v, w)


def chebyshev(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The largest |u - v|, where w is not 0, as `scipy.spatial.distance.chebyshev`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.chebyshev(tn.tensor([1.0, 0.0]), [0.0, 3.0])
    Tensor(3.)
    """
    return _pair("chebyshev", u, v, w)


def cityblock(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The sum of w |u - v|, as `scipy.spatial.distance.cityblock`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.cityblock(tn.tensor([1.0, 0.0]), [0.0, 3.0])
    Tensor(4.)
    """
    return _pair("cityblock", u, v, w)


def cosine(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """1 less the cosine of the angle between u and v, as `scipy.spatial.distance.cosine`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.cosine(tn.tensor([1.0, 0.0]), [0.0, 3.0])
    Tensor(1.)
    """
    return _pair("cosine", u, v, w)


def dice(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Dice's dissimilarity (FT + TF) / (2 TT + FT + TF), as `scipy.spatial.distance.dice`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.dice(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(1.)
    """
    return _pair("dice", u, v, w)


def euclidean(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The Euclidean distance √Σ w (u - v)², as `scipy.spatial.distance.euclidean`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.euclidean(tn.tensor([3.0, 0.0]), [0.0, 4.0])
    Tensor(5.)
    """
    return _pair("euclidean", u, v, w)


def hamming(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Which part of the places, by weights, differs, as `scipy.spatial.distance.hamming`. By u and v the gradient is 0.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.hamming(tn.tensor([1.0, 0.0]), [1.0, 4.0])
    Tensor(0.5)
    """
    return _pair("hamming", u, v, w)


def jaccard(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Which part of the places that are not both 0 is 0 in one, as `scipy.spatial.distance.jaccard`.

    By u and v the gradient is 0.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.jaccard(tn.tensor([1.0, 0.0]), [1.0, 4.0])
    Tensor(0.5)
    """
    return _pair("jaccard", u, v, w)


def rogerstanimoto(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Rogers and Tanimoto's dissimilarity 2 (FT + TF) / (TT + FF + 2 (FT + TF)), as `scipy.spatial.distance.rogerstanimoto`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.rogerstanimoto(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(1.)
    """
    return _pair("rogerstanimoto", u, v, w)


def russellrao(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Russell and Rao's dissimilarity (n - TT) / n, as `scipy.spatial.distance.russellrao`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.russellrao(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(1.)
    """
    return _pair("russellrao", u, v, w)


def sokalsneath(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Sokal and Sneath's dissimilarity 2 (FT + TF) / (TT + 2 (FT + TF)), as `scipy.spatial.distance.sokalsneath`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.sokalsneath(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(1.)
    """
    return _pair("sokalsneath", u, v, w)


def sqeuclidean(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """The square of the Euclidean distance, Σ w (u - v)², as `scipy.spatial.distance.sqeuclidean`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.sqeuclidean(tn.tensor([3.0, 0.0]), [0.0, 4.0])
    Tensor(25.)
    """
    return _pair("sqeuclidean", u, v, w)


def yule(u: ArrayLike, v: ArrayLike, w: ArrayLike | None = None) -> Array:
    """Yule's dissimilarity 2 FT TF / (TT FF + FT TF), as `scipy.spatial.distance.yule`.

    Args:
        u, v: (n,).
        w: weights, (n,); ones by default.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.yule(tn.tensor([1.0, 0.0]), [0.0, 1.0])
    Tensor(2.)
    """
    return _pair("yule", u, v, w)


@followed("spatial.distance.jensenshannon", "p", "q", broadcasts=True, label="Jensen-Shannon")
def jensenshannon(p: Array, q: Array, base: float | None = None, *, axis: int = 0, keepdims: bool = False) -> Array:
    """The Jensen-Shannon distance of distributions, as `scipy.spatial.distance.jensenshannon`.

    Args:
        p, q: weights; they are divided by their sums.
        base: that of the logarithm, e by default.
        axis: along which the distributions lie.
        keepdims: whether this axis is kept, with length 1.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.jensenshannon(tn.tensor([1.0, 0.0]), [0.0, 1.0], 2.0)
    Tensor(1.)
    """
    made = formulas.jensenshannon(np.moveaxis(p, axis, -1), np.moveaxis(q, axis, -1), base)
    return np.expand_dims(made, axis) if keepdims else made


def _hausdorff_rule(g: tuple[Array, ...], out: tuple[Array, ...], u: Array, v: Array) -> dict[str, Array]:
    d, i, j = out
    here, there = (np.arange(x.shape[0]) == at for x, at in ((u, i), (v, j)))
    along = np.matmul(here[None].astype(d.dtype), u) - np.matmul(there[None].astype(d.dtype), v)
    along = g[0] * along / np.where(d == 0, 1, d)
    return {"u": here[:, None] * along, "v": -(there[:, None] * along)}


@op(
    name="directed_hausdorff",
    outputs=3,
    nondiff_outputs=(1, 2),
    joint=_hausdorff_rule,
    formula="max over i of min over j of |u[i] − v[j]|, and these i and j",
    gradients="u: g · (u[i] − v[j]) / d in row i; v: less that in row j",
)
def _hausdorff(u: Array, v: Array, rng: int) -> tuple[Array, ...]:
    """What `directed_hausdorff` gives."""
    d, i, j = cast("tuple[float, int, int]", scipys("spatial.distance.directed_hausdorff")(u, v, rng))
    return np.asarray(d), np.asarray(i), np.asarray(j)


def directed_hausdorff(u: ArrayLike, v: ArrayLike, rng: int = 0) -> tuple[Array, ...]:
    """How far the point of u is from v that is farthest from it, as `scipy.spatial.distance.directed_hausdorff`.

    Args:
        u: points, (m, k).
        v: points, (n, k).
        rng: seeds the order in which points are looked at.

    Returns:
        the distance, and which rows of u and v it is between.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.directed_hausdorff(tn.tensor([[3.0, 4.0]]), [[0.0, 0.0]])[0]
    Tensor(5.)
    """
    return tuple(_hausdorff(array_like(u), array_like(v), rng))
