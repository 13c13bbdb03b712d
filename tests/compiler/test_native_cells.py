"""Recurrent cells in compiled loops: their turns are part of the program, without Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.ops.layers.recurrent import layers
from tapenet.typing import Array
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

CELLS = {
    "gru": lambda bias: nn.GRUCell(3, 4, bias, dtype=np.float64, rng=0),
    "lstm": lambda bias: nn.LSTMCell(3, 4, bias, dtype=np.float64, rng=0),
    "relu": lambda bias: nn.RNNCell(3, 4, bias, "relu", dtype=np.float64, rng=0),
    "tanh": lambda bias: nn.RNNCell(3, 4, bias, dtype=np.float64, rng=0),
}
RNG = np.random.default_rng(0)
XS = RNG.normal(size=(5, 2, 3))


def close(found: Any, right: Any, rtol: float, atol: float = 0.0) -> None:
    np.testing.assert_allclose(*(np.asarray(getattr(v, "data", v)) for v in (found, right)), rtol=rtol, atol=atol)


def scanned(kind: str, cell: Any, xs: Any) -> Any:
    """The sum of the squares of all states."""
    nothing = np.zeros((2, 4), xs.dtype)
    if kind != "lstm":
        return tn.scan(lambda h, x: ((h := cell(x, h)), (h * h).sum()), nothing, xs)[1].sum()

    def turn(states: Any, x: Any) -> Any:
        states = cell(x, states)
        return states, (states[0] ** 2).sum()

    (_, c), squares = tn.scan(turn, (nothing, nothing), xs)
    return squares.sum() + c.sum()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
@backends
def test_cells_in_a_loop(compiled: Compile, kind: str, bias: bool) -> None:
    """Values, `backward`, and gradients by the sequence to second order."""
    cell = CELLS[kind](bias)

    def train(xs: Any) -> Any:
        cell.zero_grad()
        loss = scanned(kind, cell, xs)
        loss.backward()
        return loss

    def total(xs: Any) -> Any:
        return scanned(kind, cell, xs)

    right = train(XS)
    gradients = [np.array(p.grad.data) for p in cell.parameters()]
    step = compiled(train, keep_grads=True)
    by_inputs = compiled(tn.grad(total))
    expected = tn.grad(total)(XS)
    for _ in range(3):
        close(step(XS), right, rtol=1e-13)
        for p, g in zip(cell.parameters(), gradients, strict=True):
            close(p.grad, g, rtol=1e-11, atol=1e-13)
        close(by_inputs(XS), expected, rtol=1e-11, atol=1e-13)
    assert not calls_python(step)
    assert not calls_python(by_inputs)
    second = tn.grad(lambda xs: tn.grad(total)(xs).sum())
    again = compiled(second)
    expected = second(XS)
    for _ in range(2):
        close(again(XS), expected, rtol=1e-10, atol=1e-12)
    assert not calls_python(again)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@backends
def test_cells_in_a_while_loop_and_a_branch(compiled: Compile, kind: str) -> None:
    cell = CELLS[kind](True)

    def value(x: Any, flag: Any) -> Any:
        states = (np.zeros((2, 4)),) * (2 if kind == "lstm" else 1)

        def turn(state: Any) -> Any:
            count, *states = state
            found = cell(x, states if kind == "lstm" else states[0])
            return (count + 1, *(found if kind == "lstm" else [found]))

        _, h, *_ = tn.while_loop(lambda state: state[0] < 3, turn, (np.int64(0), *states), max_turns=5)
        return tn.cond(flag, lambda h: turn((np.int64(0), *[h] * len(states)))[1].sum(), lambda h: h.sum(), h)

    step, gradient = compiled(value), compiled(tn.grad(value))
    for flag in (True, False):
        for _ in range(2):
            close(step(XS[0], np.bool_(flag)), value(XS[0], flag), rtol=1e-13)
            right = tn.grad(value)(XS[0], np.bool_(flag))
            close(gradient(XS[0], np.bool_(flag)), right, rtol=1e-11, atol=1e-13)
    assert not calls_python(step)
    assert not calls_python(gradient)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
@backends
def test_a_layer_of_one_turn_is_lowered(compiled: Compile, name: str, reverse: bool) -> None:
    """With float32, in either direction, and gradients by every argument."""
    layer, gates = getattr(tn, name), {"rnn": 1, "gru": 3, "lstm": 4}[name]
    states = 2 if name == "lstm" else 1
    shapes = [(1, 2, 3), *[(2, 4)] * states, (gates * 4, 3), (gates * 4, 4), (gates * 4,), (gates * 4,)]
    args: list[Array] = [RNG.normal(size=s).astype(np.float32) for s in shapes]

    def loss(*args: Any) -> Any:
        out, *ends = layer(*args, reverse=reverse)
        return (out * out).sum() + sum((i + 1) * e.sum() for i, e in enumerate(ends))

    for f in (loss, tn.grad(loss, argnums=tuple(range(len(args))))):
        step = compiled(f)
        for _ in range(2):
            found, right = (r if isinstance(r, tuple) else (r,) for r in (step(*args), f(*args)))
            for one, other in zip(found, right, strict=True):
                assert one.dtype == np.float32
                close(one, other, rtol=2e-5, atol=1e-6)
        assert not calls_python(step)


@pytest.mark.parametrize("lengths", [None, [1, 3]])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
@backends
def test_small_layers_are_loops(compiled: Compile, name: str, lengths: list[int] | None) -> None:
    """In loops, in both directions, with gradients by every argument, inside and by the whole."""
    layer, gates = getattr(tn, name), {"rnn": 1, "gru": 3, "lstm": 4}[name]
    states = 2 if name == "lstm" else 1
    shapes = [(2, 3, 2, 3), *[(2, 4)] * states, (gates * 4, 3), (gates * 4, 4), (gates * 4,), (gates * 4,)]
    xs, *rest = (RNG.normal(size=s) for s in shapes)
    ends = None if lengths is None else np.array(lengths)

    def loss(*args: Any) -> Any:
        found = [layer(*args, lengths=ends, reverse=reverse) for reverse in (False, True)]
        return sum((i + 1) * (v * v).sum() for i, v in enumerate(v for each in found for v in each))

    def scanned(xs: Any, *rest: Any) -> Any:
        every = tuple(range(len(shapes)))
        return tn.scan(lambda c, x: (c, (loss(x, *rest), *tn.grad(loss, every)(x, *rest))), np.float64(0), xs)[1]

    def total(*args: Any) -> Any:
        return scanned(*args)[0].sum()

    for f in (scanned, tn.grad(total, argnums=tuple(range(len(shapes))))):
        step, right = compiled(f), f(xs, *rest)
        for _ in range(2):
            for one, other in zip(step(xs, *rest), right, strict=True):
                close(one, other, rtol=1e-11, atol=1e-12)
        assert not calls_python(step)


@pytest.mark.parametrize(("batch", "lengths"), [(2, None), (6, [1, 3, 3, 0, 2, 1])])
def test_layers_whose_kernel_needs_python_are_loops(
    batch: int, lengths: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a small batch, and of sequences of several lengths; also in float64."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(layers, "WORTH", 0)
    args: list[Array] = [RNG.normal(size=s) for s in ((3, batch, 3), (batch, 4), (12, 3), (12, 4), (12,), (12,))]
    ends = None if lengths is None else np.array(lengths)

    def loss(*args: Any) -> Any:
        out, last = layers.gru(*args, lengths=ends)
        return (out * out).sum() + (last * last).sum()

    f = tn.value_and_grad(loss, argnums=tuple(range(len(args))))
    step, (value, gradients) = tn.compile(f, backend="native"), f(*args)
    for _ in range(2):
        found = step(*args)
        for one, other in zip((found[0], *found[1]), (value, *gradients), strict=True):
            close(one, other, rtol=1e-11, atol=1e-12)
    assert not calls_python(step)


@backends
def test_lengths_that_are_refused(compiled: Compile) -> None:
    x, h, w, u = (RNG.normal(size=s) for s in ((3, 2, 3), (2, 4), (4, 3), (4, 4)))
    step = compiled(lambda lengths: tn.rnn(x, h, w, u, lengths=lengths)[0])
    for _ in range(2):
        close(step(np.array([1, 3])), tn.rnn(x, h, w, u, lengths=np.array([1, 3]))[0], rtol=1e-12)
    for wrong in ([4, 1], [-1, 1]):
        with pytest.raises(ValueError, match="lengths"):
            step(np.array(wrong))
