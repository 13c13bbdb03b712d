"""Bags of embeddings: the sum, mean or maximum of several rows of a table, for each bag of indices.

The bags of a matrix of indices are its rows; else they lie one after the other in a vector, and `offsets` say where each
begins. Either way there are K positions: the row that each names, and the bag that it is in.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.layers.embedding import by_frequency, padding_row, rows_of
from tapenet.ops.op import Scatter, op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

_MODES = ("sum", "mean", "max")


def _begins(indices: Array, offsets: Array | None, include_last_offset: bool) -> Array:
    """Where each bag begins among the positions, and behind the last one where it ends."""
    if indices.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"a matrix of indices {indices.shape} has a bag in each row, so offsets must be None; give a vector of "
                "indices with offsets"
            )
        return np.arange(indices.shape[0] + 1) * indices.shape[1]  # type: ignore[no-any-return]
    if indices.ndim != 1:
        raise ValueError(f"the indices have shape {indices.shape}; give (bags, length), or a vector with offsets")
    if offsets is None:
        raise ValueError(f"a vector of {indices.size} indices needs offsets: where each bag begins, as in [0, 3, 5]")
    begins = np.asarray(offsets)
    if begins.ndim != 1 or begins.dtype.kind not in "iu":
        raise ValueError(f"offsets are a vector of integers, not {begins.dtype} {begins.shape}")
    begins = begins.astype(np.intp)
    if not include_last_offset:
        begins = np.append(begins, indices.size)
    if not begins.size or begins[0] != 0 or begins[-1] > indices.size or (np.diff(begins) < 0).any():
        last = "the last is the end of the last bag, " if include_last_offset else ""
        raise ValueError(
            f"offsets begin with 0 and never fall, {last}and none is above {indices.size}, the number of indices; they "
            f"are {offsets!r}"
        )
    if begins[-1] != indices.size:
        raise ValueError(f"the last offset, {begins[-1]}, is not the number of indices, {indices.size}")
    return begins


def _by_bag(ufunc: np.ufunc, values: Array, begins: Array, shape: Shape) -> Array:
    """The values of each bag combined; 0 for those without any. `shape` is that of the indices."""
    if len(shape) == 2 and shape[1]:
        return ufunc.reduce(values.reshape(*shape, values.shape[1]), 1)  # type: ignore[no-any-return]
    out = np.zeros((len(begins) - 1, values.shape[1]), values.dtype)
    full = begins[:-1] < begins[1:]
    if full.any():
        out[full] = ufunc.reduceat(values, begins[:-1][full], axis=0)
    return out


def _largest(values: Array, kept: Array, bags: Array, begins: Array, counts: Array, shape: Shape) -> tuple[Array, ...]:
    """The maximum of each bag by column, and the first position that has it."""
    if not kept.all():
        values[~kept] = -np.inf
    out = _by_bag(np.maximum, values, begins, shape)
    places = np.where(values == out[bags], np.arange(len(bags))[:, None], len(bags))
    winners = _by_bag(np.minimum, places, begins, shape)
    empty = counts == 0
    out[empty] = 0
    winners[empty] = 0
    return out, bags, kept, counts, np.minimum(winners, max(len(bags) - 1, 0))


def _by_weight(
    g: Array,
    indices: Array,
    weight_shape: Shape,
    per_sample_weights: Array,
    bags: Array,
    kept: Array,
    counts: Array,
    winners: Array,
    mode: str,
    scale_grad_by_freq: bool,
) -> Array | Scatter:
    rows = np.reshape(indices, -1)
    if mode == "max":
        # A bag without indices has no winner.
        g = g * np.expand_dims(counts > 0, -1).astype(g.dtype)
        if rows.shape[0] == 0:
            return np.zeros(weight_shape, g.dtype)
        return Scatter((np.take(rows, winners), np.arange(weight_shape[1])), g)
    if mode == "mean":
        g = g / np.expand_dims(np.maximum(counts, 1), -1).astype(g.dtype)
    spread = np.take(g, bags, axis=0)
    if per_sample_weights is not None:
        spread = spread * np.reshape(per_sample_weights, (-1, 1))
    if scale_grad_by_freq:
        spread = by_frequency(spread, rows, weight_shape[0])
    return Scatter(rows, spread * np.expand_dims(kept, -1).astype(g.dtype))


def _by_sample(g: Array, indices: Array, weight: Array, bags: Array, kept: Array) -> Array:
    vectors = np.take(weight, np.reshape(indices, -1), axis=0)
    found = _sum(np.take(g, bags, axis=0) * vectors, -1) * kept.astype(g.dtype)
    return np.reshape(found, np.shape(indices))


def _lanes(
    batched: frozenset[str], lanes: int, indices: Array, weight: Array, offsets: Array | None,
    per_sample_weights: Array | None, mode: str, padding_idx: int | None,
) -> object:  # fmt: skip
    """Bags of all lanes, where each is a row of indices."""
    if offsets is not None or "weight" in batched:
        return NotImplemented
    rows = [
        a if a is None else np.reshape(a if n in batched else np.broadcast_to(a, (lanes, *a.shape)), (-1, a.shape[-1]))
        for n, a in (("indices", indices), ("per_sample_weights", per_sample_weights))
    ]
    found = embedding_bag(rows[0], weight, None, rows[1], mode, padding_idx)
    return np.reshape(found, (lanes, -1, weight.shape[1]))


@op(
    label=lambda weight_shape, mode: f"embedding bag {mode} {weight_shape[1]}",
    opaque="bags lie where their offsets say",
    nondiff=("indices", "offsets"),
    residuals=("bags", "kept", "counts", "winners"),
    weight=_by_weight,
    per_sample_weights=_by_sample,
    formula="Σ, mean or max of weight[indices] over each bag",
    gradients="weight: zeros with g of its bag added at each index; per_sample_weights: Σ g · weight[index]",
    vmap=_lanes,
    samples=lambda r: [
        sample(np.array([[0, 2], [2, 1]]), r.normal(size=(3, 2))),
        sample(np.array([0, 2, 2, 1]), r.normal(size=(3, 2)), [0, 3, 3], r.normal(size=4), "sum"),
        sample(np.array([0, 2, 2, 1]), r.normal(size=(3, 2)), [0, 2, 2, 4], None, "max", 0, True),
        sample(np.array([[1, 2]]), r.normal(size=(3, 2)), None, r.normal(size=(1, 2)), "sum", -3, False, True),
    ],
)
def embedding_bag(
    indices: Array,
    weight: Array,
    offsets: Array | None = None,
    per_sample_weights: Array | None = None,
    mode: str = "mean",
    padding_idx: int | None = None,
    include_last_offset: bool = False,
    scale_grad_by_freq: bool = False,
) -> tuple[Array, ...]:
    """The sum, mean or maximum of the rows of `weight` that each bag of indices names.

    Args:
        indices: integers from 0 to n - 1: (bags, length), or a vector of all bags one after the other.
        weight: (n, d).
        offsets: for a vector, where each bag begins in it; a bag may be empty and is 0 then.
        per_sample_weights: shaped like the indices: a factor for each row (mode "sum" only).
        mode: "sum", "mean" or "max". The gradient of a maximum goes to the first index that has it.
        padding_idx: an index that counts as not there, from the end if negative.
        include_last_offset: the last offset is the end of the last bag, not the beginning of one.
        scale_grad_by_freq: divide the gradient of a row by how often `indices` name it (not for "max").

    Returns:
        (bags, d).

    Raises:
        IndexError: an index out of range.
        TypeError: indices that are no integers.
        ValueError: offsets that do not fit, per_sample_weights of another shape or mode, an unknown mode.

    >>> import tapenet as tn
    >>> tn.embedding_bag([0, 2, 1], tn.tensor([[1.0], [2.0], [4.0]]), [0, 2], mode="sum")
    Tensor([[5.],
            [2.]])
    """
    if mode not in _MODES:
        raise ValueError(f"mode={mode!r} is none of {', '.join(map(repr, _MODES))}")
    found = rows_of("the embedding bag", indices, weight)
    if scale_grad_by_freq and mode == "max":
        raise ValueError("scale_grad_by_freq is for mode='sum' and 'mean', not 'max'")
    if per_sample_weights is not None:
        if mode != "sum":
            raise ValueError(f"per_sample_weights are for mode='sum', not {mode!r}")
        if per_sample_weights.shape != found.shape:
            raise ValueError(
                f"per_sample_weights have shape {per_sample_weights.shape}; there is one per index, {found.shape}"
            )
    begins = _begins(found, offsets, include_last_offset)
    rows = found.reshape(-1)
    bags = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    padding = padding_row(padding_idx, len(weight))
    kept = np.ones(rows.size, np.bool_) if padding is None else rows != padding
    counts = np.bincount(bags, kept, len(begins) - 1).astype(np.intp)
    values = weight.take(rows, axis=0)
    if mode == "max":
        return _largest(values, kept, bags, begins, counts, found.shape)
    if per_sample_weights is not None:
        values *= per_sample_weights.reshape(-1, 1)
    if padding is not None:
        values[~kept] = 0
    out = _by_bag(np.add, values, begins, found.shape)
    if mode == "mean":
        out /= np.maximum(counts, 1)[:, None].astype(out.dtype)
    return out, bags, kept, counts, counts
