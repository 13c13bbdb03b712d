"""`fit` beside the loop that is written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, training

r = np.random.default_rng(0)
X = r.normal(size=(70, 6)).astype(np.float32)
Y = r.integers(0, 3, 70)


def made(seed: int = 0) -> Any:
    tn.random.seed(seed)
    return nn.Sequential(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3))


def by_hand(net: Any, opt: Any, data: Any, epochs: int, loss: Any = F.cross_entropy, update: Any = None) -> list[float]:
    """The loop as one writes it, without a compiler: the mean loss over samples of each epoch."""
    means = []
    for _ in range(epochs):
        total = count = 0
        for x, y in data:
            value = loss(net(tn.tensor(x)), tn.tensor(y))
            opt.zero_grad()
            value.backward()
            (update or opt.step)()
            total += value.item() * len(x)
            count += len(x)
        means.append(total / count)
    return means


def weights(net: Any) -> np.ndarray:
    return np.concatenate([v.ravel() for v in net.state_dict().values()])


def batches() -> Any:
    return tn.data.batches(X, Y, batch_size=16, shuffle=True, seed=3)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_uncompiled_it_is_the_loop_by_hand_bit_for_bit(kind: Any) -> None:
    one, other = made(), made()
    tn.random.seed(1)
    expected = by_hand(one, kind(one, lr=0.01), batches(), 4)
    tn.random.seed(1)
    history = training.fit(other, F.cross_entropy, kind(other, lr=0.01), batches(), epochs=4, compile=False, verbose=0)
    assert history["loss"] == expected
    np.testing.assert_array_equal(weights(other), weights(one))


def test_compiled_it_is_the_loop_by_hand_to_rounding() -> None:
    one, other = made(), made()
    tn.random.seed(1)
    expected = by_hand(one, optim.Adam(one, lr=0.01), batches(), 4)
    tn.random.seed(1)
    history = training.fit(other, F.cross_entropy, optim.Adam(other, lr=0.01), batches(), epochs=4, verbose=0)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(weights(other), weights(one), rtol=1e-4, atol=1e-5)
