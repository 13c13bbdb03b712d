"""Activations as layers, beside PyTorch's. (Tanh, ReLU and other everyday ones are in the table of
test_layers_against_torch.py.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tests.nn.oracle import Make, beside_torch

torch = pytest.importorskip("torch")

LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Hardsigmoid": (lambda m: m.Hardsigmoid(), (5, 6)),
    "Hardswish": (lambda m: m.Hardswish(), (5, 6)),
    "SELU": (lambda m: m.SELU(), (3, 4)),
    "CELU": (lambda m: m.CELU(), (3, 4)),
    "CELU alpha": (lambda m: m.CELU(0.5), (3, 4)),  # 1/alpha is a float32 in PyTorch
    "PReLU": (lambda m: m.PReLU(), (3, 4)),
    "PReLU channels": (lambda m: m.PReLU(4, init=0.1), (3, 4)),
    "PReLU images": (lambda m: m.PReLU(4), (2, 4, 3, 5)),
    "PReLU vector": (lambda m: m.PReLU(), (5,)),
    "RReLU": (lambda m: m.RReLU(0.2, 0.2), (3, 4)),  # nothing to draw
    "Threshold": (lambda m: m.Threshold(0.3, -7.0), (3, 4)),
    "Hardshrink": (lambda m: m.Hardshrink(), (3, 4)),
    "Hardshrink lambd": (lambda m: m.Hardshrink(0.2), (3, 4)),
    "Softshrink": (lambda m: m.Softshrink(), (3, 4)),
    "Softshrink lambd": (lambda m: m.Softshrink(0.2), (3, 4)),
    "Softmin": (lambda m: m.Softmin(dim=1), (3, 4, 2)),
    "Softmax2d": (lambda m: m.Softmax2d(), (2, 4, 3, 5)),
    "Softmax2d no batch": (lambda m: m.Softmax2d(), (4, 3, 5)),
    "GLU": (lambda m: m.GLU(), (3, 4)),
    "GLU dim": (lambda m: m.GLU(dim=1), (2, 4, 3)),
}


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Hardsigmoid"])
def test_layer(name: str) -> None:
    beside_torch(*LAYERS[name])


def test_hardsigmoid() -> None:
    x = np.linspace(-4, 4, 21)
    ours, theirs = tn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = nn.Hardsigmoid()(ours), torch.nn.Hardsigmoid()(theirs)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    # PyTorch's 1/6 is that of float32.
    np.testing.assert_allclose(ours.grad.data.astype(np.float32), theirs.grad.numpy().astype(np.float32))


@pytest.mark.parametrize("name", LAYERS)
def test_lists_are_taken_and_float32_stays(name: str) -> None:
    make, shape = LAYERS[name]
    layer = make(nn)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    out = layer(tn.tensor(data))
    assert out.dtype == np.float32
    if "PReLU" not in name:
        assert layer(data.tolist()).shape == out.shape


def test_random_slopes_are_drawn_in_training_alone() -> None:
    x = -np.ones(20000, np.float32)
    layer = nn.RReLU(0.1, 0.3, rng=0)
    first, second = layer(x), layer(x)
    assert (first != second).mean() > 0.99
    assert -0.3 <= first.min() < -0.29
    assert -0.11 < first.max() <= -0.1
    np.testing.assert_allclose(first.mean(), -0.2, atol=2e-3)
    np.testing.assert_allclose(layer.eval()(x), -0.2, rtol=1e-6)


def test_a_random_slope_is_the_derivative() -> None:
    x = tn.tensor(np.array([-2.0, 3.0, -1.0]), requires_grad=True)
    out = nn.RReLU(rng=0)(x)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.data, out.data / x.data)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.Softmax2d()(np.zeros((2, 3))), r"x has shape \(2, 3\); give \(n, channels, height, width\)"),
        (lambda: nn.PReLU(3)(np.zeros((2, 4))), r"weight has shape \(3,\).*\(2, 4\).*one for each channel, \(4,\)"),
        (lambda: nn.GLU()(np.zeros((2, 3))), r"axis 1 of x \(2, 3\) is halved, but its length 3 is odd"),
        (lambda: nn.Hardshrink(-1.0)(np.zeros(2)), "lambd=-1.0 must not be negative"),
        (lambda: nn.RReLU(0.5, 0.1)(np.zeros(2)), "lower=0.5 exceeds upper=0.1"),
        (lambda: nn.CELU(0.0)(np.zeros(2)), "alpha=0 divides"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
