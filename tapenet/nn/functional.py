"""What layers compute, as functions: `import tapenet.nn.functional as F`.

Nearly all are the ops of the same name in `tn`, under the place where PyTorch keeps them. Axes are called `axis`, as
everywhere outside of layer constructors.
"""

from __future__ import annotations

import math
from typing import Any

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    affine_grid,
    alpha_dropout,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cross_entropy,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    elu,
    embedding,
    feature_alpha_dropout,
    fold,
    fractional_max_pool2d,
    fractional_max_pool3d,
    gelu,
    grid_sample,
    hardtanh,
    huber_loss,
    interpolate,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    linear,
    log_softmax,
    logsigmoid,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    mish,
    mse_loss,
    nll_loss,
    one_hot,
    pixel_shuffle,
    pixel_unshuffle,
    relu,
    relu6,
    sigmoid,
    silu,
    smooth_l1_loss,
    softmax,
    softplus,
    softsign,
    tanh,
    tanhshrink,
    unfold,
)
from tapenet.ops.layers.padding import pad

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "gelu",
    "grid_sample",
    "hardtanh",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "tanhshrink",
    "unfold",
]


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
    for running, batch, factor in ((running_mean, mean, 1.0), (running_var, var, count / (count - 1))):
        if running is None:
            continue
        if not isinstance(running, Tensor):
            raise TypeError(
                f"batch_norm: running statistics are tensors, which are updated in place; give nn.Buffer(array), not "
                f"{type(running).__name__}"
            )
        # Ops on tensors without gradient, written through `.data`: a captured step updates them at each replay.
        running.data = (1 - momentum) * running + (momentum * factor) * batch
    return out
