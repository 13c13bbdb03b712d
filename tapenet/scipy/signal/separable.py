"""Images filtered along rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.correlation import along_axis
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


@followed(
    "signal.sepfir2d", "input", "hrow", "hcol", name="sepfir2d", gradients="those of the convolutions",
    samples=lambda r: [sample(r.normal(size=(4, 5)), r.normal(size=3), r.normal(size=3))],
)  # fmt: skip
def separable(input: Array, hrow: Array, hcol: Array) -> Array:
    """An image convolved with a filter along its rows and one along its columns."""
    rows: Array = along_axis(input, np.flip(hrow), -1, "reflect")
    found: Array = along_axis(rows, np.flip(hcol), -2, "reflect")
    return found


def sepfir2d(input: ArrayLike, hrow: ArrayLike, hcol: ArrayLike) -> Array:
    """An image convolved with a filter along its rows and one along its columns; it goes on as its mirror image.

    Args:
        input: an image.
        hrow, hcol: filters of odd length. Lists have the precision of the image.

    Raises:
        TypeError: filters of a higher precision than the image.
        ValueError: a filter of even length.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.sepfir2d(tn.tensor(np.eye(3)), [0.0, 1.0, 0.0], [1.0, 1.0, 1.0])[1]
    Tensor([1., 1., 1.])
    """
    image = array_like(input)
    kind = np.result_type(image.dtype, np.float32)
    filters = (array_like(h).astype(kind) if isinstance(h, (list, tuple)) else h for h in (hrow, hcol))
    found: Array = separable(image, *filters)
    return found
