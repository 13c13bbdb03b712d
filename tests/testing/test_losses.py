"""The check of losses finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.nn import functional as F
from tapenet.testing import check_loss

R = np.random.default_rng(0)
X, Y = R.normal(size=(5, 3)), R.normal(size=(5, 3))
P = R.uniform(0.1, 0.9, (5, 3))
LOGS = np.log(R.dirichlet(np.ones(3), 5))
CLASSES = np.array([0, 2, 1, 2, 0])
BITS = np.round(P)
SIGNS = np.array([1, -1, 1, 1, -1])
LABELS = np.array([[0, -1, 0], [1, 2, -1], [0, 1, 2], [2, -1, 0], [0, 1, -1]])
OWN: dict[str, tuple[Any, ...]] = {
    "MSELoss": (nn.MSELoss, X, Y),
    "MSELoss()": (nn.MSELoss(), X, Y),
    "mse_loss": (F.mse_loss, X, Y),
    "L1Loss": (nn.L1Loss, X, Y),
    "HuberLoss": (nn.HuberLoss, X, Y),
    "SmoothL1Loss": (nn.SmoothL1Loss, X, Y),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, X, CLASSES),
    "NLLLoss": (nn.NLLLoss, LOGS, CLASSES),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, X, BITS),
    "BCELoss": (nn.BCELoss, P, BITS, {"large": None}),
    "KLDivLoss": (nn.KLDivLoss, LOGS, np.exp(LOGS[::-1])),
    "PoissonNLLLoss": (nn.PoissonNLLLoss, X, np.round(4 * P)),
    "GaussianNLLLoss": (nn.GaussianNLLLoss, X, Y, P),
    "SoftMarginLoss": (nn.SoftMarginLoss, X, np.sign(Y)),
    "MultiMarginLoss": (nn.MultiMarginLoss, X, CLASSES),
    "MultiLabelSoftMarginLoss": (nn.MultiLabelSoftMarginLoss, X, BITS),
    "MultiLabelMarginLoss": (nn.MultiLabelMarginLoss, X, LABELS),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, X, np.sign(Y)),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss, X, Y, SIGNS),
    "MarginRankingLoss": (nn.MarginRankingLoss, X[:, 0], Y[:, 0], SIGNS),
    "TripletMarginLoss": (nn.TripletMarginLoss, X, Y, P),
}
#: Those that the default run tries.
SAMPLED = ("MSELoss()", "CrossEntropyLoss")
#: Of another first axis, or with layers and several outputs of their own.
OTHERS = {"CTCLoss", "AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss", "TripletMarginWithDistanceLoss"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in SAMPLED else pytest.mark.slow) for n in OWN])
def test_own_losses_pass(name: str) -> None:
    loss, *inputs = OWN[name]
    options = inputs.pop() if isinstance(inputs[-1], dict) else {}
    check_loss(loss, *inputs, **options)


def test_all_own_losses_are_tried() -> None:
    assert {n for n in dir(nn) if n.endswith("Loss")} - OTHERS == {n for n in OWN if n.endswith("Loss")}


# -- wrong ones --------------------------------------------------------------------------------------------------


def charbonnier(output: Any, target: Any, reduction: str = "mean") -> Any:
    """A right one, from which the wrong ones differ."""
    each = np.sqrt((output - target) ** 2 + 1e-6)
    if reduction == "none":
        return each
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r}: it is 'mean', 'sum' or 'none'")
    return each.mean() if reduction == "mean" else each.sum()


class Charbonnier(nn.Module):
    """The same as a layer."""

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, output: Any, target: Any) -> Any:
        return charbonnier(output, target, self.reduction)


@pytest.mark.parametrize("loss", [charbonnier, Charbonnier, Charbonnier()])
def test_right_ones_pass(loss: Any) -> None:
    check_loss(loss, X, Y)


def unknown_is_mean(output: Any, target: Any, reduction: str = "mean") -> Any:
    each = (output - target) ** 2
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


def halved(output: Any, target: Any, reduction: str = "mean") -> Any:
    return charbonnier(output, target, reduction) * (0.5 if reduction == "mean" else 1)


def summed(output: Any, target: Any, reduction: str = "mean") -> Any:
    return charbonnier(output, target, reduction) / (len(output) if reduction == "sum" else 1)


def never_none(output: Any, target: Any, reduction: str = "mean") -> Any:
    return charbonnier(output, target, "mean" if reduction == "none" else reduction)


def never_one(output: Any, target: Any, reduction: str = "mean") -> Any:
    return (
        charbonnier(output, target, reduction)
        if reduction != "sum"
        else charbonnier(output, target, "none").sum(axis=1)
    )


def writes(output: Any, target: Any) -> Any:
    target = target.numpy()
    target[target < 0] = 0
    return ((output - target) ** 2).mean()


_twice = tn.op(lambda x: x * x, name="twice", x=lambda g, x: g * x)
_calls = itertools.count()


def cross_entropy_of_int64(output: Any, target: Any) -> Any:
    if target.dtype != np.int64:
        raise TypeError("a target is int64")
    return F.cross_entropy(output, target)


def naive_sigmoid(output: Any, target: Any) -> Any:
    p = np.exp(output) / (1 + np.exp(output))
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()


def wide(output: Any, target: Any) -> Any:
    return ((output - target) ** 2 * np.linspace(0.5, 1.5, output.size).reshape(output.shape)).mean()


def branching(output: Any, target: Any) -> Any:
    worst = abs(output - target).max().item()
    return ((output - target) ** 2).mean() if worst < 1 else abs(output - target).mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda o, t: (o - t) ** 2,
            r"check_loss\(<lambda>\): it returns the shape \(5, 3\), and is to return one number",
        ),
        (lambda o, t: ((o - t) ** 2).mean().item(), r"it returns a float, and is to return a tensor"),
        (lambda o, t: None, r"it returns None, and is to return a tensor"),
        (lambda o, t: tn.tensor(((o.data - t.data) ** 2).mean()), r"no gradient reaches the output: .data"),
        (lambda o, t: np.log(o - t).mean(), r"it is nan on these inputs"),
        (lambda o, t: ((o - t) ** 2).mean() * (1 + 0.01 * (next(_calls) % 7)), r"two calls on the same inputs differ"),
        (writes, r"it writes into what it is given"),
        (
            lambda o, t: _twice(o - t).mean(),
            r"gradient by the output is wrong: along .* \(0.5 times\), by finite differences",
        ),
        (lambda o, t: ((o - t) * (o - t).detach()).mean(), r"gradient by the output is wrong: .* \(0.5 times\)"),
        (wide, r"outputs of float32 give a loss of float64: does it make arrays of float64\?"),
        (
            lambda o, t: ((o - t) ** 2).sum(),
            r"a batch with each sample twice has the loss .*, 2 times as much, .* the mean",
        ),
        (naive_sigmoid, r"outputs of up to .* in float32 give the loss nan: subtract the largest before exp"),
        (lambda o, t: (1 / (1 + np.exp(-o) ** 2)).mean(), r"float32 give a gradient with nan"),
        (unknown_is_mean, r"reduction='average' gives .*: a reduction that there is not is to be an error"),
        (halved, r"reduction='mean' gives 0.\d+, and the mean of what reduction='none' gives is"),
        (summed, r"reduction='sum' gives .*, and what reduction='none' gives adds up to"),
        (
            never_none,
            r"reduction='none' returns the shape \(\), and is to return one loss or more for each of 5 samples",
        ),
        (never_one, r"reduction='sum' returns the shape \(5,\), and is to return one number"),
        (branching, r"it cannot be compiled with backend='\w+': CaptureError"),
    ],
)
def test_wrong_losses_are_named(loss: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_loss(loss, X, BITS if loss is naive_sigmoid else Y)


def test_a_kink_is_called_one() -> None:
    with pytest.raises(AssertionError, match=r"it has a kink at these outputs: check it on others"):
        check_loss(lambda output, target: tn.relu(output - target).mean(), X, X)


def test_integer_targets_of_any_dtype() -> None:
    with pytest.raises(
        AssertionError, match=r"a target of int32 fails, which one of int64 does not: TypeError: a target is int64"
    ):
        check_loss(cross_entropy_of_int64, X, CLASSES)
