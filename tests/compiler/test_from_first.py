"""`from_first`: the first call's result is the program's too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

r = np.random.default_rng(0)
X, Y = r.normal(size=(8, 32, 4)).astype(np.float32), r.integers(0, 3, (8, 32))


def made() -> tuple[Any, Any, Any]:
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3))
    opt = optim.Adam(net, lr=optim.cosine(0.01, 100))

    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return net, opt, step


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_run_is_the_same_wherever_its_program_is_made(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    net, _, step = made()
    run = tn.compile(step, backend=backend, from_first=True)
    expected = [run(x, y).item() for x, y in zip(X, Y, strict=True)]
    assert len(run.variants) == 1

    other, opt, step = made()
    first = tn.compile(step, backend=backend, from_first=True)
    losses = [first(x, y).item() for x, y in zip(X[:3], Y[:3], strict=True)]
    again = tn.compile(step, backend=backend, from_first=True)  # as in another process
    losses += [again(x, y).item() for x, y in zip(X[3:], Y[3:], strict=True)]
    assert losses == expected
    assert opt.state_dict()["step"] == 8
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value)


def test_the_captured_call_leaves_its_work_to_the_program() -> None:
    w = tn.tensor([1.0], requires_grad=True)

    @tn.compile(from_first=True, keep_grads=True)
    def step(x: Any) -> Any:
        loss = (w * x).sum()
        loss.backward()
        return loss, tn.random.uniform(size=2)

    tn.random.seed(5)
    loss, drawn = step(np.array([3.0]))
    tn.random.seed(5)
    assert loss.item() == 3.0
    np.testing.assert_array_equal(w.grad.data, [3.0])  # and not twice
    np.testing.assert_array_equal(drawn.data, tn.random.uniform(size=2))
