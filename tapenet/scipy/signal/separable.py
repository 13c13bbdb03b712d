"""Images filtered along rows and columns."""

from __future__ import annotations

import numpy as np

from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.correlation import along_axis
from tapenet.typing import Array


@followed(
    "signal.sepfir2d", "input", "hrow", "hcol", gradients="those of the convolutions",
    samples=lambda r: [sample(r.normal(size=(4, 5)), r.normal(size=3), r.normal(size=3))],
)  # fmt: skip
def sepfir2d(input: Array, hrow: Array, hcol: Array) -> Array:
    """An image convolved with a filter along its rows and one along its columns; it goes on as its mirror image.

    Args:
        input: an image.
        hrow, hcol: filters of odd length.

    Raises:
        ValueError: a filter of even length.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.sepfir2d(tn.tensor(np.eye(3)), np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0]))[1]
    Tensor([1., 1., 1.])
    """
    rows: Array = along_axis(input, np.flip(hrow), -1, "reflect")
    found: Array = along_axis(rows, np.flip(hcol), -2, "reflect")
    return found
