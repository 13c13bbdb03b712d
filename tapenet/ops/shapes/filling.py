"""Arrays of a shape: filled with a value, with ones on or below a diagonal, or by a function of the indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from tapenet.ops.arguments import check_device
from tapenet.ops.derived import derived, holds_tensors, made
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.creation import as_tensor
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.program.low import dtype_of
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

# -- in the shape of another --------------------------------------------------------------------------------------


@op(
    precision="moves",
    label="full like",
    numpy=np.full_like,
    nondiff=("a",),
    fill_value=lambda g, fill_value_shape: unbroadcast(g, fill_value_shape),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=())),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=2), 1.5, np.int64),
        sample(r.normal(size=2), r.normal(size=(2, 1)), shape=(2, 3)),
        sample(r.normal(size=(0, 2)), 1.0),
    ],
    hint=lambda a, fill_value, dtype, shape: f"fill_value has shape {np.shape(fill_value)}, a {np.shape(a)}",
)
def full_like(
    a: Array, fill_value: Array, dtype: DTypeLike | None = None, *, shape: int | Sequence[int] | None = None
) -> Array:
    """`fill_value`, broadcast, in the shape and dtype of `a`, or in those given.

    Raises:
        ValueError: `fill_value` does not broadcast to the shape.

    >>> import tapenet as tn
    >>> tn.full_like(tn.tensor([1.0, 2.0]), 3)
    Tensor([3., 3.])
    """
    return np.full_like(a, fill_value, dtype=dtype, shape=shape)


@op(
    label="empty like",
    numpy=np.empty_like,
    nondiff=True,
    samples=lambda r: [sample(r.normal(size=(0, 3))), sample(r.normal(size=2), np.int64, shape=(0,))],
)
def empty_like(a: Array, dtype: DTypeLike | None = None, *, shape: int | Sequence[int] | None = None) -> Array:
    """An array of the shape and dtype of `a`, or of those given, to be written to. NumPy leaves open what it holds;
    here these are zeros, so that a step that is run again gives the same.

    >>> import tapenet as tn
    >>> tn.empty_like(tn.tensor([1.0, 2.0])).shape
    (2,)
    """
    return np.zeros_like(a, dtype=dtype, shape=shape)


# -- in a given shape ----------------------------------------------------------------------------------------------

Order: TypeAlias = Literal["C", "F"]


def _shapes(r: np.random.Generator) -> list[Sample]:
    return [sample((2, 3)), sample(3, int), sample((), np.float32), sample((2, 0), order="F", device="cpu")]


def _uniform(
    name: str, value: int, shape: int | Sequence[int], dtype: DTypeLike | None, order: Order, device: object
) -> Array:
    check_device(name, device)
    return made(np.full(shape, value, dtype_of(float if dtype is None else dtype), order))


@derived(numpy=np.zeros, makes=True, nondiff=True, samples=_shapes)
def zeros(
    shape: int | Sequence[int], dtype: DTypeLike | None = None, order: Order = "C", *, device: object = None
) -> Array:
    """Zeros, as a tensor.

    Args:
        shape: an integer or a tuple of them.
        dtype: float64 by default.
        order: of the elements in memory: by rows "C" or by columns "F".
        device: "cpu", if anything.

    Raises:
        ValueError: a negative length.

    >>> import tapenet as tn
    >>> tn.zeros(2)
    Tensor([0., 0.])
    """
    return _uniform("zeros", 0, shape, dtype, order, device)


@derived(numpy=np.ones, makes=True, nondiff=True, samples=_shapes)
def ones(
    shape: int | Sequence[int], dtype: DTypeLike | None = None, order: Order = "C", *, device: object = None
) -> Array:
    """Ones, as a tensor; the arguments are those of `zeros`.

    >>> import tapenet as tn
    >>> tn.ones(2, int)
    Tensor([1, 1], dtype=int64)
    """
    return _uniform("ones", 1, shape, dtype, order, device)


@derived(numpy=np.empty, makes=True, nondiff=True, samples=lambda r: [sample((0, 3)), sample(0, int, "F")])
def empty(
    shape: int | Sequence[int], dtype: DTypeLike | None = None, order: Order = "C", *, device: object = None
) -> Array:
    """A tensor to be written to; the arguments are those of `zeros`. NumPy leaves open what it holds; here these are zeros,
    so that a step that is run again gives the same.

    >>> import tapenet as tn
    >>> tn.empty((2, 3)).shape
    (2, 3)
    """
    return _uniform("empty", 0, shape, dtype, order, device)


@derived(
    numpy=np.full,
    makes=True,
    samples=lambda r: [
        sample((2, 3), r.normal(size=())),
        sample((2, 3), r.normal(size=(2, 1))),
        sample(3, r.normal(size=3), np.int64),
        sample((), r.normal(size=())),
        sample((2, 2), [r.normal(size=()), r.normal(size=())], order="F"),
        sample(2, 7),
    ],
)
def full(
    shape: int | Sequence[int],
    fill_value: ArrayLike,
    dtype: DTypeLike | None = None,
    order: Order = "C",
    *,
    device: object = None,
) -> Array:
    """A tensor filled with a value, which may be a tensor and is broadcast; the arguments are those of `zeros`, and the dtype
    is that of the value.

    Raises:
        ValueError: `fill_value` does not broadcast to the shape.

    >>> import tapenet as tn
    >>> tn.full((2,), tn.tensor(3.0))
    Tensor([3., 3.])
    """
    check_device("full", device)
    if not holds_tensors(fill_value):
        check_unmasked(fill_value)
        return made(np.full(shape, fill_value, None if dtype is None else dtype_of(dtype), order))
    value = as_tensor(fill_value, dtype, None)
    return np.copy(np.broadcast_to(value, shape), order)


@derived(
    numpy=np.eye,
    makes=True,
    nondiff=True,
    samples=lambda r: [sample(2), sample(2, 3, 1, np.float32), sample(3, M=2, k=-1, dtype=int, order="F")],
)
def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: DTypeLike = float,
    order: Order = "C",
    *,
    device: object = None,
) -> Array:
    """Ones on a diagonal, zeros beside it, as a tensor.

    Args:
        N: how many rows.
        M: how many columns; by default as many as rows.
        k: which diagonal: above the main one if positive, below if negative.
        dtype: of the numbers.
        order: of the elements in memory: by rows "C" or by columns "F".
        device: "cpu", if anything.

    >>> import tapenet as tn
    >>> tn.eye(2, 3, 1)
    Tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    check_device("eye", device)
    return made(np.eye(N, M, k, dtype_of(dtype), order))


@derived(numpy=np.identity, makes=True, nondiff=True, samples=lambda r: [sample(2), sample(0), sample(3, np.float32)])
def identity(n: int, dtype: DTypeLike | None = None) -> Array:
    """The identity matrix of `n` rows, as a tensor.

    >>> import tapenet as tn
    >>> tn.identity(2)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    return eye(n, dtype=float if dtype is None else dtype)


@derived(
    numpy=np.tri,
    makes=True,
    nondiff=True,
    samples=lambda r: [sample(2), sample(2, 3, 1, bool), sample(3, M=2, k=-1, dtype=np.float32)],
)
def tri(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike = float) -> Array:
    """Ones on a diagonal and below it, zeros above, as a tensor; the arguments are those of `eye`.

    >>> import tapenet as tn
    >>> tn.tri(2)
    Tensor([[1., 0.],
            [1., 1.]])
    """
    return made(np.tri(N, M, k, dtype_of(dtype)))


@derived(
    numpy=np.fromfunction,
    makes=True,
    nondiff=True,
    samples=lambda r: [
        sample(lambda i, j: i * 2.5 + j, (2, 3)),
        sample(lambda i, power: i**power, (3,), dtype=int, power=2),
    ],
)
def fromfunction(function: Callable[..., Array], shape: Shape, *, dtype: DTypeLike = float, **kwargs: object) -> Array:
    """What a function makes of the indices of an array, which it is given as tensors, one for each axis. It may use tensors of
    its own, whose gradients are its.

    Args:
        function: called once, as `function(i, j, ..., **kwargs)`, with indices of the shape `shape`.
        shape: a tuple of integers.
        dtype: of the indices.
        **kwargs: passed on to the function.

    >>> import tapenet as tn
    >>> s = tn.tensor(10.0)
    >>> tn.fromfunction(lambda i, j: i * s + j, (2, 2))
    Tensor([[ 0.,  1.],
            [10., 11.]])
    """
    return function(*(made(i) for i in np.indices(shape, dtype_of(dtype))), **kwargs)
