"""What a metric comes to does not depend on how the samples are cut into batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapenet import metrics

CLASSES = 4
_SOFT: list[Callable[[], metrics.Metric[Any]]] = [
    metrics.Accuracy,
    lambda: metrics.TopK(2),
    metrics.Precision,
    lambda: metrics.Recall("weighted"),
    lambda: metrics.F1("micro"),
    metrics.ConfusionMatrix,
    lambda: metrics.ConfusionMatrix(normalize="true"),
    metrics.AUC,
    lambda: metrics.AveragePrecision("weighted"),
    lambda: metrics.AUC(thresholds=7),
    metrics.Perplexity,
    lambda: metrics.CalibrationError(from_logits=True, bins=5),
    lambda: metrics.from_sklearn(lambda true, out, sample_weight=None: float((out.argmax(1) != true).mean())),
]
_BINARY: list[Callable[[], metrics.Metric[Any]]] = [
    lambda: metrics.Accuracy(threshold=0),
    lambda: metrics.F1(threshold=0),
    metrics.AUC,
    metrics.AveragePrecision,
    lambda: metrics.CalibrationError(from_logits=True),
    metrics.MAE,
    metrics.RMSE,
    metrics.R2,
]


def same(make: Callable[[], metrics.Metric[Any]], arrays: tuple[np.ndarray, ...], cuts: list[int]) -> None:
    whole, parts, merged = make(), make(), make()
    whole.update(*arrays)
    for batch in zip(*(np.split(array, sorted(cuts)) for array in arrays), strict=True):
        parts.update(*batch)
        alone = make()
        alone.update(*batch)
        merged.merge(alone.state_dict())
    resumed = make()
    resumed.load_state_dict(parts.state_dict())
    for metric in (parts, resumed, merged):
        np.testing.assert_allclose(metric.compute(), whole.compute(), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(make()(*arrays), whole.compute())


cut = st.lists(st.integers(0, 30), max_size=5)


@pytest.mark.parametrize("make", _SOFT)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=cut, weighted=st.booleans())
def test_of_classes(make: Callable[[], metrics.Metric[Any]], seed: int, cuts: list[int], weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, true = rng.integers(-3, 4, (30, CLASSES)) / 2 + 0.25, rng.permutation(np.arange(30) % CLASSES)
    same(make, (scores, true, rng.random(30)) if weighted else (scores, true), cuts)


@pytest.mark.parametrize("make", _BINARY)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=cut, weighted=st.booleans())
def test_of_numbers(make: Callable[[], metrics.Metric[Any]], seed: int, cuts: list[int], weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    numbers, true = rng.integers(-3, 4, 30) / 2, rng.permutation(np.arange(30) % 2)
    same(make, (numbers, true, rng.random(30)) if weighted else (numbers, true), cuts)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 29), max_size=4, unique=True))
def test_of_a_plain_function(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=30), rng.normal(size=30)

    def off(output: Any, target: Any) -> Any:
        return abs(output - target).mean()

    same(lambda: metrics.resolve(off)[0], (outputs, targets), cuts)


def test_integers_come_out_exactly() -> None:
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(1000, 10)), rng.integers(0, 10, 1000)
    whole, parts = metrics.Accuracy(), metrics.Accuracy()
    whole.update(scores, true)
    for rows in np.array_split(np.arange(1000), 7):
        parts.update(scores[rows], true[rows])
    assert whole.compute() == parts.compute() == float((scores.argmax(1) == true).mean())


def test_what_was_seen_is_kept_though_the_arrays_change() -> None:
    """A loop may write the next batch where this one was."""
    scores, true = np.array([0.1, 0.9]), np.array([0, 1])
    for metric in (metrics.AUC(), metrics.from_sklearn(lambda true, out: float((out * true).sum()))):
        metric.update(scores, true)
        before = metric.compute()
        scores[:], true[:] = scores[::-1].copy(), true
        assert metric.compute() == before
        scores[:] = 0.1, 0.9


def test_large_targets_keep_their_variance() -> None:
    target = 1e8 + np.arange(100.0)
    r2 = metrics.R2()
    for rows in np.array_split(np.arange(100), 9):
        r2.update(target[rows] + 1, target[rows])
    assert abs(r2.compute() - (1 - 100 / ((np.arange(100) - 49.5) ** 2).sum())) < 1e-12


def test_equal_targets_have_no_variance() -> None:
    r2 = metrics.R2()
    for _ in range(3):
        r2.update(np.full(7, 0.1), np.full(7, 0.1))
    assert r2.compute() == 1.0
    r2.update(np.full(7, 0.2), np.full(7, 0.1))
    assert r2.compute() == 0.0


def test_of_others_that_do_not_fit() -> None:
    """What another metric saw is not put together where one alone would not see it."""
    one, other = metrics.R2(), metrics.R2()
    one.update(np.ones((3, 2)), np.eye(3, 2))
    other.update(np.ones(3), np.arange(3))
    with pytest.raises(ValueError, match=r"the target has shape \(n, \*\(\)\), those before \(n, \*\(2,\)\)"):
        one.merge(other.state_dict())
    whole = metrics.from_sklearn(lambda true, out, sample_weight=None: float((out != true).mean()))
    weighted = whole.fresh()
    whole.update([1, 2], [1, 3])
    weighted.update([1, 2], [1, 3], [1, 1])
    with pytest.raises(ValueError, match="one was given weights, and the other none"):
        whole.merge(weighted.state_dict())
    whole.merge(whole.fresh().state_dict())
    assert whole.compute() == 0.5


class _Sums(metrics.Metric[Any]):
    """Of columns, which are as many as come; a number before there are any."""

    name = "sums"
    kept = ("total",)
    adds = True

    def reset(self) -> None:
        self.total: Any = 0

    def update(self, output: Any, target: Any, weight: Any = None) -> None:
        self.total = self.total + np.asarray(output).sum(0)

    def compute(self) -> Any:
        return self.total


def test_of_own_metrics() -> None:
    """Numbers and arrays are added in their dtype, whichever has seen something."""
    one, other, nothing = _Sums(), _Sums(), _Sums()
    one.update(np.ones((2, 3), np.float32), 0)
    other.update(np.ones((2, 4), np.float32), 0)
    for each in (one, other, one.fresh()):
        nothing.merge(each.state_dict())
    assert nothing.compute().tolist() == [4, 4, 4, 2]
    assert nothing.compute().dtype == np.float32
