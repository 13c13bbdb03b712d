"""Class and token indices: their vectors in a table, and one-hot vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.indexing.items import nonnegative
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


def _integers(name: str, values: Array) -> Array:
    found = values if hasattr(values, "dtype") else np.asarray(values)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} takes integers, not {found.dtype}: convert them, for instance with .astype(np.int64)")
    return found


def rows_of(name: str, indices: Array, weight: Array) -> Array:
    """Indices as an array, all of them rows of `weight`."""
    rows = _integers(name, indices)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(weight)):
        raise IndexError(
            f"the indices run from {rows.min()} to {rows.max()}, but the embedding has {len(weight)} vectors: 0 to "
            f"{len(weight) - 1}"
        )
    return rows


def _check(indices: Array, weight: Array, padding_idx: int | None) -> None:
    padding_row(padding_idx, len(weight))
    rows_of("the embedding", indices, weight)


def padding_row(padding_idx: int | None, length: int) -> int | None:
    """The row that gets no gradient, counted from the start."""
    if padding_idx is None:
        return None
    if not -length <= padding_idx < length:
        raise ValueError(f"padding_idx={padding_idx} is none of the {length} vectors")
    return padding_idx % length


def by_frequency(g: Array, indices: Array, length: int) -> Array:
    """The gradients of the rows that `indices` name, each divided by how often its row is named."""
    counts = np.bincount(np.reshape(indices, -1), minlength=length)
    return g / np.expand_dims(np.take(counts, indices), -1).astype(g.dtype)  # type: ignore[no-any-return]


def _embedding_weight(
    g: Array, indices: Array, weight_shape: Shape, padding_idx: int | None, scale_grad_by_freq: bool
) -> Scatter:
    padding = padding_row(padding_idx, weight_shape[0])
    if scale_grad_by_freq:
        g = by_frequency(g, indices, weight_shape[0])
    if padding is not None:
        g = np.where(np.expand_dims(np.not_equal(indices, padding), -1), g, 0)
    return Scatter(indices, g)


@op(
    formula="weight[indices]",
    label=lambda weight_shape: f"embedding {weight_shape[1]}",
    check=_check,
    nondiff=("indices",),
    weight=_embedding_weight,
    samples=lambda r: [
        sample(np.array([[0, 2], [2, 1]]), r.normal(size=(3, 4))),
        sample(np.array([0, 2, 2]), r.normal(size=(3, 2)), 1),
        sample([1, 0], r.normal(size=(3, 2))),
        sample(np.array([[0, 2]]), r.normal(size=(3, 2)), -2, True),
    ],
)
def embedding(indices: Array, weight: Array, padding_idx: int | None = None, scale_grad_by_freq: bool = False) -> Array:
    """The rows of `weight` that `indices` name.

    Args:
        indices: integers of any shape (...), from 0 to n - 1.
        weight: (n, d).
        padding_idx: a row whose gradient is 0, counted from the end if negative.
        scale_grad_by_freq: divide the gradient of a row by how often `indices` name it.

    Returns:
        (..., d). The gradient of a row is the sum over all its uses; it is added in place, so that few uses of a large
        table are cheap.

    Raises:
        IndexError: an index out of range; negative ones do not count from the end.
        ValueError: `padding_idx` is no row.
        TypeError: indices that are no integers.

    >>> import tapenet as tn
    >>> tn.embedding([2, 0], tn.tensor([[1.0], [2.0], [3.0]]))
    Tensor([[3.],
            [1.]])
    """
    # A compiled program does not look before it reads: a negative index is out of range there too.
    return np.take(weight, nonnegative(_integers("the embedding", indices)), axis=0)


def _one_hot_lowered(indices: Array, num_classes: int = -1, dtype: DTypeLike = np.float32) -> Array:
    if num_classes == -1:
        raise ValueError("num_classes=-1 asks for the largest index")
    classes = _integers("one_hot", indices)
    # np.take asks only what it takes from how to do it, so that must not be a plain array.
    eye = np.zeros_like(classes, dtype, shape=(num_classes, num_classes)) + np.eye(num_classes, dtype=dtype)
    return np.take(eye, nonnegative(classes), axis=0)


@op(
    label="one-hot",
    lower=_one_hot_lowered,  # the forward branches on the largest index
    nondiff=("indices",),
    samples=lambda r: [sample(np.array([[0, 2], [2, 1]])), sample(np.array([1, 0]), 4, dtype=np.float64)],
)
def one_hot(indices: Array, num_classes: int = -1, dtype: DTypeLike = np.float32) -> Array:
    """A vector for each class index: 1 at its position, 0 elsewhere.

    Args:
        indices: integers of any shape (...), from 0 to num_classes - 1.
        num_classes: length of the vectors; by default the largest index plus one.
        dtype: of the result, by default float32, so that it can be a target for a float32 prediction.

    Returns:
        (..., num_classes).

    Raises:
        ValueError: an index out of range.
        TypeError: indices that are no integers.

    >>> import tapenet as tn
    >>> tn.one_hot([1, 0], 3)
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    classes = _integers("one_hot", indices)
    if num_classes == -1:
        num_classes = int(classes.max()) + 1 if classes.size else 0
    if classes.size and not (classes.min() >= 0 and classes.max() < num_classes):
        raise ValueError(f"the classes run from {classes.min()} to {classes.max()}, not from 0 to {num_classes - 1}")
    return np.eye(num_classes, dtype=dtype)[classes]
