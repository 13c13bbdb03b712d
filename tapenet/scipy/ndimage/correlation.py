"""Correlation and convolution of images with weights, along one axis or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.complex import conjugate
from tapenet.ops.fft.transforms import complex_normal, of_dtype
from tapenet.ops.op import op
from tapenet.ops.registry import Samples, sample
from tapenet.scipy.followed import scipys
from tapenet.scipy.ndimage.borders import axes_of, axis_of, bordered, by_axis, for_each, output_dtype, unbordered
from tapenet.scipy.signal.convolution import convolve as convolved
from tapenet.scipy.signal.convolution import lag_products
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike, DTypeLike

_correlate1d, _correlate = scipys("ndimage.correlate1d"), scipys("ndimage.correlate")


def _line_input(g: Array, input_dtype: DType, weights: Array, axis: int, mode: str, origin: int) -> Array:
    """The gradient by the input: g convolved with the weights, and what that gives outside brought back."""
    k = len(weights)
    around = [(0, 0)] * g.ndim
    around[axis] = (k - 1, k - 1)
    spread = along_axis(np.pad(g, around), np.flip(weights), axis, "constant")
    spread = np.moveaxis(np.moveaxis(spread, axis, 0)[k // 2 : k // 2 + g.shape[axis] + k - 1], 0, axis)
    before = k // 2 + origin
    return of_dtype(input_dtype, unbordered(spread, axis, before, k - 1 - before, mode))


def _line_weights(
    g: Array,
    input: Array,
    weights_shape: tuple[int],
    weights_dtype: DType,
    axis: int,
    mode: str,
    cval: complex,
    origin: int,
) -> Array:
    """The gradient by the weights: how g goes with the input, place by place."""
    k, n = weights_shape[0], input.shape[axis]
    before = k // 2 + origin
    whole = np.moveaxis(bordered(input, axis, before, k - 1 - before, mode, cval), axis, -1)
    g = np.moveaxis(g, axis, -1)
    rows = input.size // n
    found = lag_products(whole.reshape(rows, n + k - 1), g.reshape(rows, n))
    return conjugate(found) if weights_dtype.kind == "c" else of_dtype(weights_dtype, found)


def _lines_of_lanes(
    batched: frozenset[str],
    input: Array,
    weights: Array,
    axis: int,
    mode: str,
    cval: complex,
    origin: int,
    dtype: DTypeLike,
) -> Array:
    ours = batched == {"input"}
    found: Array = along_axis(input, weights, axis, mode, cval, origin, dtype) if ours else NotImplemented
    return found


@op(
    input=_line_input,
    weights=_line_weights,
    gradients="input: g convolved with the weights; weights: g correlated with the input",
    vmap=_lines_of_lanes,
    samples=lambda r: [
        sample(r.normal(size=5), r.normal(size=3)),
        sample(r.normal(size=(2, 4)), r.normal(size=4), -1, "wrap", 0.0, -1),
        sample(r.normal(size=(4, 2)), r.normal(size=3), -2, "mirror", 0.0, 1),
        sample(r.normal(size=(2, 3)), r.normal(size=2), -1, "nearest"),
        sample(r.normal(size=3), r.normal(size=3), -1, "constant", 0.5),
        sample(complex_normal(r, (4,)), complex_normal(r, (3,)), -1, "reflect", 0j),
    ],
)
def along_axis(
    input: Array, weights: Array, axis: int = -1, mode: str = "reflect", cval: complex = 0.0, origin: int = 0,
    dtype: DTypeLike | None = None,
) -> Array:  # fmt: skip
    """`correlate1d` along an axis counted from the end."""
    found: Array = _correlate1d(input, weights, axis, dtype, mode, cval, origin)  # type: ignore[assignment]
    return found


def correlate1d(
    input: ArrayLike, weights: ArrayLike, axis: int = -1, output: DTypeLike | None = None, mode: str = "reflect",
    cval: complex = 0.0, origin: int = 0,
) -> Tensor:  # fmt: skip
    """The correlation of an image with weights along an axis, with as many numbers as the image has.

    Args:
        input: an array.
        weights: numbers along one axis. There are gradients by them too.
        axis: along which.
        output: the dtype of the result, by default that of the input.
        mode: what is around the image: "reflect", "mirror", "nearest", "wrap", or "constant".
        cval: what is around with "constant".
        origin: how far the weights are moved to the left.

    Raises:
        ValueError: an origin outside of the weights.
        RuntimeError: an unknown mode, or no weights.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.correlate1d(tn.tensor([1.0, 2.0, 4.0]), [-1, 0, 1])
    Tensor([1., 3., 2.])
    """
    input = array_like(input)
    dtype = output_dtype("correlate1d", output)
    from_end = axis_of(axis, input.ndim) - input.ndim
    found: Array = along_axis(input, array_like(weights), from_end, mode, cval, origin, dtype)
    return found  # type: ignore[return-value]


def convolve1d(
    input: ArrayLike, weights: ArrayLike, axis: int = -1, output: DTypeLike | None = None, mode: str = "reflect",
    cval: complex = 0.0, origin: int = 0,
) -> Tensor:  # fmt: skip
    """The convolution of an image with weights along an axis; the arguments are those of `correlate1d`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.convolve1d(tn.tensor([1.0, 2.0, 4.0]), [-1, 0, 1])
    Tensor([-1., -3., -2.])
    """
    reverse = np.flip(array_like(weights))
    if reverse.dtype.kind == "c":
        reverse = conjugate(reverse)
    return correlate1d(input, reverse, axis, output, mode, cval, -origin - (len(reverse) % 2 == 0))


def _whole_input(g: Array, input_dtype: DType, weights: Array, mode: str, origin: Sequence[int]) -> Array:
    found = convolved(g, conjugate(weights) if weights.dtype.kind == "c" else weights)
    for axis, (k, moved) in enumerate(zip(weights.shape, origin, strict=True)):
        found = unbordered(found, axis, k // 2 + moved, k - 1 - k // 2 - moved, mode)
    return of_dtype(input_dtype, found)


def _whole_weights(
    g: Array, input: Array, weights_shape: tuple[int, ...], weights_dtype: DType, mode: str, cval: complex,
    origin: Sequence[int],
) -> Array:  # fmt: skip
    for axis, (k, moved) in enumerate(zip(weights_shape, origin, strict=True)):
        input = bordered(input, axis, k // 2 + moved, k - 1 - k // 2 - moved, mode, cval)
    found = convolved(input, np.flip(g), "valid")
    return conjugate(found) if weights_dtype.kind == "c" else of_dtype(weights_dtype, found)


_IMAGES: Samples = lambda r: [
    sample(r.normal(size=(3, 4)), r.normal(size=(3, 2)), "wrap", 0.0, (-1, 0)),
    sample(r.normal(size=(3, 3)), r.normal(size=(2, 3)), "constant", 0.5, (0, 0)),
    sample(complex_normal(r, (3, 3)), complex_normal(r, (2, 3)), "reflect", 0j, (0, 1)),
]


@op(
    input=_whole_input,
    weights=_whole_weights,
    gradients="input: g convolved with the weights; weights: g correlated with the input",
    samples=_IMAGES,
)
def along_all(
    input: Array, weights: Array, mode: str, cval: complex, origin: Sequence[int], dtype: DTypeLike | None = None
) -> Array:
    """`correlate` along all axes."""
    found: Array = _correlate(input, weights, dtype, mode, cval, origin)  # type: ignore[assignment]
    return found


def correlate(
    input: ArrayLike, weights: ArrayLike, output: DTypeLike | None = None, mode: str = "reflect", cval: complex = 0.0,
    origin: int | Sequence[int] = 0, *, axes: int | Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """The correlation of an image with weights, with as many numbers as the image has.

    Args:
        input: an array.
        weights: an array with as many axes, or as many as `axes` names. There are gradients by them too.
        output, mode, cval, origin: as for `correlate1d`; an origin for each axis, or one for all.
        axes: along which, by default all.

    Raises:
        ValueError: an origin outside of the weights.
        RuntimeError: an unknown mode, or weights with another number of axes.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.correlate(tn.tensor(np.eye(3)), np.ones((3, 3)), mode="constant")[0]
    Tensor([2., 2., 1.])
    """
    input, weights = array_like(input), array_like(weights)
    along = axes_of(axes, input.ndim)
    if weights.ndim != len(along):
        raise RuntimeError(f"correlate: weights.ndim ({weights.ndim}) must match len(axes) ({len(along)})")
    moved = by_axis(origin, along, input.ndim)
    if weights.ndim < input.ndim:
        lengths = dict(
            zip(sorted(along), weights.shape, strict=True)
        )  # as in SciPy: the weights' axes keep their order
        weights = weights.reshape([lengths.get(i, 1) for i in range(input.ndim)])
    dtype = output_dtype("correlate", output)
    found: Array = along_all(input, weights, mode, cval, tuple(moved.get(i, 0) for i in range(input.ndim)), dtype)
    return found  # type: ignore[return-value]


def convolve(
    input: ArrayLike, weights: ArrayLike, output: DTypeLike | None = None, mode: str = "reflect", cval: complex = 0.0,
    origin: int | Sequence[int] = 0, *, axes: int | Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """The convolution of an image with weights; the arguments are those of `correlate`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.convolve(tn.tensor([1.0, 2.0, 4.0]), [-1, 0, 1])
    Tensor([-1., -3., -2.])
    """
    weights = array_like(weights)
    reverse = np.flip(conjugate(weights) if weights.dtype.kind == "c" else weights)
    origins = for_each(origin, weights.ndim)
    moved = [-o - (k % 2 == 0) for o, k in zip(origins, weights.shape, strict=True)]
    return correlate(input, reverse, output, mode, cval, moved, axes=axes)
