"""Max and average pooling in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.pooling.windows import Windows
from tapenet.typing import Array, DType, Shape

#: Elements from which a kernel is worth the time that it takes to compile once.
WORTH = 10_000
#: The same for averages of windows that are apart: 2 x 2 of 12,800 elements take
#: NumPy 11 us and a kernel 15, of 49,000 22 and 18.
APART = 30_000
#: Elements of a window at most: they are unrolled.
MOST = 36


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array] | None:
    """The largest element of each window, and its offset within the window."""
    kernel = _kernel(x, windows)
    if kernel is None or (ordered := _ordered(x)) is None:
        return None
    x = ordered
    best, where = (_result(x, windows.around(x, windows.out), dtype) for dtype in (x.dtype, np.dtype(np.uint8)))
    kernel.largest(x, best, where, _windows(kernel, x, windows))
    return best, where


def max_pool_grad(y: Array, where: Array, windows: Windows) -> Array | None:
    """Each element of y added at its offset `where` within its window."""
    kernel = _kernel(y, windows)
    if kernel is None or where.dtype != np.uint8 or not _in_order(where):
        return None
    last = _batch_last(where)
    if not (_batch_last(y) if last else y.flags.c_contiguous):
        # A gradient that comes back through a reshape has another memory order than the input of the pooling had, which
        # `where` still has. Here, where it is smallest, is the place to change it.
        moved = kernels.aligned(y.shape, y.dtype, (*range(1, y.ndim), 0) if last else None)
        kernels.write(y, moved)
        y = moved
    found = _result(where, windows.around(y, windows.size), y.dtype)
    # As `where` lies: `found` may be one place for each channel, and lie in either order.
    shape = _windows(kernel, where, windows)
    if not shape.fills:
        kernels.clear(found.transpose(*range(1, y.ndim), 0) if last else found)
    kernel.spread(found, y, where, shape)
    return found


def average(x: Array, windows: Windows, shares: Array) -> Array | None:
    """The sum of each window, times its share: one for all, or one for each window of a map. Shares are kept."""
    kernel = _kernel(x, windows) if x.size >= APART or not windows.apart else None
    if kernel is None or (ordered := _ordered(x)) is None:
        return None
    x = ordered
    out = _result(x, windows.around(x, windows.out), x.dtype)
    kernel.average(x, out, shares, _windows(kernel, x, windows))
    return out


def average_grad(y: Array, windows: Windows, shares: Array) -> Array | None:
    """Each element of y, times its share, added to all elements of its window. With stride 1 these are sums of windows too."""
    kernel = _kernel(y, windows) if set(windows.stride) == {1} else None
    if kernel is None or (ordered := _ordered(y)) is None:
        return None
    y, shares = (ordered, shares) if shares.ndim == 0 else (ordered * shares, _one(y.dtype))
    found = _result(y, windows.around(y, windows.size), y.dtype)
    shape = _windows(kernel, y, windows)
    before = tuple(n - 1 - p for n, p in zip(shape.kernel, shape.before, strict=True))
    kernel.average(y, found, shares, shape._replace(x=shape.out, out=shape.x, before=before))
    return found


@functools.cache
def _one(dtype: DType) -> Array:
    return np.ones((), dtype)


def _kernel(a: Array, windows: Windows) -> ModuleType | None:
    """The kernels, if there are any for an array with the leading axes of the input."""
    if type(a) is not np.ndarray or not kernels.fit(a):
        return None
    size = math.prod(windows.around(a, windows.padded))
    return kernels.use("pooling") if is_for(size, a.dtype, windows) else None


def is_for(size: int, dtype: DType, windows: Windows) -> bool:
    """Whether there is a kernel for so many elements, in an order of memory that it takes."""
    return size >= WORTH and dtype.char in "fd" and 1 < math.prod(windows.kernel) <= MOST and kernels.on()


def _windows(kernel: ModuleType, x: Array, windows: Windows) -> Any:
    """The windows over memory."""
    batch_last = _batch_last(x)

    def three(values: Shape, missing: int = 1) -> Shape:
        return (missing,) * (3 - windows.axes) + tuple(values)

    leading = x.shape[: -windows.axes]
    return kernel.Shape(
        outer=math.prod(leading[1:] if batch_last else leading),
        x=three(windows.size),
        out=three(windows.out),
        inner=leading[0] if batch_last else 1,
        kernel=three(windows.kernel),
        stride=three(windows.stride),
        dilation=three(windows.dilation),
        before=three(windows.padding, 0),
        apart=windows.apart,
    )


def _batch_last(x: Array) -> bool:
    """Whether the first axis is innermost in memory, and the others in order. Of one image it does not matter where it lies."""
    return bool(x.ndim > 1 and x.shape[0] > 1 and x.transpose(*range(1, x.ndim), 0).flags.c_contiguous)


def _in_order(x: Array) -> bool:
    """Whether an array lies as kernels take it."""
    return _batch_last(x) or bool(x.flags.c_contiguous)


def _ordered(x: Array) -> Array | None:
    """An array as kernels take it, copied if it has to be; None if that does not do."""
    if _in_order(x):
        return x
    x = np.copy(x, order="K")
    return x if _in_order(x) else None


def _result(x: Array, shape: Shape, dtype: DType) -> Array:
    """Memory for a result in the order of x."""
    if not _batch_last(x):
        return kernels.empty(shape, dtype)
    made = kernels.empty((*shape[1:], shape[0]), dtype, (*range(1, x.ndim), 0))
    return made.transpose(x.ndim - 1, *range(x.ndim - 1))
