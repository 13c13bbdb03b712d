"""What layers compute, as functions: `import tapenet.nn.functional as F`.

Nearly all are the ops of the same name in `tn`, under the place where PyTorch keeps them. Axes are called `axis`, as
everywhere outside of layer constructors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import (
    avg_pool2d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    conv2d,
    cross_entropy,
    dropout,
    elu,
    gelu,
    hardtanh,
    huber_loss,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    linear,
    log_softmax,
    logsigmoid,
    max_pool2d,
    mish,
    mse_loss,
    nll_loss,
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
)
from tapenet.ops.op import Scatter, op, sample

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "hardtanh",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
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


def _integers(name: str, values: Any) -> Any:
    found = np.asarray(values)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} takes integers, not {found.dtype}: convert them, for instance with .astype(np.int64)")
    return found


def _embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
    rows = _integers("the embedding", indices)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(weight)):
        raise IndexError(
            f"the indices run from {rows.min()} to {rows.max()}, but the embedding has {len(weight)} vectors: 0 to "
            f"{len(weight) - 1}"
        )
    return weight.take(rows, axis=0)


def _embedding_weight(g: Any, indices: Any, padding_idx: int | None) -> Any:
    if padding_idx is not None:
        g = np.where(np.expand_dims(np.not_equal(indices, padding_idx), -1), g, 0)
    return Scatter(indices, g)


embedding = op(
    _embedding,
    name="embedding",
    nondiff=("indices",),
    weight=_embedding_weight,
    doc="""The rows of `weight` that `indices` name.

    Args:
        indices: integers of any shape (...), from 0 to n - 1.
        weight: (n, d).
        padding_idx: a row whose gradient is 0.

    Returns:
        (..., d). The gradient of a row is the sum over all its uses; it is added in place, so that few uses of a large
        table are cheap.

    Raises:
        IndexError: an index out of range; negative ones do not count from the end.
        TypeError: indices that are no integers.

    >>> import tapenet as tn
    >>> from tapenet.nn import functional as F
    >>> F.embedding([2, 0], tn.tensor([[1.0], [2.0], [3.0]]))
    Tensor([[3.],
            [1.]])
    """,
    samples=lambda r: [
        sample(np.array([[0, 2], [2, 1]]), r.normal(size=(3, 4))),
        sample(np.array([0, 2, 2]), r.normal(size=(3, 2)), 1),
        sample([1, 0], r.normal(size=(3, 2))),
    ],
)


def _one_hot(indices: Any, num_classes: int = -1, dtype: Any = np.float32) -> Any:
    classes = _integers("one_hot", indices)
    if num_classes == -1:
        num_classes = int(classes.max()) + 1 if classes.size else 0
    if classes.size and not (classes.min() >= 0 and classes.max() < num_classes):
        raise ValueError(f"the classes run from {classes.min()} to {classes.max()}, not from 0 to {num_classes - 1}")
    return np.eye(num_classes, dtype=dtype)[classes]


one_hot = op(
    _one_hot,
    name="one_hot",
    nondiff=("indices",),
    doc="""A vector for each class index: 1 at its position, 0 elsewhere.

    Args:
        indices: integers of any shape (...), from 0 to num_classes - 1.
        num_classes: length of the vectors; by default the largest index plus one.
        dtype: of the result, by default float32, so that it can be a target for a float32 prediction.

    Returns:
        (..., num_classes).

    Raises:
        ValueError: an index out of range.
        TypeError: indices that are no integers.

    >>> from tapenet.nn import functional as F
    >>> F.one_hot([1, 0], 3)
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """,
    samples=lambda r: [sample(np.array([[0, 2], [2, 1]])), sample(np.array([1, 0]), 4, dtype=np.float64)],
)
