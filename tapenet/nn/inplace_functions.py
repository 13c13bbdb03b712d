"""Functions that also update, in place, tensors they are given: running statistics, and vectors that grew too long.

What they write they write through `.data` or under `no_grad`, with ops on tensors, so that a captured step does it again
at each replay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.layers.embedding import padding_row
from tapenet.ops.layers.normalization.group import instance_norm_statistics
from tapenet.ops.linalg.norms import vector_norm
from tapenet.typing import Array

_evaluated: Callable[..., Tensor] = ops.batch_norm


def _movable(name: str, x: Tensor | Array, **running: object) -> None:
    """Check the running statistics, before anything is computed.

    Raises:
        TypeError: one is no tensor.
        ValueError: one is no vector by channel.
    """
    for what, statistic in running.items():
        if statistic is None:
            continue
        if not isinstance(statistic, Tensor):
            raise TypeError(
                f"{name}: running statistics are tensors, which are updated in place; give {what}=nn.Buffer(array), not "
                f"{type(statistic).__name__}"
            )
        if statistic.shape != tuple(x.shape[1:2]):
            raise ValueError(
                f"{name}: {what} has shape {statistic.shape}; for x of shape {tuple(x.shape)} it must be "
                f"{tuple(x.shape[1:2])}, a number for each channel"
            )


def _move(running: Tensor | None, batch: Tensor, momentum: float | Tensor, factor: float) -> None:
    """Move a running statistic towards that of a batch, times a factor."""
    if running is not None:
        running.data = (1 - momentum) * running + (momentum * factor) * batch


def batch_norm(
    input: Tensor | Array,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel, in training by the statistics of the batch, else by the running ones.

    See `tn.batch_norm_train` and `tn.batch_norm` for the two.

    Args:
        input: (n, channels, ...).
        running_mean, running_var: (channels,), or None. In training they are moved towards the statistics of the batch,
            in place: (1 - momentum) * running + momentum * batch, with the unbiased variance of the batch. An empty batch
            leaves them alone.
        weight, bias: (channels,), or None.
        training: which statistics to use.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        ValueError: no running statistics outside of training, statistics of another shape, or a single value per channel
            in training.
        TypeError: running statistics that are no tensors cannot be moved.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without running statistics give training=True, to use those of the batch")
        return _evaluated(input, running_mean, running_var, weight, bias, eps)
    _movable("batch_norm", input, running_mean=running_mean, running_var=running_var)
    count = math.prod(input.shape[:1] + input.shape[2:])
    if not count:  # an empty batch has no statistics, and nothing that needs any
        zeros = np.zeros(input.shape[1], input.dtype)
        return _evaluated(input, zeros, zeros, weight, bias, 1.0)
    out: Tensor
    out, mean, var = ops.batch_norm_train(input, weight, bias, eps)
    _move(running_mean, mean, momentum, 1.0)
    _move(running_var, var, momentum, count / (count - 1))
    return out


def instance_norm(
    input: Tensor | Array,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample, by its own statistics or by running ones. See `tn.instance_norm`.

    Args:
        input: (n, channels, ...).
        running_mean, running_var: (channels,), or None. With `use_input_stats` they are moved, in place, towards the
            mean over the samples of their statistics: (1 - momentum) * running + momentum * mean, with unbiased
            variances.
        weight, bias: (channels,), or None.
        use_input_stats: normalise by each sample's own statistics, not by the running ones.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        ValueError: no running statistics without `use_input_stats`, or a single position per channel with it.
        TypeError: running statistics that are no tensors cannot be moved.
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm: without running statistics give use_input_stats=True")
        return _evaluated(input, running_mean, running_var, weight, bias, eps)
    _movable("instance_norm", input, running_mean=running_mean, running_var=running_var)
    given = cast("tuple[Array, Array, Array, float]", (input, weight, bias, eps))  # arrays to the formula
    out: Tensor
    out, mean, var = instance_norm_statistics(*given)
    count = math.prod(input.shape[2:])
    if running_mean is not None and input.shape[0]:
        _move(running_mean, mean.mean(0), momentum, 1.0)
    if running_var is not None and input.shape[0]:
        _move(running_var, var.mean(0), momentum, count / (count - 1))
    return out


def _shorten(name: str, indices: ArrayLike, weight: ArrayLike, max_norm: float, norm_type: float) -> None:
    """Scale the vectors that are looked up down to a norm of `max_norm`, in place, where theirs is larger."""
    if not isinstance(weight, Tensor):
        raise TypeError(
            f"{name}: max_norm shortens the vectors in place, so they must be a tensor; give nn.Parameter(array), not "
            f"{type(weight).__name__}"
        )
    with no_grad():
        rows = np.reshape(indices, -1)
        vectors = ops.embedding(rows, weight)  # raises for an index out of range
        norms = vector_norm(vectors, axis=1, keepdims=True, ord=norm_type)
        # A row that is looked up several times is written several times, each time with the same values.
        weight[rows] = vectors * np.where(norms > max_norm, max_norm / (norms + 1e-7), 1.0).astype(weight.dtype)


def embedding(
    input: ArrayLike,
    weight: Tensor | Array,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` that `input` names, after shortening those that are too long. See `tn.embedding`.

    Args:
        input: integers of any shape, from 0 to n - 1.
        weight: (n, d).
        padding_idx: a row whose gradient is 0.
        max_norm: rows that are looked up with a larger norm are first scaled to this norm, in place.
        norm_type: which norm: the p of a p-norm.
        scale_grad_by_freq: divide the gradient of a row by how often `input` names it.
        sparse: for PyTorch's sake. Gradients of large tables are kept by rows in any case.

    Raises:
        IndexError: an index out of range.
        TypeError: `max_norm` with vectors that are no tensor.
    """
    if max_norm is not None:
        padding_row(padding_idx, len(weight))
        _shorten("embedding", input, weight, max_norm, norm_type)
    out: Tensor = ops.embedding(input, weight, padding_idx, scale_grad_by_freq)
    return out


def embedding_bag(
    input: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows that each bag names, after shortening those that are too long. See
    `tn.embedding_bag`.

    Args:
        input: (bags, length), or a vector of all bags one after the other.
        weight: (n, d).
        offsets: for a vector, where each bag begins in it.
        max_norm, norm_type, sparse: as of `embedding`.
        scale_grad_by_freq: divide the gradient of a row by how often `input` names it (not for "max").
        mode: "sum", "mean" or "max".
        per_sample_weights: shaped like the input: a factor for each row (mode "sum" only).
        include_last_offset: the last offset is the end of the last bag, not the beginning of one.
        padding_idx: an index that counts as not there.

    Raises:
        IndexError: an index out of range.
        TypeError: `max_norm` with vectors that are no tensor.
        ValueError: arguments that do not fit each other.
    """
    options = offsets, per_sample_weights, mode, padding_idx, include_last_offset, scale_grad_by_freq
    if max_norm is not None:
        with no_grad():
            ops.embedding_bag(input, weight, *options)  # raises before vectors are changed
        _shorten("embedding_bag", input, weight, max_norm, norm_type)
    out: Tensor = ops.embedding_bag(input, weight, *options)
    return out
