"""The ops of distances: their values are SciPy's own, their derivatives those of the formulas."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.ops.linalg.matrices import transposed
from tapenet.ops.op import Op, derive, op
from tapenet.scipy.followed import scipys
from tapenet.scipy.spatial.distance.formulas import BOOLEAN, FORMULAS
from tapenet.typing import Array

#: Options of a metric that are no arrays, such as p.
Options = tuple[tuple[str, float], ...]
#: Metrics that SciPy computes with 64 bits for two vectors too.
_DOUBLE = ("braycurtis", "canberra", "hamming", "jaccard", *BOOLEAN)


def _quotient(g: Array, out: Array, metric: str) -> Array:
    """The gradient by the squares of distances, over 2."""
    if metric == "sqeuclidean":
        return g
    null = out == 0
    return cast("Array", np.where(null, 0, 0.5 * g / np.where(null, 1, out)))


def _pulled(g: Array, u: Array, v: Array) -> Array:
    """2 Σ g[i, j] (u[i] - v[j]), without an array for all i, j and elements."""
    middle = np.mean(v, axis=0)  # little is lost in the difference of the sums when they are of small numbers
    made: Array = 2 * (np.sum(g, axis=1)[:, None] * (u - middle) - np.matmul(g, v - middle))
    return made


def _rules(kind: str, metric: str) -> dict[str, Callable[..., object]]:
    """Rules that take less memory than the formula's."""
    if kind == "pair" or metric not in ("euclidean", "sqeuclidean"):
        return {}
    if kind == "cdist":
        return {
            "XA": lambda g, out, XA, XB: _pulled(_quotient(g, out, metric), XA, XB),
            "XB": lambda g, out, XA, XB: _pulled(transposed(_quotient(g, out, metric)), XB, XA),
        }

    def rule(g: Array, out: Array, X: Array) -> Array:
        first, second = np.triu_indices(X.shape[0], 1)
        place = np.zeros((X.shape[0], X.shape[0]), int)
        place[first, second] = place[second, first] = np.arange(1, len(first) + 1)
        flat = _quotient(g, out, metric)
        return _pulled(np.concatenate([np.zeros(1, flat.dtype), flat])[place], X, X)

    return {"X": rule}


@functools.cache
def distance_op(kind: str, metric: str, parameter: str | None = None, options: Options = ()) -> Op:
    """The op of a distance.

    Args:
        kind: "pair" for two vectors, "cdist" for each row of two matrices, "pdist" for each two rows of one.
        metric: its name.
        parameter: which array it takes beside them: w, V or VI.
        options: those of the metric.
    """
    formula, given = functools.partial(FORMULAS[metric], **dict(options)), dict(options)
    function = cast("Callable[..., Array]", scipys(f"spatial.distance.{metric if kind == 'pair' else kind}"))
    named = () if kind == "pair" else (metric,)

    def theirs(*points: Array, **more: Array) -> Array:
        return np.asarray(function(*points, *named, **more, **given))

    def prepared(x: Array) -> Array:
        if kind == "pair":
            return x.astype(np.float64) if metric in _DOUBLE and x.dtype.kind == "f" else x
        return (x != 0 if metric in BOOLEAN else x).astype(np.float64)

    def ours(*points: Array, **more: Array) -> Array:
        found = [prepared(x) for x in points]
        if kind == "cdist":
            found = [found[0][:, None, :], found[1][None]]
        elif kind == "pdist":
            first, second = np.triu_indices(found[0].shape[0], 1)
            found = [found[0][first], found[0][second]]
        return formula(*found, **more)

    forward, lower = _named(theirs, kind, parameter), _named(ours, kind, parameter)
    inputs = {"pair": ["u", "v"], "cdist": ["XA", "XB"], "pdist": ["X"]}[kind]
    rules = dict.fromkeys([*inputs, *(["weight"] if parameter else [])], derive)
    return cast(
        "Op",
        op(
            forward,
            name=metric if kind == "pair" else kind,
            label=metric if kind == "pair" else f"{kind} {metric}",
            lower=lower,
            fuse=False,
            broadcasts=True,
            doc=FORMULAS[metric].__doc__,
            **(rules if parameter else rules | _rules(kind, metric)),
        ),
    )


def _named(function: Callable[..., Array], kind: str, parameter: str | None) -> Callable[..., Array]:
    """The function with the op's arguments by name."""
    if kind == "pdist":
        if parameter is None:
            return lambda X: function(X)
        return lambda X, weight: function(X, **{parameter: weight})
    if kind == "cdist":
        if parameter is None:
            return lambda XA, XB: function(XA, XB)
        return lambda XA, XB, weight: function(XA, XB, **{parameter: weight})
    if parameter is None:
        return lambda u, v: function(u, v)
    return lambda u, v, weight: function(u, v, **{parameter: weight})
