"""Functions that also update, in place, tensors they are given: running statistics, and vectors that grew too long.

What they write they write through `.data` or under `no_grad`, with ops on tensors, so that a captured step does it again
at each replay.
"""

from __future__ import annotations

import math
from typing import Any

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.layers.normalization.group import instance_norm_statistics


def _move(name: str, running: Any, batch: Any, momentum: Any, factor: float) -> None:
    """Move a running statistic towards that of a batch, times a factor."""
    if running is None:
        return
    if not isinstance(running, Tensor):
        raise TypeError(
            f"{name}: running statistics are tensors, which are updated in place; give nn.Buffer(array), not "
            f"{type(running).__name__}"
        )
    running.data = (1 - momentum) * running + (momentum * factor) * batch


def batch_norm(
    x: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel, in training by the statistics of the batch, else by the running ones.

    See `tn.batch_norm_train` and `tn.batch_norm` for the two.

    Args:
        x: (n, channels, ...).
        running_mean, running_var: (channels,), or None. In training they are moved towards the statistics of the batch,
            in place: (1 - momentum) * running + momentum * batch, with the unbiased variance of the batch.
        weight, bias: (channels,), or None.
        training: which statistics to use.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        ValueError: no running statistics outside of training, or a single value per channel in training.
        TypeError: running statistics that are no tensors cannot be moved.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without running statistics give training=True, to use those of the batch")
        return ops.batch_norm(x, running_mean, running_var, weight, bias, eps)
    out, mean, var = ops.batch_norm_train(x, weight, bias, eps)
    count = math.prod(x.shape) // x.shape[1]
    _move("batch_norm", running_mean, mean, momentum, 1.0)
    _move("batch_norm", running_var, var, momentum, count / (count - 1))
    return out


def instance_norm(
    x: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each sample, by its own statistics or by running ones. See `tn.instance_norm`.

    Args:
        x: (n, channels, ...).
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
        return ops.batch_norm(x, running_mean, running_var, weight, bias, eps)
    out, mean, var = instance_norm_statistics(x, weight, bias, eps)
    count = math.prod(x.shape[2:])
    if running_mean is not None:
        _move("instance_norm", running_mean, mean.mean(0), momentum, 1.0)
    if running_var is not None:
        _move("instance_norm", running_var, var.mean(0), momentum, count / (count - 1))
    return out
