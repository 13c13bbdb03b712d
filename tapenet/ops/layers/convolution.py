"""Convolution, in one family closed under differentiation.

`conv2d`, `conv2d_input_grad` (transposed convolution) and `conv2d_weight_grad` are each linear in two arrays, and the
rules of each are the other two, so derivatives of every order come from these three.

Each is a product of matrices: the windows of the input as columns, times the kernels as rows. The columns lie in memory
as (channel, kernel offset, height, width, batch), batch innermost, whatever the order of the input: a window's shift
is then a copy of long runs, one product serves the whole batch, and its result (channel, height, width, batch) needs
no transposition. Results are views of that memory with axes (batch, channel, height, width); elementwise functions,
pooling and normalisation keep the order, so that a stack of layers transposes once, at its input. Columns are made a
block of rows at a time, small enough for the cache.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.ops.reductions.basic import sum as _sum
from tapenet.ops.registry import sample

Ints = tuple[int, ...]
#: An int for all spatial axes, or one per axis.
Size = int | tuple[int, ...]


class Record:
    """A few named values. Plain, since making a NamedTuple or dataclass costs as much time at import as 20 ops."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class _Block(Record):
    """Some rows (of the first spatial axis) of the output, computed at a time."""

    rows: int
    first: int  # row of the padded input where the first window begins
    places: slice  # in the output with its spatial axes and the batch flattened
    taps: list[tuple[Any, Any]]  # for each kernel offset: its index in columns, its elements in the padded input


class _Plan(Record):
    """All numbers of one convolution."""

    batched: bool
    batch: int
    groups: int
    channels: int  # of the input
    outs: int  # channels of the output
    kernel: Ints
    stride: Ints
    dilation: Ints
    padded: Ints  # lengths of the input's spatial axes with their borders
    inside: tuple[Any, ...]  # the input within its borders
    bordered: bool
    out: Ints  # lengths of the output's spatial axes
    width: int  # of a column: input channels of a group, times kernel offsets
    direct: bool  # the input's own memory is its columns
    blocks: list[_Block]


@functools.lru_cache(maxsize=512)
def _plan(
    x_shape: Ints, weight_shape: Ints, stride: Size, padding: Any, dilation: Size, groups: int, axes: int
) -> _Plan:
    """Check the arguments of a convolution over `axes` spatial axes against each other."""
    if len(x_shape) not in (axes + 1, axes + 2):
        mend = ": add the missing axes, as in x[None, None]" if len(x_shape) == axes else ""
        raise ValueError(
            f"x has shape {x_shape}; it must have {axes + 2} axes, (batch, channels, height, width), or {axes + 1} "
            f"without the batch{mend}"
        )
    if len(weight_shape) != axes + 2:
        raise ValueError(
            f"weight has shape {weight_shape}; it must have {axes + 2} axes: output channels, input channels per "
            "group, and the kernel's lengths"
        )
    outs, per_group, *lengths = weight_shape
    kernel = tuple(lengths)
    channels, *sizes = x_shape[len(x_shape) - axes - 1 :]
    batched = len(x_shape) == axes + 2
    batch = x_shape[0] if batched else 1
    if not isinstance(groups, (int, np.integer)) or groups < 1 or outs % groups:
        raise ValueError(f"the {outs} output channels of weight do not divide into groups={groups}")
    if channels != per_group * groups:
        raise ValueError(
            f"weight {weight_shape} with groups={groups} takes {per_group * groups} input channels, x has {channels}"
            + _channel_mend(x_shape, per_group * groups, batched)
        )
    stride = spread_size(stride, axes, "stride", 1)
    dilation = spread_size(dilation, axes, "dilation", 1)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    borders = _borders(padding, reach, stride)
    padded = tuple(n + a + b for n, (a, b) in zip(sizes, borders, strict=True))
    if any(r > n or r < 1 for r, n in zip(reach, padded, strict=True)):
        raise ValueError(
            f"the kernel of {_by(kernel)}"
            + (f", {_by(reach)} with its dilation," if tuple(reach) != kernel else "")
            + f" does not fit into the input of {_by(sizes)}"
            + (f", {_by(padded)} with its padding" if padded != tuple(sizes) else "")
            + ": give a smaller kernel or more padding"
        )
    out = tuple((n - r) // s + 1 for n, r, s in zip(padded, reach, stride, strict=True))
    width = per_group * math.prod(kernel)
    direct = math.prod(kernel) == 1 and math.prod(stride) == 1
    rows = out[0] if direct else _rows(width * groups, outs // groups, out, batch)
    return _Plan(
        batched=batched,
        batch=batch,
        groups=int(groups),
        channels=channels,
        outs=outs,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padded=padded,
        inside=(slice(None), *(slice(a, a + n) for n, (a, _) in zip(sizes, borders, strict=True))),
        bordered=padded != tuple(sizes),
        out=out,
        width=width,
        direct=direct,
        blocks=list(_blocks(rows, out, batch, kernel, stride, dilation)),
    )


def _rows(height: int, outs: int, out: Ints, batch: int) -> int:
    """How many rows (of the first spatial axis) of columns so high to make at a time.

    At most 2¹⁸ numbers (1 MB of float32), to stay in the second-level cache. Fewer, if that brings the product under
    10⁶ multiplications, where OpenBLAS has faster code, and leaves the columns worth their overhead.
    """
    length = min(2**18 // height, max(10**6 // (height * outs), 4096))
    return min(out[0], max(1, length // max(1, math.prod(out[1:]) * batch)))


def _blocks(rows: int, out: Ints, batch: int, kernel: Ints, stride: Ints, dilation: Ints) -> Iterator[_Block]:
    run = math.prod(out[1:]) * batch
    for start in range(0, out[0], rows):
        n = min(rows, out[0] - start)
        first = start * stride[0]
        taps = []
        for tap in itertools.product(*map(range, kernel)):
            begins = [first + tap[0] * dilation[0], *(t * d for t, d in zip(tap[1:], dilation[1:], strict=True))]
            reach = (slice(b, b + (m - 1) * s + 1, s) for b, m, s in zip(begins, (n, *out[1:]), stride, strict=True))
            taps.append(((slice(None), *tap), (slice(None), *reach)))
        yield _Block(rows=n, first=first, places=slice(start * run, (start + n) * run), taps=taps)


def _by(lengths: Any) -> str:
    return " x ".join(str(n) for n in lengths)


def _channel_mend(x_shape: Ints, expected: int, batched: bool) -> str:
    if x_shape[-1] == expected:
        return ". Its last axis looks like the channels; they come before the spatial axes: np.moveaxis(x, -1, -3)"
    if expected == 1 and not batched:
        return ". If x is a batch of images without an axis for the channel, add one: x[:, None]"
    return ". Give x as (batch, channels, ...) with that many channels, or make the layer for the channels x has"


def spread_size(value: Any, axes: int, name: str, least: int) -> Ints:
    """An int, or one per spatial axis, as a tuple; a ValueError if it is neither or too small."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(numbers) != axes or not all(isinstance(v, (int, np.integer)) and v >= least for v in numbers):
        raise ValueError(f"{name}={value!r}: give an integer of {least} or more, or {axes} of them")
    return tuple(int(v) for v in numbers)


def _borders(padding: Any, reach: list[int], stride: Ints) -> list[tuple[int, int]]:
    """How much to add before and after each spatial axis."""
    if padding == "valid":
        return [(0, 0)] * len(reach)
    if padding == "same":
        if math.prod(stride) != 1:
            raise ValueError(f"padding='same' needs stride 1, not {stride}: give the padding as numbers")
        return [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]
    if isinstance(padding, str):
        raise ValueError(f"padding={padding!r}: it is 'valid', 'same', an integer or one per axis")
    if isinstance(padding, tuple) and padding and all(isinstance(p, tuple) for p in padding):
        befores, afters = zip(*padding, strict=True)
        both = (spread_size(b, len(reach), "padding", 0) for b in (befores, afters))
        return list(zip(*both, strict=True))
    return [(p, p) for p in spread_size(padding, len(reach), "padding", 0)]


def _planned(x_shape: Ints, weight_shape: Ints, *options: Any) -> _Plan:
    """The plan of a convolution over two spatial axes; options are stride, padding, dilation and groups."""
    try:
        return _plan(x_shape, weight_shape, *options, 2)
    except TypeError:  # lists cannot be looked up
        return _plan(x_shape, weight_shape, *map(_frozen, options), 2)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


# -- memory ------------------------------------------------------------------------------------------------------


def _batch_last(x: Any, plan: _Plan) -> Any:
    """(N, C, ...) or (C, ...) as (C, ..., N), without a copy."""
    return x.transpose(*range(1, x.ndim), 0) if plan.batched else x[..., None]


def _batch_first(x: Any, plan: _Plan) -> Any:
    """The inverse, without a copy."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1)) if plan.batched else x[..., 0]


def _columns(x: Any, plan: _Plan) -> Iterator[tuple[_Block, Any]]:
    """The windows of x as columns, block by block: (groups, width, places), in a buffer used anew."""
    x = _batch_last(x, plan)
    if plan.bordered:
        padded = np.zeros((plan.channels, *plan.padded, plan.batch), x.dtype)
        padded[plan.inside] = x
        x = padded
    else:
        x = np.ascontiguousarray(x)
    if plan.direct:
        yield plan.blocks[0], x.reshape(plan.groups, plan.width, -1)
        return
    by_channel, *by_axis, by_batch = x.strides
    strides = (
        by_channel,
        *(s * d for s, d in zip(by_axis, plan.dilation, strict=True)),
        *(s * d for s, d in zip(by_axis, plan.stride, strict=True)),
        by_batch,
    )
    buffer = None
    for block in plan.blocks:
        shape = (plan.channels, *plan.kernel, block.rows, *plan.out[1:], plan.batch)
        windows: Any = np.ndarray(shape, x.dtype, x, block.first * by_axis[0], strides)
        if buffer is None or buffer.shape != shape:
            buffer = np.empty(shape, x.dtype)
        np.copyto(buffer, windows)
        yield block, buffer.reshape(plan.groups, plan.width, -1)


def _product(a: Any, b: Any, out: Any = None) -> Any:
    """The matrix product in each group."""
    if a.shape[0] == 1:  # without the loop over groups
        if out is None:
            return a[0].dot(b[0])[None]
        return np.matmul(a[0], b[0], out=out[0])[None]
    if a.shape[2] == 1:
        return np.multiply(a, b, out=out)
    return np.matmul(a, b, out=out)


# -- the three ops -----------------------------------------------------------------------------------------------


def _conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Any = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    plan = _planned(x.shape, weight.shape, stride, padding, dilation, groups)
    if bias is not None:
        if bias.shape != (plan.outs,):
            raise ValueError(f"bias has shape {bias.shape}; it must be ({plan.outs},), one per output channel")
        bias = bias.reshape(plan.groups, -1, 1)
    kernels = weight.reshape(plan.groups, -1, plan.width)
    out = np.empty((plan.outs, *plan.out, plan.batch), np.result_type(x, weight))
    flat = out.reshape(plan.groups, plan.outs // plan.groups, -1)
    for block, columns in _columns(x, plan):
        into = flat[:, :, block.places]
        _product(kernels, columns, into)
        if bias is not None:
            into += bias
    return _batch_first(out, plan)


def _conv2d_input_grad(
    y: Any, weight: Any, shape: Ints, stride: Size = 1, padding: Any = 0, dilation: Size = 1, groups: int = 1
) -> Any:
    plan = _planned(tuple(shape), weight.shape, stride, padding, dilation, groups)
    _fits(y, plan, shape)
    flat = np.ascontiguousarray(_batch_last(y, plan)).reshape(plan.groups, plan.outs // plan.groups, -1)
    kernels = weight.reshape(plan.groups, -1, plan.width).swapaxes(1, 2)
    if plan.direct and not plan.bordered:
        return _batch_first(_product(kernels, flat).reshape(plan.channels, *plan.padded, plan.batch), plan)
    found = np.zeros((plan.channels, *plan.padded, plan.batch), np.result_type(y, weight))
    buffer = None
    for block in plan.blocks:
        part = flat[:, :, block.places]
        if buffer is None or buffer.shape[2] != part.shape[2]:
            buffer = np.empty((plan.groups, plan.width, part.shape[2]), found.dtype)
        _product(kernels, part, buffer)
        columns = buffer.reshape(plan.channels, *plan.kernel, block.rows, *plan.out[1:], plan.batch)
        for tap, reach in block.taps:
            found[reach] += columns[tap]
    return _batch_first(found[plan.inside] if plan.bordered else found, plan)


def _conv2d_weight_grad(
    x: Any, y: Any, shape: Ints, stride: Size = 1, padding: Any = 0, dilation: Size = 1, groups: int = 1
) -> Any:
    plan = _planned(x.shape, tuple(shape), stride, padding, dilation, groups)
    _fits(y, plan, x.shape)
    flat = np.ascontiguousarray(_batch_last(y, plan)).reshape(plan.groups, plan.outs // plan.groups, -1)
    found: Any = None
    for block, columns in _columns(x, plan):
        # Columns first: OpenBLAS is up to a third faster on it than on the transposed product.
        part = _product(columns, flat[:, :, block.places].swapaxes(1, 2))
        found = part if found is None else np.add(found, part, out=found)
    return found.swapaxes(1, 2).reshape(shape)


def _fits(y: Any, plan: _Plan, x_shape: Ints) -> None:
    expected = ((plan.batch,) if plan.batched else ()) + (plan.outs, *plan.out)
    if y.shape != expected:
        raise ValueError(f"y has shape {y.shape}; for an input of shape {tuple(x_shape)} it must be {expected}")


def _not_lowered(*args: Any, **kwargs: Any) -> Any:
    """Says why a compiler calls these three as they are."""
    raise NotImplementedError("columns are made in blocks that fit the cache, which no primitive does")


_OPTIONS = """stride: distance between windows, an integer or (vertical, horizontal).
        padding: zeros around x: an integer, one for each of height and width, or ((top, bottom), (left, right));
            "valid" is 0, "same" gives a result as large as x (stride 1 only; where the border is odd, the larger
            part comes after).
        dilation: distance between the elements of a kernel.
        groups: channels are split into so many groups; each output channel sees its group of input channels."""


def _conv_label(weight_shape: tuple[int, ...], stride: Any = 1, groups: int = 1) -> str:
    """Kernel and channels, as papers write them, and what is not as usual."""
    strides = {stride} if isinstance(stride, int) else set(stride)
    parts = [f"conv {'×'.join(map(str, weight_shape[2:]))}, {weight_shape[0]}"]
    parts += [f", /{max(strides)}"] if strides != {1} else []
    parts += [f", {groups} groups"] if groups != 1 else []
    return "".join(parts)


def _conv_samples(r: np.random.Generator) -> list[Any]:
    return [
        sample(r.normal(size=(2, 2, 4, 3)), r.normal(size=(3, 2, 2, 2)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 5, 4)), r.normal(size=(2, 1, 2, 3)), r.normal(size=2), 2, (1, 2)),
        sample(r.normal(size=(1, 2, 4, 4)), r.normal(size=(2, 1, 2, 2)), None, (2, 1), 1, 2, 2),
        sample(r.normal(size=(2, 3, 4)), r.normal(size=(4, 2, 1, 1)), r.normal(size=4)),
        sample(r.normal(size=(1, 1, 3, 3)), r.normal(size=(1, 1, 2, 2)), padding="same"),
        sample(r.normal(size=(1, 1, 3, 3)), r.normal(size=(1, 1, 2, 2)), padding=((1, 0), (0, 2))),
    ]


conv2d: Op = op(
    _conv2d,
    name="conv2d",
    multiply_adds=lambda weight_shape, out_shape: math.prod(out_shape) * math.prod(weight_shape[1:]),
    lower=_not_lowered,
    label=_conv_label,
    x=lambda g, weight, x_shape, stride, padding, dilation, groups: conv2d_input_grad(
        g, weight, x_shape, stride, padding, dilation, groups
    ),
    weight=lambda g, x, weight_shape, stride, padding, dilation, groups: conv2d_weight_grad(
        x, g, weight_shape, stride, padding, dilation, groups
    ),
    bias=lambda g, x_shape: _sum(g, (1, 2) if len(x_shape) == 3 else (0, 2, 3)),
    formula="Σ weight · x over each window, + bias",
    gradients="x: g correlated with the flipped weight; weight: x correlated with g; bias: Σ g",
    doc=f"""The cross-correlation of images with kernels, plus a bias.

    out[n, o, i, j] = bias[o] + Σ weight[o, c, a, b] · x[n, c, i·stride + a·dilation, j·stride + b·dilation], the sum
    running over the input channels c and the kernel's rows a and columns b.

    Args:
        x: (batch, channels, height, width), or without the batch.
        weight: (out, channels / groups, kernel height, kernel width).
        bias: (out,), or None.
        {_OPTIONS}

    Returns:
        (batch, out, height', width') with height' = (height + padding - dilation (kernel height - 1) - 1) // stride
        + 1, padding counting both sides. In memory the batch is the innermost axis.

    Raises:
        ValueError: channels, groups, kernel, bias or number of axes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> tn.conv2d(tn.tensor(np.arange(9.0).reshape(1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    Tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """,
    samples=_conv_samples,
)

conv2d_input_grad: Op = op(
    _conv2d_input_grad,
    name="conv2d_input_grad",
    label="conv input gradient",
    multiply_adds=lambda y_shape, weight_shape: math.prod(y_shape) * math.prod(weight_shape[1:]),
    lower=_not_lowered,
    y=lambda g, weight, stride, padding, dilation, groups: conv2d(g, weight, None, stride, padding, dilation, groups),
    weight=lambda g, y, weight_shape, stride, padding, dilation, groups: conv2d_weight_grad(
        g, y, weight_shape, stride, padding, dilation, groups
    ),
    formula="y correlated with the flipped weight",
    gradients="y: g correlated with weight; weight: g correlated with y",
    doc=f"""The gradient of conv2d by its input: the transposed convolution of `y` with the kernels.

    Args:
        y: the gradient by conv2d's result, of that shape.
        weight: conv2d's kernels, (out, channels / groups, kernel height, kernel width).
        shape: of conv2d's input, which is the shape of the result.
        {_OPTIONS}

    Raises:
        ValueError: the shapes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> tn.conv2d_input_grad(tn.tensor([[[[1.0, 10.0]]]]), np.ones((1, 1, 1, 2)), (1, 1, 1, 3))
    Tensor([[[[ 1., 11., 10.]]]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3, 2, 2)), r.normal(size=(3, 2, 2, 2)), (2, 2, 3, 3)),
        sample(r.normal(size=(1, 2, 3, 2)), r.normal(size=(2, 1, 2, 2)), (1, 2, 4, 3), 2, 1, 1, 2),
        sample(r.normal(size=(2, 2, 2)), r.normal(size=(2, 3, 1, 1)), (3, 2, 2)),
    ],
)

conv2d_weight_grad: Op = op(
    _conv2d_weight_grad,
    name="conv2d_weight_grad",
    label="conv weight gradient",
    multiply_adds=lambda y_shape, shape: math.prod(y_shape) * math.prod(shape[1:]),
    lower=_not_lowered,
    x=lambda g, y, x_shape, stride, padding, dilation, groups: conv2d_input_grad(
        y, g, x_shape, stride, padding, dilation, groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: conv2d(x, g, None, stride, padding, dilation, groups),
    formula="x correlated with y",
    gradients="x: y correlated with the flipped g; y: x correlated with g",
    doc=f"""The gradient of conv2d by its kernels: the correlation of its input with `y`.

    Args:
        x: conv2d's input.
        y: the gradient by conv2d's result, of that shape.
        shape: of conv2d's kernels, which is the shape of the result.
        {_OPTIONS}

    Raises:
        ValueError: the shapes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> tn.conv2d_weight_grad(tn.tensor([[[[1.0, 2.0, 3.0]]]]), np.ones((1, 1, 1, 2)), (1, 1, 1, 2))
    Tensor([[[[3., 5.]]]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 2, 3, 3)), r.normal(size=(2, 3, 2, 2)), (3, 2, 2, 2)),
        sample(r.normal(size=(1, 2, 4, 4)), r.normal(size=(1, 2, 3, 3)), (2, 1, 2, 2), 2, 1, 1, 2),
        sample(r.normal(size=(3, 2, 2)), r.normal(size=(2, 2, 2)), (2, 3, 1, 1)),
    ],
)
