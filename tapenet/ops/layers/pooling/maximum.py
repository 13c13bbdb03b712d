"""Max pooling, in one family closed under differentiation.

The forward remembers which element of each window was the largest, by its place within the window, which takes one
byte for nearly all windows. `max_pool_grad` puts numbers at these places, `max_pool_pick` reads them there; each is the
rule of the other, over any number of axes.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.layers.convolution.geometry import Size
from tapenet.ops.layers.pooling import kernel_dispatch
from tapenet.ops.layers.pooling.windows import (
    LAST,
    NAMES,
    Windows,
    bordered,
    label,
    put,
    spread,
    unbordered,
    windows_of,
)
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, sample
from tapenet.program.ir import Input, Result
from tapenet.program.symbols import Symbol
from tapenet.typing import Array, DType, Number

#: Windows of more elements are not unrolled in a compiled program.
_MANY = 48


def _lowest(dtype: DType) -> Number:
    return np.iinfo(dtype).min if dtype.kind in "iu" else False if dtype.kind == "b" else -np.inf


def _check_unrolled(x: Array, windows: Windows, kept: bool = False) -> None:
    """Raise for a compiled program that had better call the op.

    Args:
        x: what has an element for each of the input's, or for each window.
        kept: whether the places of the largest are in memory.
    """
    if isinstance(x, np.ndarray):
        return
    if len(windows.cells) > _MANY and not windows.whole:
        raise NotImplementedError("a window so large is read in a loop")
    if not kernel_dispatch.is_for(math.prod(windows.around(x, windows.padded)), x.dtype, windows):
        return
    if not windows.apart:
        raise NotImplementedError("a kernel takes windows that overlap in one pass")
    # For the values alone, what the program writes itself is as quick. With the places and the gradient it takes 1.2 to 1.8
    # times as long as the kernel.
    if kept and not windows.whole:
        raise NotImplementedError("a kernel finds the largest and its place in one pass")


def _written(where: Array) -> bool:
    """Whether places are in memory: they come from a call, or from what lies around a program, as for a gradient rule that is
    read by itself."""
    if not isinstance(where, Symbol):
        return False
    value = where.value
    if isinstance(value, Input):
        return not where.builder.turn
    return isinstance(value, Result) and value.instruction.name == "call"


def _max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    """The largest element of each window, and its offset within the window, counted row by row: of equals the first, and
    nan is larger than all."""
    _check_unrolled(x, windows, isinstance(x, Symbol) and x.builder.kept and not x.builder.turn)
    kind = np.min_scalar_type(math.prod(windows.kernel) - 1)
    if windows.whole:
        flat = np.reshape(x, windows.around(x, (math.prod(windows.size),)))
        shape = windows.around(x, windows.out)
        where = np.reshape(np.argmax(flat, -1), shape)
        return np.reshape(np.max(flat, -1), shape), where.astype(kind)
    found = kernel_dispatch.max_pool(x, windows)
    if found is not None:
        return found
    x = bordered(x, windows, _lowest(x.dtype))
    first, *others = windows.cells
    best = x[first] if others else np.copy(x[first])
    where = np.zeros_like(best, kind)
    for i, cell in enumerate(others, 1):
        candidate = x[cell]
        # Only a larger one takes over, so that the first of equals stays; of a nan nothing is larger.
        larger = (best == best) & ~(candidate <= best)
        where = np.where(larger, kind.type(i), where)
        best = np.maximum(best, candidate)
    return best, where


def _offsets(windows: Windows) -> Array:
    """The offset of each element of the one window."""
    return np.arange(math.prod(windows.size)).reshape(windows.size)


def _max_pool_grad(y: Array, where: Array, windows: Windows) -> Array:
    """Each element of y added at its offset within its window, zeros elsewhere."""
    _check_unrolled(y, windows, _written(where))
    if windows.whole:
        return np.where(_offsets(windows) == where, y, 0)
    found = kernel_dispatch.max_pool_grad(y, where, windows)
    if found is not None:
        return found
    found = np.zeros_like(y, shape=windows.around(y, windows.padded))
    for i, cell in enumerate(windows.cells):
        put(found, windows, cell, np.where(where == i, y, 0))
    return unbordered(found, windows)


def _max_pool_pick(x: Array, where: Array, windows: Windows) -> Array:
    """The element at an offset within each window."""
    _check_unrolled(x, windows)
    if windows.whole:
        chosen = np.where(_offsets(windows) == where, x, 0)
        return np.sum(chosen, axis=tuple(range(-windows.axes, 0)), dtype=x.dtype, keepdims=True)
    x = bordered(x, windows, 0)
    found = np.zeros_like(x, shape=where.shape)
    for i, cell in enumerate(windows.cells):
        found = np.where(where == i, x[cell], found)
    return found


def _plane_indices(where: Array, windows: Windows) -> Array:
    """What PyTorch calls the indices of a pooling: positions in the plane of the last axes, counted row by row."""
    found: Array = np.zeros((), np.intp)
    weight = math.prod(windows.kernel)
    for axis, (k, s, d, m, p, n) in enumerate(
        zip(windows.kernel, windows.stride, windows.dilation, windows.out, windows.padding, windows.size, strict=True)
    ):
        weight //= k
        starts = (np.arange(m) * s - p).reshape(-1, *[1] * (windows.axes - 1 - axis))
        inside = where // weight % k * np.intp(d) + starts
        # All of a window may be -inf. Then its border was chosen first, and the first element inside stands for it.
        found = found * n + np.where(inside < 0, np.minimum(inside % d, n - 1), inside)
    return found


# -- the ops -----------------------------------------------------------------------------------------------------

_SAME = """kernel_size: lengths of the windows, a tuple with one for each axis they cover.
        stride, padding, dilation, ceil_mode: as in max_pool2d"""


def _max_pool_op(axes: int) -> Op:
    """The op over so many axes."""

    def forward(
        x: Array,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> tuple[Array, Array]:
        return _max_pool(x, windows_of(x.shape, axes, kernel_size, stride, padding, dilation, ceil_mode))

    def more(
        x: Array, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool, *,
        return_indices: bool,
    ) -> Array | tuple[Array, Array]:  # fmt: skip
        pool = max_pool_with_indices if return_indices else made
        return pool(x, spread(kernel_size, axes), stride, padding, dilation, ceil_mode)  # type: ignore[no-any-return]

    size, example, result = (
        ("2", "[1.0, 3.0, 2.0, 9.0]", "[3., 9.]"),
        ("2", "[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]]", "[[5., 9.]]"),
        ("(1, 2, 2)", "[[[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]]]", "[[[5., 9.]]]"),
    )[axes - 1]
    made: Op = op(
        forward,
        name=f"max_pool{axes}d",
        memory="alike",
        more=more,
        label=lambda kernel_size, stride, padding, dilation: label(
            "max pool", axes, kernel_size, stride, padding, dilation
        ),
        residuals=("where",),
        x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
            g, where, x_shape, spread(kernel_size, axes), stride, padding, dilation, ceil_mode
        ),
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


def _distinct(r: np.random.Generator, *shape: int) -> Array:
    """Values far enough apart that finite differences meet no tie."""
    return r.permutation(math.prod(shape)).reshape(shape) * 0.1


def _max_samples(r: np.random.Generator, axes: int) -> list[Sample]:
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
    opaque="places are counted in integers of several kinds",
    vmap="leading",
    memory="alike",
    label=lambda kernel_size, stride, padding, dilation: label(
        "max pool", len(kernel_size), kernel_size, stride, padding, dilation
    ),
    residuals=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
        g[0], where, x_shape, kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="the largest element of each window, and its place in x",
    doc=f"""What `max_pool2d` and the like compute with `return_indices=True`: the largest element of each window, and
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


def _with_indices(x: Array, windows: Windows) -> tuple[Array, Array, Array]:
    best, where = _max_pool(x, windows)
    return best, _plane_indices(where, windows), where


def _spread(batched: frozenset[str], lanes: int, **arrays: Array) -> list[Array]:
    """Arrays, each with lanes."""
    return [a if n in batched else np.broadcast_to(a, (lanes, *a.shape)) for n, a in arrays.items()]


max_pool_grad: Op = op(
    lambda y, where, shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False: _max_pool_grad(
        y, where, windows_of(shape, len(kernel_size), kernel_size, stride, padding, dilation, ceil_mode)
    ),
    name="max_pool_grad",
    label="max pool gradient",
    memory="alike",
    nondiff=("where",),
    y=lambda g, where, kernel_size, stride, padding, dilation, ceil_mode: max_pool_pick(
        g, where, kernel_size, stride, padding, dilation, ceil_mode
    ),
    vmap=lambda batched, lanes, y, where, shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
        *_spread(batched, lanes, y=y, where=where), (lanes, *shape), kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="y at one element of each window, else 0",
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
    nondiff=("where",),
    x=lambda g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_pool_grad(
        g, where, x_shape, kernel_size, stride, padding, dilation, ceil_mode
    ),
    vmap=lambda batched, lanes, x, where, kernel_size, stride, padding, dilation, ceil_mode: max_pool_pick(
        *_spread(batched, lanes, x=x, where=where), kernel_size, stride, padding, dilation, ceil_mode
    ),
    formula="one element of each window of x",
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
