"""Whole models train for 100 steps as they do uncompiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

R = np.random.default_rng(0)
STEPS = 100
BATCHES = [(R.normal(size=(8, 6)).astype(np.float32), R.integers(0, 4, 8)) for _ in range(STEPS)]
BATCHES[7] = BATCHES[31] = BATCHES[7][0][:5], BATCHES[7][1][:5]  # the last of an epoch is smaller


class Case(NamedTuple):
    """A model, and how it is trained: `step(net, opt)` makes the function of a step."""

    net: Callable[[], nn.Module]
    opt: Callable[[Any], Any]
    step: Callable[[Any, Any], Any]
    #: How far float32 results of 100 steps may lie apart.
    rtol: float = 1e-3


def usual(net: Any, opt: Any, clip: float | None = None) -> Any:
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        if clip is not None:
            optim.clip_grad_norm(net.parameters(), clip)
        opt.step()
        return loss

    return step


def without_zero_grad(net: Any, opt: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y) * 0.1
        loss.backward()
        opt.step()
        return loss

    return step


def two_batches(net: Any, opt: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        total = 0.0
        for part in (slice(0, 4), slice(4, 8)):
            loss = F.cross_entropy(net(x[part]), y[part])
            loss.backward()
            total = total + loss
        opt.step()
        opt.zero_grad()
        return total, (net(x).argmax(axis=1) == y).mean()

    return step


def penalised(net: Any, opt: Any) -> Any:
    """With a gradient in the loss."""

    def step(x: Any, y: Any) -> Any:
        def loss_of(x: Any) -> Any:
            return F.cross_entropy(net(x), y)

        loss, g = tn.value_and_grad(loss_of)(x)
        loss = loss_of(x) + 0.1 * (g**2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4))


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Dropout(0.3), nn.Linear(12, 4), nn.Dropout(0.1, rng=3))


class Images(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 3, 2)
        self.norm = nn.LayerNorm((3, 1, 2))
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        h = self.norm(tn.tanh(self.conv(x.reshape(-1, 1, 2, 3))))
        return self.fc(h.reshape(len(h), -1))


CASES: dict[str, Case] = {
    "dense": Case(dense, lambda net: optim.SGD(net.parameters(), lr=0.1), usual),
    "momentum and weight decay": Case(
        dense, lambda net: optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01), usual
    ),
    "batch norm": Case(normalised, lambda net: optim.SGD(net.parameters(), lr=0.05), usual),
    "dropout": Case(dropping, lambda net: optim.SGD(net.parameters(), lr=0.05), usual),
    "adam with a schedule": Case(
        dense, lambda net: optim.Adam(net.parameters(), lr=optim.warmup(optim.cosine(0.02, STEPS), 10)), usual
    ),
    "groups": Case(
        dense,
        lambda net: optim.AdamW(
            [{"params": net[0].parameters(), "lr": 0.02}, {"params": net[2].parameters(), "weight_decay": 0.0}], lr=0.01
        ),
        usual,
    ),
    "clipping": Case(
        dense, lambda net: optim.SGD(net.parameters(), lr=0.5), lambda net, opt: usual(net, opt, clip=0.5)
    ),
    "accumulation without zero_grad": Case(dense, lambda net: optim.SGD(net.parameters(), lr=0.01), without_zero_grad),
    "two batches a step": Case(dropping, lambda net: optim.RMSprop(net.parameters(), lr=0.005), two_batches),
    "convolution": Case(Images, lambda net: optim.SGD(net.parameters(), lr=0.05), usual),
    "gradient penalty": Case(dense, lambda net: optim.SGD(net.parameters(), lr=0.05), penalised),
}


def trained(case: Case, compile_step: Callable[[Any], Any]) -> tuple[list[Any], nn.Module, Any, Any]:
    tn.random.seed(0)
    net = case.net()
    opt = case.opt(net)
    step = compile_step(case.step(net, opt))
    tn.random.seed(1)
    results = [step(x, y) for x, y in (b for b in BATCHES if case.step is not two_batches or len(b[0]) == 8)]
    return [[t.item() for t in (r if isinstance(r, tuple) else (r,))] for r in results], net, opt, step


@backends
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_training_is_that_of_eager(case: Case, compiled: Compile) -> None:
    expected, net, opt, _ = trained(case, lambda step: step)
    got, other, other_opt, step = trained(case, compiled)
    np.testing.assert_allclose(got, expected, rtol=case.rtol, atol=1e-5)
    assert not np.allclose(expected[0], expected[-1])
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[name], value, rtol=case.rtol, atol=1e-5, err_msg=name)
    one, two = opt.state_dict(), other_opt.state_dict()
    assert one["step"] == two["step"]
    assert one["param_groups"] == two["param_groups"]
    for k, entry in one["state"].items():
        for name, value in entry.items():
            np.testing.assert_allclose(two["state"][k][name], value, rtol=case.rtol, atol=1e-5, err_msg=f"{k} {name}")
    assert 1 <= len(step.variants) <= 4


@backends
def test_an_epoch_in_one_call(compiled: Compile) -> None:
    xs = np.stack([x for x, _ in BATCHES if len(x) == 8][:20])
    ys = np.stack([y for _, y in BATCHES if len(y) == 8][:20])

    def make() -> tuple[nn.Module, Any]:
        tn.random.seed(0)
        net = dropping()
        opt = optim.Adam(net.parameters(), lr=optim.exponential(0.02, 0.99))
        step = usual(net, opt)

        def epoch(xs: Any, ys: Any) -> Any:
            return tn.scan(lambda carry, xy: (carry, step(*xy)), None, (xs, ys))[1]

        return net, epoch

    (net, eager), (other, epoch) = make(), make()
    fast = compiled(epoch)
    results = []
    for run in (eager, fast):
        tn.random.seed(1)
        results.append([np.asarray(run(xs, ys).data) for _ in range(3)])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4)
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    assert [p.grad for p in other.parameters()] == [None] * 4
    assert len(fast.variants) == 1
