"""Batch normalisation by the statistics of the batch on all ranks."""

from __future__ import annotations

import math
from typing import TypeVar

from tapenet import ops
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.batch_normalization import _BatchNorm
from tapenet.nn.inplace_functions import _move, batch_norm
from tapenet.nn.module import Module
from tapenet.parallel.collectives import allgather
from tapenet.parallel.ranks import world
from tapenet.program.low import WIDE, is_low

M = TypeVar("M", bound=Module)


def synchronize_batch_norm(model: M) -> M:
    """Let the layers of a model that normalise batches (`nn.BatchNorm1d` and others) use in training the mean and the variance
    of the batch on all ranks, as one process does that has all of it. Without that each rank normalises by its own part, and
    the running statistics are its own too.

    Args:
        model: it is changed.

    Returns:
        `model`.

    >>> import tapenet as tn
    >>> net = tn.parallel.synchronize_batch_norm(tn.nn.Sequential(tn.nn.Linear(2, 3), tn.nn.BatchNorm1d(3)))
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.normalize = batch_norm_of_all
    return model


def batch_norm_of_all(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    training: bool, momentum: float | Tensor, eps: float,
) -> Tensor:  # fmt: skip
    """`nn.functional.batch_norm` of the batch on all ranks. The mean of parts with counts n, means m and variances v is
    M = Σ n·m / Σ n, and the variance Σ n·(v + (m − M)²) / Σ n."""
    if not training or world().size == 1:
        return batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    dtype = x.dtype
    x = x.astype(WIDE) if is_low(dtype) else x  # the counts of large batches are no numbers of float16
    axes = (0, *range(2, x.ndim))
    kept = (1, -1, *(1,) * (x.ndim - 2))
    channels = x.shape[1]
    count = math.prod(x.shape[i] for i in axes)
    own = ops.mean(x, axis=axes)
    spread = ops.mean(ops.square(x - own.reshape(kept)), axis=axes)
    # A rank that got no sample of a batch has one that counts nothing.
    counted = ops.host(lambda: float(count if world().weight else 0), x.dtype)
    every = allgather(ops.stack([ops.broadcast_to(counted, (channels,)), own, spread]).reshape(1, 3, channels))
    counts, means, variances = every[:, 0], every[:, 1], every[:, 2]
    total = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / total
    var = (counts * (variances + ops.square(means - mean))).sum(axis=0) / total
    out: Tensor = (x - mean.reshape(kept)) / ops.sqrt(var + eps).reshape(kept)
    if weight is not None:
        out = out * weight.reshape(kept)
    if bias is not None:
        out = out + bias.reshape(kept)
    with no_grad():
        _move(running_mean, mean.astype(dtype), momentum, 1.0)
        _move(running_var, (var * total / ops.maximum(total - 1, 1)).astype(dtype), momentum, 1.0)
    return out.astype(dtype)
