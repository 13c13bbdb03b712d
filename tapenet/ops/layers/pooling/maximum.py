"""Max pooling, in one family closed under differentiation.

The forward remembers which element of each window was the largest, by its place within the window, which takes one
byte for nearly all windows. `max_pool_grad` puts numbers at these places, `max_pool_pick` reads them there; each is the
rule of the other, over any number of axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.layers.convolution import Size
from tapenet.ops.layers.pooling import kernel_dispatch
from tapenet.ops.layers.pooling.windows import (
    LAST,
    NAMES,
    Windows,
    bordered,
    like,
    put,
    spread,
    times,
    unbordered,
    windows_of,
)
from tapenet.ops.op import Op, called, op
from tapenet.ops.registry import sample

#: Windows of more elements are read and written by index, not offset by offset.
_MANY = 48


def _lowest(dtype: Any) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else False if dtype.kind == "b" else -np.inf


def _filled(x: Any, windows: Windows) -> Any:
    """x within a border that is never the largest."""
    return bordered(x, windows, None if windows.padded == windows.size else _lowest(x.dtype))


def _offset_dtype(windows: Windows) -> np.dtype[Any]:
    """The smallest dtype that holds the offsets within a window."""
    return np.min_scalar_type(math.prod(windows.kernel) - 1)


# -- on raw arrays -----------------------------------------------------------------------------------------------


def _max_pool(x: Any, windows: Windows) -> tuple[Any, Any]:
    """The largest element of each window, and its offset within the window, counted row by row: of equals the first, and
    nan is larger than all."""
    kind: Any = _offset_dtype(windows).type
    if windows.whole:
        return _max_of_all(x, windows, kind)
    best = _filled(x, windows)
    found: tuple[Any, Any] | None = kernel_dispatch.max_pool(best, windows)
    if found is not None:
        return found
    nan = bool(np.isnan(np.max(best, initial=_lowest(x.dtype))))
    where: Any = None
    weight = 1
    for parts in windows.parts:
        values, offsets = best, where
        best = values[parts[0]]
        where = None if offsets is None else offsets[parts[0]]
        for i, part in enumerate(parts[1:], 1):
            candidate = values[part]
            # Only a larger one takes over, so the first of equals stays. Offsets rise, so that a maximum chooses.
            larger = np.greater(candidate, best)
            if nan:
                larger |= np.isnan(candidate) & ~np.isnan(best)
            offset = larger.view(np.uint8).astype(kind, copy=False)
            offset *= i * weight if offsets is None else offsets[part] + kind(i * weight)
            where = offset if where is None else np.maximum(where, offset)
            best = np.maximum(best, candidate)
        weight *= len(parts)
    if where is None:
        return np.array(best, order="K"), np.zeros(best.shape, kind)
    return best, where


def _max_of_all(x: Any, windows: Windows, kind: Any) -> tuple[Any, Any]:
    """The same where one window is all there is."""
    flat = x.reshape(*x.shape[: -windows.axes], math.prod(x.shape[-windows.axes :]))
    best, where = like(x, windows.out), like(x, windows.out, dtype=kind)
    found = flat.argmax(-1)
    where[...] = found.reshape(where.shape)
    best[...] = np.take_along_axis(flat, found[..., None], -1).reshape(best.shape)
    return best, where


def _max_pool_grad(y: Any, where: Any, windows: Windows) -> Any:
    """Each element of y added at its offset within its window, zeros elsewhere."""
    if not _same_order(y, where):
        # A gradient that comes back through a reshape has another memory order than the input of the pooling had, which
        # `where` still has. Here, where it is smallest, is the place to change it.
        moved = np.empty_like(where, y.dtype)
        moved[...] = y
        y = moved
    if math.prod(windows.kernel) > _MANY:
        found = like(y, windows.padded, 0)
        # In one dimension, where it is quicker, through the memory order of the array.
        places: Any = 0
        for index, stride in zip(_index(where, windows), found.strides, strict=True):
            places = places + index * (stride // found.itemsize)
        np.add.at(found.ravel(order="K"), places.reshape(-1), y.reshape(-1))
        return unbordered(found, windows)
    found = like(y, windows.padded, None if windows.covered else 0)
    if kernel_dispatch.max_pool_grad(found, y, where, windows):
        return unbordered(found, windows)
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
    return unbordered(found, windows)


def _max_pool_pick(x: Any, where: Any, windows: Windows) -> Any:
    """The element at an offset within each window."""
    x = bordered(x, windows, 0)
    if math.prod(windows.kernel) > _MANY:
        found = np.empty_like(where, x.dtype)
        found[...] = x[_index(where, windows)]
        return found
    found = np.zeros_like(where, x.dtype)
    for i, cell in enumerate(windows.cells):
        np.copyto(found, x[cell], where=where == i)
    return found


def _same_order(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape lie in memory alike."""
    return all(s * b.itemsize == t * a.itemsize for s, t in zip(a.strides, b.strides, strict=True))


def _positions(where: Any, windows: Windows) -> list[Any]:
    """By axis: the position, in x with its borders, of an offset within each window."""
    positions = []
    weight = math.prod(windows.kernel)
    for axis, (k, s, d, m) in enumerate(
        zip(windows.kernel, windows.stride, windows.dilation, windows.out, strict=True)
    ):
        weight //= k
        starts = (np.arange(m) * s).reshape(-1, *[1] * (windows.axes - 1 - axis))
        positions.append(where // weight % k * np.intp(d) + starts)
    return positions


def _index(where: Any, windows: Windows) -> tuple[Any, ...]:
    """The index, into x with its borders, of an offset within each window."""
    lead = where.ndim - windows.axes
    return (*np.ogrid[tuple(slice(n) for n in where.shape)][:lead], *_positions(where, windows))


def _plane_indices(where: Any, windows: Windows) -> Any:
    """What PyTorch calls the indices of a pooling: positions in the plane of the last axes, counted row by row."""
    found: Any = 0
    for position, p, d, n in zip(
        _positions(where, windows), windows.padding, windows.dilation, windows.size, strict=True
    ):
        # All of a window may be -inf. Then its border was chosen first, and the first element inside stands for it.
        inside = position - p
        found = found * n + np.where(inside < 0, np.minimum(inside % d, n - 1), inside)
    return found


# -- for a compiler ----------------------------------------------------------------------------------------------


def _check_lowered(x: Any, windows: Windows) -> None:
    if math.prod(windows.kernel) > _MANY:
        raise NotImplementedError("a window so large is read by index")
    size = math.prod(x.shape[: len(x.shape) - windows.axes]) * math.prod(windows.padded)
    if not windows.apart and kernel_dispatch.is_for(size, x.dtype, windows):
        raise NotImplementedError("a kernel takes windows that overlap in one pass")


def _max_pool_lowered(x: Any, windows: Windows) -> tuple[Any, Any]:
    _check_lowered(x, windows)
    kind = _offset_dtype(windows)
    x = _filled(x, windows)
    best = x[windows.cells[0]]
    where = np.zeros_like(best, kind)
    for i, cell in enumerate(windows.cells[1:], 1):
        candidate = x[cell]
        where = np.where(candidate > best, kind.type(i), where)
        best = np.maximum(best, candidate)
    return best, where


def _max_pool_grad_lowered(y: Any, where: Any, windows: Windows) -> Any:
    _check_lowered(y, windows)
    found = np.zeros_like(y, shape=(*y.shape[: len(y.shape) - windows.axes], *windows.padded))
    for i, cell in enumerate(windows.cells):
        put(found, windows, cell, np.where(where == i, y, 0))
    return unbordered(found, windows)


def _max_pool_pick_lowered(x: Any, where: Any, windows: Windows) -> Any:
    _check_lowered(x, windows)
    x = bordered(x, windows, 0)
    found = np.zeros_like(x, shape=where.shape)
    for i, cell in enumerate(windows.cells):
        found = np.where(where == i, x[cell], found)
    return found


# -- the ops -----------------------------------------------------------------------------------------------------

_SAME = """kernel_size: lengths of the windows, a tuple with one for each axis they cover.
        stride, padding, dilation, ceil_mode: as in max_pool2d"""


def _max_pool_op(axes: int) -> Op:
    """The op over so many axes."""

    def forward(
        x: Any,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> Any:
        return _max_pool(x, windows_of(x.shape, axes, kernel_size, stride, padding, dilation, ceil_mode))

    def lowered(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any) -> Any:
        return _max_pool_lowered(x, windows_of(x.shape, axes, kernel_size, stride, padding, dilation, ceil_mode))

    def more(
        x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, *, return_indices: bool
    ) -> Any:
        pool = max_pool_with_indices if return_indices else made
        return pool(x, spread(kernel_size, axes), stride, padding, dilation, ceil_mode)

    size, example, result = (
        ("2", "[1.0, 3.0, 2.0, 9.0]", "[3., 9.]"),
        ("2", "[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]]", "[[5., 9.]]"),
        ("(1, 2, 2)", "[[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]]]", "[[[5., 9.]]]"),
    )[axes - 1]
    made: Op = op(
        forward,
        name=f"max_pool{axes}d",
        lower=lowered,
        memory="alike",
        more=more,
        label=lambda kernel_size, **_: f"max pool {times(kernel_size, axes)}",
        residuals=("where",),
        x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
            g, where, x_shape, spread(kernel_size, axes), stride, padding, dilation, ceil_mode
        ),
        formula="the largest element of each window",
        gradients="x: g at that element of each window, else 0",
        doc=f"""The largest element of each window of the last {LAST[axes]}.

    The gradient goes to that element; of equal ones to the first, row by row.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        kernel_size: size of the windows, an integer, or one for each axis.
        stride: distance between windows; `kernel_size` by default.
        padding: border around x, which is never the largest; at most half of kernel_size.
        dilation: distance between the elements of a window.
        ceil_mode: also a last window that reaches beyond the end, if it begins in x or in the border before.
        return_indices: return a pair, the second of it where the elements are: their places in the last
            {LAST[axes]}, counted row by row as PyTorch does, for `max_unpool{axes}d`.

    Returns:
        (batch, channels, ...) with lengths (length + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, rounded up
        with ceil_mode.

    Raises:
        ValueError: the window is larger than the padded x, or the padding larger than half a window.

    >>> import tapenet as tn
    >>> tn.max_pool{axes}d(tn.tensor({example}), {size})
    Tensor({result})
    """,
        samples=lambda r: _max_samples(r, axes),
    )
    return made


def _distinct(r: np.random.Generator, *shape: int) -> Any:
    """Values far enough apart that finite differences meet no tie."""
    return r.permutation(math.prod(shape)).reshape(shape) * 0.1


def _max_samples(r: np.random.Generator, axes: int) -> list[Any]:
    if axes == 1:
        return [
            sample(_distinct(r, 2, 6), 2),
            sample(_distinct(r, 7), 3, 2, 1, 2, True),
            sample(_distinct(r, 1, 50), 50),
        ]
    if axes == 3:
        return [sample(_distinct(r, 1, 2, 3, 2), 2, (2, 1, 1)), sample(_distinct(r, 2, 3, 2), (1, 2, 2), 1, (0, 1, 0))]
    return [
        sample(_distinct(r, 2, 1, 2, 4), 2),
        sample(_distinct(r, 1, 2, 5, 4), (3, 2), (2, 1), (1, 0)),
        sample(_distinct(r, 5, 5), 3, 2, 1, (1, 2), True),
        sample(_distinct(r, 1, 3, 3), 1, 2),
        sample(_distinct(r, 1, 2, 3), (2, 3)),
    ]


max_pool_with_indices: Op = op(
    lambda x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False: _with_indices(
        x, windows_of(x.shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    name="max_pool_with_indices",
    outputs=2,
    nondiff_outputs=(1,),
    lower=called("places are counted in integers of several kinds"),
    memory="alike",
    label=lambda kernel_size, **_: f"max pool {times(kernel_size, len(kernel_size))}",
    residuals=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
        g[0], where, x_shape, kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="the largest element of each window, and its place in x",
    gradients="x: g at that element of each window, else 0",
    doc=f"""What `max_pool2d` and its kin compute with `return_indices=True`: the largest element of each window, and
    where it is.

    Args:
        x: (..., height, width), or with as many last axes as kernel_size has lengths.
        {_SAME}.

    Returns:
        The elements, and their places in the plane of the last axes, counted row by row.

    >>> import tapenet as tn
    >>> tn.max_pool_with_indices(tn.tensor([[1.0, 2.0], [4.0, 3.0]]), (2, 2))
    (Tensor([[4.]]), Tensor([[2]], dtype=int64))
    """,
    samples=lambda r: [
        sample(_distinct(r, 2, 4, 4), (2, 2)),
        sample(_distinct(r, 7), (3,), 2, 1, 2, True),
        sample(_distinct(r, 1, 3, 2), (1, 2, 2), 1, (0, 1, 0)),
    ],
)


def _with_indices(x: Any, windows: Windows) -> tuple[Any, Any, Any]:
    best, where = _max_pool(x, windows)
    return best, _plane_indices(where, windows), where


max_pool_grad: Op = op(
    lambda y, where, shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False: _max_pool_grad(
        y, where, windows_of(shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    name="max_pool_grad",
    label="max pool gradient",
    memory="alike",
    lower=lambda y, where, shape, kernel_size, stride, padding, dilation, ceil_mode: _max_pool_grad_lowered(
        y, where, windows_of(shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    nondiff=("where",),
    y=lambda g, where, kernel_size, stride, padding, dilation, ceil_mode: max_pool_pick(
        g, where, kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="y at one element of each window, else 0",
    gradients="y: g at that element of each window",
    doc=f"""The gradient of max pooling: each element of `y` added at its place in its window, zeros elsewhere.

    Args:
        y: one element per window.
        where: integers of the same shape: the place within the window, counted row by row.
        shape: of the input of the pooling, which is the shape of the result.
        {_SAME}; what falls into the border is lost.

    >>> import numpy as np, tapenet as tn
    >>> tn.max_pool_grad(tn.tensor([[5.0]]), np.array([[3]]), (2, 2), (2, 2))
    Tensor([[0., 0.],
            [0., 5.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 2)), r.integers(0, 4, (1, 2, 2)), (1, 4, 4), (2, 2)),
        sample(r.normal(size=(1, 3, 3)), r.integers(0, 9, (1, 3, 3)), (1, 5, 5), (3, 3), 2, 1),
        sample(r.normal(size=3), r.integers(0, 49, 3), (51,), (49,), 1),
    ],
)

max_pool_pick: Op = op(
    lambda x, where, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False: _max_pool_pick(
        x, where, windows_of(x.shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    name="max_pool_pick",
    label="max pool pick",
    memory="alike",
    lower=lambda x, where, kernel_size, stride, padding, dilation, ceil_mode: _max_pool_pick_lowered(
        x, where, windows_of(x.shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    nondiff=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
        g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="one element of each window of x",
    gradients="x: g at that element of each window, else 0",
    doc=f"""One chosen element of each window.

    Args:
        x: (..., height, width), or with as many last axes as kernel_size has lengths.
        where: an integer per window: the place within it, counted row by row.
        {_SAME}; the border is zeros.

    >>> import numpy as np, tapenet as tn
    >>> tn.max_pool_pick(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([[2]]), (2, 2))
    Tensor([[3.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(1, 4, 4)), r.integers(0, 4, (1, 2, 2)), (2, 2)),
        sample(r.normal(size=(1, 5, 5)), r.integers(0, 9, (1, 3, 3)), (3, 3), 2, 1),
        sample(r.normal(size=51), r.integers(0, 49, 3), (49,), 1),
    ],
)

max_pool1d, max_pool2d, max_pool3d = map(_max_pool_op, (1, 2, 3))
