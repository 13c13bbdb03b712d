"""Normalisation without a mean: by a norm along an axis, and by the neighbouring channels."""

from __future__ import annotations

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.linalg.norms import vector_norm
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array, Axis


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), 3, 0, 1e-6),
        sample(r.normal(size=(2, 2, 2)) * 0.1, 2.0, (0, 2), 10.0),
    ]
)
def normalize(x: Array, p: float = 2.0, axis: Axis = 1, eps: float = 1e-12) -> Array:
    """x divided by its p-norm along an axis: x / max(‖x‖_p, eps).

    Args:
        x: an array of floats.
        p: which norm, see `tn.linalg.vector_norm`.
        axis: along which axis, or which axes together, the norm is taken.
        eps: the least divisor, so that zeros stay zeros.

    Returns:
        an array shaped like x. The gradient at a vector of zeros is g / eps, as in PyTorch.

    >>> import tapenet as tn
    >>> tn.normalize(tn.tensor([[3.0, 4.0], [0.0, 0.0]]))
    Tensor([[0.6, 0.8],
            [0. , 0. ]])
    """
    x = array_like(x)
    return x / np.maximum(vector_norm(x, axis=axis, keepdims=True, ord=p), eps)  # type: ignore[no-any-return]


# -- by the neighbours -------------------------------------------------------------------------------------------


def _windows(x: Array, before: int, after: int) -> Array:
    """The sum over each window of channels, from `before` below to `after` above; those outside count as 0."""
    channels = x.shape[1]
    padded = np.zeros_like(x, shape=(x.shape[0], before + channels + after, *x.shape[2:]))
    padded[:, before : before + channels] = x
    total = padded[:, :channels]
    for i in range(1, before + after + 1):
        total = total + padded[:, i : i + channels]
    return total


def _base(x: Array, size: int, alpha: float, k: float) -> Array:
    return _windows(x * x, size // 2, (size - 1) // 2) * (alpha / size) + k


def _response_x(g: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """By hand, since it keeps the memory order of x."""
    x = floats(x)
    base = _base(x, size, alpha, k)
    direct = g * base**-beta
    # A channel counts in the windows of others: those that see it from above are below it.
    through = _windows(direct * x / base, (size - 1) // 2, size // 2)
    return direct - x * through * (2 * alpha * beta / size)


def _check_response(x: Array, size: int) -> None:
    if len(x.shape) < 3:
        raise ValueError(f"x has shape {x.shape}; it must be (batch, channels, positions, ...)")
    if size < 1:
        raise ValueError(f"size={size} channels are no window: give 1 or more")


@op(
    check=_check_response,
    label="local response norm",
    x=_response_x,
    formula="x · b^(−β), b = k + α/size · Σ x² over neighbours",
    gradients="x: g · b^(−β) − 2αβ/size · x · Σ g · x · b^(−β−1) over neighbours",
    samples=lambda r: [
        sample(r.normal(size=(1, 4, 2)), 3, 0.5),
        sample(r.normal(size=(2, 3, 1, 2)), 2, 0.3, 0.5, 2.0),
    ],
)
def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """Each element divided by a power of the squares around it, over `size` neighbouring channels at the same
    position: out = x / (k + alpha / size · Σ x²)^beta. Krizhevsky, Sutskever and Hinton, NeurIPS 2012; there alpha is
    not divided by the size.

    Args:
        x: (batch, channels, positions, ...).
        size: number of channels in a window: size // 2 below the channel, itself, and (size - 1) // 2 above; those
            that do not exist count as 0.
        alpha, beta, k: the constants above.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: x has fewer than three axes, or size is below 1.

    >>> import tapenet as tn
    >>> tn.local_response_norm(tn.tensor([[[1.0], [2.0]]]), 1, alpha=1.0, beta=1.0)
    Tensor([[[0.5],
             [0.4]]])
    """
    x = floats(x)
    return x * _base(x, size, alpha, k) ** -beta
