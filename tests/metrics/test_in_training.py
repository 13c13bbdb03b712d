"""In training and evaluation metrics give what they give of all outputs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import metrics, nn, optim

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = RNG.integers(0, 4, 40)
WEIGHT = RNG.random(40).astype(np.float32)


def several() -> list[metrics.Metric[Any]]:
    return [metrics.Accuracy(), metrics.TopK(2), metrics.F1(), metrics.AUC(), metrics.ConfusionMatrix()]


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_evaluated_batch_by_batch(compile: bool, weight: Any) -> None:
    net = nn.Linear(3, 4)
    data = (X, Y) if weight is None else (X, Y, weight)
    found = tn.training.evaluate(net, F.cross_entropy, data, metrics=several(), batch_size=7, compile=compile)
    output = tn.training.predict(net, X)
    for metric in several():
        np.testing.assert_allclose(found[metric.name], metric(output, Y, weight), rtol=1e-12)


def test_a_matrix_among_the_numbers_of_an_epoch() -> None:
    net = nn.Linear(3, 4)
    confusion = metrics.ConfusionMatrix()
    history = tn.training.fit(
        net, F.cross_entropy, optim.SGD(net, lr=0.1), (X, Y), epochs=2, metrics=["accuracy", confusion], verbose=0
    )
    assert [np.sum(matrix) for matrix in history["confusion"]] == [40, 40]
    assert np.trace(history["confusion"][1]) == 40 * history["accuracy"][1]
    assert "accuracy" in repr(history)
    assert "confusion" not in repr(history)


def test_binary_outputs_say_what_to_write() -> None:
    net = nn.Linear(3, 1)
    data = X, (Y[:, None] > 1).astype(np.float32)
    loss = F.binary_cross_entropy_with_logits
    with pytest.raises(ValueError, match="threshold=0 for logits"):
        tn.training.evaluate(net, loss, data, metrics="accuracy")
    found = tn.training.evaluate(net, loss, data, metrics=[metrics.Accuracy(threshold=0), "auc"])
    assert found["accuracy"] == ((tn.training.predict(net, X) > 0) == data[1]).mean()


@pytest.mark.parametrize("compile", [True, False])
def test_targets_that_the_loss_leaves_out(compile: bool) -> None:
    """They do not count as wrong in silence."""
    net = nn.Linear(3, 4)
    target = np.where(np.arange(40) % 3 == 0, -100, Y)
    loss = nn.CrossEntropyLoss(ignore_index=-100)
    with pytest.raises(ValueError, match=r"target holds -100 at \(0,\).*write Accuracy\(ignore_index=-100\)"):
        tn.training.evaluate(net, loss, (X, target), metrics="accuracy", compile=compile)
    accuracy = metrics.Accuracy(ignore_index=-100)
    found = tn.training.evaluate(net, loss, (X, target), metrics=accuracy, batch_size=7, compile=compile)
    kept = target >= 0
    assert found["accuracy"] == metrics.Accuracy()(tn.training.predict(net, X)[kept], Y[kept])
