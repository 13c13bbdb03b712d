"""Negative log-likelihoods of numbers under a distribution that the prediction gives."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.elementwise.steps import stop_gradient
from tapenet.ops.layers.losses.reduction import cast_to, check_shapes, difference, pair_samples, reduce_loss
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.program.symbols import refuse
from tapenet.typing import Array

# -- of the normal distribution ----------------------------------------------------------------------------------


def _variance(var: Array | float, input: Array, eps: float) -> Array:
    """The variance, at least eps, so that it broadcasts against the input. Its gradient is as if it were never less, so that a
    variance that is too small is drawn up, as in PyTorch."""
    if isinstance(var, (int, float)):
        return np.maximum(input.dtype.type(var), eps)  # type: ignore[no-any-return]
    if len(var.shape) < len(input.shape):
        var = np.expand_dims(var, -1)
    var = cast_to(var, input.dtype)
    raised: Array = var + stop_gradient(np.maximum(var, eps) - var)
    return raised


def _check_gaussian(input: Array, target: Array, var: Array | float, reduction: str) -> None:
    check_shapes(input, target, reduction)
    shape = getattr(var, "shape", ())
    fits = len(shape) == input.ndim and all(a in (1, b) for a, b in zip(shape, input.shape, strict=True))
    if hasattr(var, "shape") and shape not in (input.shape, input.shape[:-1]) and not fits:
        raise ValueError(
            f"var has shape {shape}; it must have that of the input, {input.shape}, with any axis of length 1, or "
            f"without the last axis, or be a number"
        )
    text = "var holds {low}, but a variance is not negative: give its exponential or softplus"
    refuse(np.any(var < 0), ValueError, text, var)


@op(
    label="gaussian nll loss",
    check=_check_gaussian,
    formula="mean((ln v + (input − target)²/v)/2), v = max(var, eps)",
    gradients="input: g · (input − target)/(v N); target: −g · (input − target)/(v N); "
    "var: g · (1/v − (input − target)²/v²)/(2 N)",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, (2, 3)), True),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, 2), reduction="sum"),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, (1, 3)), eps=0.1, reduction="none"),
        sample(r.normal(size=3), r.normal(size=3), 0.7),
    ],
)
def gaussian_nll_loss(
    input: Array, target: Array, var: Array | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    """The negative log-likelihood of a target under a normal distribution whose mean and variance are predicted:
    (ln v + (input - target)² / v) / 2 with v = max(var, eps).

    The gradient by var is (1 / v - (input - target)² / v²) / 2, also where var is below eps. Nix and Weigend (1994).

    Args:
        input: the mean.
        target: of the same shape.
        var: the variance: of the same shape, or with axes of length 1, or without the last axis, or a number.
        full: add the constant ln(2π) / 2.
        eps: the smallest variance.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes do not fit, a variance is negative, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.gaussian_nll_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]), np.array([1.0, 1.0]))
    Tensor(1.)
    """
    v = _variance(var, input, eps)
    d = difference(input, target)
    loss = (d * d / v + np.log(v)) * 0.5
    return reduce_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


# -- of the Poisson distribution ---------------------------------------------------------------------------------


def _stirling(target: Array) -> Array:
    """ln(target!) by Stirling's formula where target > 1, else 0."""
    above = np.where(target > 1, target, 1)
    return np.where(target > 1, above * np.log(above) - above + 0.5 * np.log(2 * math.pi * above), 0)


@op(
    label="poisson nll loss",
    check=check_shapes,
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.normal(size=(2, 2)), r.uniform(1.2, 4, (2, 2)), full=True),
        sample(r.uniform(0.5, 2, 3), r.uniform(0, 0.9, 3), False, True, 0.1, "sum"),
    ],
)
def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """The negative log-likelihood of counts under Poisson distributions whose rates are predicted, but for the
    constant ln(target!): e^input - target · input for logarithms of rates, input - target · ln(input + eps) for rates.

    Args:
        input: the prediction.
        target: of the same shape.
        log_input: the input holds logarithms of rates.
        full: add Stirling's formula for ln(target!) where target > 1: t ln t - t + ln(2πt) / 2.
        eps: added to a rate before its logarithm is taken.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.poisson_nll_loss(tn.tensor([0.0, 1.0]), np.array([1.0, 0.0])).numpy().round(4)
    np.float64(1.8591)
    """
    target = cast_to(target, input.dtype)
    loss = np.exp(input) - target * input if log_input else input - safe_mul(target, np.log(input + eps))
    return reduce_loss(loss + _stirling(target) if full else loss, reduction)
