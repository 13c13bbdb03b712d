"""Attention with a tile of the matrix of scores at hand, on raw arrays: memory grows with the lengths, not with their
product.

The softmax of a row is made tile by tile with a running maximum and sum; what came before is scaled down when the maximum
grows. Of each row the maximum and the sum of exponentials are kept, and from them the backward pass makes the weights anew:
not from the logarithm of the sum alone, which a mask of -1e9 swallows in rows that are masked whole.
Dao, Fu, Ermon, Rudra and Ré, arXiv:2205.14135. Tiles that lie in the future of a causal mask are left out.

Arrays are those of `whole`, with leading axes that all of them have.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from tapenet.kernels import vectors_like
from tapenet.ops.layers.attention.whole import LOWEST, dropped, kept, masked, row_maximum, row_sum
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.typing import Array

#: Rows and columns of a tile, and how many numbers it has at most: with several heads in one where they are short. Half a
#: megabyte of float32 stays in the second-level cache, and products of this size are worth BLAS's preparations.
ROWS, COLUMNS, NUMBERS = 256, 512, 2**17


#: An index of the leading axes of the scores.
Group = tuple[int | slice, ...]


def _ranges(length: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, length)) for i in range(0, length, step)]


def _groups(shape: tuple[int, ...]) -> Iterator[Group]:
    """Indices of the leading axes, for several of the last of them at a time, by the shape of the scores."""
    *lead, heads, rows, columns = shape
    count = max(1, NUMBERS // max(1, min(rows, ROWS) * min(columns, COLUMNS)))
    return itertools.product(*map(range, lead), _ranges(heads, count))


def _tiles(shape: tuple[int, ...], causal: bool) -> Iterator[tuple[slice, list[slice]]]:
    """Ranges of rows, and for each the ranges of columns that it sees."""
    for rows in _ranges(shape[-2], ROWS):
        yield rows, _ranges(min(shape[-1], rows.stop) if causal else shape[-1], COLUMNS)


def _part(mask: Array, group: Group, rows: slice, columns: slice) -> Array:
    """A tile of an array that broadcasts to the scores, with all of their axes. A view."""
    index = (*group, rows, columns)
    stretched = (0 if type(i) is int else slice(None) for i in index)
    return mask[tuple(s if n == 1 else i for i, s, n in zip(index, stretched, mask.shape, strict=True))]


def _scores(
    query: Array, key: Array, mask: Array | None, causal: bool, rows: slice, columns: slice, buffer: Array
) -> Array:
    """A tile of scores, in a buffer used anew. The query is scaled."""
    shape = (*query.shape[:-1], key.shape[-2])
    scores = buffer[: math.prod(shape)].reshape(shape)
    np.matmul(query, key.swapaxes(-1, -2), out=scores)
    masked(scores, mask, causal, rows.start - columns.start)
    return scores


def _kept(seed: Array, group: Group, rows: slice, columns: slice, shape: tuple[int, ...], p: float) -> Array:
    begins = (i.start if isinstance(i, slice) else i for i in (*group, rows, columns))
    return kept(seed, tuple(begins), shape, p)


def all_kept(seed: Array, shape: tuple[int, ...], dropout_p: float) -> Array:
    """What dropout leaves of all weights, whose tiles are drawn one by one."""
    found = np.empty(shape, bool)
    for group in _groups(shape):
        for rows, seen in _tiles(shape, causal=False):
            for columns in seen:
                tile = found[group][..., rows, columns]
                tile[...] = _kept(seed, group, rows, columns, tile.shape, dropout_p)
    return found


def _shape(query: Array, key: Array) -> tuple[int, ...]:
    return (*query.shape[:-1], key.shape[-2])


def forward(
    query: Array, key: Array, value: Array, mask: Array | None, seed: Array | None, dropout_p: float, causal: bool,
    scale: float,
) -> tuple[Array, Array]:  # fmt: skip
    """The result, and of each row of scores the maximum and the sum of exponentials, (..., L, 2)."""
    if query.ndim == 2:
        masks = None if mask is None else mask[None]
        out, normalizers = forward(query[None], key[None], value[None], masks, seed, dropout_p, causal, scale)
        return out[0], normalizers[0]
    shape = _shape(query, key)
    dtype = np.result_type(query, key, value)
    out = vectors_like(query, value.shape[-1], dtype)
    normalizers = np.empty((*query.shape[:-1], 2), dtype)
    buffer = np.empty(NUMBERS, dtype)
    for group in _groups(shape):
        scaled, keys, values = query[group] * scale, key[group], value[group]
        for rows, seen in _tiles(shape, causal):
            part = scaled[:, rows]
            top = np.full((*part.shape[:-1], 1), LOWEST[dtype.char], dtype)
            total = np.zeros_like(top)
            sums = np.zeros((*part.shape[:-1], value.shape[-1]), dtype)
            for columns in seen:
                mine = None if mask is None else _part(mask, group, rows, columns)
                exps = _scores(part, keys[:, columns], mine, causal, rows, columns, buffer)
                before, top = top, np.maximum(top, row_maximum(exps))
                exps -= top
                np.exp(exps, out=exps)
                shrink = np.exp(before - top)
                total *= shrink
                total += row_sum(exps)
                if seed is not None:
                    left = _kept(seed, group, rows, columns, exps.shape, dropout_p)
                    exps = dropped(exps, left, dropout_p)
                sums *= shrink
                sums += np.matmul(exps, values[:, columns])
            np.maximum(total, 1, out=total)  # 0 in rows that are masked whole
            np.divide(sums, total, out=out[group][:, rows])
            np.concatenate([top, total], -1, out=normalizers[group][:, rows])
    return out, normalizers


def backward(
    g: Array, query: Array, key: Array, value: Array, mask: Array | None, out: Array, normalizers: Array,
    seed: Array | None, dropout_p: float, causal: bool, scale: float, mask_gradient: bool,
) -> tuple[Array, Array, Array, Array | None]:  # fmt: skip
    """The gradients by query, key, value and, if it is wanted, by the mask (else None), from that by the result."""
    if query.ndim == 2:
        masks, options = None if mask is None else mask[None], (seed, dropout_p, causal, scale, mask_gradient)
        *found, by_mask = backward(
            g[None], query[None], key[None], value[None], masks, out[None], normalizers[None], *options
        )
        return found[0][0], found[1][0], found[2][0], None if by_mask is None else by_mask[0]
    shape = _shape(query, key)
    dtype = out.dtype
    by_query = np.zeros_like(query, dtype)
    by_key, by_value = np.zeros_like(key, dtype), np.zeros_like(value, dtype)
    by_mask = None if mask is None or not mask_gradient else np.zeros(mask.shape, dtype)
    top, total = normalizers[..., :1], normalizers[..., 1:]
    g = g / total  # what divides the weights, in their place: all that they are multiplied with has g as a factor
    taken = np.vecdot(g, out)[..., None]
    first, second = np.empty(NUMBERS, dtype), np.empty(NUMBERS, dtype)
    for group in _groups(shape):
        scaled, keys, values = query[group] * scale, key[group], value[group]
        to_query, to_key, to_value = by_query[group], by_key[group], by_value[group]
        for rows, seen in _tiles(shape, causal):
            part, gs = scaled[:, rows], g[group][:, rows]
            for columns in seen:
                mine = None if mask is None else _part(mask, group, rows, columns)
                weights = _scores(part, keys[:, columns], mine, causal, rows, columns, first)
                weights -= top[group][:, rows]
                np.exp(weights, out=weights)
                scores = second[: weights.size].reshape(weights.shape)
                np.matmul(gs, values[:, columns].swapaxes(-1, -2), out=scores)
                used = weights
                if seed is not None:
                    left = _kept(seed, group, rows, columns, weights.shape, dropout_p)
                    used, scores = dropped(weights, left, dropout_p), dropped(scores, left, dropout_p)
                to_value[:, columns] += np.matmul(used.swapaxes(-1, -2), gs)
                scores -= taken[group][:, rows]
                scores *= weights
                to_query[:, rows] += np.matmul(scores, keys[:, columns])
                to_key[:, columns] += np.matmul(scores.swapaxes(-1, -2), part)
                if by_mask is not None:
                    into = _part(by_mask, group, rows, columns)
                    into += unbroadcast(scores, into.shape)
    by_query *= scale
    return by_query, by_key, by_value, by_mask
