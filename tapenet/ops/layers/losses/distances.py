"""Losses by the distance of a prediction from a target of the same shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.layers.losses.reduction import (
    PAIR,
    REDUCTION,
    cast_to,
    check_shapes,
    difference,
    element_share,
    inner_product,
    pair_samples,
    reduce_loss,
)
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample


def _check(input: Any, target: Any, weight: Any, reduction: str) -> None:
    check_shapes(input, target, reduction)
    if weight is not None and weight.shape != input.shape:
        raise ValueError(f"weight has shape {weight.shape}; it must have that of the input, {input.shape}")


def _share(input: Any, weight: Any, reduction: str) -> Any:
    """What each element of the loss counts in its result: its part of all weights for the mean."""
    if weight is None:
        return element_share(input, reduction)
    weight = cast_to(weight, input.dtype)
    return weight / _sum(weight) if reduction == "mean" else weight


def _shared(values: Any, share: Any, reduction: str) -> Any:
    """The elements of a loss, of which each counts its share in the result. Plain NumPy."""
    return reduce_loss(values * share, "none" if reduction == "none" else "sum")


def _shared_g(g: Any, input: Any, weight: Any, reduction: str, factor: float = 1) -> Any:
    """The gradient that each element of the loss gets, times a factor. Weights may sum to 0."""
    share = factor * _share(input, weight, reduction)
    return g * share if weight is None else safe_mul(g, share)


_WEIGHT = """weight: how much each element counts, an array of the shape of the input, or None; the mean is that by
            weights. Has no gradient."""


def _weighted_samples(r: np.random.Generator) -> list[Any]:
    """Samples of calls with and without weights."""
    return [*pair_samples()(r), sample(r.normal(size=3), r.normal(size=3), weight=r.uniform(0.5, 2, 3))]


def _mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    _check(input, target, weight, reduction)
    d = difference(input, target)
    if weight is not None:
        return _shared(d * d, _share(input, weight, reduction), reduction)
    return inner_product(d, d, reduction)


def _mse_input(g: Any, input: Any, target: Any, weight: Any, reduction: str) -> Any:
    return _shared_g(g, input, weight, reduction, 2) * difference(input, target)


mse_loss = op(
    _mse_loss,
    name="mse_loss",
    label="mse loss",
    input=_mse_input,
    target=lambda g, input, target, weight, reduction: -_mse_input(g, input, target, weight, reduction),
    nondiff=("weight",),
    formula="mean((input − target)²)",
    gradients="input: g · 2 (input − target)/N; target: −g · 2 (input − target)/N",
    doc=f"""The squared error (input - target)².

    The gradient by the input is 2 (input - target), divided by the number of elements for the mean.

    Args:
        {PAIR}
        {_WEIGHT}
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.mse_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(2.)
    """,
    samples=_weighted_samples,
)


def _l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    _check(input, target, weight, reduction)
    distance = np.abs(difference(input, target))
    if weight is not None:
        return _shared(distance, _share(input, weight, reduction), reduction)
    return reduce_loss(distance, reduction)


def _l1_input(g: Any, input: Any, target: Any, weight: Any, reduction: str) -> Any:
    return _shared_g(g, input, weight, reduction) * np.sign(difference(input, target))


l1_loss = op(
    _l1_loss,
    name="l1_loss",
    label="l1 loss",
    input=_l1_input,
    target=lambda g, input, target, weight, reduction: -_l1_input(g, input, target, weight, reduction),
    nondiff=("weight",),
    formula="mean(abs(input − target))",
    gradients="input: g · sign(input − target)/N; target: −g · sign(input − target)/N",
    doc=f"""The absolute error |input - target|.

    The gradient by the input is the sign of input - target (0 where they are equal), divided by the number of elements
    for the mean.

    Args:
        {PAIR}
        {_WEIGHT}
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.l1_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(1.)
    """,
    samples=_weighted_samples,
)


def _positive(value: float, name: str) -> None:
    if not value > 0:
        raise ValueError(f"{name}={value} must be positive")


def _limited(d: Any, delta: float) -> Any:
    return np.minimum(np.maximum(d, -delta), delta)


def _huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    _check(input, target, weight, reduction)
    _positive(delta, "delta")
    d = difference(input, target)
    c = _limited(d, delta)  # c (d - c / 2) is d²/2 inside, delta (|d| - delta / 2) outside
    half = d - c * 0.5
    return inner_product(c, half if weight is None else half * cast_to(weight, input.dtype), reduction)


def _huber_input(g: Any, input: Any, target: Any, weight: Any, reduction: str, delta: float) -> Any:
    g = g * element_share(input, reduction)
    if weight is not None:
        g = g * cast_to(weight, input.dtype)
    return g * _limited(difference(input, target), delta)


huber_loss = op(
    _huber_loss,
    name="huber_loss",
    label="huber loss",
    input=_huber_input,
    target=lambda g, input, target, weight, reduction, delta: -_huber_input(g, input, target, weight, reduction, delta),
    nondiff=("weight",),
    formula="mean(d²/2 if abs(d) ≤ δ, else δ (abs(d) − δ/2)), d = input − target",
    gradients="input: g · d/N, d limited to [−δ, δ]; target: −g · d/N, d limited to [−δ, δ]",
    doc=f"""With d = input - target: d²/2 where |d| <= delta, else delta (|d| - delta/2). Huber (1964).

    The gradient by the input is d limited to [-delta, delta], divided by the number of elements for the mean.

    Args:
        {PAIR}
        delta: where the square passes into a line.
        weight: how much each element counts, an array of the shape of the input, or None; the mean stays that over the
            number of elements, as PyTorch's. Has no gradient.
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.huber_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(0.75)
    """,
    samples=lambda r: [
        *pair_samples()(r),
        sample(r.normal(size=5), r.normal(size=5), "sum", 0.4),
        sample(r.normal(size=3), r.normal(size=3), "mean", 0.4, weight=r.uniform(0.5, 2, 3)),
    ],
)


def _smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    if beta == 0:
        return _l1_loss(input, target, reduction)
    _positive(beta, "beta")
    return _huber_loss(input, target, reduction, beta) / beta


def _smooth_l1_input(g: Any, input: Any, target: Any, reduction: str, beta: float) -> Any:
    if beta == 0:
        return _l1_input(g, input, target, None, reduction)
    return _huber_input(g * (1 / beta), input, target, None, reduction, beta)


smooth_l1_loss = op(
    _smooth_l1_loss,
    name="smooth_l1_loss",
    label="smooth l1 loss",
    input=_smooth_l1_input,
    target=lambda g, input, target, reduction, beta: -_smooth_l1_input(g, input, target, reduction, beta),
    formula="mean(d²/(2β) if abs(d) ≤ β, else abs(d) − β/2), d = input − target",
    gradients="input: g · d/(β N), d limited to [−β, β]; target: −g · d/(β N), d limited to [−β, β]",
    doc=f"""With d = input - target: d² / (2 beta) where |d| <= beta, else |d| - beta/2; huber_loss divided by beta.

    Args:
        {PAIR}
        beta: where the square passes into a line; 0 makes it l1_loss.
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.smooth_l1_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(0.75)
    """,
    samples=lambda r: [
        *pair_samples()(r),
        sample(r.normal(size=5), r.normal(size=5), "sum", 0.4),
        sample(r.normal(size=5), r.normal(size=5), beta=0),
    ],
)
