"""The same values in another shape, order or dtype; joining and splitting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.op import derived, numpy_functions, op, sample


def axis_words(axis: Any) -> str:
    """One axis or several, in words.

    >>> axis_words(1), axis_words((0, -1))
    ('axis 1', 'axes 0, -1')
    """
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"


identity = op(
    lambda a: a,
    name="identity",
    a=lambda g: g,
    formula="a",
    gradients="a: g",
    doc="""The argument itself, through a node of its own.

    >>> import tapenet as tn
    >>> tn.identity(tn.tensor([1.0]))
    Tensor([1.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)))],
)

copy = op(
    lambda a: np.array(a, order="K"),
    name="copy",
    numpy=np.copy,
    lower=np.copy,
    a=lambda g: g,
    formula="a copy of a",
    gradients="a: g",
    doc="""A copy with storage of its own, in the same memory order.

    >>> import tapenet as tn
    >>> tn.copy(tn.tensor([1.0]))
    Tensor([1.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)))],
)

astype = op(
    lambda a, dtype: np.asarray(a).astype(dtype),
    name="astype",
    numpy=np.astype,
    lower=lambda a, dtype: np.astype(a, dtype),
    a=lambda g, a_dtype: g.astype(a_dtype),
    label=lambda dtype, **_: f"to {np.dtype(dtype)}",
    formula="a as dtype",
    gradients="a: g as the dtype of a",
    doc="""The values in another dtype. The gradient comes back in the dtype of `a`; to integers there is none.

    >>> import tapenet as tn
    >>> tn.astype(tn.tensor([1.5]), "float32")
    Tensor([1.5], dtype=float32)
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)), np.float64), sample(r.normal(size=3), "int32")],
)

zeros_like = op(
    lambda a: np.zeros_like(a),
    name="zeros_like",
    label="zeros like",
    numpy=np.zeros_like,
    nondiff=True,
    formula="0 in the shape of a",
    doc="""Zeros of the shape and dtype of `a`.

    >>> import tapenet as tn
    >>> tn.zeros_like(tn.tensor([1.0, 2.0]))
    Tensor([0., 0.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)))],
)

ones_like = op(
    lambda a: np.ones_like(a),
    name="ones_like",
    label="ones like",
    numpy=np.ones_like,
    nondiff=True,
    formula="1 in the shape of a",
    doc="""Ones of the shape and dtype of `a`.

    >>> import tapenet as tn
    >>> tn.ones_like(tn.tensor([3.0, 2.0]))
    Tensor([1., 1.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)))],
)

reshape = op(
    lambda a, shape: np.reshape(a, shape),
    name="reshape",
    numpy=np.reshape,
    a=lambda g, a_shape: np.reshape(g, a_shape),
    formula="a in another shape",
    gradients="a: g reshaped back",
    doc="""The same values in row-major order in another shape; one length may be -1.

    Raises:
        ValueError: the number of elements differs.

    >>> import tapenet as tn
    >>> tn.reshape(tn.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1))
    Tensor([[1., 2.],
            [3., 4.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), (3, 2)),
        sample(r.normal(size=(2, 3)), -1),
        sample(r.normal(size=(2, 3, 4)), (4, -1)),
        sample(r.normal(size=()), (1, 1)),
    ],
    mend=lambda a, shape: f"{np.shape(a)} has {np.size(a)} elements: give lengths whose product is that, one may be -1",
)


def _inverse(axes: Any) -> Any:
    return None if axes is None else tuple(int(i) for i in np.argsort([a % len(axes) for a in axes]))


transpose = op(
    lambda a, axes=None: np.transpose(a, axes),
    name="transpose",
    numpy=np.transpose,
    a=lambda g, axes: np.transpose(g, _inverse(axes)),
    label=lambda axes: "ᵀ" if axes is None else f"transpose {', '.join(map(str, axes))}",
    formula="aᵀ, its axes in another order",
    gradients="a: gᵀ, its axes in the order of a",
    doc="""The axes in another order; reversed by default.

    >>> import tapenet as tn
    >>> tn.transpose(tn.tensor([[1.0, 2.0]]))
    Tensor([[1.],
            [2.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3, 4)), (2, 0, 1)),
        sample(r.normal(size=(2, 3, 4)), (-1, 0, -2)),
    ],
    mend=lambda a, axes: f"axes must name each of the {np.ndim(a)} axes of a once",
)

swapaxes = op(
    lambda a, axis1, axis2: np.swapaxes(a, axis1, axis2),
    name="swapaxes",
    label=lambda axis1, axis2: f"swap {axis_words((axis1, axis2))}",
    numpy=np.swapaxes,
    a=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2),
    formula="a with two axes exchanged",
    gradients="a: g with the same axes exchanged",
    doc="""Two axes exchanged.

    >>> import tapenet as tn
    >>> tn.swapaxes(tn.tensor([[1.0, 2.0]]), 0, 1).shape
    (2, 1)
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3, 4)), 0, -1), sample(r.normal(size=(2, 3)), 1, 0)],
)

moveaxis = op(
    lambda a, source, destination: np.moveaxis(a, source, destination),
    name="moveaxis",
    label=lambda source, destination: f"move {axis_words(source)} to {axis_words(destination)[5:]}",
    numpy=np.moveaxis,
    a=lambda g, source, destination: np.moveaxis(g, destination, source),
    formula="a with axes moved",
    gradients="a: g with the axes moved back",
    doc="""Axes moved to other positions, the rest in order.

    >>> import numpy as np, tapenet as tn
    >>> tn.moveaxis(tn.tensor(np.zeros((2, 3, 4))), 0, -1).shape
    (3, 4, 2)
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3, 4)), 0, -1),
        sample(r.normal(size=(2, 3, 4)), (0, 1), (2, 0)),
    ],
)

squeeze = op(
    lambda a, axis=None: np.squeeze(a, axis),
    name="squeeze",
    label="squeeze",
    numpy=np.squeeze,
    a=lambda g, a_shape: np.reshape(g, a_shape),
    formula="a without axes of length 1",
    gradients="a: g reshaped back",
    doc="""Axes of length one removed: all, or those of `axis`.

    >>> import tapenet as tn
    >>> tn.squeeze(tn.tensor([[[1.0]]]), (0, 2))
    Tensor([1.])
    """,
    samples=lambda r: [sample(r.normal(size=(1, 3, 1))), sample(r.normal(size=(1, 3, 1)), -1)],
)

expand_dims = op(
    lambda a, axis: np.expand_dims(a, axis),
    name="expand_dims",
    label=lambda axis: f"new {axis_words(axis)}",
    numpy=np.expand_dims,
    a=lambda g, a_shape: np.reshape(g, a_shape),
    formula="a with new axes of length 1",
    gradients="a: g reshaped back",
    doc="""Axes of length one inserted at the positions `axis` of the result.

    >>> import tapenet as tn
    >>> tn.expand_dims(tn.tensor([1.0, 2.0]), (0, -1)).shape
    (1, 2, 1)
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)), 1), sample(r.normal(size=3), (0, -1))],
)

broadcast_to = op(
    lambda array, shape: np.broadcast_to(array, shape),
    name="broadcast_to",
    label="broadcast",
    numpy=np.broadcast_to,
    array=lambda g, array_shape: unbroadcast(g, array_shape),
    formula="array repeated to shape",
    gradients="array: g summed over the repeated axes",
    doc="""The array repeated to a shape it broadcasts to, without a copy; read-only.

    >>> import tapenet as tn
    >>> tn.broadcast_to(tn.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2.],
            [1., 2.]])
    """,
    samples=lambda r: [sample(r.normal(size=(3, 1)), (2, 3, 4)), sample(r.normal(size=()), (2,))],
)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes that broadcasting from `shape` added or stretched."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1)
    if type(g) is np.ndarray:  # the same reduction without np.sum's detour
        return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)
    return np.sum(g, axis=axes, keepdims=True).reshape(shape)


def _pieces(g: Any, arrays_shape: Any, axis: int) -> Any:
    if axis is None:
        ends = np.cumsum([math.prod(s) for s in arrays_shape])
        return tuple(
            np.reshape(g[int(end) - math.prod(s) : int(end)], s) for s, end in zip(arrays_shape, ends, strict=True)
        )
    found = []
    start = 0
    lead = (slice(None),) * (axis % len(arrays_shape[0]))
    for shape in arrays_shape:
        stop = start + shape[axis]
        found.append(g[(*lead, slice(start, stop))])
        start = stop
    return tuple(found)


def _one_array(shape: Any) -> bool:
    """Whether what was joined was one array, as the sequence of its parts along the first axis."""
    return isinstance(shape[0], int)


def _concatenate_arrays(g: Any, arrays_shape: Any, axis: int) -> Any:
    if _one_array(arrays_shape):
        return np.stack(_pieces(g, (arrays_shape[1:],) * arrays_shape[0], axis))
    return _pieces(g, arrays_shape, axis)


def _stack_arrays(g: Any, arrays_shape: Any, axis: int) -> Any:
    parts = np.moveaxis(g, axis, 0)
    return parts if _one_array(arrays_shape) else tuple(parts)


concatenate = op(
    lambda arrays, axis=0: np.concatenate(arrays, axis),
    name="concatenate",
    numpy=(np.concatenate,),
    arrays=_concatenate_arrays,
    formula="arrays joined along an axis",
    gradients="arrays: the part of g that each became",
    doc="""Arrays joined along an axis they share (None: flattened first).

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.concatenate([tn.tensor([1.0]), tn.tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """,
    samples=lambda r: [
        sample([r.normal(size=(2, 3)), r.normal(size=(1, 3))]),
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 1)), r.normal(size=(2, 2))], -1),
        sample([r.normal(size=(2, 2)), r.normal(size=3)], None),
        sample(r.normal(size=(2, 3, 2)), 1),
    ],
    mend=lambda arrays, axis: (
        "All axes but the one joined along must have equal lengths: " + ", ".join(str(np.shape(a)) for a in arrays)
    ),
)

stack = op(
    lambda arrays, axis=0: np.stack(arrays, axis),
    name="stack",
    numpy=np.stack,
    arrays=_stack_arrays,
    formula="arrays joined along a new axis",
    gradients="arrays: the part of g that each became",
    doc="""Arrays of one shape joined along a new axis.

    Raises:
        ValueError: the shapes differ.

    >>> import tapenet as tn
    >>> tn.stack([tn.tensor(1.0), tn.tensor(2.0)])
    Tensor([1., 2.])
    """,
    samples=lambda r: [
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 3))]),
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.normal(size=(2, 3))], -1),
        sample(r.normal(size=(2, 3)), 1),
    ],
    mend=lambda arrays, axis: "All arrays must have one shape: " + ", ".join(str(np.shape(a)) for a in arrays),
)


@derived(
    numpy=np.split,
    samples=lambda r: [sample(r.normal(size=(4, 3)), 2), sample(r.normal(size=(2, 5)), [1, 3], 1)],
)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split into equal sections, or before the given indices, along an axis.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is no such axis.

    >>> import tapenet as tn
    >>> tn.split(tn.tensor([1.0, 2.0, 3.0]), [1])
    [Tensor([1.]), Tensor([2., 3.])]
    """
    if not -ary.ndim <= axis < ary.ndim:
        raise ValueError(f"split: axis {axis} is out of bounds for an array of shape {ary.shape}")
    length = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections < 1 or length % sections:
            raise ValueError(
                f"split: axis {axis} of shape {ary.shape} does not divide into {sections} equal sections; give the "
                "indices to split before instead"
            )
        ends = [length // sections * (i + 1) for i in range(sections)]
    else:
        ends = [*(int(i) for i in indices_or_sections), length]
    lead = (slice(None),) * (axis % ary.ndim)
    starts = [0, *ends[:-1]]
    return [ary[(*lead, slice(start, end))] for start, end in zip(starts, ends, strict=True)]


flip = op(
    lambda m, axis=None: np.flip(m, axis),
    name="flip",
    numpy=np.flip,
    m=lambda g, axis: np.flip(g, axis),
    formula="m in reverse order",
    gradients="m: g in reverse order",
    doc="""The elements in reverse order along `axis` (None: all axes).

    >>> import tapenet as tn
    >>> tn.flip(tn.tensor([1.0, 2.0]))
    Tensor([2., 1.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), (0,))],
)


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode != "constant":
        raise ValueError(f"mode={mode!r} is not supported on tensors; only 'constant' is")
    return np.pad(array, pad_width, constant_values=constant_values)


def _unpad(g: Any, array_shape: Any, pad_width: Any) -> Any:
    before = np.broadcast_to(np.asarray(pad_width), (len(array_shape), 2))[:, 0]
    return g[tuple(slice(int(b), int(b) + n) for b, n in zip(before, array_shape, strict=True))]


pad = op(
    _pad,
    name="pad",
    label=lambda pad_width: f"pad {pad_width}" if isinstance(pad_width, int) else "pad",
    numpy=np.pad,
    array=_unpad,
    formula="array inside a border",
    gradients="array: g without the border",
    doc="""The array with a border of `constant_values`; `pad_width` as in NumPy: n, (before, after), or one pair per
    axis.

    Raises:
        ValueError: a mode other than "constant".

    >>> import tapenet as tn
    >>> tn.pad(tn.tensor([1.0]), (1, 2))
    Tensor([0., 1., 0., 0.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1),
        sample(r.normal(size=(2, 3)), ((0, 1), (2, 0)), constant_values=0.5),
    ],
)

# Questions about the shape have plain numbers for an answer, on tensors too.
numpy_functions[np.shape] = lambda a: a.shape
numpy_functions[np.ndim] = lambda a: len(a.shape)
numpy_functions[np.size] = lambda a, axis=None: math.prod(a.shape) if axis is None else a.shape[axis]
