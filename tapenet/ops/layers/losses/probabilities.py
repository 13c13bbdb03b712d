"""Losses of probabilities: of each element by itself, and of distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.layers.activations.logistic import sigmoid, softplus
from tapenet.ops.layers.losses.reduction import (
    REDUCTION,
    cast_to,
    check_shapes,
    element_share,
    mean_of,
    pair_samples,
    reduce_loss,
)
from tapenet.ops.op import op
from tapenet.ops.registry import sample


def _weighted(loss: Any, weight: Any, input: Any) -> Any:
    """The elements of a loss times weights that broadcast against the input. Plain NumPy."""
    return loss if weight is None else loss * cast_to(weight, input.dtype)


def _broadcasts(name: str, weight: Any, input: Any) -> None:
    if weight is None:
        return
    try:
        fits = np.broadcast_shapes(weight.shape, input.shape) == input.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} of shape {weight.shape} does not broadcast to the input's {input.shape}")


def _binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    if reduction == "none":
        return _of_logits(input, target, weight, pos_weight, reduction)
    loss = _of_logits(input, target, weight, pos_weight, reduction, np.multiply)
    return loss if loss == loss else _of_logits(input, target, weight, pos_weight, reduction)


def _of_logits(input: Any, target: Any, weight: Any, pos_weight: Any, reduction: str, product: Any = safe_mul) -> Any:
    """With the plain product, which takes less time, nan where a score is infinite and the target certain of it."""
    check_shapes(input, target, reduction)
    _broadcasts("weight", weight, input)
    _broadcasts("pos_weight", pos_weight, input)
    target = cast_to(target, input.dtype)
    loss = np.log1p(np.exp(-np.abs(input)))
    # What is left of softplus(input) - input * target, as one product: two infinite terms have no difference.
    with np.errstate(invalid="ignore"):
        if pos_weight is None:
            loss += product(input, (input > 0) - target)
        else:
            positive = cast_to(pos_weight, input.dtype) * target
            loss *= 1 - target + positive
            loss += product(np.maximum(input, 0), 1 - target)
            loss += product(np.maximum(-input, 0), positive)
    return reduce_loss(_weighted(loss, weight, input), reduction)


def _of_logits_lowered(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    return _of_logits(input, target, weight, pos_weight, reduction)


def _logits_input(g: Any, input: Any, target: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    target = cast_to(target, input.dtype)
    if pos_weight is None:
        slope = sigmoid(input) - target
    else:
        slope = 1 - target - ((cast_to(pos_weight, input.dtype) - 1) * target + 1) * sigmoid(-input)
    return _weighted(slope, weight, input) * (g * element_share(input, reduction))


def _logits_target(g: Any, input: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    slope = -input
    if pos_weight is not None:
        slope = slope + (cast_to(pos_weight, input.dtype) - 1) * softplus(-input)
    return _weighted(slope, weight, input) * (g * element_share(input, reduction))


_WEIGHT = """weight: factors that broadcast against the input, or None. Has no gradient; the mean is over all
            elements whatever their weights."""

binary_cross_entropy_with_logits = op(
    _binary_cross_entropy_with_logits,
    name="binary_cross_entropy_with_logits",
    label="binary cross-entropy of logits",
    lower=_of_logits_lowered,
    nondiff=("weight", "pos_weight"),
    input=_logits_input,
    target=_logits_target,
    formula="−mean(target · ln p + (1 − target) · ln(1 − p)), p = σ(input)",
    gradients="input: g · (σ(input) − target)/N; target: −g · input/N",
    doc=f"""With p = sigmoid(input): -(target · ln p + (1 - target) · ln(1 - p)), without overflow.

    The gradient by the input is p - target.

    Args:
        input: scores (logits).
        target: probabilities, of the same shape.
        {_WEIGHT}
        pos_weight: factors of the first term, that broadcast against the input, or None. Has no gradient.
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy_with_logits(tn.tensor([0.0, 1000.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3)), np.array([[2], [3]]), np.array([2, 1, 3]), "sum"),
        sample(r.normal(size=3), r.uniform(size=3), np.array([2, 1, 3]), reduction="none"),
    ],
)


def _logarithms(p: Any) -> tuple[Any, Any]:
    """ln p and ln(1 - p), at least -100. Plain NumPy."""
    return np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)


def _binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    check_shapes(input, target, reduction)
    _broadcasts("weight", weight, input)
    if np.min(input, initial=0) < 0 or np.max(input, initial=0) > 1:
        raise ValueError(
            f"input runs from {np.min(input):.3g} to {np.max(input):.3g}, but probabilities lie in [0, 1]: apply "
            "sigmoid first, or better use binary_cross_entropy_with_logits"
        )
    return _bce_of(input, target, weight, reduction)


def _bce_of(input: Any, target: Any, weight: Any, reduction: str) -> Any:
    """The same without looking at the input."""
    target = cast_to(target, input.dtype)
    with np.errstate(divide="ignore"):  # ln 0
        yes, no = _logarithms(input)
    return reduce_loss(_weighted((target - 1) * no - target * yes, weight, input), reduction)


def _bce_lowered(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    check_shapes(input, target, reduction)
    _broadcasts("weight", weight, input)
    return _bce_of(input, target, weight, reduction)


def _bce_input(g: Any, input: Any, target: Any, weight: Any, reduction: str) -> Any:
    slope = (input - cast_to(target, input.dtype)) / np.maximum((1 - input) * input, 1e-12)
    return _weighted(slope, weight, input) * (g * element_share(input, reduction))


def _bce_target(g: Any, input: Any, weight: Any, reduction: str) -> Any:
    yes, no = _logarithms(input)
    return _weighted(no - yes, weight, input) * (g * element_share(input, reduction))


binary_cross_entropy = op(
    _binary_cross_entropy,
    name="binary_cross_entropy",
    label="binary cross-entropy",
    lower=_bce_lowered,
    nondiff=("weight",),
    input=_bce_input,
    target=_bce_target,
    formula="−mean(target · ln p + (1 − target) · ln(1 − p)), p = input",
    gradients="input: g · (p − target)/(N p (1 − p)), p = input; target: g · (ln(1 − input) − ln input)/N",
    doc=f"""-(target · ln input + (1 - target) · ln(1 - input)), the logarithms taken as at least -100.

    The gradient by the input is (input - target) / (input (1 - input)), the divisor taken as at least 1e-12. From
    scores rather than probabilities `binary_cross_entropy_with_logits` is more accurate.

    Args:
        input: probabilities.
        target: probabilities, of the same shape.
        {_WEIGHT}
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy(tn.tensor([0.5, 1.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """,
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.uniform(0.1, 0.9, (2, 3)), r.uniform(size=(2, 3)), np.array([2, 1, 3])),
    ],
)


def _kl_share(input: Any, reduction: str) -> float:
    if reduction == "batchmean":
        return 1 / ((input.shape[0] if input.ndim else 1) or 1)
    return element_share(input, reduction)


def _kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    batch = reduction == "batchmean"
    check_shapes(input, target, "sum" if batch else reduction)
    target = cast_to(target, input.dtype)
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        loss = target * (np.log(np.where(target == 0, 1, target)) - input)
    if batch:
        return mean_of(np.add.reduce(loss, axis=None), input.shape[0] if input.ndim else 1)
    return reduce_loss(loss, reduction)


def _kl_input(g: Any, input: Any, target: Any, reduction: str, log_target: bool) -> Any:
    target = cast_to(target, input.dtype)
    return safe_mul(g * -_kl_share(input, reduction), np.exp(target) if log_target else target)


def _kl_target(g: Any, input: Any, target: Any, reduction: str, log_target: bool) -> Any:
    target = cast_to(target, input.dtype)
    if log_target:
        slope = safe_mul(np.exp(target), target - input + 1)
    else:
        slope = np.log(np.where(target == 0, 1, target)) - input + 1
    return safe_mul(g * _kl_share(input, reduction), slope)


kl_div = op(
    _kl_div,
    name="kl_div",
    label="kl divergence",
    input=_kl_input,
    target=_kl_target,
    formula="mean(target · (ln target − input))",
    gradients="input: −g · target/N; target: g · (ln target − input + 1)/N",
    doc="""The Kullback-Leibler divergence of the target from the prediction, target · (ln target - input).

    Args:
        input: log-probabilities.
        target: probabilities of the same shape, or with `log_target` their logarithms.
        reduction: "batchmean" (the sum divided by the length of the first axis, which is the divergence itself), "mean"
            over all elements, "sum", or "none" for the terms.
        log_target: the target holds logarithms.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    Where a target is 0 its term is 0, and the gradient by it is taken as 1 - input.

    >>> import numpy as np, tapenet as tn
    >>> tn.kl_div(tn.log_softmax(tn.tensor([[0.0, 0.0]])), np.array([[1.0, 0.0]]), "batchmean")
    Tensor(0.69314718)
    """,
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), "batchmean", True),
        sample(r.normal(size=(2, 3)), r.uniform(0.1, 0.9, size=(2, 3)), reduction="batchmean"),
    ],
)

# -- focal -------------------------------------------------------------------------------------------------------


def _focal_parts(input: Any, target: Any, alpha: float, gamma: float) -> tuple[Any, Any, Any, Any]:
    """The cross entropy; how wrong the prediction is, q = 1 - p of what is right; q^gamma; and the factor by which the
    two classes are weighed. Plain NumPy."""
    entropy = safe_mul(softplus(input), 1 - target) + safe_mul(softplus(-input), target)
    wrong = np.abs(target * sigmoid(-input) + (1 - target) * sigmoid(input))  # of a target in [0, 1] not below 0
    balance = target * (2 * alpha - 1) + (1 - alpha) if alpha >= 0 else 1.0
    return entropy, wrong, wrong**gamma, balance


def _sigmoid_focal_loss(
    input: Any, target: Any, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Any:
    check_shapes(input, target, reduction)
    with np.errstate(invalid="ignore"):
        entropy, _, factor, balance = _focal_parts(input, cast_to(target, input.dtype), alpha, gamma)
    return reduce_loss(entropy * factor * balance, reduction)


def _focal_input(g: Any, input: Any, target: Any, alpha: float, gamma: float, reduction: str) -> Any:
    target = cast_to(target, input.dtype)
    entropy, wrong, factor, balance = _focal_parts(input, target, alpha, gamma)
    p = sigmoid(input)
    slope = factor * (p - target)
    if gamma:
        slope = slope + safe_mul(entropy * (1 - 2 * target) * (p * (1 - p)), wrong ** (gamma - 1)) * gamma
    return safe_mul(g * element_share(input, reduction), slope * balance)


def _focal_target(g: Any, input: Any, target: Any, alpha: float, gamma: float, reduction: str) -> Any:
    target = cast_to(target, input.dtype)
    entropy, wrong, factor, balance = _focal_parts(input, target, alpha, gamma)
    slope = -input * factor
    if gamma:
        slope = slope + safe_mul(entropy * (sigmoid(-input) - sigmoid(input)), wrong ** (gamma - 1)) * gamma
    slope = slope * balance
    if alpha >= 0:
        slope = slope + entropy * factor * (2 * alpha - 1)
    return safe_mul(g * element_share(input, reduction), slope)


sigmoid_focal_loss = op(
    _sigmoid_focal_loss,
    name="sigmoid_focal_loss",
    label="sigmoid focal loss",
    input=_focal_input,
    target=_focal_target,
    formula="−αₜ · qᵞ · ln(1 − q), q = 1 − p where target = 1, else p, p = σ(input)",
    gradients="input: ± g · αₜ · qᵞ · (q − γ (1 − q) · ln(1 − q)); target: g · ∂out/∂target",
    doc=f"""The binary cross entropy of scores, weighted down where the prediction is good already:
    alpha_t (1 - p_t)^gamma · -ln p_t, p_t being the probability given to what is right.

    Lin, Goyal, Girshick, He and Dollár, arXiv:1708.02002; the arguments are torchvision's.

    Args:
        input: scores (logits).
        target: 0 or 1, or probabilities, of the same shape.
        alpha: the weight alpha_t of targets 1, that of targets 0 being 1 - alpha; a negative number: no weights.
        gamma: how much good predictions are weighted down; 0: not at all.
        {REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.sigmoid_focal_loss(tn.tensor([0.0, 1000.0]), np.array([1.0, 1.0]))
    Tensor([0.0433217, 0.       ])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=3), r.uniform(size=3), -1, 0.0, "sum"),
        sample(r.normal(size=3), r.uniform(size=3), 0.6, 1.5, "mean"),
    ],
)
