"""Likelihoods, margins, vectors and alignments: PyTorch's values and gradients over the arguments, edges, errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)
T = torch.tensor
REDUCTIONS = ["mean", "sum", "none"]
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def _signs(*shape: int) -> Any:
    return np.where(R.uniform(size=shape) < 0.5, 1, -1)


# -- likelihoods -------------------------------------------------------------------------------------------------


@each_reduction
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("var", [(3, 4), (3, 1), (1, 4), (3,)])
def test_gaussian_nll_is_that_of_torch(var: Any, full: bool, reduction: str) -> None:
    options = {"full": full, "eps": 0.6, "reduction": reduction}  # some variances are below
    agrees_with_torch(
        lambda *a: tn.gaussian_nll_loss(*a, **options), lambda *a: F.gaussian_nll_loss(*a, **options),
        R.normal(size=(3, 4)), R.normal(size=(3, 4)), R.uniform(0.3, 2, var),
    )  # fmt: skip


def test_gaussian_nll_takes_a_number_for_the_variance() -> None:
    x, y = R.normal(size=(2, 5)).astype(np.float32)
    found = tn.gaussian_nll_loss(x, y, 0.5)
    assert found.dtype == np.float32
    close(found, tn.gaussian_nll_loss(x, y, np.full(5, 0.5, np.float32)))


@each_reduction
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("log_input", [False, True])
def test_poisson_nll_is_that_of_torch(log_input: bool, full: bool, reduction: str) -> None:
    options = {"log_input": log_input, "full": full, "reduction": reduction}
    agrees_with_torch(
        lambda *a: tn.poisson_nll_loss(*a, **options), lambda *a: F.poisson_nll_loss(*a, **options),
        R.uniform(0.2, 2, (3, 4)), R.uniform(0.2, 5, (3, 4)),
    )  # fmt: skip


def _torchvision_focal(x: Any, t: Any, alpha: float, gamma: float, reduction: str) -> Any:
    """The definition of torchvision.ops.sigmoid_focal_loss, as in its documentation."""
    p = torch.sigmoid(x)
    entropy = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = entropy * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda v: v}[reduction](loss)


@each_reduction
@pytest.mark.parametrize("alpha", [-1, 0.25, 0.8])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_that_of_torchvision(alpha: float, gamma: float, reduction: str) -> None:
    agrees_with_torch(
        lambda *a: tn.sigmoid_focal_loss(*a, alpha, gamma, reduction),
        lambda *a: _torchvision_focal(*a, alpha, gamma, reduction),
        2 * R.normal(size=(3, 4)), R.uniform(0.1, 0.9, (3, 4)),
    )  # fmt: skip
    x, t = 2 * R.normal(size=(3, 4)), np.float64(_signs(3, 4) > 0)
    ours, theirs = tn.tensor(x, requires_grad=True), T(x, requires_grad=True)
    tn.sigmoid_focal_loss(ours, t, alpha, gamma, "sum").backward()
    _torchvision_focal(theirs, T(t), alpha, gamma, "sum").backward()
    close(ours.grad.data, theirs.grad.numpy())


def test_focal_loss_of_large_scores_is_finite() -> None:
    x = tn.tensor(np.float32([-1e4, -100, 100, 1e4] * 2), requires_grad=True)
    loss = tn.sigmoid_focal_loss(x, np.float32([0] * 4 + [1] * 4), gamma=0.5)
    loss.backward(np.ones(8, np.float32))
    assert np.isfinite(loss.data).all()
    assert np.isfinite(x.grad.data).all()


# -- margins -----------------------------------------------------------------------------------------------------


@each_reduction
@pytest.mark.parametrize("shape", [(3, 4), (5,), ()])
def test_losses_of_signs_are_those_of_torch(shape: Any, reduction: str) -> None:
    target = _signs(*shape)
    for margin in (-0.5, 0.0, 1.0):
        options = {"margin": margin, "reduction": reduction}
        agrees_with_torch(
            lambda x: tn.hinge_embedding_loss(x, target, **options),  # noqa: B023
            lambda x: F.hinge_embedding_loss(x, T(target), **options),  # noqa: B023
            R.normal(size=shape),
        )
        agrees_with_torch(
            lambda *a: tn.margin_ranking_loss(*a, target, **options),  # noqa: B023
            lambda *a: F.margin_ranking_loss(*a, T(target), **options),  # noqa: B023
            R.normal(size=shape), R.normal(size=shape),
        )  # fmt: skip
    agrees_with_torch(
        lambda x: tn.soft_margin_loss(x, target, reduction),
        lambda x: F.soft_margin_loss(x, T(target).to(x.dtype), reduction=reduction),
        3 * R.normal(size=shape),
    )


def test_equal_scores_part() -> None:
    """As in PyTorch up to 2.14."""
    first, second = (tn.tensor(np.zeros(4), requires_grad=True) for _ in range(2))
    tn.margin_ranking_loss(first, second, np.array([1, 1, -1, -1])).backward()
    np.testing.assert_array_equal(first.grad.data, [-0.25, -0.25, 0.25, 0.25])
    np.testing.assert_array_equal(second.grad.data, [0.25, 0.25, -0.25, -0.25])


def test_soft_margin_loss_does_not_overflow() -> None:
    x = tn.tensor(np.float32([-1e3, 1e3]), requires_grad=True)
    loss = tn.soft_margin_loss(x, np.array([1, 1]), "none")
    np.testing.assert_array_equal(loss.data, [1e3, 0])
    loss.backward(np.ones(2, np.float32))
    np.testing.assert_array_equal(x.grad.data, [-1, 0])


@each_reduction
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2.0, 1.0, 0.0])])
def test_multi_margin_loss_is_that_of_torch(p: int, weight: Any, reduction: str) -> None:
    target = np.array([0, 3, 1, 1, 2])
    for x, t in ((R.normal(size=(5, 4)), target), (R.normal(size=4), target[1])):
        agrees_with_torch(
            lambda a: tn.multi_margin_loss(a, np.array(t), p, 0.7, weight, reduction),  # noqa: B023
            lambda a: F.multi_margin_loss(
                a, T(t), p, 0.7, None if weight is None else T(weight).to(a.dtype), reduction=reduction  # noqa: B023
            ),
            x,
        )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(-1, 4), min_size=5, max_size=5), min_size=1, max_size=4), st.sampled_from(REDUCTIONS)
)
def test_multilabel_margin_loss_is_that_of_torch(labels: Any, reduction: str) -> None:
    # After the first -1 nothing counts, and PyTorch counts a label twice that is there twice.
    target = np.array(labels)
    agrees_with_torch(
        lambda x: tn.multilabel_margin_loss(x, target, reduction),
        lambda x: F.multilabel_margin_loss(x, T(target), reduction=reduction),
        np.random.default_rng(1).normal(size=target.shape),
    )


@each_reduction
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2.0, 1.0])])
def test_multilabel_soft_margin_loss_is_that_of_torch(weight: Any, reduction: str) -> None:
    agrees_with_torch(
        lambda *a: tn.multilabel_soft_margin_loss(*a, weight, reduction),
        lambda *a: F.multilabel_soft_margin_loss(
            *a, None if weight is None else T(weight).to(a[0].dtype), reduction=reduction),
        R.normal(size=(4, 3)), R.uniform(size=(4, 3)),
    )  # fmt: skip


# -- vectors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "axis"),
    [((3, 4), (3, 4), 1), ((3, 4, 2), (3, 4, 2), -1), ((5, 1, 4), (3, 4), 2), ((4,), (3, 4), 1), ((6,), (6,), 0)],
)
def test_cosine_similarity_is_that_of_torch(a: Any, b: Any, axis: int) -> None:
    agrees_with_torch(
        lambda x, y: tn.cosine_similarity(x, y, axis), lambda x, y: F.cosine_similarity(x, y, axis),
        R.normal(size=a), R.normal(size=b),
    )  # fmt: skip


def test_cosine_similarity_of_nothing_is_finite() -> None:
    x = tn.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    found = tn.cosine_similarity(x, np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(found.data, 0)
    found.backward(np.ones(2, np.float32))
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_distances_are_those_of_torch(p: float) -> None:
    x, y = R.normal(size=(2, 4, 3))
    agrees_with_torch(lambda *a: tn.pairwise_distance(*a, p), lambda *a: F.pairwise_distance(*a, p), x, y)
    agrees_with_torch(
        lambda *a: tn.pairwise_distance(*a, p, 0.1, True), lambda *a: F.pairwise_distance(*a, p, 0.1, True), x, y[0]
    )
    agrees_with_torch(lambda a: tn.pdist(a, p), lambda a: F.pdist(a, p), x)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_have_no_pairs(rows: int) -> None:
    assert tn.pdist(np.zeros((rows, 3), np.float32)).shape == (0,)


def test_the_gradient_between_equal_rows_is_zero() -> None:
    x = tn.tensor(np.ones((3, 2)), requires_grad=True)
    tn.pdist(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, 0)


@each_reduction
@pytest.mark.parametrize("shape", [(6, 4), (4,)])
def test_cosine_embedding_loss_is_that_of_torch(shape: Any, reduction: str) -> None:
    target = _signs(*shape[:-1])
    agrees_with_torch(
        lambda *a: tn.cosine_embedding_loss(*a, np.array(target), -0.2, reduction),
        lambda *a: F.cosine_embedding_loss(*a, T(target), -0.2, reduction=reduction),
        R.normal(size=shape), R.normal(size=shape),
    )  # fmt: skip


@each_reduction
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_triplet_losses_are_those_of_torch(p: float, swap: bool, reduction: str) -> None:
    arrays = R.normal(size=(3, 6, 4))
    agrees_with_torch(
        lambda *a: tn.triplet_margin_loss(*a, 0.7, p, 0.01, swap, reduction),
        lambda *a: F.triplet_margin_loss(*a, 0.7, p, 0.01, swap, reduction=reduction), *arrays,
    )  # fmt: skip

    def distance(a: Any, b: Any) -> Any:
        return (a - b).reshape((-1, 4)).sum(-1) ** 2

    agrees_with_torch(
        lambda *a: tn.triplet_margin_with_distance_loss(
            *a, distance_function=distance, margin=0.7, swap=swap, reduction=reduction),
        lambda *a: F.triplet_margin_with_distance_loss(
            *a, distance_function=distance, margin=0.7, swap=swap, reduction=reduction),
        *arrays,
    )  # fmt: skip


# -- alignments --------------------------------------------------------------------------------------------------


def _by_hand(logs: Any, labels: list[int], blank: int) -> float:
    """The loss of one sequence, by listing all alignments."""
    total = 0.0
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        merged = [k for k, _ in itertools.groupby(path) if k != blank]
        total += math.exp(sum(logs[t, k] for t, k in enumerate(path))) if merged == labels else 0
    return -math.log(total) if total else math.inf


@pytest.mark.parametrize("labels", [[], [1], [1, 1], [2, 1], [1, 2, 1], [1, 1, 1]])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_loss_sums_over_all_alignments(labels: list[int], blank: int) -> None:
    labels = [k if k != blank else 0 for k in labels]
    logs = np.log(R.dirichlet(np.ones(3), size=4))
    found = tn.ctc_loss(logs, np.array(labels, int), np.array(4), np.array(len(labels)), blank, "none")
    np.testing.assert_allclose(found, _by_hand(logs, labels, blank), rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 4)), min_size=1, max_size=4),
    st.integers(0, 3), st.sampled_from(REDUCTIONS), st.booleans(), st.integers(0, 100),
)  # fmt: skip
def test_ctc_loss_is_that_of_torch(lengths: Any, blank: int, reduction: str, joined: bool, seed: int) -> None:
    r = np.random.default_rng(seed)
    inputs, targets = (np.array(v) for v in zip(*lengths, strict=True))
    labels = r.choice([k for k in range(4) if k != blank], size=(len(lengths), 4))
    given_labels = np.concatenate([row[:n] for row, n in zip(labels, targets, strict=True)]) if joined else labels
    x = r.normal(size=(7, len(lengths), 4))
    for zero in (True,) if reduction != "none" else (True, False):  # sums of inf are inf, and PyTorch's gradient nan
        ours, theirs = tn.tensor(x, requires_grad=True), T(x, requires_grad=True)
        out = tn.ctc_loss(tn.log_softmax(ours), given_labels, inputs, targets, blank, reduction, zero)
        expected = F.ctc_loss(theirs.log_softmax(-1), T(given_labels), T(inputs), T(targets), blank, reduction, zero)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
        if zero:
            g = np.asarray(r.normal(size=out.shape))
            out.backward(g)
            expected.backward(T(g))
            np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-8, atol=1e-10)


def test_labels_without_an_alignment_cost_all_and_pull_nowhere() -> None:
    x = tn.tensor(np.log(R.dirichlet(np.ones(3), size=(2, 2))), requires_grad=True)
    arguments = np.array([[1, 1], [1, 2]]), np.array([2, 2]), np.array([2, 2])
    losses = tn.ctc_loss(x, *arguments, reduction="none")
    assert losses.data[0] == math.inf
    losses.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.data[:, 0], 0)
    assert np.isfinite(x.grad.data).all()
    assert tn.ctc_loss(x, *arguments, reduction="none", zero_infinity=True).data[0] == 0


def test_ctc_loss_of_impossible_classes_stays_finite() -> None:
    with np.errstate(divide="ignore"):
        logs = np.log([[[0.5, 0.5, 0.0]], [[0.0, 1.0, 0.0]], [[0.5, 0.25, 0.25]]])
    x = tn.tensor(logs.astype(np.float32), requires_grad=True)
    loss = tn.ctc_loss(x, np.array([[1]]), np.array([3]), np.array([1]))
    np.testing.assert_allclose(loss.item(), -math.log(0.75), rtol=1e-6)
    loss.backward()
    assert np.isfinite(x.grad.data).all()


def test_long_sequences_are_as_accurate_as_in_torch() -> None:
    x = np.float32(R.normal(size=(600, 2, 20)) * 3)
    arguments = R.integers(1, 20, (2, 100)), np.array([600, 500]), np.array([100, 80])
    ours = tn.tensor(x, requires_grad=True)
    loss = tn.ctc_loss(tn.log_softmax(ours), *arguments)
    loss.backward()
    losses, gradients = [], []
    for kind in (np.float32, np.float64):
        theirs = T(x.astype(kind), requires_grad=True)
        losses.append(F.ctc_loss(theirs.log_softmax(-1), *map(T, arguments)))
        losses[-1].backward()
        gradients.append(theirs.grad.numpy())
    assert loss.item() == pytest.approx(losses[1].item(), rel=1e-5)
    assert np.abs(ours.grad.data - gradients[1]).max() < 2 * np.abs(gradients[0] - gradients[1]).max()


def test_higher_orders_of_ctc_loss() -> None:
    logs = np.log(np.random.default_rng(3).dirichlet(np.ones(3), size=(3, 2)))
    for reduction in REDUCTIONS:
        check_grads(
            lambda x: tn.ctc_loss(x, np.array([[1, 2], [2, 2]]), np.array([3, 2]), np.array([2, 1]), 0, reduction) ** 2,  # noqa: B023
            [logs], order=2,
        )  # fmt: skip


def test_a_compiled_step_follows_labels_and_lengths() -> None:
    @tn.compile
    def step(x: Any, labels: Any, inputs: Any, lengths: Any) -> Any:
        x.requires_grad_()
        loss = tn.ctc_loss(tn.log_softmax(x), labels, inputs, lengths)
        loss.backward()
        return loss

    x = R.normal(size=(5, 2, 4))
    for labels, inputs, lengths in (([[1, 2], [3, 3]], [5, 5], [2, 2]), ([[3, 1], [2, 1]], [4, 5], [1, 2])):
        given_arrays = np.array(labels), np.array(inputs), np.array(lengths)
        close(step(x, *given_arrays).data, tn.ctc_loss(tn.log_softmax(x), *given_arrays))


# -- output layers -----------------------------------------------------------------------------------------------


def test_linear_cross_entropy_is_that_of_torch() -> None:
    target = np.array([0, 2, 1, 2, 0])
    for options in ({}, {"reduction": "sum", "label_smoothing": 0.1}, {"ignore_index": 2, "reduction": "none"}):
        agrees_with_torch(
            lambda x, w, b: tn.linear_cross_entropy(x, w, target, linear_bias=b, **options),  # noqa: B023
            lambda x, w, b: F.linear_cross_entropy(x, w, T(target), linear_bias=b, **options),  # noqa: B023
            R.normal(size=(5, 4)), R.normal(size=(3, 4)), R.normal(size=3),
        )  # fmt: skip


# -- errors ------------------------------------------------------------------------------------------------------

_LOGS = np.log(np.full((4, 2, 3), 1 / 3))
_PAIR = np.zeros((2, 3))


def _ctc(labels: Any = ((1, 2), (1, 1)), inputs: Any = (4, 4), lengths: Any = (2, 1), **options: Any) -> Any:
    return tn.ctc_loss(_LOGS, np.array(labels), np.array(inputs), np.array(lengths), **options)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: tn.gaussian_nll_loss(_PAIR, _PAIR, -_PAIR - 1), ValueError, "var holds -1, but a variance is not negative"),
        (lambda: tn.gaussian_nll_loss(_PAIR, _PAIR, np.ones(3)), ValueError, r"var has shape \(3,\); it must have.*\(2, 3\)"),
        (lambda: tn.gaussian_nll_loss(_PAIR, _PAIR[0], 1.0), ValueError, "must have the same shape"),
        (lambda: tn.poisson_nll_loss(_PAIR, _PAIR, reduction="avg"), ValueError, "reduction='avg'"),
        (lambda: tn.hinge_embedding_loss(_PAIR, _PAIR), ValueError, r"else than 1 and -1; of zeros and ones.*2 \* target - 1"),
        (lambda: tn.margin_ranking_loss(_PAIR, _PAIR, _PAIR + 0.5), ValueError, "else than 1 and -1"),
        (lambda: tn.soft_margin_loss(_PAIR, _PAIR), ValueError, "else than 1 and -1"),
        (lambda: tn.cosine_embedding_loss(_PAIR, _PAIR, np.zeros(2)), ValueError, "else than 1 and -1"),
        (
            lambda: tn.cosine_embedding_loss(_PAIR, _PAIR, np.ones((2, 1))),
            ValueError,
            r"target has shape \(2, 1\).*it must have \(2,\)",
        ),
        (lambda: tn.multi_margin_loss(_PAIR, np.array([0, 3])), IndexError, "target holds class 3, but input has 3 classes"),
        (lambda: tn.multi_margin_loss(_PAIR, np.array([0.0, 1.0])), TypeError, r"target.astype\(np.int64\)"),
        (lambda: tn.multi_margin_loss(_PAIR, np.array([0, 1]), 3), ValueError, "p=3: it is 1 or 2"),
        (lambda: tn.multi_margin_loss(_PAIR, np.array([0])), ValueError, r"input \(2, 3\) and target \(1,\)"),
        (lambda: tn.multi_margin_loss(_PAIR, np.array([0, 1]), weight=np.ones(2)), ValueError, r"weight has shape \(2,\)"),
        (lambda: tn.multilabel_margin_loss(_PAIR, np.full((2, 3), 3)), IndexError, "target holds class 3"),
        (lambda: tn.multilabel_margin_loss(_PAIR, np.full((2, 3), -2)), IndexError, "target holds class -2"),
        (lambda: tn.multilabel_soft_margin_loss(_PAIR, _PAIR, reduction="avg"), ValueError, "reduction='avg'"),
        (lambda: tn.cosine_similarity(_PAIR, np.zeros((4, 3))), ValueError, r"x1 \(2, 3\) and x2 \(4, 3\) must broadcast"),
        (lambda: tn.pdist(np.zeros(3)), ValueError, r"pdist: input has shape \(3,\); give a matrix"),
        (lambda: tn.triplet_margin_loss(_PAIR, _PAIR, _PAIR[0]), ValueError, r"negative \(3,\) must have one shape"),
        (lambda: tn.linear_cross_entropy(_PAIR, np.ones((2, 4)), np.array([0, 1])), ValueError, r"linear_weight \(2, 4\)"),
        (
            lambda: tn.linear_cross_entropy(_PAIR, np.ones((2, 3)), np.array([0, 1]), linear_bias=np.ones(3)),
            ValueError,
            r"linear_bias has shape \(3,\); it must be \(2,\)",
        ),
        (lambda: _ctc(labels=((0, 1), (1, 1))), ValueError, "targets holds 0; labels are from 0 to 2, and not the blank, 0"),
        (lambda: _ctc(labels=((1, 3), (1, 1))), ValueError, "targets holds 3"),
        (lambda: _ctc(labels=((1.0, 2.0), (1.0, 1.0))), TypeError, "targets holds float64; labels are integers"),
        (lambda: _ctc(inputs=(4, 5)), ValueError, "input_lengths holds 5, but a length is from 0 to 4"),
        (lambda: _ctc(inputs=(4,)), ValueError, r"input_lengths has shape \(1,\); it must be \(2,\)"),
        (lambda: _ctc(lengths=(2, -1)), ValueError, "target_lengths holds -1"),
        (lambda: _ctc(labels=(1, 2, 1, 1)), ValueError, "target_lengths sum to 3, but targets.* hold 4"),
        (lambda: _ctc(blank=3), ValueError, "blank=3 is none of the 3 classes"),
        (lambda: _ctc(labels=((1, 2),)), ValueError, r"targets \(1, 2\) must be \(N, S\)"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_labels_beyond_a_target_may_be_anything() -> None:
    close(_ctc(labels=((1, 2), (1, 0))), _ctc(labels=((1, 2), (1, -100))))
