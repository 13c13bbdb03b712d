"""Distances of all rows of matrices from each other."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.linalg.matrices import transposed
from tapenet.scipy.followed import scipys
from tapenet.scipy.spatial.distance.distance_ops import distance_op
from tapenet.scipy.spatial.distance.formulas import FORMULAS
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Metric = str | Callable[..., object]


@functools.cache
def _metric(name: str) -> str:
    """SciPy's name of a metric, for one of its short forms."""
    import scipy.spatial.distance

    found = vars(scipy.spatial.distance)["_METRIC_ALIAS"].get(name.lower().removeprefix("test_"))
    if found is None or found.canonical_name not in FORMULAS:
        raise ValueError(
            f"Unknown Distance Metric: {name}; it is one of {', '.join(FORMULAS)}, or a function of two vectors"
        )
    return cast("str", found.canonical_name)


def _distances(
    kind: str, points: tuple[ArrayLike, ...], metric: str, options: dict[str, ArrayLike | float | None]
) -> Array:
    name = _metric(metric)
    if not options and name not in ("seuclidean", "mahalanobis", "minkowski"):
        return cast("Array", distance_op(kind, name)(*points))
    arrays = {n: options.pop(n) for n in ("w", "V", "VI") if n in options}
    parameter = next((n for n, value in arrays.items() if value is not None), None)
    weight = None if parameter is None else arrays[parameter]
    if weight is None and name in ("seuclidean", "mahalanobis"):  # SciPy takes them from the points
        x: Array = np.concatenate([array_like(p) for p in points], axis=0).astype(np.float64)
        if name == "seuclidean":
            parameter, weight = "V", np.var(x, axis=0, ddof=1)
        else:
            if x.shape[0] <= x.shape[1]:
                raise ValueError(
                    f"The number of observations ({x.shape[0]}) is too small; the covariance matrix is singular. For "
                    f"observations with {x.shape[1]} dimensions, at least {x.shape[1] + 1} observations are required."
                )
            parameter, weight = "VI", transposed(np.linalg.inv(np.atleast_2d(np.cov(transposed(x)))))
    if name == "minkowski":
        options.setdefault("p", 2.0)
    numbers = tuple(sorted((n, cast("float", value)) for n, value in options.items() if value is not None))
    of = distance_op(kind, name, parameter, numbers)
    return cast("Array", of(*points) if parameter is None else of(*points, weight))


def _no_out(name: str, out: object) -> None:
    if out is not None:
        raise TypeError(f"{name}: out= is not there: tensors are made anew")


def cdist(
    XA: ArrayLike, XB: ArrayLike, metric: Metric = "euclidean", *, out: None = None, **kwargs: ArrayLike | float | None
) -> Array:
    """The distance of each row of XA from each of XB, as `scipy.spatial.distance.cdist`.

    That of equal points has the gradient 0, as everything at a kink. Metrics of booleans have none.

    Args:
        XA: (m, k).
        XB: (n, k).
        metric: SciPy's name, or a function of two vectors.
        out: not there.
        **kwargs: options of the metric: w, p, V, VI, base. There are gradients by w, V and VI.

    Returns:
        (m, n), with 64 bits.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.cdist(tn.tensor([[0.0, 0.0]]), [[3.0, 4.0], [0.0, 1.0]])
    Tensor([[5., 1.]])
    """
    _no_out("cdist", out)
    if isinstance(metric, str):
        return _distances("cdist", (XA, XB), metric, kwargs)
    a, b = array_like(XA), array_like(XB)
    found = [cast("Array", metric(x, y, **kwargs)) for x, y in itertools.product(a, b)]
    return cast("Array", np.reshape(np.stack(found), (a.shape[0], b.shape[0])))


def pdist(X: ArrayLike, metric: Metric = "euclidean", *, out: None = None, **kwargs: ArrayLike | float | None) -> Array:
    """The distance of each two rows of X, as `scipy.spatial.distance.pdist`.

    Args:
        X: (m, k).
        metric, out, **kwargs: as of `cdist`.

    Returns:
        (m (m - 1) / 2,): those of row 0 from the rows after it, of row 1, and so on. `squareform` makes a matrix of it.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.pdist(tn.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).numpy().round(3)
    array([5.   , 1.   , 4.243])
    """
    _no_out("pdist", out)
    if isinstance(metric, str):
        return _distances("pdist", (X,), metric, kwargs)
    pairs = itertools.combinations(array_like(X), 2)
    return cast("Array", np.stack([cast("Array", metric(a, b, **kwargs)) for a, b in pairs]))


def squareform(X: ArrayLike, force: str = "no", checks: bool = True) -> Array:
    """The matrix of the distances that `pdist` gave, or these of the matrix, as `scipy.spatial.distance.squareform`.

    Args:
        X: (m (m - 1) / 2,) or (m, m).
        force: "tomatrix" or "tovector" if the other kind is to be an error.
        checks: whether a matrix must be symmetric with zeros on its diagonal. What is above that is read.

    >>> import tapenet as tn
    >>> tn.scipy.spatial.distance.squareform(tn.tensor([1.0, 2.0, 3.0]))
    Tensor([[0., 1., 2.],
            [1., 0., 3.],
            [2., 3., 0.]])
    """
    x = array_like(X)
    values = known(x) if checks and x.ndim == 2 else None
    # SciPy's errors, and which element goes where.
    places = _places(x.shape, force)
    if values is not None:
        scipys("spatial.distance.squareform")(values, force, checks)
    if x.ndim == 2:
        return x[np.triu_indices(x.shape[0], 1)]
    return cast("Array", np.concatenate([np.zeros(1, x.dtype), x])[places])


@functools.lru_cache(maxsize=32)
def _places(shape: tuple[int, ...], force: str) -> Array:
    """Of a vector, which element is where in the matrix, counted from 1."""
    numbers = np.arange(1, shape[0] + 1) if len(shape) == 1 else np.zeros(shape, int)
    return cast("Array", scipys("spatial.distance.squareform")(numbers, force, False))
