"""The coefficients of splines through images."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.fft.transforms import complex_normal, of_dtype
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.scipy.followed import scipys
from tapenet.scipy.ndimage.borders import axis_of, output_dtype
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike, DTypeLike

_spline_filter1d = scipys("ndimage.spline_filter1d")
#: Modes in which an image goes on as its mirror image about the first and the last number.
_ABOUT_ENDS = ("mirror", "constant", "grid-constant", "wrap")

#: Those in which it goes on as its mirror image about its edges. For fewer numbers than these SciPy's filter is not quite exact
#: there, nor symmetric.
_ABOUT_EDGES, _SHORT = ("reflect", "grid-mirror", "nearest"), 32


@functools.lru_cache(64)
def _matrix(n: int, order: int, mode: str) -> Array:
    """The filter of n numbers."""
    found: Array = _spline_filter1d(np.eye(n), order, 0, np.float64, mode)  # type: ignore[assignment]
    return found


def _scaled_ends(x: Array, axis: int, factor: float) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    weights = np.ones(x.shape[axis])
    weights[[0, -1]] = factor
    return x * weights.reshape(shape)


def _back(g: Array, input_dtype: DType, order: int, axis: int, mode: str) -> Array:
    """The filter is a symmetric matrix, but for a factor 2 at the ends where the image is mirrored about them."""
    n = g.shape[axis]
    if mode in _ABOUT_EDGES and 1 < n < _SHORT:
        found = np.moveaxis(np.moveaxis(g, axis, -1) @ _matrix(n, order, mode), -1, axis)
    elif mode in _ABOUT_ENDS and order > 1 and n > 1:
        found = _scaled_ends(filtered_along(_scaled_ends(g, axis, 2.0), order, axis, mode), axis, 0.5)
    else:
        found = filtered_along(g, order, axis, mode)
    return of_dtype(input_dtype, found)


def _of_lanes(
    batched: frozenset[str], input: Array, order: int, axis: int, mode: str, dtype: DTypeLike | None
) -> Array:
    found: Array = filtered_along(input, order, axis, mode, dtype)
    return found


@op(
    input=_back,
    gradients="input: the filter over g",
    vmap=_of_lanes,
    samples=lambda r: [
        sample(r.normal(size=(2, 5)), order, axis, mode)
        for order, axis, mode in [(3, -1, "mirror"), (2, -2, "reflect"), (5, -1, "grid-wrap"), (5, -1, "wrap")]
    ]
    + [sample(complex_normal(r, (4,)))],
)  # fmt: skip
def filtered_along(
    input: Array, order: int = 3, axis: int = -1, mode: str = "mirror", dtype: DTypeLike | None = None
) -> Array:
    """`spline_filter1d` along an axis counted from the end; of the dtype of the input, in double precision."""
    kind = dtype or np.result_type(input.dtype, np.float64)
    found: Array = _spline_filter1d(input, order, axis, kind, mode)  # type: ignore[assignment]
    return found


def spline_filter1d(
    input: ArrayLike, order: int = 3, axis: int = -1, output: DTypeLike = np.float64, mode: str = "mirror"
) -> Tensor:
    """The coefficients of splines through the numbers along an axis.

    Args:
        input: an array.
        order: of the spline, up to 5; 0 and 1 give the input.
        axis: along which.
        output: the dtype of the result.
        mode: how the image goes on: "mirror", "reflect", "grid-wrap" ...

    Raises:
        RuntimeError: another order or mode.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.spline_filter1d(tn.tensor([1.0, 1.0, 1.0])).round(9)
    Tensor([1., 1., 1.])
    """
    input = array_like(input)
    from_end = axis_of(axis, input.ndim) - input.ndim
    found: Array = filtered_along(input, order, from_end, mode, _kind("spline_filter1d", output, input))
    return found  # type: ignore[return-value]


def _kind(name: str, output: DTypeLike | None, input: Array) -> str | DType | None:
    dtype = output_dtype(name, output)
    return np.result_type(dtype, np.complex64) if dtype is not None and input.dtype.kind == "c" else dtype


def spline_filter(input: ArrayLike, order: int = 3, output: DTypeLike = np.float64, mode: str = "mirror") -> Tensor:
    """The coefficients of splines through an image, along all axes; the arguments are those of `spline_filter1d`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.spline_filter(tn.tensor(np.ones((2, 2)))).round(9)
    Tensor([[1., 1.],
            [1., 1.]])
    """
    input = array_like(input)
    if order < 2 or order > 5:
        raise RuntimeError("spline order not supported")
    found: Array = input
    for axis in range(input.ndim):
        found = filtered_along(found, order, axis - input.ndim, mode, _kind("spline_filter", output, input))
    return found  # type: ignore[return-value]
