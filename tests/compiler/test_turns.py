"""Recurrent layers of frozen programs, on one sequence, as native loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compiler.compile import available_backend

pytestmark = pytest.mark.skipif(available_backend() != "native", reason="needs llvmlite")
R = np.random.default_rng(0)

LAYERS: dict[str, Any] = {
    "lstm": lambda: nn.LSTM(5, 8, rng=0),
    "gru": lambda: nn.GRU(5, 8, rng=0),
    "rnn": lambda: nn.RNN(5, 8, rng=0),
    "relu": lambda: nn.RNN(5, 8, nonlinearity="relu", bias=False, rng=0),
    "two layers, both ways": lambda: nn.GRU(5, 8, num_layers=2, bidirectional=True, rng=0),
    "no bias, double": lambda: nn.LSTM(5, 8, bias=False, rng=0).double(),
}


def _flat(result: Any) -> list[Any]:
    out, states = result
    return [out, *(states if isinstance(states, tuple) else [states])]


@pytest.mark.parametrize("name", LAYERS)
def test_results_are_those_of_the_layer(name: str) -> None:
    layer = LAYERS[name]().eval()
    dtype = np.float64 if "double" in name else np.float32
    x = R.normal(size=(7, 1, 5)).astype(dtype)
    run = tn.compile(layer, frozen=True)
    found = [run(x) for _ in range(2)][1]
    names = [i.name for i in run.variants[0].program.body]
    assert "loop" in names
    assert "call" not in names
    for a, b in zip(_flat(found), _flat(layer(x)), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5 if dtype == np.float32 else 1e-12)


def test_states_may_be_given_and_many_rows_stay_a_call() -> None:
    layer = nn.LSTM(5, 8, rng=0).eval()
    h, c = (R.normal(size=(1, 1, 8)).astype(np.float32) for _ in range(2))
    x = R.normal(size=(4, 1, 5)).astype(np.float32)
    run = tn.compile(layer, frozen=True)
    for _ in range(2):
        out, (last, cells) = run(x, (h, c))
    expected, (h1, c1) = layer(x, (h, c))
    for a, b in ((out, expected), (last, h1), (cells, c1)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    many = np.repeat(x, 48, axis=1)  # more than 50,000 multiply-adds
    np.testing.assert_allclose(run(many)[0].numpy()[:, 1], layer(x)[0].numpy()[:, 0], atol=1e-5)
    assert "call" in [i.name for i in run.variants[-1].program.body]


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_turn_multiplies_by_packed_weights(name: str) -> None:
    """The weights are constants of the loop's body, and there is one row."""
    layer: Any = (nn.LSTM if name == "lstm" else nn.GRU)(16, 32, rng=0).eval()
    x = R.normal(size=(6, 1, 16)).astype(np.float32)
    run = tn.compile(layer, frozen=True)
    found = [run(x) for _ in range(2)][1]
    (loop,) = [i for i in run.variants[0].program.body if i.name == "loop"]
    names = [i.name for i in loop.params["body"].body]
    assert "convolve" in names
    assert "dot" not in names
    for a, b in zip(_flat(found), _flat(layer(x)), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
