"""Elements of planes by their places in them: how poolings whose windows are not alike read what they chose."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.indexing.selecting import take
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import reshape
from tapenet.typing import Array


def _lanes(lanes: int, indices: Array, length: int) -> Array:
    found: Array = plane_places(indices.reshape(-1, indices.shape[-1]), length).reshape(lanes, -1)
    places: Array = found - np.arange(lanes)[:, None] * (indices.shape[1] * length)
    return places


@op(
    opaque="indices are looked at",
    nondiff=("indices",),
    label="places in planes",
    vmap=_lanes,
    samples=lambda r: [sample(r.integers(0, 3, (2, 2)), 3)],
)
def plane_places(indices: Array, length: int) -> Array:
    """Places in planes of one length as places in all planes one after the other.

    Args:
        indices: (planes, count), integers from 0 to length - 1.
        length: of a plane.

    Returns:
        (planes · count,).

    Raises:
        IndexError: an index that lies outside of its plane.

    >>> import numpy as np, tapenet as tn
    >>> tn.plane_places(np.array([[1, 0], [2, 2]]), 3)
    array([1, 0, 5, 5])
    """
    least, most = (int(indices.min()), int(indices.max())) if indices.size else (0, 0)
    if not 0 <= least <= most < max(length, 1):
        raise IndexError(
            f"the indices run from {least} to {most}, but a plane of the result has {length} elements: give the "
            "output_size that the pooling began with"
        )
    # As one axis, so that among equal places the last comes last whatever the memory order.
    return (indices + np.arange(0, len(indices) * length, length)[:, None]).reshape(-1)


@op(
    nondiff=("x", "index"),
    label="places of maxima",
    formula="of each column of index the element where x is largest",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 1], [1, 2]])),
        sample(r.normal(size=(2, 3)), r.integers(0, 3, (2, 2, 1))),
    ],
)
def max_places(x: Array, index: Array) -> Array:
    """Where planes are largest within windows: the first of equal ones; a nan counts as the largest.

    Args:
        x: (planes, length).
        index: (elements, windows), the places of each window's elements, or (elements, planes, windows).

    Returns:
        (planes, windows).

    >>> import numpy as np, tapenet as tn
    >>> tn.max_places(tn.tensor([[1.0, 4.0, 2.0, 3.0]]), np.array([[0, 2], [1, 3]]))
    Tensor([[1, 3]], dtype=int64)
    """
    if index.ndim == 2:
        found: Array = index[np.argmax(np.take(x, index.T, axis=1), -1), np.arange(index.shape[1])]
        return found
    begins = np.arange(len(x))[:, None] * x.shape[1]
    where = np.argmax(np.take(np.reshape(x, x.shape[0] * x.shape[1]), index + begins), 0)
    found = np.take_along_axis(index, where[None], 0)[0]
    return found


def largest_at(x: Array, places: list[Array], return_indices: bool) -> Array | tuple[Array, Array]:
    """The largest element of each window, and if asked for its place in the plane of the last axes, counted row by row.

    Args:
        places: by axis, which elements the windows have along it, (elements, windows), or with the leading axes of x in
            between where these differ from plane to plane.
    """
    axes = len(places)
    lead, sizes = tuple(x.shape[: len(x.shape) - axes]), x.shape[len(x.shape) - axes :]
    index: Array = np.zeros((), np.intp)
    for axis, (n, at) in enumerate(zip(sizes, places, strict=True)):
        before, after = (1,) * axis, (1,) * (axes - 1 - axis)
        shape = (*before, at.shape[0], *after, *at.shape[1:-1], *before, at.shape[-1], *after)
        index = index * n + np.reshape(at, shape)
    elements, outs = math.prod(index.shape[:axes]), index.shape[-axes:]
    planes = (math.prod(lead),) * (index.ndim > 2 * axes)
    index = np.reshape(index, (elements, *planes, math.prod(outs)))
    found = max_places(reshape(x, (math.prod(lead), math.prod(sizes))), index)
    indices: Array = reshape(found, (*lead, *outs))
    values = at_plane_indices(x, indices, axes)
    return (values, indices) if return_indices else values


def at_plane_indices(x: Array, indices: Array, axes: int) -> Array:
    """The elements of x at places in the plane of its last axes, counted row by row."""
    lead = len(x.shape) - axes
    planes, count = math.prod(x.shape[:lead]), math.prod(indices.shape[lead:])
    places = plane_places(reshape(indices, (planes, count)), math.prod(x.shape[lead:]))
    return reshape(take(reshape(x, -1), places, 0), tuple(indices.shape))  # type: ignore[no-any-return]
