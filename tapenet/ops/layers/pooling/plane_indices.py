"""Elements of planes by their places in them: how poolings whose windows are not alike read what they chose."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.indexing.selecting import take
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import reshape
from tapenet.typing import Array


@op(
    opaque="indices are looked at",
    nondiff=("indices",),
    label="places in planes",
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


def at_plane_indices(x: Array, indices: Array, axes: int) -> Array:
    """The elements of x at places in the plane of its last axes, counted row by row."""
    lead = len(x.shape) - axes
    planes, count = math.prod(x.shape[:lead]), math.prod(indices.shape[lead:])
    places = plane_places(reshape(indices, (planes, count)), math.prod(x.shape[lead:]))
    return reshape(take(reshape(x, -1), places, 0), tuple(indices.shape))  # type: ignore[no-any-return]
