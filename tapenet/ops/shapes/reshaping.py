"""The same values in another shape, order or dtype.

Rules are stated: derived ones take 1.1 to 1.3 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, answer, sample
from tapenet.program.low import dtype_of, meet
from tapenet.typing import Array, Axis, DType, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def axis_words(axis: object) -> str:
    """One axis or several, in words.

    >>> axis_words(1), axis_words((0, -1))
    ('axis 1', 'axes 0, -1')
    """
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"


@op(
    precision="same",
    a=lambda g: g,
    samples=lambda r: [sample(r.normal(size=(2, 3)))],
)
def alias(a: Array) -> Array:
    """The argument itself, through a node of its own.

    >>> import tapenet as tn
    >>> tn.alias(tn.tensor([1.0]))
    Tensor([1.])
    """
    return a


@op(
    precision="same",
    numpy=np.copy,
    label="copy",
    a=lambda g: g,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), "F"), sample(r.normal(size=()))],
)
def copy(a: Array, order: Literal["K", "A", "C", "F"] = "K") -> Array:
    """A copy with storage of its own, in the same memory order or another: "C" by rows, "F" by columns.

    >>> import tapenet as tn
    >>> tn.copy(tn.tensor([1.0]))
    Tensor([1.])
    """
    return np.copy(a, order)


def _astype_unless_same(a: Array, dtype: DType, *, copy: bool = True, device: object = None) -> Array:
    if device not in (None, "cpu"):
        raise ValueError(f"astype: device={device!r} is not there; NumPy's only one is 'cpu'")
    return a if not copy and a.dtype == np.dtype(dtype) else astype(a, dtype)


def _astype_a(g: Array, a_dtype: DType) -> Array:
    if g.dtype.kind == "c" and a_dtype.kind != "c":
        g = np.real(g)  # a real number moves along the real axis alone
    return g.astype(a_dtype)


@op(
    precision="same",
    numpy=np.astype,
    more=_astype_unless_same,
    a=_astype_a,
    label=lambda dtype, **_: f"to {np.dtype(dtype)}",
    samples=lambda r: [sample(r.normal(size=(2, 3)), np.float64), sample(r.normal(size=3), "int32")],
    hint=lambda a, dtype: f"a has dtype {a.dtype}",
)
def astype(a: Array, dtype: DTypeLike) -> Array:
    """The values in another dtype. The gradient comes back in the dtype of `a`; to integers there is none.

    Options: `copy=False` gives `a` itself where it has that dtype already.

    >>> import tapenet as tn
    >>> tn.astype(tn.tensor([1.5]), "float32")
    Tensor([1.5], dtype=float32)
    """
    made = (a if hasattr(a, "astype") else np.asarray(a)).astype(dtype_of(dtype))
    meet(made.dtype)
    return made


def _like_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), np.int64),
        sample(r.normal(size=(2, 3)), shape=(0, 2)),
        sample(r.normal(size=()), shape=4),
    ]


@op(
    label="zeros like",
    numpy=np.zeros_like,
    nondiff=True,
    samples=_like_samples,
)
def zeros_like(a: Array, dtype: DTypeLike | None = None, *, shape: int | Sequence[int] | None = None) -> Array:
    """Zeros of the shape and dtype of `a`, or of those given.

    >>> import tapenet as tn
    >>> tn.zeros_like(tn.tensor([1.0, 2.0]))
    Tensor([0., 0.])
    """
    return np.zeros_like(a, dtype=dtype, shape=shape)


@op(
    label="ones like",
    numpy=np.ones_like,
    nondiff=True,
    samples=_like_samples,
)
def ones_like(a: Array, dtype: DTypeLike | None = None, *, shape: int | Sequence[int] | None = None) -> Array:
    """Ones of the shape and dtype of `a`, or of those given.

    >>> import tapenet as tn
    >>> tn.ones_like(tn.tensor([3.0, 2.0]))
    Tensor([1., 1.])
    """
    return np.ones_like(a, dtype=dtype, shape=shape)


def _reshape_copying(a: Array, shape: Shape, order: str = "C", *, copy: bool | None = None) -> Array:
    made = reshape(a, shape, order)
    if copy:
        return np.copy(made)
    if copy is False and not _same_memory(a, made):
        raise ValueError(
            f"reshape: {a.shape} is laid out so that {made.shape} takes a copy, which copy=False forbids: leave it out"
        )
    return made


def _raw(a: Array) -> Array:
    """The array of a tensor, or what is an array itself."""
    return a if isinstance(a, np.ndarray) else a.data


def _same_memory(a: Array, b: Array) -> bool:
    return not a.size or np.may_share_memory(_raw(a), _raw(b))


# The array's method takes a third of the time of NumPy's function, which looks it up first.


def _reshaped(a: Array, shape: int | Sequence[int]) -> Array:
    return a.reshape(shape) if type(a) is np.ndarray else np.reshape(a, shape)


def _swapped(a: Array, axis1: int, axis2: int) -> Array:
    return a.swapaxes(axis1, axis2) if type(a) is np.ndarray else np.swapaxes(a, axis1, axis2)


@op(
    precision="same",
    numpy=np.reshape,
    more=_reshape_copying,
    a=lambda g, a_shape, order: np.reshape(g, a_shape, order) if order == "F" else _reshaped(g, a_shape),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), (3, 2)),
        sample(r.normal(size=(2, 3)), -1),
        sample(r.normal(size=(2, 3, 4)), (4, -1)),
        sample(r.normal(size=()), (1, 1)),
        sample(r.normal(size=(2, 3, 2)), (4, -1), "F"),
        sample(r.normal(size=(2, 3)), -1, order="F"),
        sample(r.normal(size=(0, 3)), (3, 0, 2)),
    ],
    hint=lambda a, shape, order: (
        f"{np.shape(a)} has {np.size(a)} elements: give lengths whose product is that, one may be -1"
        if order in ("C", "F")
        else "A tensor's layout in memory is no part of its value: say which of the two you mean"
    ),
)
def reshape(a: Array, shape: int | Sequence[int], order: str = "C") -> Array:
    """The same values in another shape; one length may be -1.

    Args:
        a: an array.
        shape: an integer or a tuple of them.
        order: "C" reads and writes the elements by rows, "F" by columns. NumPy's "A", by the layout in memory, is
            refused: a layout is no part of a tensor's value.
        copy: True copies in any case, False raises where a view will not do (by keyword).

    Raises:
        ValueError: the number of elements differs; another order; `copy=False` where a copy is needed.

    >>> import tapenet as tn
    >>> tn.reshape(tn.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1))
    Tensor([[1., 2.],
            [3., 4.]])
    """
    if order is None or order == "C":
        return _reshaped(a, shape)
    if order != "F":
        raise ValueError(f"order={order!r} is neither 'C' nor 'F'")
    # Column order is row order with all axes reversed.
    reversed_shape = tuple(shape)[::-1] if isinstance(shape, (tuple, list)) else (shape,)
    return np.transpose(np.reshape(np.transpose(a), reversed_shape))


@derived(
    numpy=np.ravel,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), "F"),
        sample(r.normal(size=())),
        sample(r.normal(size=(3, 0)), order="F"),
    ],
)
def ravel(a: ArrayLike, order: str = "C") -> Array:
    """All elements in one axis.

    Args:
        a: an array.
        order: "C" by rows, "F" by columns, "A" by columns where the array lies in memory so, "K" as the array lies in
            memory.

    >>> import tapenet as tn
    >>> tn.ravel(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), "F")
    Tensor([1., 3., 2., 4.])
    """
    a = array_like(a)
    if order == "K":
        strides = _raw(a).strides
        return np.reshape(np.transpose(a, sorted(range(a.ndim), key=lambda i: -abs(strides[i]))), -1)
    if order == "A":
        order = "F" if _raw(a).flags.fnc else "C"
    return reshape(a, -1, order)


def _inverse(axes: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if axes is None else tuple(int(i) for i in np.argsort([a % len(axes) for a in axes]))


@op(
    precision="same",
    numpy=np.transpose,
    a=lambda g, axes: np.transpose(g, _inverse(axes)),
    label=lambda axes: "ᵀ" if axes is None else f"transpose {', '.join(map(str, axes))}",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3, 4)), (2, 0, 1)),
        sample(r.normal(size=(2, 3, 4)), (-1, 0, -2)),
    ],
    hint=lambda a, axes: f"axes must name each of the {np.ndim(a)} axes of a once",
)
def transpose(a: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order; reversed by default.

    >>> import tapenet as tn
    >>> tn.transpose(tn.tensor([[1.0, 2.0]]))
    Tensor([[1.],
            [2.]])
    """
    return a.transpose(axes) if type(a) is np.ndarray else np.transpose(a, axes)


permute_dims = transpose


@derived(
    numpy=np.matrix_transpose,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 1, 3))), sample(r.normal(size=(0, 2)))],
)
def matrix_transpose(x: Array) -> Array:
    """The last two axes exchanged: the transpose of each matrix of a stack.

    Raises:
        ValueError: less than two axes.

    >>> import tapenet as tn
    >>> tn.matrix_transpose(tn.tensor([[1.0, 2.0]])).shape
    (2, 1)
    """
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: an array of shape {x.shape} is no matrix, it needs two axes or more")
    return np.swapaxes(x, -1, -2)


@op(
    precision="same",
    label=lambda axis1, axis2: "ᵀ" if {axis1, axis2} == {-1, -2} else f"swap {axis_words((axis1, axis2))}",
    numpy=np.swapaxes,
    a=lambda g, axis1, axis2: _swapped(g, axis1, axis2),
    samples=lambda r: [sample(r.normal(size=(2, 3, 4)), 0, -1), sample(r.normal(size=(2, 3)), 1, 0)],
)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    """Two axes exchanged.

    >>> import tapenet as tn
    >>> tn.swapaxes(tn.tensor([[1.0, 2.0]]), 0, 1).shape
    (2, 1)
    """
    return _swapped(a, axis1, axis2)


@op(
    precision="same",
    label=lambda source, destination: f"move {axis_words(source)} to {axis_words(destination)[5:]}",
    numpy=np.moveaxis,
    a=lambda g, source, destination: np.moveaxis(g, destination, source),
    gradients="a: g with the axes moved back",
    samples=lambda r: [
        sample(r.normal(size=(2, 3, 4)), 0, -1),
        sample(r.normal(size=(2, 3, 4)), (0, 1), (2, 0)),
    ],
)
def moveaxis(a: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """Axes moved to other positions, the rest in order.

    >>> import numpy as np, tapenet as tn
    >>> tn.moveaxis(tn.tensor(np.zeros((2, 3, 4))), 0, -1).shape
    (3, 4, 2)
    """
    return np.moveaxis(a, source, destination)


@op(
    precision="same",
    label="squeeze",
    numpy=np.squeeze,
    a=lambda g, a_shape: _reshaped(g, a_shape),
    samples=lambda r: [sample(r.normal(size=(1, 3, 1))), sample(r.normal(size=(1, 3, 1)), -1)],
)
def squeeze(a: Array, axis: Axis = None) -> Array:
    """Axes of length one removed: all, or those of `axis`.

    >>> import tapenet as tn
    >>> tn.squeeze(tn.tensor([[[1.0]]]), (0, 2))
    Tensor([1.])
    """
    return np.squeeze(a, axis)


@op(
    precision="same",
    label=lambda axis: f"new {axis_words(axis)}",
    numpy=np.expand_dims,
    a=lambda g, a_shape: _reshaped(g, a_shape),
    samples=lambda r: [sample(r.normal(size=(2, 3)), 1), sample(r.normal(size=3), (0, -1))],
)
def expand_dims(a: Array, axis: int) -> Array:
    """Axes of length one inserted at the positions `axis` of the result.

    >>> import tapenet as tn
    >>> tn.expand_dims(tn.tensor([1.0, 2.0]), (0, -1)).shape
    (1, 2, 1)
    """
    return np.expand_dims(a, axis)


@op(
    precision="moves",
    label="broadcast",
    numpy=np.broadcast_to,
    array=lambda g, array_shape: unbroadcast(g, array_shape),
    gradients="array: g summed over the repeated axes",
    samples=lambda r: [sample(r.normal(size=(3, 1)), (2, 3, 4)), sample(r.normal(size=()), (2,))],
)
def broadcast_to(array: Array, shape: int | Sequence[int]) -> Array:
    """The array repeated to a shape it broadcasts to, without a copy; read-only.

    >>> import tapenet as tn
    >>> tn.broadcast_to(tn.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2.],
            [1., 2.]])
    """
    return np.broadcast_to(array, shape)


def floats(x: Array) -> Array:
    """`x` itself if it holds floats, else as float64."""
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def whole(shape: Shape) -> tuple[int, ...]:
    """The shape of an array that was given as a list of its parts, from the shapes of these; that of any other as it is.

    >>> whole((2, 3)), whole(((3,), (3,)))
    ((2, 3), (2, 3))
    """
    return shape if not shape or isinstance(shape[0], int) else (len(shape), *whole(shape[0]))


def along_axis(axis: int, place: Array | slice) -> tuple[Array | slice, ...]:
    """The index of `place`, a slice or indices, along an axis that is counted from the front.

    >>> np.arange(6).reshape(2, 3)[along_axis(1, slice(0, 2))].shape
    (2, 2)
    """
    return (*(slice(None),) * axis, place)


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes that broadcasting from `shape` added or stretched. What is written to an array may also
    have had further axes of length one in front."""
    if g.shape == shape:
        return g
    shape = whole(shape)
    extra = g.ndim - len(shape)
    if extra < 0:
        return np.reshape(unbroadcast(g, shape[-extra:]), shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1)
    if type(g) is np.ndarray:  # the same reduction without np.sum's detour
        total: Array = np.add.reduce(g, axis=axes, keepdims=True)
    else:
        total = np.sum(g, axis=axes, keepdims=True)
    return total.reshape(shape)


@op(
    precision="same",
    numpy=np.flip,
    m=lambda g, axis: np.flip(g, axis),
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), (0,))],
)
def flip(m: Array, axis: Axis = None) -> Array:
    """The elements in reverse order along `axis` (None: all axes).

    >>> import tapenet as tn
    >>> tn.flip(tn.tensor([1.0, 2.0]))
    Tensor([2., 1.])
    """
    if type(m) is np.ndarray and type(axis) is int and -m.ndim <= axis < m.ndim:  # a third of np.flip's time
        return m[along_axis(axis % m.ndim, slice(None, None, -1))]
    return np.flip(m, axis)


# Questions about shapes are answered with plain numbers, also for tensors.
answer(np.shape, lambda a: a.shape)
answer(np.ndim, lambda a: len(a.shape))
answer(np.size, lambda a, axis=None: math.prod(a.shape if axis is None else (a.shape[i] for i in np.atleast_1d(axis))))
