"""Negative log-likelihoods of numbers under a distribution that the prediction gives."""

from __future__ import annotations

import math
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
    pair_samples,
    reduce_loss,
)
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast

# -- of the normal distribution ----------------------------------------------------------------------------------


def _variance(var: Any, input: Any, eps: float) -> Any:
    """The variance, at least eps, so that it broadcasts against the input. Plain NumPy."""
    if not hasattr(var, "shape"):
        return max(var, eps)
    if len(var.shape) < len(input.shape):
        var = np.expand_dims(var, -1)
    return np.maximum(cast_to(var, input.dtype), eps)


def _variance_fits(input: Any, var: Any) -> None:
    shape = getattr(var, "shape", ())
    if not hasattr(var, "shape") or shape in (input.shape, input.shape[:-1]):
        return
    if len(shape) != input.ndim or any(a not in (1, b) for a, b in zip(shape, input.shape, strict=True)):
        raise ValueError(
            f"var has shape {shape}; it must have that of the input, {input.shape}, with any axis of length 1, or "
            f"without the last axis, or be a number"
        )


def _gaussian_nll(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """The same without looking at the variance."""
    check_shapes(input, target, reduction)
    _variance_fits(input, var)
    v = _variance(var, input, eps)
    d = difference(input, target)
    loss = (d * d / v + (np.log(v) if hasattr(v, "shape") else math.log(v))) * 0.5
    return reduce_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    lowest = np.min(var, initial=0)
    if lowest < 0:
        raise ValueError(f"var holds {lowest:.3g}, but a variance is not negative: give its exponential or softplus")
    return _gaussian_nll(input, target, var, full, eps, reduction)


def _gaussian_input(g: Any, input: Any, target: Any, var: Any, eps: float, reduction: str) -> Any:
    return difference(input, target) * (g * element_share(input, reduction)) / _variance(var, input, eps)


def _gaussian_var(g: Any, input: Any, target: Any, var: Any, var_shape: Any, eps: float, reduction: str) -> Any:
    inverse = 1 / _variance(var, input, eps)
    d = difference(input, target)
    slope = inverse * (1 - d * d * inverse) * (g * (0.5 * element_share(input, reduction)))
    shape = var_shape if len(var_shape) == len(input.shape) else (*var_shape, 1)
    return np.reshape(unbroadcast(slope, shape), var_shape)


gaussian_nll_loss = op(
    _gaussian_nll_loss,
    name="gaussian_nll_loss",
    label="gaussian nll loss",
    lower=_gaussian_nll,
    input=_gaussian_input,
    target=lambda g, input, target, var, eps, reduction: -_gaussian_input(g, input, target, var, eps, reduction),
    var=_gaussian_var,
    formula="mean((ln v + (input − target)²/v)/2), v = max(var, eps)",
    gradients="input: g · (input − target)/(v N); target: −g · (input − target)/(v N); "
    "var: g · (1/v − (input − target)²/v²)/(2 N)",
    doc="""The negative log-likelihood of a target under a normal distribution whose mean and variance are predicted:
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
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, (2, 3)), True),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, 2), reduction="sum"),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.uniform(0.5, 2, (1, 3)), eps=0.1, reduction="none"),
        sample(r.normal(size=3), r.normal(size=3), 0.7),
    ],
)

# -- of the Poisson distribution ---------------------------------------------------------------------------------


def _stirling(target: Any) -> Any:
    """ln(target!) by Stirling's formula where target > 1, else 0. Plain NumPy."""
    above = np.where(target > 1, target, 1)
    return np.where(target > 1, above * np.log(above) - above + 0.5 * np.log(2 * math.pi * above), 0)


def _stirling_slope(target: Any) -> Any:
    above = np.where(target > 1, target, 1)
    return np.where(target > 1, np.log(above) + 0.5 / above, 0)


def _poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Any:
    check_shapes(input, target, reduction)
    target = cast_to(target, input.dtype)
    loss = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    return reduce_loss(loss + _stirling(target) if full else loss, reduction)


def _poisson_input(g: Any, input: Any, target: Any, log_input: bool, eps: float, reduction: str) -> Any:
    target = cast_to(target, input.dtype)
    slope = np.exp(input) - target if log_input else 1 - target / (input + eps)
    return safe_mul(g * element_share(input, reduction), slope)


def _poisson_target(g: Any, input: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: str) -> Any:
    slope = -(input if log_input else np.log(input + eps))
    if full:
        slope = slope + _stirling_slope(target)
    return safe_mul(g * element_share(input, reduction), slope)


poisson_nll_loss = op(
    _poisson_nll_loss,
    name="poisson_nll_loss",
    label="poisson nll loss",
    input=_poisson_input,
    target=_poisson_target,
    formula="mean(e^input − target · input)",
    gradients="input: g · (e^input − target)/N; target: −g · input/N",
    doc=f"""The negative log-likelihood of counts under Poisson distributions whose rates are predicted, but for the
    constant ln(target!): e^input - target · input for logarithms of rates, input - target · ln(input + eps) for rates.

    Args:
        {PAIR}
        log_input: the input holds logarithms of rates.
        full: add Stirling's formula for ln(target!) where target > 1: t ln t - t + ln(2πt) / 2.
        eps: added to a rate before its logarithm is taken.
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.poisson_nll_loss(tn.tensor([0.0, 1.0]), np.array([1.0, 0.0])).numpy().round(4)
    np.float64(1.8591)
    """,
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.normal(size=(2, 2)), r.uniform(1.2, 4, (2, 2)), full=True),
        sample(r.uniform(0.5, 2, 3), r.uniform(0, 0.9, 3), False, True, 0.1, "sum"),
    ],
)
