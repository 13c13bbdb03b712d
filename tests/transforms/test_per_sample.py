"""Per-sample gradients of modules: `vmap` of `grad`, against a gradient of each sample alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

SAMPLES = 3


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=(SAMPLES, *shape))


def evaluating(module: nn.Module) -> nn.Module:
    module.eval()
    return module


MODULES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)), lambda: normal(5, 4)),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1, stride=2)
        ),
        lambda: normal(1, 2, 14, 14),
    ),
    "groups": (
        lambda: nn.Sequential(nn.Conv1d(4, 8, 3, groups=2), nn.ConvTranspose1d(8, 2, 3, stride=2)),
        lambda: normal(1, 4, 9),
    ),
    "lookup": (lambda: nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)), lambda: np.arange(15).reshape(SAMPLES, 5) % 10),
    "recurrent": (lambda: nn.GRU(3, 4), lambda: normal(2, 1, 3)),
    "attention": (lambda: evaluating(nn.TransformerEncoderLayer(8, 2, 16)), lambda: normal(5, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_gradients_of_each_sample(name: str) -> None:
    make, samples = MODULES[name]
    net, x = make().to("float64"), samples()
    parameters = dict(net.named_parameters())

    def loss(p: Any, x: Any) -> Any:
        out: Any = tn.functional_call(net, p, x)
        return ((out[0] if isinstance(out, tuple) else out) ** 2).sum()

    by_sample = tn.vmap(tn.grad(loss), in_axes=(None, 0))
    step = tn.compile(lambda x: by_sample(parameters, x), backend="numpy")
    step(x)
    expected = [tn.grad(loss)(parameters, each) for each in x]
    for found in (by_sample(parameters, x), step(x)):
        for key in parameters:
            np.testing.assert_allclose(
                found[key].numpy(), np.stack([g[key].numpy() for g in expected]), rtol=1e-9, atol=1e-11
            )
    assert "once for each lane" not in str(step.explain())
