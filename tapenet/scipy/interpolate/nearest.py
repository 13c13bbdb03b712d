"""The value of the nearest point, and data between points by the name of a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.interpolate.one_axis import interp1d
from tapenet.scipy.interpolate.scattered import LinearNDInterpolator
from tapenet.typing import Array


@op(nondiff=("x", "points"), opaque="a tree of points is searched")
def nearest(x: Array, points: Array, options: Mapping[str, object] | None = None) -> Array:
    """Which of the points is nearest to each x."""
    from scipy.spatial import cKDTree

    return np.asarray(cast("Callable[..., cKDTree]", cKDTree)(points, **(options or {})).query(x)[1])


def _places(xi: object) -> Tensor:
    """Places with their coordinates along the last axis; a tuple has an array for each."""
    if isinstance(xi, tuple):
        return cast("Tensor", ops.stack(ops.broadcast_arrays(*map(asarray, xi)), -1))
    return asarray(xi)


def _scaled(points: Tensor, *others: Tensor) -> list[Tensor]:
    """Points between 0 and 1 in each coordinate, and others in the same units."""
    low, high = ops.min(points, axis=0), ops.max(points, axis=0)
    wide = ops.where(high > low, high - low, 1.0)
    return [(p - low) / wide for p in (points, *others)]


class NearestNDInterpolator:
    """The value of the nearest point, as `scipy.interpolate.NearestNDInterpolator`, differentiable in the values.

    Args:
        x: the points, of shape (points, coordinates), or a tuple of their coordinates.
        y: the values.
        rescale: whether coordinates count by how far they spread.
        tree_options: those of SciPy's `cKDTree`.

    >>> import numpy as np, tapenet as tn
    >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> values = tn.tensor([5.0, 6.0, 7.0], requires_grad=True)
    >>> tn.scipy.interpolate.NearestNDInterpolator(corners, values)(0.7, 0.1).backward()
    >>> values.grad
    Tensor([0., 1., 0.])
    """

    def __init__(
        self, x: object, y: object, rescale: bool = False, tree_options: Mapping[str, object] | None = None
    ) -> None:
        points = _places(x)
        self.points = points if points.ndim > 1 else points[:, None]
        self.values, self.rescale, self.tree_options = asarray(y), rescale, tree_options
        if self.points.ndim != 2 or self.values.shape[:1] != self.points.shape[:1]:
            raise ValueError(
                f"NearestNDInterpolator: points of shape {self.points.shape} and values of shape {self.values.shape}: one "
                "value a point"
            )

    def __call__(self, *args: object) -> Tensor:
        """Values at places, whose coordinates are along the last axis, or given one by one."""
        places = _places(args if len(args) > 1 else args[0])
        count = self.points.shape[1]
        if count == 1 and (not places.ndim or places.shape[-1] != 1):
            places = places[..., None]
        if places.shape[-1] != count:
            raise ValueError(f"NearestNDInterpolator: places have shape {places.shape}, and points {count} coordinates")
        points, at = self.points, ops.reshape(places, (-1, count))
        if self.rescale:
            points, at = _scaled(points, at)
        found = self.values[nearest(at, points, self.tree_options)]
        return cast("Tensor", ops.reshape(found, (*places.shape[:-1], *self.values.shape[1:])))


def griddata(
    points: object, values: object, xi: object, method: Literal["nearest", "linear", "cubic"] = "linear",
    fill_value: float = np.nan, rescale: bool = False,
) -> Tensor:  # fmt: skip
    """Values between points that lie anywhere, as `scipy.interpolate.griddata`, differentiable as the interpolator of the
    method: `NearestNDInterpolator`, `LinearNDInterpolator`, or in one dimension `interp1d`.

    Args:
        points: of shape (points, coordinates), or a tuple of the coordinates.
        values: at the points.
        xi: the places: an array with coordinates along its last axis, or a tuple of the coordinates.
        method: "linear" or "nearest"; in one dimension "cubic" too.
        fill_value: outside of the points' convex hull; "nearest" has a value everywhere.
        rescale: whether coordinates count by how far they spread.

    Raises:
        NotImplementedError: "cubic" in several dimensions.

    >>> import numpy as np, tapenet as tn
    >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> tn.scipy.interpolate.griddata(corners, tn.tensor([0.0, 1.0, 2.0]), (0.25, 0.25))
    Tensor(0.75)
    """
    if method not in ("nearest", "linear", "cubic"):
        raise ValueError(f"griddata: method is 'nearest', 'linear' or 'cubic', not {method!r}")
    near, data = _places(points), asarray(values)
    if near.ndim == 1 or near.shape[-1] == 1:
        x = near.reshape(-1)
        at = asarray(xi[0] if isinstance(xi, tuple) else xi)
        fill = "extrapolate" if method == "nearest" else fill_value
        return interp1d(x, data, method, axis=0, bounds_error=False, fill_value=fill)(at)
    if method == "nearest":
        return NearestNDInterpolator(near, data, rescale)(_places(xi))
    if method == "cubic":
        raise NotImplementedError(
            "griddata: method='cubic' is not followed in several dimensions: take 'linear', or RBFInterpolator"
        )
    at = _places(xi)
    if rescale:
        near, at = _scaled(near, at)
    return LinearNDInterpolator(near, data, fill_value)(at)
