"""Pooling: the maximum or the mean of each window of the last two axes.

Windows are taken apart: first along the width, then along the height, so that a window of k x k costs 2(k - 1) passes.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.layers.convolution import Ints, Record, Size, spread_size
from tapenet.ops.op import Op, op
from tapenet.ops.registry import sample


class _Windows(Record):
    """Where the windows lie, for the last two axes."""

    kernel: Ints
    stride: Ints
    padding: Ints
    size: Ints  # lengths of the two axes
    padded: Ints
    out: Ints
    inside: tuple[Any, ...]
    apart: bool  # no two windows overlap
    covered: bool  # and every element is in one
    columns: list[Any]  # for each offset within a window along the width: its index in all windows
    rows: list[Any]  # the same along the height
    cells: list[Any]  # the same for both, counted row by row


def _times(size: Size) -> str:
    """A window's size as drawings show it, such as 2×2."""
    return "×".join(map(str, size)) if isinstance(size, (tuple, list)) else f"{size}×{size}"


@functools.lru_cache(maxsize=1024)
def _windows_of(size: Ints, kernel_size: Size, stride: Size | None, padding: Size) -> _Windows:
    kernel = spread_size(kernel_size, 2, "kernel_size", 1)
    steps = kernel if stride is None else spread_size(stride, 2, "stride", 1)
    borders = spread_size(padding, 2, "padding", 0)
    if any(2 * p > k for p, k in zip(borders, kernel, strict=True)):
        raise ValueError(f"padding={padding} is more than half of kernel_size={kernel_size}: windows would miss x")
    padded = tuple(n + 2 * p for n, p in zip(size, borders, strict=True))
    if any(k > n for k, n in zip(kernel, padded, strict=True)):
        raise ValueError(
            f"a window of {kernel[0]} x {kernel[1]} does not fit into {size[0]} x {size[1]}"
            + (f", {padded[0]} x {padded[1]} with padding" if padded != size else "")
            + ": give a smaller kernel_size, or drop a pooling layer before"
        )
    out = tuple((n - k) // s + 1 for n, k, s in zip(padded, kernel, steps, strict=True))
    rows, columns = (
        [slice(i, i + (n - 1) * s + 1, s) for i in range(k)] for n, k, s in zip(out, kernel, steps, strict=True)
    )
    return _Windows(
        kernel=kernel,
        stride=steps,
        padding=borders,
        size=size,
        padded=padded,
        out=out,
        inside=(Ellipsis, *(slice(p, p + n) for p, n in zip(borders, size, strict=True))),
        apart=all(s >= k for s, k in zip(steps, kernel, strict=True)),
        covered=all(s == k and n * s == p for s, k, n, p in zip(steps, kernel, out, padded, strict=True)),
        columns=[(Ellipsis, c) for c in columns],
        rows=[(Ellipsis, r, slice(None)) for r in rows],
        cells=[(Ellipsis, r, c) for r in rows for c in columns],
    )


def _windows(shape: Ints, kernel_size: Any, stride: Any, padding: Any) -> _Windows:
    if len(shape) < 2:
        raise ValueError(f"x has shape {shape}; its last two axes are height and width, so it needs at least two")
    plain = (tuple(v) if isinstance(v, list) else v for v in (kernel_size, stride, padding))
    return _windows_of(shape[-2:], *plain)


def _like(x: Any, size: Ints, fill: Any = None, dtype: Any = None) -> Any:
    """An array in the memory order of x with other lengths of the last two axes."""
    made = np.empty_like(x, dtype, shape=(*x.shape[:-2], *size))
    if fill is not None:
        made.fill(fill)
    return made


def _bordered(x: Any, windows: _Windows, fill: Any) -> Any:
    if windows.padded == windows.size:
        return x
    if type(x) is not np.ndarray:  # read by a compiler
        borders = [(0, 0)] * (len(x.shape) - 2) + [(p, p) for p in windows.padding]
        return np.pad(x, borders, constant_values=fill)
    padded = _like(x, windows.padded, fill)
    padded[windows.inside] = x
    return padded


def _put(found: Any, windows: _Windows, index: Any, values: Any) -> None:
    """Set or add values at one offset within all windows, in a compiled forward."""
    if windows.apart:
        found[index] = values
    else:
        np.add.at(found, index, values)


def _unbordered(found: Any, windows: _Windows) -> Any:
    return found[windows.inside] if windows.padded != windows.size else found


# -- maximum -----------------------------------------------------------------------------------------------------


def _lowest(dtype: Any) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else False if dtype.kind == "b" else -np.inf


def _offset_dtype(windows: _Windows) -> np.dtype[Any]:
    """The smallest dtype that holds the offsets within a window."""
    return np.min_scalar_type(math.prod(windows.kernel) - 1)


def _max_pool2d(x: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Any:
    windows = _windows(x.shape, kernel_size, stride, padding)
    kind: Any = _offset_dtype(windows).type
    best = _bordered(x, windows, None if windows.padded == windows.size else _lowest(x.dtype))
    where: Any = None  # the offset of `best` within its window, counted row by row
    weight = 1
    for parts in (windows.columns, windows.rows):
        values, offsets = best, where
        best = values[parts[0]]
        where = None if offsets is None else offsets[parts[0]]
        for i, part in enumerate(parts[1:], 1):
            candidate = values[part]
            # Only a larger one takes over, so the first of equals stays. Offsets rise, so that a maximum chooses.
            offset = np.greater(candidate, best).view(np.uint8).astype(kind, copy=False)
            offset *= i * weight if offsets is None else offsets[part] + kind(i * weight)
            where = offset if where is None else np.maximum(where, offset)
            best = np.maximum(best, candidate)
        weight *= len(parts)
    if where is None:
        return np.array(best, order="K"), np.zeros(best.shape, kind)
    return best, where


def _max_pool2d_lowered(x: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Any:
    windows = _windows(x.shape, kernel_size, stride, padding)
    kind = _offset_dtype(windows)
    x = _bordered(x, windows, None if windows.padded == windows.size else _lowest(x.dtype))
    best = x[windows.cells[0]]
    where = np.zeros_like(best, kind)
    for i, cell in enumerate(windows.cells[1:], 1):
        candidate = x[cell]
        where = np.where(candidate > best, kind.type(i), where)
        best = np.maximum(best, candidate)
    return best, where


def _same_order(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape lie in memory alike."""
    return all(s * b.itemsize == t * a.itemsize for s, t in zip(a.strides, b.strides, strict=True))


def _max_pool2d_grad(
    y: Any, where: Any, shape: Ints, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Any:
    windows = _windows(shape, kernel_size, stride, padding)
    if not _same_order(y, where):
        # A gradient that comes back through a reshape has another memory order than the input of the pooling had, which
        # `where` still has. Here, where it is smallest, is the place to change it.
        moved = np.empty_like(where, y.dtype)
        moved[...] = y
        y = moved
    found = _like(y, windows.padded, None if windows.covered else 0)
    # Multiplication by a mask is far faster than a choice by np.where, but makes nan of inf.
    finite = bool(np.isfinite(np.add.reduce(y, axis=None)))
    for i, cell in enumerate(windows.cells):
        chosen = where == i
        place = found[cell]
        if windows.apart and finite:
            np.multiply(y, chosen, out=place)
        elif windows.apart:
            place[...] = np.where(chosen, y, 0)
        else:
            place += y * chosen if finite else np.where(chosen, y, 0)
    return _unbordered(found, windows)


def _max_pool2d_grad_lowered(
    y: Any, where: Any, shape: Ints, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Any:
    windows = _windows(shape, kernel_size, stride, padding)
    found = np.zeros_like(y, shape=(*y.shape[:-2], *windows.padded))
    for i, cell in enumerate(windows.cells):
        _put(found, windows, cell, np.where(where == i, y, 0))
    return _unbordered(found, windows)


def _max_pool2d_pick(x: Any, where: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Any:
    windows = _windows(x.shape, kernel_size, stride, padding)
    x = _bordered(x, windows, 0)
    found = np.zeros(where.shape, x.dtype)
    for i, cell in enumerate(windows.cells):
        np.copyto(found, x[cell], where=where == i)
    return found


def _max_pool2d_pick_lowered(
    x: Any, where: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Any:
    windows = _windows(x.shape, kernel_size, stride, padding)
    x = _bordered(x, windows, 0)
    found = np.zeros_like(x, shape=where.shape)
    for i, cell in enumerate(windows.cells):
        found = np.where(where == i, x[cell], found)
    return found


_SHAPES = """kernel_size: size of the windows, an integer or (height, width).
        stride: distance between windows; `kernel_size` by default."""


def _distinct(r: np.random.Generator, *shape: int) -> Any:
    """Values far enough apart that finite differences meet no tie."""
    return r.permutation(math.prod(shape)).reshape(shape) * 0.1


max_pool2d: Op = op(
    _max_pool2d,
    name="max_pool2d",
    lower=_max_pool2d_lowered,
    label=lambda kernel_size, **_: f"max pool {_times(kernel_size)}",
    residuals=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding: max_pool2d_grad(
        g, where, x_shape, kernel_size, stride, padding
    ),
    formula="the largest element of each window",
    gradients="x: g at that element of each window, else 0",
    doc=f"""The largest element of each window of the last two axes.

    The gradient goes to that element; of equal ones to the first, row by row.

    Args:
        x: (batch, channels, height, width), or with other axes in front.
        {_SHAPES}
        padding: border around x, which is never the largest; at most half of kernel_size.

    Returns:
        (batch, channels, height', width') with height' = (height + 2 padding - kernel height) // stride + 1.

    Raises:
        ValueError: the window is larger than the padded x, or the padding larger than half a window.

    >>> import tapenet as tn
    >>> tn.max_pool2d(tn.tensor([[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]]), 2)
    Tensor([[5., 9.]])
    """,
    samples=lambda r: [
        sample(_distinct(r, 2, 2, 4, 4), 2),
        sample(_distinct(r, 1, 2, 5, 4), (3, 2), (2, 1), (1, 0)),
        sample(_distinct(r, 2, 5, 5), 3, 2, 1),
        sample(_distinct(r, 1, 1, 5, 5), 2),
        sample(_distinct(r, 1, 3, 3), 1, 2),
    ],
)

max_pool2d_grad: Op = op(
    _max_pool2d_grad,
    name="max_pool2d_grad",
    label="max pool gradient",
    lower=_max_pool2d_grad_lowered,
    nondiff=("where",),
    y=lambda g, where, kernel_size, stride, padding: max_pool2d_pick(g, where, kernel_size, stride, padding),
    formula="y at one element of each window, else 0",
    gradients="y: g at that element of each window",
    doc=f"""The gradient of max_pool2d: each element of `y` added at its place in its window, zeros elsewhere.

    Args:
        y: one element per window.
        where: integers of the same shape: the place within the window, counted row by row.
        shape: of max_pool2d's input, which is the shape of the result.
        {_SHAPES}
        padding: border, as in max_pool2d; what falls there is lost.

    >>> import numpy as np, tapenet as tn
    >>> tn.max_pool2d_grad(tn.tensor([[5.0]]), np.array([[3]]), (2, 2), 2)
    Tensor([[0., 0.],
            [0., 5.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 2)), r.integers(0, 4, (1, 2, 2)), (1, 4, 4), 2),
        sample(r.normal(size=(1, 3, 3)), r.integers(0, 9, (1, 3, 3)), (1, 5, 5), 3, 2, 1),
    ],
)

max_pool2d_pick: Op = op(
    _max_pool2d_pick,
    name="max_pool2d_pick",
    label="max pool pick",
    lower=_max_pool2d_pick_lowered,
    nondiff=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding: max_pool2d_grad(
        g, where, x_shape, kernel_size, stride, padding
    ),
    formula="one element of each window of x",
    gradients="x: g at that element of each window, else 0",
    doc=f"""One chosen element of each window of the last two axes.

    Args:
        x: (..., height, width).
        where: an integer per window: the place within it, counted row by row.
        {_SHAPES}
        padding: border of zeros around x.

    >>> import numpy as np, tapenet as tn
    >>> tn.max_pool2d_pick(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([[2]]), 2)
    Tensor([[3.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(1, 4, 4)), r.integers(0, 4, (1, 2, 2)), 2),
        sample(r.normal(size=(1, 5, 5)), r.integers(0, 9, (1, 3, 3)), 3, 2, 1),
    ],
)

# -- mean --------------------------------------------------------------------------------------------------------


def _shares(windows: _Windows, count_include_pad: bool, dtype: Any) -> Any:
    """What to multiply the sum of each window by: 1 / the number of elements it counts."""
    if count_include_pad or windows.padded == windows.size:
        return dtype.type(1 / math.prod(windows.kernel))
    counts = []
    for n, p, k, s, m in zip(windows.size, windows.padding, windows.kernel, windows.stride, windows.out, strict=True):
        starts = np.arange(m) * s - p
        counts.append(np.minimum(starts + k, n) - np.maximum(starts, 0))
    return (1 / np.outer(*counts)).astype(dtype)


def _float(x: Any) -> Any:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _avg_pool2d(
    x: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Any:
    windows = _windows(x.shape, kernel_size, stride, padding)
    x = _float(x)
    total = _bordered(x, windows, 0)
    for first, *others in (windows.columns, windows.rows):
        values = total
        total = values[first]
        for i, part in enumerate(others):
            total = np.add(total, values[part], out=total if i else None)
    return total * _shares(windows, count_include_pad, x.dtype)


def _avg_pool2d_grad(
    y: Any,
    shape: Ints,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    windows = _windows(shape, kernel_size, stride, padding)
    y = _float(y)
    found = y * _shares(windows, count_include_pad, y.dtype)
    height, width = windows.padded
    for parts, size in ((windows.rows, (height, found.shape[-1])), (windows.columns, (height, width))):
        spread = _like(found, size, 0)
        for part in parts:
            if windows.apart:
                spread[part] = found
            else:
                spread[part] += found
        found = spread
    return _unbordered(found, windows)


def _avg_pool2d_grad_lowered(
    y: Any,
    shape: Ints,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    windows = _windows(shape, kernel_size, stride, padding)
    y = _float(y)
    found = y * _shares(windows, count_include_pad, y.dtype)
    height, width = windows.padded
    for parts, size in ((windows.rows, (height, found.shape[-1])), (windows.columns, (height, width))):
        spread = np.zeros_like(found, shape=(*found.shape[:-2], *size))
        for part in parts:
            _put(spread, windows, part, found)
        found = spread
    return _unbordered(found, windows)


avg_pool2d: Op = op(
    _avg_pool2d,
    name="avg_pool2d",
    label=lambda kernel_size, **_: f"mean pool {_times(kernel_size)}",
    x=lambda g, x_shape, kernel_size, stride, padding, count_include_pad: avg_pool2d_grad(
        g, x_shape, kernel_size, stride, padding, count_include_pad
    ),
    formula="the mean of each window",
    gradients="x: g / size of the window, spread over it",
    doc=f"""The mean of each window of the last two axes.

    Args:
        x: (batch, channels, height, width), or with other axes in front.
        {_SHAPES}
        padding: border of zeros around x; at most half of kernel_size.
        count_include_pad: divide by the size of the window also at the border, else by the elements of x in it.

    Returns:
        (batch, channels, height', width') with height' = (height + 2 padding - kernel height) // stride + 1.

    Raises:
        ValueError: the window is larger than the padded x, or the padding larger than half a window.

    >>> import tapenet as tn
    >>> tn.avg_pool2d(tn.tensor([[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 6.0]]), 2)
    Tensor([[3., 6.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 2, 4, 4)), 2),
        sample(r.normal(size=(1, 2, 5, 4)), (3, 2), (2, 1), (1, 0)),
        sample(r.normal(size=(2, 5, 5)), 3, 2, 1, False),
        sample(r.normal(size=(1, 3, 3)), 1, 2),
    ],
)

avg_pool2d_grad: Op = op(
    _avg_pool2d_grad,
    name="avg_pool2d_grad",
    label="mean pool gradient",
    lower=_avg_pool2d_grad_lowered,
    y=lambda g, kernel_size, stride, padding, count_include_pad: avg_pool2d(
        g, kernel_size, stride, padding, count_include_pad
    ),
    formula="y / size of the window, spread over it",
    gradients="y: the mean of g over each window",
    doc=f"""The gradient of avg_pool2d: each element of `y` shared out evenly over its window.

    Args:
        y: one element per window.
        shape: of avg_pool2d's input, which is the shape of the result.
        {_SHAPES}
        padding, count_include_pad: as in avg_pool2d.

    >>> import tapenet as tn
    >>> tn.avg_pool2d_grad(tn.tensor([[8.0]]), (2, 2), 2)
    Tensor([[2., 2.],
            [2., 2.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 2)), (1, 4, 4), 2),
        sample(r.normal(size=(1, 3, 3)), (1, 5, 5), 3, 2, 1, False),
    ],
)
