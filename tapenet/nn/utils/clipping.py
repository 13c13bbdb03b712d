"""Limits on gradients under PyTorch's names; `tn.optim.clip_grad_norm` and `tn.optim.clip_grad_value` with its arguments.

PyTorch's do not raise for gradients that are not finite unless they are asked to, so that a scaler may skip the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.parameters import clipping
from tapenet.parameters.named import Parameters


def _several(params: Parameters) -> Parameters:
    return [params] if isinstance(params, Tensor) else params


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor, so that the norm of them all together is at most `max_norm`; see
    `tn.optim.clip_grad_norm`.

    Args:
        parameters: a tensor, tensors, or a module.
        max_norm: the limit.
        norm_type: p of the p-norm; may be infinite.
        error_if_nonfinite: raise where a gradient is nan or infinite; else it makes all gradients 0 or nan.
        foreach: changes nothing.

    Returns:
        the norm before scaling, a tensor.

    >>> import tapenet as tn
    >>> w = tn.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> tn.nn.utils.clip_grad_norm_([w], 1.0)
    Tensor(5.)
    """
    return asarray(clipping.clip_grad_norm(_several(parameters), max_norm, float(norm_type), error_if_nonfinite))


def clip_grad_value_(parameters: Parameters, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value]; see `tn.optim.clip_grad_value`."""
    clipping.clip_grad_value(_several(parameters), clip_value)


def get_total_norm(
    tensors: Iterable[object] | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of tensors together, such as of gradients.

    Raises:
        FloatingPointError: it is not finite, and `error_if_nonfinite` is true.

    >>> import tapenet as tn
    >>> tn.nn.utils.get_total_norm([tn.tensor([3.0]), tn.tensor([4.0])])
    Tensor(5.)
    """
    found = [asarray(t) for t in _several(tensors)]
    if capturing() is not None and found:
        return asarray(clipping.recorded_norm(found, float(norm_type)))
    total = clipping.total_norm([t._data for t in found], float(norm_type)) if found else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise FloatingPointError(f"get_total_norm: the norm is {total}")
    return asarray(total)


def clip_grads_with_norm_(
    parameters: Parameters, max_norm: float, total_norm: float | Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients as `clip_grad_norm_` does, by a norm that is known already."""
    found = clipping.with_gradient(_several(parameters), "clip_grads_with_norm_")
    clipping.scale_all(found, np.minimum(max_norm / (total_norm + 1e-6), 1.0))
