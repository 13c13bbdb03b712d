"""Losses of probabilities: of each element by itself, and of distributions."""

from __future__ import annotations

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.layers.activations.logistic import sigmoid, softplus
from tapenet.ops.layers.losses.reduction import cast_to, check_shapes, mean_of, pair_samples, reduce_loss, shared
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample
from tapenet.program.symbols import Symbol, refuse
from tapenet.typing import Array


def _weighted(loss: Array, weight: Array | None, input: Array) -> Array:
    """The elements of a loss times weights that broadcast against the input."""
    return loss if weight is None else loss * cast_to(weight, input.dtype)


def _broadcasts(name: str, weight: Array | None, input: Array) -> None:
    if weight is None:
        return
    try:
        fits = np.broadcast_shapes(weight.shape, input.shape) == input.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} of shape {weight.shape} does not broadcast to the input's {input.shape}")


def _check_logits(input: Array, target: Array, weight: Array | None, pos_weight: Array | None, reduction: str) -> None:
    check_shapes(input, target, reduction)
    _broadcasts("weight", weight, input)
    _broadcasts("pos_weight", pos_weight, input)


def _logits_input(
    g: Array, input: Array, target: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> Array:
    """By hand, since the derived rule takes the formula's kinks apart: many steps for what is a sigmoid."""
    target, p = cast_to(target, input.dtype), sigmoid(input)
    if pos_weight is not None:
        positive = cast_to(pos_weight, input.dtype) * target
        slope = p * (1 - target + positive) - positive
    else:
        slope = p - target
    return _weighted(slope, weight, input) * shared(g, input.size, reduction)


@op(
    label="binary cross-entropy of logits",
    check=_check_logits,
    input=_logits_input,
    target=derive,
    nondiff=("weight", "pos_weight"),
    fuse=True,
    formula="−mean(target · ln p + (1 − target) · ln(1 − p)), p = σ(input)",
    gradients="target: −g · input/N",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3)), np.array([[2], [3]]), np.array([2, 1, 3]), "sum"),
        sample(r.normal(size=3), r.uniform(size=3), np.array([2, 1, 3]), reduction="none"),
    ],
)
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """With p = sigmoid(input): -(target · ln p + (1 - target) · ln(1 - p)), without overflow.

    The gradient by the input is p - target.

    Args:
        input: scores (logits).
        target: probabilities, of the same shape.
        weight: factors that broadcast against the input, or None. Has no gradient; the mean is over all
            elements whatever their weights.
        pos_weight: factors of the first term, that broadcast against the input, or None. Has no gradient.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy_with_logits(tn.tensor([0.0, 1000.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """
    target = cast_to(target, input.dtype)
    size = np.abs(input)
    loss = np.log1p(np.exp(-size))
    positive = target
    if pos_weight is not None:
        positive = cast_to(pos_weight, input.dtype) * target
        loss = loss * (1 - target + positive)
    # What is left of softplus(input) - input * target, as a product: two infinite terms have no difference.
    with np.errstate(invalid="ignore"):
        loss = loss + safe_mul(size, np.where(input > 0, 1 - target, positive))
    return reduce_loss(_weighted(loss, weight, input), reduction)


def _check_probabilities(input: Array, target: Array, weight: Array | None, reduction: str) -> None:
    check_shapes(input, target, reduction)
    _broadcasts("weight", weight, input)
    text = "input runs from {low} to {high}, but probabilities lie in [0, 1]: apply "
    text += "sigmoid first, or better use binary_cross_entropy_with_logits"
    # Extremes, which NumPy finds in 0.6 of the time of the comparisons, say enough where none is NaN.
    if isinstance(input, Symbol) or not (np.min(input, initial=0) >= 0 and np.max(input, initial=0) <= 1):
        refuse(np.any((input < 0) | (input > 1)), ValueError, text, input)


def _bce_input(g: Array, input: Array, target: Array, weight: Array | None, reduction: str) -> Array:
    """By hand, since the divisor is bounded and the logarithms are not, as in PyTorch."""
    slope = (input - cast_to(target, input.dtype)) / np.maximum((1 - input) * input, 1e-12)
    return _weighted(slope, weight, input) * shared(g, input.size, reduction)


@op(
    label="binary cross-entropy",
    check=_check_probabilities,
    input=_bce_input,
    target=derive,
    nondiff=("weight",),
    fuse=True,
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.uniform(0.1, 0.9, (2, 3)), r.uniform(size=(2, 3)), np.array([2, 1, 3])),
    ],
)
def binary_cross_entropy(input: Array, target: Array, weight: Array | None = None, reduction: str = "mean") -> Array:
    """-(target · ln input + (1 - target) · ln(1 - input)), the logarithms taken as at least -100.

    The gradient by the input is (input - target) / (input (1 - input)), the divisor taken as at least 1e-12. From
    scores rather than probabilities `binary_cross_entropy_with_logits` is more accurate.

    Args:
        input: probabilities.
        target: probabilities, of the same shape.
        weight: factors that broadcast against the input, or None. Has no gradient; the mean is over all
            elements whatever their weights.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy(tn.tensor([0.5, 1.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """
    target = cast_to(target, input.dtype)
    with np.errstate(divide="ignore"):  # ln 0
        yes, no = np.maximum(np.log(input), -100), np.maximum(np.log1p(-input), -100)
    return reduce_loss(_weighted((target - 1) * no - target * yes, weight, input), reduction)


def _check_divergence(input: Array, target: Array, reduction: str) -> None:
    check_shapes(input, target, "sum" if reduction == "batchmean" else reduction)


def _kl_target(g: Array, input: Array, target: Array, reduction: str, log_target: bool) -> Array:
    """By hand for what it is at 0: 1 - input, where the formula has no derivative."""
    target = cast_to(target, input.dtype)
    if log_target:
        slope = safe_mul(np.exp(target), target - input + 1)
    else:
        slope = np.log(np.where(target == 0, 1, target)) - input + 1
    count = {"mean": input.size, "batchmean": input.shape[0] if input.shape else 1}.get(reduction, 1)
    return safe_mul(g * (1 / (count or 1)), slope)


@op(
    label="kl divergence",
    check=_check_divergence,
    input=derive,
    target=_kl_target,
    fuse=True,
    gradients="target: g · (ln target − input + 1)/N",
    samples=lambda r: [
        *pair_samples(positive=True)(r),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), "batchmean", True),
        sample(r.normal(size=(2, 3)), r.uniform(0.1, 0.9, size=(2, 3)), reduction="batchmean"),
    ],
)
def kl_div(input: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    """The Kullback-Leibler divergence of the target from the prediction, target · (ln target - input).

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
    """
    target = cast_to(target, input.dtype)
    if log_target:
        loss = safe_mul(np.exp(target), target - input)
    else:
        loss = target * (np.log(np.where(target == 0, 1, target)) - input)
    if reduction == "batchmean":
        return mean_of(np.add.reduce(loss, axis=None), input.shape[0] if input.ndim else 1)
    return reduce_loss(loss, reduction)


def _focal_parts(input: Array, target: Array, alpha: float, gamma: float) -> tuple[Array, Array, Array, Array | float]:
    """The cross entropy; how wrong the prediction is, q = 1 - p of what is right; q^gamma; and the factor by which the
    two classes are weighed."""
    entropy = safe_mul(softplus(input), 1 - target) + safe_mul(softplus(-input), target)
    wrong = np.abs(target * sigmoid(-input) + (1 - target) * sigmoid(input))  # of a target in [0, 1] not below 0
    balance = target * (2 * alpha - 1) + (1 - alpha) if alpha >= 0 else 1.0
    return entropy, wrong, wrong**gamma, balance


def _focal_share(input: Array, reduction: str) -> float:
    return 1 / (input.size or 1) if reduction == "mean" else 1.0


# Both rules are by hand, since derived ones meet 0 · inf where the prediction is certain: q^(gamma - 1) has to be
# multiplied last. With a formula that avoids it forward and gradient of 10,000 elements take 1.3 times as long.


def _focal_input(g: Array, input: Array, target: Array, alpha: float, gamma: float, reduction: str) -> Array:
    target = cast_to(target, input.dtype)
    entropy, wrong, factor, balance = _focal_parts(input, target, alpha, gamma)
    p = sigmoid(input)
    slope: Array = factor * (p - target)
    if gamma:
        slope = slope + safe_mul(entropy * (1 - 2 * target) * (p * (1 - p)), wrong ** (gamma - 1)) * gamma
    slope = slope * balance
    return safe_mul(g * _focal_share(input, reduction), slope)


def _focal_target(g: Array, input: Array, target: Array, alpha: float, gamma: float, reduction: str) -> Array:
    target = cast_to(target, input.dtype)
    entropy, wrong, factor, balance = _focal_parts(input, target, alpha, gamma)
    slope = -input * factor
    if gamma:
        slope = slope + safe_mul(entropy * (sigmoid(-input) - sigmoid(input)), wrong ** (gamma - 1)) * gamma
    slope = slope * balance
    if alpha >= 0:
        slope = slope + entropy * factor * (2 * alpha - 1)
    return safe_mul(g * _focal_share(input, reduction), slope)


@op(
    label="sigmoid focal loss",
    check=check_shapes,
    input=_focal_input,
    target=_focal_target,
    fuse=True,
    formula="−αₜ · qᵞ · ln(1 − q), q = 1 − p where target = 1, else p, p = σ(input)",
    gradients="input: ± g · αₜ · qᵞ · (q − γ (1 − q) · ln(1 − q)); target: g · ∂out/∂target",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=3), r.uniform(size=3), -1, 0.0, "sum"),
        sample(r.normal(size=3), r.uniform(size=3), 0.6, 1.5, "mean"),
    ],
)
def sigmoid_focal_loss(
    input: Array, target: Array, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Array:
    """The binary cross entropy of scores, weighted down where the prediction is good already:
    alpha_t (1 - p_t)^gamma · -ln p_t, p_t being the probability given to what is right.

    Lin, Goyal, Girshick, He and Dollár, arXiv:1708.02002; the arguments are torchvision's.

    Args:
        input: scores (logits).
        target: 0 or 1, or probabilities, of the same shape.
        alpha: the weight alpha_t of targets 1, that of targets 0 being 1 - alpha; a negative number: no weights.
        gamma: how much good predictions are weighted down; 0: not at all.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.sigmoid_focal_loss(tn.tensor([0.0, 1000.0]), np.array([1.0, 1.0]))
    Tensor([0.0433217, 0.       ])
    """
    with np.errstate(invalid="ignore"):
        entropy, _, factor, balance = _focal_parts(input, cast_to(target, input.dtype), alpha, gamma)
    return reduce_loss(entropy * factor * balance, reduction)
