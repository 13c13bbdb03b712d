"""What metrics take for outputs and targets, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import metrics
from tapenet.metrics import (
    AUC,
    F1,
    MAE,
    R2,
    Accuracy,
    AveragePrecision,
    CalibrationError,
    ConfusionMatrix,
    Metric,
    Perplexity,
    Precision,
    TopK,
)

SCORES = np.array([[0.1, 0.7, 0.2], [0.9, 0.0, 0.1], [0.2, 0.3, 0.5]], np.float32)


def test_arrays_tensors_and_lists_are_the_same() -> None:
    true = np.array([1, 1, 2])
    parameter = tn.tensor(SCORES, requires_grad=True) * 1
    for output in (SCORES, parameter, SCORES.tolist()):
        for target in (true, tn.tensor(true), true.tolist(), true.astype(np.float32), true.astype(np.uint8)):
            assert Accuracy()(output, target) == 2 / 3
    assert MAE()(tn.tensor([1.0, 3.0]), tn.tensor([1.0, 2.0])) == 0.5


def test_outputs_may_be_of_low_precision() -> None:
    for output in (SCORES.astype(np.float16), SCORES.astype(pytest.importorskip("ml_dtypes").bfloat16)):
        for metric in (Accuracy(), TopK(2), F1(), AUC(), Perplexity(from_logits=False), ConfusionMatrix()):
            expected = metric(output.astype(np.float32), [1, 0, 2])
            np.testing.assert_array_equal(metric(output, [1, 0, 2]), expected)
            np.testing.assert_array_equal(metric(tn.tensor(output), [1, 0, 2]), expected)
        assert MAE()(output, output) == 0


def test_targets_may_be_one_hot_or_shares() -> None:
    hot = np.eye(3)[[1, 1, 2]]
    assert Accuracy()(SCORES, hot) == Accuracy()(SCORES, hot * 0.9 + 0.1 / 3) == 2 / 3
    assert ConfusionMatrix()(SCORES, hot.astype(int)).tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert TopK(2)(SCORES, hot) == 2 / 3
    with pytest.raises(ValueError, match=r"those of sample \(1,\) sum to 2; .* threshold="):
        Accuracy()(SCORES, np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match=r"a share for each class"):
        Accuracy()(SCORES, np.array([[-1.0, 2.0, 0.0]] * 3))


def test_binary_outputs_need_a_threshold() -> None:
    logits, true = np.array([[1.0], [-2.0], [0.4]]), np.array([1, 0, 0])
    assert Accuracy(threshold=0)(logits, true) == Accuracy(threshold=0)(logits[:, 0], true[:, None]) == 2 / 3
    assert Accuracy(threshold=0.5)(logits, true) == 1.0
    assert Accuracy(threshold=0)(np.array([0.0]), [0]) == 1.0  # not above it
    assert Accuracy(threshold=0)(np.ones((2, 3)), np.array([[1, 1, 0], [1, 0, 0]])) == 0.5  # several labels
    for output, target in ((logits, true), (logits[:, 0], true), (logits, true[:, None])):
        with pytest.raises(ValueError, match=r"threshold=0 for logits, threshold=0\.5 for probabilities"):
            Accuracy()(output, target)
    with pytest.raises(ValueError, match=r"target holds 2 at \(0,\); with threshold= it is 0 or 1"):
        Accuracy(threshold=0)(logits[:, 0], [2, 0, 1])


def test_segmentation() -> None:
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    expected = (scores.argmax(1) == true).mean()
    assert Accuracy()(scores, true) == expected
    assert Accuracy(axis=-1)(np.moveaxis(scores, 1, -1), true) == expected
    assert Accuracy()(scores.argmax(1), true) == expected
    weight = rng.random(2)
    hits = scores.argmax(1) == true
    assert Accuracy()(scores, true, weight) == pytest.approx((weight * hits.mean((1, 2))).sum() / weight.sum())
    assert Accuracy()(scores, true, np.broadcast_to(weight[:, None, None], true.shape)) == pytest.approx(
        Accuracy()(scores, true, weight), rel=1e-14
    )
    assert TopK(1)(scores, true) == expected
    assert F1("micro")(scores, true) == pytest.approx(expected)
    assert Perplexity()(scores, true) == pytest.approx(Perplexity(axis=-1)(np.moveaxis(scores, 1, -1), true), rel=1e-14)


@pytest.mark.parametrize(
    "make",
    [
        Accuracy,
        lambda **o: TopK(2, **o),
        F1,
        ConfusionMatrix,
        Perplexity,
        AUC,
        lambda **o: CalibrationError(from_logits=True, **o),
        lambda **o: metrics.from_sklearn(lambda t, p: float((t == p).mean()), classes=True, **o),
    ],
)
def test_what_is_to_be_ignored_does_not_count(make: Any) -> None:
    rng = np.random.default_rng(1)
    scores, true = rng.normal(size=(12, 3, 2)), rng.integers(0, 3, (12, 2))
    padded = true.copy()
    padded[::2, 0] = -100
    kept = padded != -100
    expected = make()(np.moveaxis(scores, 1, -1)[kept], true[kept])
    np.testing.assert_allclose(make(ignore_index=-100)(scores, padded), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="target holds -100 at"):
        make()(scores, padded)


@pytest.mark.parametrize(
    ("metric", "output", "target", "message"),
    [
        (
            Accuracy(),
            np.zeros((4, 3)),
            [0, 1, 3, 2],
            r"holds 3 at \(2,\), but the output of shape \(4, 3\) has classes 0 to 2",
        ),
        (Accuracy(), np.zeros((2, 3)), [0, -1], r"target holds -1 at \(1,\)"),
        (Accuracy(), np.zeros((2, 3)), np.array([0, -1], np.int8), r"target holds -1 at \(1,\)"),
        (Accuracy(), np.zeros((2, 3)), [0.0, 0.5], r"target holds 0\.5 at \(1,\)"),
        (Accuracy(), np.zeros((2, 3)), [0.0, np.nan], r"target holds nan at \(1,\)"),
        (Accuracy(), np.zeros((2, 3)), [0, 1, 2], r"output has shape \(2, 3\), target \(3,\); for classes give"),
        (Accuracy(), np.zeros((2, 5, 3)), np.zeros((2, 5), int), r"for the last say axis=-1"),
        (Accuracy(), [[0.0, np.nan]], [0], r"accuracy: output is nan at \(0, 1\), one of 1 such values of 2"),
        (Accuracy(), [[0j, 1j]], [0], "give real numbers"),
        (Accuracy(), np.array(["a"]), [0], r"output has shape \(1,\)|dtype"),
        (Accuracy(axis=5), np.zeros((2, 3)), [0, 1], r"has no axis 5"),
        (Precision(), [0, 5, -1], [0, 1, 1], r"output holds -1 at \(2,\)"),
        (ConfusionMatrix(["a", "b"]), np.zeros((2, 3)), [0, 1], "2 labels, but 3 classes"),
        (ConfusionMatrix(["a", "b"]), [0, 2], [0, 1], "2 labels, but 3 classes"),
        (ConfusionMatrix(), [0, 5000], [0, 1], "5,001 classes; a matrix is kept of 4,096"),
        (TopK(3), np.zeros((2, 3)), [0, 1], "only 3 classes"),
        (AUC(), [np.nan, 1.0], [0, 1], "output is nan"),
        (AUC(), [0.5, 1.0], [0, 2], r"target holds 2 at \(1,\)"),
        (AUC(from_logits=False), [[0.5, 0.9, 0.1]], [0], "sum to 1.5.*from_logits=True"),
        (AUC(), [[0.25, 0.5, 0.25]], [0], "is probabilities.*from_logits=False"),
        (AUC(from_logits=False, thresholds=5), [1.5], [0], "1.5 is at"),
        (Perplexity(), [[0.25, 0.5, 0.25]], [0], "is probabilities.*from_logits=False"),
        (CalibrationError(from_logits=False), [2.0], [1], "no probabilities; for logits say from_logits=True"),
        (MAE(), np.zeros((3, 1)), np.zeros((1, 3)), r"output has shape \(3, 1\), target \(1, 3\)"),
        (MAE(), [np.nan], [0.0], "output is nan at"),
        (MAE(), [0.0], [np.nan], "target is nan at"),
        (R2(), 1.0, 1.0, "one for each sample"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(metric: Metric[Any], output: Any, target: Any, message: str) -> None:
    before = metric.state_dict()
    with pytest.raises(ValueError, match=message):
        metric.update(output, target)
    assert str(metric.state_dict()) == str(before)


def test_binary_is_of_two_classes() -> None:
    with pytest.raises(ValueError, match='average="binary" is for 2 classes, here are 3'):
        F1("binary")(np.zeros((2, 3)), [0, 1])


def test_weights_are_checked() -> None:
    for weight, message in (
        ([1.0, 2.0], r"weight has shape \(2,\); for a target of shape \(3,\) give \(3,\)"),
        ([1.0, -2.0, 0.0], "finite and at least 0, got -2"),
        ([1.0, np.nan, 0.0], "finite and at least 0"),
    ):
        for metric in (Accuracy(), F1(), ConfusionMatrix(), TopK(2), AUC(), Perplexity()):
            with pytest.raises(ValueError, match=message):
                metric.update(SCORES * 3, [1, 1, 2], weight)
    with pytest.raises(ValueError, match="a plain function takes no weights"):
        metrics.resolve(lambda output, target: 0.0)[0].update(SCORES, [1, 1, 2], [1, 1, 1])
    whole = metrics.from_sklearn(lambda true, output: 0.0)
    whole.update(SCORES, [1, 1, 2])
    with pytest.raises(ValueError, match="with every batch or with none"):
        whole.update(SCORES, [1, 1, 2], [1, 1, 1])


@pytest.mark.parametrize(
    "metric",
    [
        Accuracy(),
        TopK(2),
        Precision(),
        F1(),
        ConfusionMatrix(),
        AUC(),
        AUC(thresholds=3),
        AveragePrecision(),
        Perplexity(),
        CalibrationError(from_logits=True),
        metrics.from_sklearn(lambda true, output: 0.0, classes=True),
    ],
)
def test_nothing_seen_is_an_error(metric: Metric[Any]) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match=rf"{metric.name}: nothing was seen yet"):
            metric.compute()
        metric.update(np.zeros((0, 3)), np.zeros(0, int))
    metric.update(SCORES * 3, [0, 1, 2])
    metric.compute()
    metric.reset()
    with pytest.raises(RuntimeError):
        metric.compute()
    assert repr(metric).startswith(f"<{metric.name}")


def test_one_class_has_no_area() -> None:
    for metric in (AUC(), AveragePrecision()):
        with pytest.warns(RuntimeWarning, match="is nan: it needs samples of both classes"):
            assert np.isnan(metric([0.1, 0.2], [0, 0]))


def test_one_sample_has_no_variance() -> None:
    with pytest.raises(RuntimeError, match="it needs two"):
        R2()([1.0], [2.0])


def test_infinite_scores_are_scores() -> None:
    scores = np.array([[-np.inf, 1.0], [np.inf, 0.0]])
    assert Accuracy()(scores, [1, 0]) == TopK(1)(scores, [1, 0]) == 1.0
    assert Perplexity()(np.array([[-np.inf, 0.0]]), [1]) == 1.0
    assert Perplexity(from_logits=False)([[0.0, 1.0]], [0]) == np.inf


def test_sums_are_of_double_precision() -> None:
    assert MAE()(np.full(10_000, 0.1, np.float32), np.zeros(10_000)) == pytest.approx(float(np.float32(0.1)), rel=1e-14)
    assert MAE()(np.array([250], np.uint8), np.array([255], np.uint8)) == 5.0


def test_names_and_functions_become_metrics() -> None:
    names = ["accuracy", "top5", "precision", "recall", "f1", "auc", "average_precision", "perplexity"]
    found = metrics.resolve([*names, "mae", "mse", "rmse", "r2"])
    assert [metric.name for metric in found] == [*names, "mae", "mse", "rmse", "r2"]
    assert metrics.resolve("mae")[0]([1.0], [3.0]) == 2.0
    mine = F1("micro", name="micro_f1")
    assert metrics.resolve([F1(), mine])[1] is mine
    with pytest.raises(ValueError, match="2 metrics are called 'f1'"):
        metrics.resolve([F1(), F1("micro")])
    with pytest.raises(TypeError, match=r"make a metric of it: F1\(\)"):
        metrics.resolve(F1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="3 is no metric"):
        metrics.resolve([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"an array of shape \(2,\); a metric is one number"):
        metrics.resolve(lambda output, target: output - target)[0].update(np.zeros(2), np.zeros(2))


def test_without_scikit_learn_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tapenet\[metrics\]'"):
        metrics.from_sklearn("f1_score")


def test_a_copy_starts_anew_and_leaves_the_first_alone() -> None:
    first = ConfusionMatrix(["a", "b"], name="mine")
    first.update([0, 1], [0, 0])
    other = first.fresh()
    other.update([1], [1])
    assert (other.name, other.labels) == ("mine", ["a", "b"])
    assert (first.compute().tolist(), other.compute().tolist()) == ([[1, 1], [0, 0]], [[0, 0], [0, 1]])
    with pytest.raises(KeyError, match="expected"):
        first.load_state_dict({"right": 1})


@pytest.mark.parametrize(
    "make",
    [
        lambda: F1("most"),  # type: ignore[arg-type]
        lambda: TopK(0),
        lambda: AUC("micro"),  # type: ignore[arg-type]
        lambda: AUC(thresholds=1),
        lambda: ConfusionMatrix(normalize="rows"),  # type: ignore[arg-type]
        lambda: CalibrationError(from_logits=True, bins=0),
        lambda: metrics.from_sklearn(lambda true, output: 0.0, threshold=0.5),
    ],
)
def test_wrong_options_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"give|are for"):
        make()
