"""Max pooling in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.pooling.windows import Windows
from tapenet.typing import Array, DType, Shape

#: Elements from which a kernel is worth the time that it takes to compile once.
WORTH = 10_000
#: Elements of a window at most: they are unrolled.
MOST = 36


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array] | None:
    """The largest element of each window, and its offset within the window. x has its borders."""
    kernel = _kernel(x, windows)
    if kernel is None:
        return None
    best, where = (_result(x, windows.around(x, windows.out), dtype) for dtype in (x.dtype, np.dtype(np.uint8)))
    kernel.largest(x, best, where, _windows(kernel, x, windows))
    return best, where


def max_pool_grad(y: Array, where: Array, windows: Windows) -> Array | None:
    """Each element of y added at its offset `where` within its window, with borders."""
    if type(y) is not np.ndarray or where.dtype != np.uint8 or not kernels.fit(y):
        return None
    shape = windows.around(y, windows.padded)
    if not is_for(math.prod(shape), y.dtype, windows):
        return None
    if not _alike(where, y):
        # A gradient that comes back through a reshape has another memory order than the input of the pooling had, which
        # `where` still has. Here, where it is smallest, is the place to change it.
        moved = np.empty_like(where, y.dtype)
        moved[...] = y
        y = moved
    found = np.empty_like(y, shape=shape)
    kernel = _kernel(found, windows) if _alike(where, y) and _alike(found, y) else None
    if kernel is None:
        return None
    if not windows.covered:
        found.fill(0)
    kernel.spread(found, y, where, _windows(kernel, found, windows))
    return found


def _kernel(x: Array, windows: Windows) -> ModuleType | None:
    """The kernels, if there are any for an array."""
    if type(x) is not np.ndarray or not is_for(x.size, x.dtype, windows) or not kernels.fit(x):
        return None
    return kernels.use("pooling") if _batch_last(x) or x.flags.c_contiguous else None


def is_for(size: int, dtype: DType, windows: Windows) -> bool:
    """Whether there is a kernel for so many elements, in an order of memory that it takes."""
    return size >= WORTH and dtype.char in "fd" and 1 < math.prod(windows.kernel) <= MOST and kernels.on()


def _windows(kernel: ModuleType, x: Array, windows: Windows) -> Array:
    """The windows over memory."""
    batch_last = _batch_last(x)

    def three(values: Shape) -> Shape:
        return (1,) * (3 - windows.axes) + tuple(values)

    leading = x.shape[: -windows.axes]
    return kernel.Shape(  # type: ignore[no-any-return]
        outer=math.prod(leading[1:] if batch_last else leading),
        x=three(windows.padded),
        out=three(windows.out),
        inner=leading[0] if batch_last else 1,
        kernel=three(windows.kernel),
        stride=three(windows.stride),
        dilation=three(windows.dilation),
        apart=windows.apart,
    )


def _batch_last(x: Array) -> bool:
    """Whether the first axis is innermost in memory, and the others in order."""
    return bool(x.ndim > 1 and x.transpose(*range(1, x.ndim), 0).flags.c_contiguous)


def _result(x: Array, shape: Shape, dtype: DType) -> Array:
    """Memory for a result in the order of x."""
    if not _batch_last(x):
        return kernels.empty(shape, dtype)
    made = kernels.empty((*shape[1:], shape[0]), dtype, (*range(1, x.ndim), 0))
    return made.transpose(x.ndim - 1, *range(x.ndim - 1))


def _alike(x: Array, y: Array) -> bool:
    """Whether both have the batch innermost, or both are in C order."""
    return (_batch_last(x) and _batch_last(y)) or bool(x.flags.c_contiguous and y.flags.c_contiguous)
