"""The metrics give what scikit-learn's give: on random data, with ties, with classes that never occur, with weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet import metrics

sk = pytest.importorskip("sklearn.metrics")

SEEDS = range(6)


def close(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def drawn(seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores with ties, probabilities of them, classes (of odd seeds some never occur), weights or None."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 60))
    scores = rng.integers(-3, 4, (n, classes)) / 2 + (0.0 if seed % 3 else rng.normal(size=(n, classes)))
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    true = rng.integers(0, classes - (seed % 2), n)
    true[: classes - (seed % 2)] = np.arange(classes - (seed % 2))
    weight = None if seed % 3 == 1 else rng.integers(0, 3, n) + rng.random(n) * (seed % 2)
    return scores, probabilities, true, weight


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy_and_top_k(seed: int) -> None:
    scores, _, true, weight = drawn(seed)
    close(metrics.Accuracy()(scores, true, weight), sk.accuracy_score(true, scores.argmax(1), sample_weight=weight))
    for k in (1, 2, 4):
        close(
            metrics.TopK(k)(scores, true, weight),
            sk.top_k_accuracy_score(true, scores, k=k, labels=range(5), sample_weight=weight),
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "theirs"), [("Precision", "precision"), ("Recall", "recall"), ("F1", "f1")])
def test_precision_recall_and_f1(seed: int, kind: str, theirs: str) -> None:
    scores, _, true, weight = drawn(seed)
    function, ours = getattr(sk, f"{theirs}_score"), getattr(metrics, kind)
    for zero in (0.0, 1.0):
        for average in ("micro", "macro", "weighted"):
            expected = function(true, scores.argmax(1), average=average, sample_weight=weight, zero_division=zero)
            close(ours(average, zero_division=zero)(scores, true, weight), expected)
        each = ours(zero_division=zero)
        each.update(scores, true, weight)
        close(
            each.per_class(),
            function(true, scores.argmax(1), average=None, labels=range(5), sample_weight=weight, zero_division=zero),
        )
    expected = function(true % 2, scores[:, 0] > 0.5, sample_weight=weight, zero_division=0)
    close(ours(threshold=0.5)(scores[:, 0], true % 2, weight), expected)
    close(ours("binary")(scores[:, 0] > 0.5, true % 2, weight), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_confusion(seed: int) -> None:
    scores, _, true, weight = drawn(seed)
    for ours, theirs in ((None, None), ("true", "true"), ("predicted", "pred"), ("all", "all")):
        expected = sk.confusion_matrix(true, scores.argmax(1), labels=range(5), sample_weight=weight, normalize=theirs)
        found = metrics.ConfusionMatrix(normalize=ours)(scores, true, weight)  # type: ignore[arg-type]
        close(found, expected)
        assert found.dtype == np.int64 or ours or weight is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_areas(seed: int) -> None:
    scores, probabilities, true, weight = drawn(seed)
    one = true % 2
    close(metrics.AUC()(scores[:, 1], one, weight), sk.roc_auc_score(one, scores[:, 1], sample_weight=weight))
    close(
        metrics.AveragePrecision()(scores[:, 1:2], one, weight),
        sk.average_precision_score(one, scores[:, 1], sample_weight=weight),
    )
    two = scores[:, :2]
    odds = two[:, 1] - two[:, 0]
    close(metrics.AUC()(two, one, weight), sk.roc_auc_score(one, odds, sample_weight=weight))
    if seed % 2:  # a class that never occurs has no area, there and here
        with pytest.warns(RuntimeWarning, match="auc is nan: class 4 needs samples"):
            assert np.isnan(metrics.AUC(from_logits=False)(probabilities, true, weight))
        return
    for average in ("macro", "weighted"):
        close(
            metrics.AUC(average, from_logits=False)(probabilities, true, weight),
            sk.roc_auc_score(true, probabilities, multi_class="ovr", average=average, sample_weight=weight),
        )
        close(
            metrics.AveragePrecision(average, from_logits=False)(probabilities, true, weight),
            sk.average_precision_score(true, probabilities, average=average, sample_weight=weight),
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_areas_by_bins_are_those_of_binned_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given, true, weight = rng.random(50), rng.integers(0, 2, 50), rng.random(50)
    binned = np.minimum(np.floor(given * 8), 7)
    for kind, function in ((metrics.AUC, sk.roc_auc_score), (metrics.AveragePrecision, sk.average_precision_score)):
        found = kind(from_logits=False, thresholds=8)(given, true, weight)
        close(found, function(true, binned, sample_weight=weight))


@pytest.mark.parametrize("seed", SEEDS)
def test_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=(40, 3)) + 1e4 * (seed % 2)
    output = target + 0.1 * rng.normal(size=(40, 3))
    weight = None if seed % 3 == 1 else rng.random(40)
    close(metrics.MAE()(output, target, weight), sk.mean_absolute_error(target, output, sample_weight=weight))
    close(metrics.MSE()(output, target, weight), sk.mean_squared_error(target, output, sample_weight=weight))
    one = output[:, :1], target[:, 0]
    close(metrics.RMSE()(*one, weight), sk.root_mean_squared_error(one[1], one[0], sample_weight=weight))
    np.testing.assert_allclose(
        metrics.R2()(output, target, weight), sk.r2_score(target, output, sample_weight=weight), rtol=1e-9
    )
    target[:, 1] = 0.5  # exact in a mean; of 0.1 rounding makes a variance there
    output[:, 1] = 0.5 * (seed % 2)
    np.testing.assert_allclose(metrics.R2()(output, target), sk.r2_score(target, output), rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_perplexity(seed: int) -> None:
    scores, probabilities, true, weight = drawn(seed)
    expected = np.exp(sk.log_loss(true, probabilities, labels=range(5), sample_weight=weight))
    close(metrics.Perplexity()(scores, true, weight), expected)
    close(metrics.Perplexity(from_logits=False)(probabilities, true, weight), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_reliability(seed: int) -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(seed)
    said, true = np.round(rng.random(60), 1 + seed % 3), rng.integers(0, 2, 60)
    error = metrics.CalibrationError(from_logits=False, bins=10)
    error.update(said, true)
    came_true, mean = calibration.calibration_curve(true, said, n_bins=10)
    close(error.curve().said, mean)
    close(error.curve().came_true, came_true)


def test_any_function_of_scikit_learn() -> None:
    scores, _, true, weight = drawn(0)
    whole = metrics.from_sklearn("matthews_corrcoef", classes=True)
    for part in (slice(0, 7), slice(7, None)):
        whole.update(scores[part], true[part], None if weight is None else weight[part])
    close(whole.compute(), sk.matthews_corrcoef(true, scores.argmax(1), sample_weight=weight))
    deviance = metrics.from_sklearn(sk.d2_tweedie_score, power=1, name="d2")
    assert deviance.name == "d2"
    close(deviance([1.0, 2.0, 4.0], [1.0, 3.0, 4.0]), sk.d2_tweedie_score([1.0, 3.0, 4.0], [1.0, 2.0, 4.0], power=1))
    with pytest.raises(ValueError, match=r"sklearn.metrics has no function 'nothing'"):
        metrics.from_sklearn("nothing")
