"""Limits on gradients, between backward and step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe import mutation
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.parameters.named import Parameters, named_parameters
from tapenet.program.low import widened
from tapenet.program.runs import dot
from tapenet.typing import Array


def clip_grad_norm(params: Parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = True) -> Any:
    """Scale all gradients by one factor, so that the norm of them all together is at most `max_norm`.

    The factor is min(1, max_norm / (norm + 1e-6)), as in PyTorch. Gradients are scaled in place; one that is
    itself part of a graph (`create_graph=True`) is replaced by its scaled self.

    Args:
        params: tensors, (name, tensor) pairs or a module; those without a gradient are skipped.
        max_norm: the limit.
        norm_type: p of the p-norm; may be `math.inf`, for the largest magnitude.
        error_if_nonfinite: False scales by the factor that comes of a norm that is not finite, 0 or nan.

    Returns:
        the norm before scaling, a float. While a step is being captured it is a tensor, and nothing is raised
        for gradients that are not finite, since a replay could not.

    Raises:
        FloatingPointError: a gradient is nan or infinite; names the parameter, and changes no gradient.
        ValueError: no parameters, or a limit or norm that is not positive.

    >>> import tapenet as tn
    >>> w = tn.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> tn.optim.clip_grad_norm([w], 1.0)
    5.0
    >>> w.grad * 10 // 1
    Tensor([5., 7.])
    """
    if not max_norm > 0 or not norm_type > 0:
        raise ValueError(f"clip_grad_norm: max_norm={max_norm} and norm_type={norm_type} must be above 0")
    found = with_gradient(params, "clip_grad_norm")
    if not found:
        return 0.0
    total: float | Array
    if capturing() is not None:
        with no_grad():
            total = recorded_norm([grad for _, _, grad in found], norm_type)
            factor = np.minimum(max_norm / (total + 1e-6), 1.0)
    else:
        total = total_norm([grad._data for _, _, grad in found], norm_type)
        if error_if_nonfinite and not math.isfinite(total):
            _refuse(found, "clip_grad_norm")
        factor = max_norm / (total + 1e-6)
        if factor >= 1:
            return total
    scale_all(found, factor)
    return total


def scale_all(found: Found, factor: Array | float) -> None:
    """Multiply gradients by one factor."""
    with np.errstate(invalid="ignore"):  # infinite times 0, where that is asked for
        for _, param, grad in found:
            scale_gradient(param, grad, factor, "clip_grad_norm")


def total_norm(arrays: list[Array], norm_type: float) -> float:
    """The p-norm of arrays together, also where their powers overflow."""
    total = _norm(arrays, norm_type)
    if math.isinf(total) and all(np.isfinite(g).all() for g in arrays):
        largest = max(float(np.max(np.abs(g), initial=0.0)) for g in arrays)
        total = largest * _norm((g.astype(float) / largest for g in arrays), norm_type)
    return total


def clip_grad_value(params: Parameters, value: float) -> None:
    """Limit every element of every gradient to [-value, value], in place as `clip_grad_norm` does.

    Args:
        params: tensors, (name, tensor) pairs or a module; those without a gradient are skipped.
        value: the limit.

    Raises:
        FloatingPointError: a gradient is nan or infinite; names the parameter, and changes no gradient.
        ValueError: no parameters, or a limit that is not positive.

    >>> import tapenet as tn
    >>> w = tn.tensor([0.25, -4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tn.optim.clip_grad_value([w], 1.0)
    >>> w.grad
    Tensor([ 0.5, -1. ])
    """
    if not value > 0:
        raise ValueError(f"clip_grad_value: value={value} must be above 0")
    found = with_gradient(params, "clip_grad_value")
    if capturing() is None:
        _refuse(found, "clip_grad_value")
    for _, param, grad in found:
        if _writable(grad):
            np.clip(grad._data, -value, value, out=grad._data)
            mutation.wrote(grad._data, "clip_grad_value")
        else:
            clipped: Any = np.clip(grad, -value, value)
            _set(param, clipped, "clip_grad_value")


def scale_gradient(param: Tensor, grad: Tensor, factor: Array | float, by: str) -> Tensor:
    """Multiply the gradient of a parameter, in place where it is a plain array; give what it is then."""
    if _writable(grad):
        grad._data *= factor
        mutation.wrote(grad._data, by)
        return grad
    scaled: Tensor = grad * factor
    _set(param, scaled, by)
    return scaled


def _set(param: Tensor, grad: Tensor, by: str) -> None:
    """Set a gradient anew. While a step is captured those who hold it see that, as if it were changed in place."""
    capture, leaf = capturing(), param._node
    if capture is not None and isinstance(leaf, Leaf):
        capture.sets_grad(leaf, adds=True)
        if capture.changes_grad(leaf, grad.astype(param.dtype), by):
            return
    param.grad = grad


#: Name of a parameter, the parameter, its gradient.
Found = list[tuple[str, Tensor, Tensor]]


def with_gradient(params: Parameters, who: str) -> Found:
    """Those of the parameters that have a gradient. A captured step reads the gradients."""
    named = named_parameters(params, who)
    capture = capturing()
    if capture is not None:
        for _, p in named:
            if type(p._node) is Leaf:
                capture.reads_grad(p._node)
    grads = [(name, p, p._held_grad()) for name, p in named]
    return [(name, p, grad) for name, p, grad in grads if grad is not None]


def _writable(grad: Tensor) -> bool:
    """Whether the gradient is a plain array, to be changed in place: in no graph, and not being captured."""
    return grad.node is None and grad._data.flags.writeable and capturing() is None


def _norm(grads: Iterable[Array], norm_type: float) -> float:
    if norm_type == math.inf:
        return float(np.max([np.max(np.abs(g), initial=0.0) for g in grads]))
    with np.errstate(over="ignore"):
        if norm_type == 2:
            return math.sqrt(sum(float(dot(flat, flat)) for flat in (widened(g).ravel(order="K") for g in grads)))
        return float(sum(float(np.sum(np.abs(widened(g)) ** norm_type)) for g in grads) ** (1 / norm_type))


def recorded_norm(grads: list[Tensor], norm_type: float) -> Any:
    """The p-norm of tensors together, as ops of a step that is being captured."""
    if norm_type == math.inf:
        return np.max(np.stack([np.max(np.abs(g), initial=0.0) for g in grads]))
    return sum(np.sum(np.abs(g) ** norm_type) for g in grads) ** (1 / norm_type)


def _refuse(found: Found, who: str) -> None:
    """Raise if a gradient is not finite."""
    bad = [(name, grad._data) for name, _, grad in found if not np.isfinite(grad._data).all()]
    if not bad:
        return
    name, g = bad[0]
    others = f" (and {len(bad) - 1} more parameters)" if len(bad) > 1 else ""
    raise FloatingPointError(
        f"{who}: the gradient of {name}{others} is not finite: {int(np.isnan(g).sum())} nan and "
        f"{int(np.isinf(g).sum())} infinite of {g.size} elements. No gradient was changed. Look for a "
        "division, log or sqrt of 0 in the loss, lower the learning rate, or skip this step"
    )
