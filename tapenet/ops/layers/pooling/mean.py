"""Average pooling, which is linear: `avg_pool_grad` is its transpose and its rule, and the other way round. And pooling
by the norm of each window."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.layers.convolution.geometry import Ints, Size
from tapenet.ops.layers.pooling import kernel_dispatch
from tapenet.ops.layers.pooling.maximum import max_pool1d, max_pool2d, max_pool3d
from tapenet.ops.layers.pooling.windows import (
    LAST,
    NAMES,
    Windows,
    bordered,
    label,
    named,
    put,
    spread,
    unbordered,
    windows_of,
)
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array, DType


@functools.lru_cache(maxsize=1024)
def _shares(windows: Windows, count_include_pad: bool, divisor_override: int | None, dtype: DType) -> Array:
    """What to multiply the sum of each window by: 1 / the number of elements it counts, one number if all are equal."""
    if divisor_override is not None:
        return np.asarray(1 / divisor_override, dtype)
    counts = np.ones((), int)
    for n, p, k, s, m in zip(windows.size, windows.padding, windows.kernel, windows.stride, windows.out, strict=True):
        starts = np.arange(m) * s - p
        ends = np.minimum(starts + k, n + p)  # what ceil_mode adds behind the border does not count
        counted = ends - starts if count_include_pad else np.minimum(ends, n) - np.maximum(starts, 0)
        counts = np.multiply.outer(counts, counted)
    if counts.min() == counts.max():
        return np.asarray(1 / int(counts.flat[0]), dtype)
    return np.asarray(1 / counts, dtype)


def _checked(
    shape: Ints, axes: int, divisor: int | None, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool
) -> Windows:
    """The windows."""
    if divisor is not None and (not isinstance(divisor, (int, np.integer)) or divisor == 0):
        raise ValueError(f"divisor_override={divisor!r}: give an integer that is not 0, or None for the window's size")
    return windows_of(shape, axes, kernel_size, stride, padding, 1, ceil_mode)


# -- in NumPy ----------------------------------------------------------------------------------------------------


def _avg_pool(x: Array, windows: Windows, count_include_pad: bool = True, divisor_override: int | None = None) -> Array:
    """The sum of each window, times its share."""
    x = floats(x)
    shares = _shares(windows, bool(count_include_pad), divisor_override, x.dtype)
    if windows.whole:
        total = np.sum(x, axis=tuple(range(-windows.axes, 0)), keepdims=True)
    elif (found := kernel_dispatch.average(x, windows, shares)) is not None:
        return found
    else:
        total = bordered(x, windows, 0)
        for parts in windows.parts:  # rows first: their elements lie side by side, and take 0.75 of the time
            total = functools.reduce(np.add, [total[part] for part in parts])
    return total * shares  # type: ignore[no-any-return]


def _avg_pool_grad(
    y: Array, windows: Windows, count_include_pad: bool = True, divisor_override: int | None = None
) -> Array:
    """Each element of y, times the share of its window, added to all elements of the window."""
    y = floats(y)
    shares = _shares(windows, bool(count_include_pad), divisor_override, y.dtype)
    if windows.whole:
        spread_out = np.empty_like(y, shape=windows.around(y, windows.size))
        spread_out[...] = y * shares
        return spread_out
    if (by_kernel := kernel_dispatch.average_grad(y, windows, shares)) is not None:
        return by_kernel
    found = y * shares
    lengths = list(found.shape)
    for axis in range(-1, -windows.axes - 1, -1):
        lengths[axis] = windows.padded[axis]
        spread_out = np.zeros_like(found, shape=tuple(lengths))
        for part in windows.parts[axis]:
            put(spread_out, windows, part, found)
        found = spread_out
    return unbordered(found, windows)


# -- the ops -----------------------------------------------------------------------------------------------------


def _avg_pool_op(axes: int) -> Op:
    """The op over so many axes."""

    def forward(
        x: Array,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        windows = _checked(x.shape, axes, divisor_override, kernel_size, stride, padding, ceil_mode)
        return _avg_pool(x, windows, count_include_pad, divisor_override)

    size, example, result = (
        ("2", "[1.0, 3.0, 2.0, 9.0]", "[2. , 5.5]"),
        ("2", "[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 6.0]]", "[[3., 6.]]"),
        ("(1, 2, 2)", "[[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 6.0]]]", "[[[3., 6.]]]"),
    )[axes - 1]
    made: Op = op(
        forward,
        name=f"avg_pool{axes}d",
        fuse=True,  # the mean of all: of 8,192 rows of 49 NumPy's sum takes three times as long
        label=lambda kernel_size, stride, padding: label("mean pool", axes, kernel_size, stride, padding),
        x=lambda g, x_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: (
            avg_pool_grad(
                g, x_shape, spread(kernel_size, axes), stride, padding, ceil_mode, count_include_pad, divisor_override
            )
        ),
        doc=f"""The mean of each window of the last {LAST[axes]}.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        kernel_size: size of the windows, an integer, or one for each axis.
        stride: distance between windows; `kernel_size` by default.
        padding: border of zeros around x; at most half of kernel_size.
        ceil_mode: also a last window that reaches beyond the end, if it begins in x or in the border before. What lies
            beyond the border does not count.
        count_include_pad: divide by the size of the window also at the border, else by the elements of x in it.
        divisor_override: an integer to divide by instead.

    Returns:
        (batch, channels, ...) with lengths (length + 2 padding - kernel_size) // stride + 1, rounded up with ceil_mode.

    Raises:
        ValueError: the window is larger than the padded x, or the padding larger than half a window.

    >>> import tapenet as tn
    >>> tn.avg_pool{axes}d(tn.tensor({example}), {size})
    Tensor({result})
    """,
        samples=lambda r: _avg_samples(r, axes),
    )
    return made


def _avg_samples(r: np.random.Generator, axes: int) -> list[Sample]:
    if axes == 1:
        return [
            sample(r.normal(size=(2, 6)), 2),
            sample(r.normal(size=6), 3, 2, 1, True),
            sample(r.normal(size=5), 3, 2, 1, count_include_pad=False, divisor_override=2),
        ]
    if axes == 3:
        return [sample(r.normal(size=(2, 3, 2)), (2, 3, 1)), sample(r.normal(size=(2, 2, 3)), (1, 2, 2), 1, (0, 1, 0))]
    return [
        sample(r.normal(size=(2, 1, 2, 4)), 2),
        sample(r.normal(size=(1, 2, 5, 4)), (3, 2), (2, 1), (1, 0)),
        sample(r.normal(size=(4, 4)), 3, 2, 1, True, False),
        sample(r.normal(size=(1, 3, 3)), 1, 2),
        sample(r.normal(size=(2, 2, 3)), (2, 3)),
    ]


@op(
    fuse=True,
    label="mean pool gradient",
    y=lambda g, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: AVG[len(kernel_size)](
        g, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    ),
    formula="y / size of the window, spread over it",
    gradients="y: the mean of g over each window",
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 2)), (1, 4, 4), (2, 2)),
        sample(r.normal(size=(1, 2, 2)), (1, 4, 4), (3, 3), 2, 1, False, False),
        sample(r.normal(size=(2, 1)), (2, 3), (3,)),
    ],
)
def avg_pool_grad(
    y: Array,
    shape: Ints,
    kernel_size: Ints,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The gradient of average pooling: each element of `y` shared out evenly over its window.

    Args:
        y: one element per window.
        shape: of the input of the pooling, which is the shape of the result.
        kernel_size: lengths of the windows, a tuple with one for each axis they cover.
        stride, padding, ceil_mode, count_include_pad, divisor_override: as in avg_pool2d.

    >>> import tapenet as tn
    >>> tn.avg_pool_grad(tn.tensor([[8.0]]), (2, 2), (2, 2))
    Tensor([[2., 2.],
            [2., 2.]])
    """
    windows = _checked(shape, len(kernel_size), divisor_override, kernel_size, stride, padding, ceil_mode)
    return _avg_pool_grad(y, windows, count_include_pad, divisor_override)


avg_pool1d, avg_pool2d, avg_pool3d = map(_avg_pool_op, (1, 2, 3))
#: By number of axes.
AVG: dict[int, Op] = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
MAX: dict[int, Op] = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


# -- norm --------------------------------------------------------------------------------------------------------


def _lp_pool_of(axes: int) -> Callable[..., Array]:
    """The function over so many axes."""

    def lp_pool(
        x: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> Array:
        if not norm_type > 0:
            raise ValueError(f"lp_pool{axes}d: norm_type={norm_type}: give a positive number")
        x = array_like(x)
        if math.isinf(norm_type):
            return MAX[axes](np.abs(x), kernel_size, stride, ceil_mode=ceil_mode)  # type: ignore[no-any-return]
        size = math.prod(spread(kernel_size, axes))
        total = AVG[axes](x**norm_type, kernel_size, stride, ceil_mode=ceil_mode) * size
        if norm_type == 1:
            return total  # type: ignore[no-any-return]
        none = total == 0  # where the root has no derivative
        return np.where(none, 0.0, np.where(none, 1.0, total) ** (1 / norm_type))

    def samples(r: np.random.Generator) -> list[Sample]:
        shape, kernel = (2,) * (axes - 1) + (4,), (1,) * (axes - 1) + (2,)
        cubed = [sample(r.uniform(0.5, 2, shape), 3.0, (2, 2), 1, ceil_mode=True)] if axes == 2 else []
        return [sample(r.normal(size=shape), 2, kernel), *cubed]

    opened, closed, ones = "[" * axes, "]" * axes, "1, " * (axes - 1)
    doc = f"""(Σ xᵖ)^(1/p) over each window of the last {LAST[axes]}, with p = norm_type.

    As in PyTorch these are powers of x, not of its magnitude: an odd p is for x that is not negative. p = 1 is the sum of
    each window, p = ∞ the largest magnitude. With ceil_mode, what a window has beyond the end counts as if it were like
    the rest of it. Where the sum over a window is 0 its gradient is 0, unless p = 1.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        norm_type: p, a positive number.
        kernel_size, stride, ceil_mode: as in `avg_pool{axes}d`.

    Raises:
        ValueError: p is not positive, or the window is larger than x.

    >>> import tapenet as tn
    >>> tn.lp_pool{axes}d(tn.tensor({opened}3.0, 4.0{closed}), 2, ({ones}2,))
    Tensor({opened}5.{closed})
    """
    return named(lp_pool, f"lp_pool{axes}d", doc, samples)


lp_pool1d, lp_pool2d, lp_pool3d = map(_lp_pool_of, (1, 2, 3))
