"""Losses of several inputs, and those with layers of their own, beside PyTorch's. (Losses of a prediction and a target are
in the table of test_layers_against_torch.py.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tests.nn.oracle import arrays, randomise, same_gradients, same_state

torch = pytest.importorskip("torch")
R = np.random.default_rng(0)


def _scores(*shape: int) -> Any:
    return R.normal(size=shape)


def _signs(*shape: int) -> Any:
    return np.where(R.uniform(size=shape) < 0.5, 1, -1)


WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])
CLASSES = np.array([0, 3, 1, 3, 2])
LABELS = np.array([[1, 3, -1, 0], [2, -1, 0, 0], [-1, 0, 1, 2], [0, 1, 2, 3], [3, 0, -1, 2]])
#: With a distance of its own, for either library.
_MANHATTAN = lambda a, b: abs(a - b).sum(-1)
LOGS = np.log(R.dirichlet(np.ones(4), size=(6, 3)))

#: How to make the layer, given the module and a function that makes its tensors; what it is called with.
LOSSES: dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]] = {
    "GaussianNLLLoss": (lambda m, t: m.GaussianNLLLoss(), (_scores(3, 4), _scores(3, 4), R.uniform(0.5, 2, (3, 4)))),
    "GaussianNLLLoss all": (
        lambda m, t: m.GaussianNLLLoss(full=True, eps=0.8, reduction="sum"),
        (_scores(3, 4), _scores(3, 4), R.uniform(0.5, 2, (3, 1)))),
    "GaussianNLLLoss rows": (
        lambda m, t: m.GaussianNLLLoss(reduction="none"), (_scores(3, 4), _scores(3, 4), R.uniform(0.5, 2, 3))),
    "PoissonNLLLoss": (lambda m, t: m.PoissonNLLLoss(), (_scores(3, 4), R.uniform(0, 4, (3, 4)))),
    "PoissonNLLLoss all": (
        lambda m, t: m.PoissonNLLLoss(log_input=False, full=True, eps=1e-3, reduction="sum"),
        (R.uniform(0.1, 2, (3, 4)), R.uniform(0.5, 4, (3, 4)))),
    "CosineSimilarity": (lambda m, t: m.CosineSimilarity(), (_scores(3, 4, 2), _scores(3, 4, 2))),
    "CosineSimilarity all": (lambda m, t: m.CosineSimilarity(dim=-1, eps=1e-3), (_scores(3, 1, 4), _scores(5, 4))),
    "PairwiseDistance": (lambda m, t: m.PairwiseDistance(), (_scores(3, 4), _scores(3, 4))),
    "PairwiseDistance all": (
        lambda m, t: m.PairwiseDistance(p=1.0, eps=0.1, keepdim=True), (_scores(3, 4), _scores(4))),
    "CosineEmbeddingLoss": (lambda m, t: m.CosineEmbeddingLoss(), (_scores(5, 4), _scores(5, 4), _signs(5))),
    "CosineEmbeddingLoss all": (
        lambda m, t: m.CosineEmbeddingLoss(margin=-0.3, reduction="none"), (_scores(5, 4), _scores(5, 4), _signs(5))),
    "HingeEmbeddingLoss": (lambda m, t: m.HingeEmbeddingLoss(), (_scores(3, 4), _signs(3, 4))),
    "HingeEmbeddingLoss all": (
        lambda m, t: m.HingeEmbeddingLoss(margin=0.3, reduction="sum"), (_scores(3, 4), _signs(3, 4))),
    "MarginRankingLoss": (lambda m, t: m.MarginRankingLoss(), (_scores(6), _scores(6), _signs(6))),
    "MarginRankingLoss all": (
        lambda m, t: m.MarginRankingLoss(margin=0.5, reduction="none"), (_scores(6), _scores(6), _signs(6))),
    "SoftMarginLoss": (lambda m, t: m.SoftMarginLoss(), (_scores(3, 4), _signs(3, 4).astype(float))),
    "SoftMarginLoss none": (
        lambda m, t: m.SoftMarginLoss(reduction="none"), (_scores(3, 4), _signs(3, 4).astype(float))),
    "MultiMarginLoss": (lambda m, t: m.MultiMarginLoss(), (_scores(5, 4), CLASSES)),
    "MultiMarginLoss all": (
        lambda m, t: m.MultiMarginLoss(p=2, margin=0.6, weight=t(WEIGHT), reduction="none"), (_scores(5, 4), CLASSES)),
    "MultiMarginLoss sum": (lambda m, t: m.MultiMarginLoss(reduction="sum"), (_scores(4), np.array(2))),
    "MultiLabelMarginLoss": (lambda m, t: m.MultiLabelMarginLoss(), (_scores(5, 4), LABELS)),
    "MultiLabelMarginLoss none": (lambda m, t: m.MultiLabelMarginLoss(reduction="none"), (_scores(5, 4), LABELS)),
    "MultiLabelMarginLoss sum": (lambda m, t: m.MultiLabelMarginLoss(reduction="sum"), (_scores(4), LABELS[0])),
    "MultiLabelSoftMarginLoss": (lambda m, t: m.MultiLabelSoftMarginLoss(), (_scores(5, 4), R.uniform(size=(5, 4)))),
    "MultiLabelSoftMarginLoss all": (
        lambda m, t: m.MultiLabelSoftMarginLoss(weight=t(WEIGHT), reduction="none"),
        (_scores(5, 4), R.uniform(size=(5, 4)))),
    "MultiLabelSoftMarginLoss sum": (
        lambda m, t: m.MultiLabelSoftMarginLoss(reduction="sum"), (_scores(5, 4), R.uniform(size=(5, 4)))),
    "TripletMarginLoss": (lambda m, t: m.TripletMarginLoss(), tuple(_scores(3, 5, 4))),
    "TripletMarginLoss all": (
        lambda m, t: m.TripletMarginLoss(margin=0.4, p=1.0, eps=0.01, swap=True, reduction="none"),
        tuple(_scores(3, 5, 4))),
    "TripletMarginWithDistanceLoss": (lambda m, t: m.TripletMarginWithDistanceLoss(), tuple(_scores(3, 5, 4))),
    "TripletMarginWithDistanceLoss all": (
        lambda m, t: m.TripletMarginWithDistanceLoss(
            distance_function=_MANHATTAN, margin=0.4, swap=True, reduction="sum"),
        tuple(_scores(3, 5, 4))),
}  # fmt: skip
#: Those with another test.
LAYERS: dict[str, Any] = {"CTCLoss": None, "LinearCrossEntropyLoss": None, "AdaptiveLogSoftmaxWithLoss": None}


def _alike(mine: Any, theirs: Any, call: tuple[Any, ...]) -> None:
    """Value and gradients by all floats."""
    ours = [tn.tensor(a, requires_grad=a.dtype.kind == "f") for a in call]
    others = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in call]
    if type(theirs).__name__ in ("SoftMarginLoss",):  # no derivative by the target, which PyTorch wants as floats
        ours[1].requires_grad_(False)
        others[1].requires_grad_(False)
    out, expected = mine(*ours), theirs(*others)
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    for a, b in zip(ours, others, strict=True):
        if b.grad is not None:
            np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name: str) -> None:
    make, call = LOSSES[name]
    _alike(make(nn, tn.tensor), make(torch.nn, torch.tensor), call)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays(name: str) -> None:
    make, call = LOSSES[name]
    narrow = [tn.tensor(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in call]
    narrow[0].requires_grad_()
    out = make(nn, lambda a: tn.tensor(a.astype(np.float32)))(*narrow)
    assert out.dtype == np.float32
    out.backward(np.ones(out.shape, np.float32))
    assert narrow[0].grad.dtype == np.float32


@pytest.mark.parametrize(
    "settings", [{}, {"blank": 2, "reduction": "sum"}, {"reduction": "none", "zero_infinity": True}]
)
def test_ctc_loss(settings: Any) -> None:
    targets = (
        np.array([[1, 3, 3], [0, 1, 3], [3, 1, 0]])
        if settings.get("blank")
        else np.array([[1, 3, 3], [2, 1, 3], [3, 1, 2]])
    )
    lengths = np.array([6, 5, 2]), np.array([3, 2, 1])
    scores = R.normal(size=LOGS.shape)
    x, tx = tn.tensor(scores, requires_grad=True), torch.tensor(scores, requires_grad=True)
    out = nn.CTCLoss(**settings)(tn.log_softmax(x), targets, *lengths)
    expected = torch.nn.CTCLoss(**settings)(tx.log_softmax(-1), *map(torch.tensor, (targets, *lengths)))
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-10)
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_ctc_loss_takes_lists() -> None:
    found = nn.CTCLoss()(LOGS.tolist(), [[1], [3], [2]], [6, 6, 6], [1, 1, 1])
    np.testing.assert_allclose(found, tn.ctc_loss(LOGS, np.array([1, 3, 2]), np.array([6] * 3), np.array([1] * 3)))


def _both(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    mine.load_state_dict(arrays(theirs))
    same_state(mine, theirs)
    randomise(mine)
    theirs.load_state_dict({n: torch.tensor(v) for n, v in mine.state_dict().items()})
    return mine, theirs


@pytest.mark.parametrize(
    ("make", "shape", "target"),
    [
        (lambda m: m.LinearCrossEntropyLoss(3, 4), (5, 3), CLASSES),
        (lambda m: m.LinearCrossEntropyLoss(3, 4, bias=True, label_smoothing=0.1, reduction="sum"), (3,), np.array(2)),
        (lambda m: m.LinearCrossEntropyLoss(3, 4, bias=True, ignore_index=3, reduction="none"), (5, 3), CLASSES),
        (lambda m: m.LinearCrossEntropyLoss(3, 4, out_features=(2,), bias=True), (5, 3), R.integers(0, 4, (5, 2))),
    ],
    ids=["plain", "vector", "ignored", "more axes"],
)
def test_linear_cross_entropy_loss(make: Any, shape: Any, target: Any) -> None:
    mine, theirs = _both(make)
    _alike(mine, theirs, (R.normal(size=shape), target))
    same_gradients(mine, theirs)


@pytest.mark.parametrize("head_bias", [False, True])
@pytest.mark.parametrize("target", [[0, 11, 4, 2, 19, 3], [0, 1, 2, 3, 0, 1], [19, 19, 18, 18, 19, 19]])
def test_adaptive_log_softmax(head_bias: bool, target: Any) -> None:
    mine, theirs = _both(lambda m: m.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, head_bias))
    x, classes = R.normal(size=(6, 8)), np.array(target)
    ours, others = tn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    found, expected = mine(ours, classes), theirs(others, torch.tensor(classes))
    np.testing.assert_allclose(found.output.data, expected.output.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(found.loss.data, expected.loss.detach().numpy(), rtol=1e-10)
    found.loss.backward()
    expected.loss.backward()
    np.testing.assert_allclose(ours.grad.data, others.grad.numpy(), rtol=1e-9, atol=1e-12)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        expected_gradient = np.zeros(q.shape) if q.grad is None else q.grad.numpy()
        np.testing.assert_allclose(0 if p.grad is None else p.grad.data, expected_gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mine.log_prob(x).data, theirs.log_prob(torch.tensor(x)).detach().numpy(), rtol=1e-10)
    np.testing.assert_array_equal(mine.predict(x), theirs.predict(torch.tensor(x)).numpy())
    one, other = mine(x[0], classes[0]), theirs(torch.tensor(x[0]), torch.tensor(classes[0]))
    assert one.output.shape == one.loss.shape == tuple(other.output.shape) == ()
    np.testing.assert_allclose(one.loss.data, other.loss.detach().numpy(), rtol=1e-10)


def test_a_compiled_adaptive_softmax_follows_its_targets() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, dtype=np.float64, rng=0)

    @tn.compile
    def step(x: Any, target: Any) -> Any:
        loss = layer(x, target).loss
        layer.zero_grad()
        loss.backward()
        return loss, layer.tail[0][0].weight.grad

    x = R.normal(size=(4, 8))
    for target in ([0, 1, 2, 3], [5, 19, 0, 12], [4, 9, 10, 19]):
        loss, gradient = step(x, np.array(target))
        layer.zero_grad()
        expected = layer(x, np.array(target)).loss
        expected.backward()
        np.testing.assert_allclose(loss.data, expected.data, rtol=1e-10)
        other = layer.tail[0][0].weight.grad
        np.testing.assert_allclose(gradient.data, 0 if other is None else other.data, rtol=1e-9, atol=1e-14)


def test_settings_that_are_not_the_usual_show() -> None:
    assert repr(nn.TripletMarginLoss(p=1.0)).startswith("TripletMarginLoss(p=1.0)")
    assert repr(nn.CTCLoss()).startswith("CTCLoss()")
    assert "cutoffs=[2]" in repr(nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2]))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [3, 2]),
            ValueError,
            "must be integers that ascend between 1 and 4",
        ),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, []), ValueError, "one at least"),
        (
            lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2])(np.zeros((2, 4)), np.array([0, 5])),
            IndexError,
            "classes from 0 to 5, but they are from 0 to 4",
        ),
        (
            lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2])(np.zeros((2, 4)), np.array([[0, 1]])),
            ValueError,
            r"input \(2, 4\) and target \(1, 2\)",
        ),
    ],
)
def test_errors_say_what_to_do(call: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
