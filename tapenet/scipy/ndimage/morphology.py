"""What grey dilation, erosion, opening and closing take off an image, or are apart.

The arguments are those of `grey_dilation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.scipy.ndimage.borders import as_output
from tapenet.scipy.ndimage.windows import grey_closing, grey_dilation, grey_erosion, grey_opening

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.scipy.ndimage.windows import Each, Modes, Sizes
    from tapenet.typing import Array, ArrayLike, DTypeLike


def _taken_off(more: Array, less: Array, output: DTypeLike | None) -> Tensor:
    """The difference of two images; of two of booleans, where one is true."""
    if more.dtype == less.dtype == np.bool_:
        return np.logical_xor(more, less)  # type: ignore[return-value]
    return as_output(more - less, output)  # type: ignore[return-value]


def white_tophat(
    input: ArrayLike, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Tensor:  # fmt: skip
    """What is bright and smaller than a window: the image less its opening.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.white_tophat(tn.tensor([1.0, 5.0, 2.0, 3.0]), 3)
    Tensor([0., 3., 0., 1.])
    """
    x = array_like(input)
    return _taken_off(x, grey_opening(x, size, footprint, structure, output, mode, cval, origin, axes=axes), output)


def black_tophat(
    input: ArrayLike, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Tensor:  # fmt: skip
    """What is dark and smaller than a window: the closing of the image less the image.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.black_tophat(tn.tensor([1.0, 5.0, 2.0, 3.0]), 3)
    Tensor([4., 0., 1., 0.])
    """
    x = array_like(input)
    return _taken_off(grey_closing(x, size, footprint, structure, output, mode, cval, origin, axes=axes), x, output)


def morphological_gradient(
    input: ArrayLike, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Tensor:  # fmt: skip
    """How much an image varies around each place: its dilation less its erosion.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.morphological_gradient(tn.tensor([1.0, 5.0, 2.0, 3.0]), 3)
    Tensor([4., 4., 3., 1.])
    """
    args = (array_like(input), size, footprint, structure, None, mode, cval, origin)
    return as_output(grey_dilation(*args, axes=axes) - grey_erosion(*args, axes=axes), output)  # type: ignore[return-value]


def morphological_laplace(
    input: ArrayLike, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Tensor:  # fmt: skip
    """The dilation and the erosion of an image, less two times the image.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.morphological_laplace(tn.tensor([1.0, 5.0, 2.0, 3.0]), 3)
    Tensor([ 4., -4.,  3., -1.])
    """
    x = array_like(input)
    args = (x, size, footprint, structure, None, mode, cval, origin)
    return as_output(grey_dilation(*args, axes=axes) + grey_erosion(*args, axes=axes) - 2 * x, output)  # type: ignore[return-value]
