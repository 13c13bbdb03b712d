"""Recurrent ops over whole sequences: beside their own formulas turn by turn, over all arguments, and at the edges.

What the layers make of them is compared with PyTorch in tests/nn/test_recurrent.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tests.ops.oracle import close

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
KINDS = tuple(GATES)


def arguments(
    kind: str, time: int, batch: int, ins: int, units: int, *, biases: tuple[bool, bool] = (True, True), outs: int = 0
) -> dict[str, Any]:
    """Random arrays for a layer, by name."""
    r, rows = np.random.default_rng(time + batch), GATES[kind] * units
    shapes: dict[str, tuple[int, ...]] = {
        "x": (time, batch, ins),
        "h0": (batch, outs or units),
        "c0": (batch, units),
        "w_ih": (rows, ins),
        "w_hh": (rows, outs or units),
        "b_ih": (rows,),
        "b_hh": (rows,),
        "w_hr": (outs, units),
    }
    left_out = {n for n, given in zip(("b_ih", "b_hh"), biases, strict=True) if not given}
    left_out |= set() if kind == "lstm" else {"c0", "w_hr"}
    left_out |= set() if outs else {"w_hr"}
    return {n: r.normal(size=shape) for n, shape in shapes.items() if n not in left_out}


def results(f: Any, arrays: dict[str, Any], options: dict[str, Any]) -> list[Any]:
    """Values, and the gradients of a projection on random arrays by everything."""
    tensors = {n: tn.tensor(a, requires_grad=True) for n, a in arrays.items()}
    outs = f(**tensors, **options)
    r = np.random.default_rng(0)
    loss = sum((out * r.normal(size=out.shape)).sum() for out in outs)
    loss.backward()
    grads = [np.zeros(t.shape, t.dtype) if t.grad is None else t.grad.data for t in tensors.values()]
    return [*(out.data for out in outs), *grads]


def by_turns(kind: str) -> Any:
    """The layer written in other ops, as its second derivatives see it."""
    op = getattr(tn, kind)
    defaults = {a.name: a.default for a in op.arguments}
    return lambda **given: op.reference(*({**defaults, **given}[a.name] for a in op.arguments))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_values_and_gradients_are_those_of_the_formulas_turn_by_turn(data: st.DataObject) -> None:
    draw = data.draw
    kind = draw(st.sampled_from(KINDS))
    time, batch, ins, units = (draw(st.integers(1, 4)) for _ in range(4))
    outs = draw(st.integers(0, 2)) if kind == "lstm" else 0
    biases = draw(st.tuples(st.booleans(), st.booleans()))
    lengths = draw(st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    options: dict[str, Any] = {"lengths": lengths, "reverse": draw(st.booleans())}
    if kind == "rnn":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    arrays = arguments(kind, time, batch, ins, units, biases=biases, outs=outs)
    for found, expected in zip(
        results(getattr(tn, kind), arrays, options), results(by_turns(kind), arrays, options), strict=True
    ):
        close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_some_inputs_alone(kind: str, reverse: bool) -> None:
    arrays = arguments(kind, 3, 2, 2, 3, outs=2 if kind == "lstm" else 0)
    options = {"reverse": reverse}
    everything = dict(zip(arrays, results(getattr(tn, kind), arrays, options)[-len(arrays) :], strict=True))
    outs = getattr(tn, kind)(**arrays, **options)
    gs = [r.normal(size=out.shape) for r in [np.random.default_rng(0)] for out in outs]
    for name in arrays:
        one = tn.tensor(arrays[name], requires_grad=True)
        outs = getattr(tn, kind)(**{**arrays, name: one}, **options)
        sum((out * g).sum() for out, g in zip(outs, gs, strict=True)).backward()
        close(one.grad.data, everything[name], name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_memory_order(kind: str, order: Any) -> None:
    arrays = arguments(kind, 3, 2, 2, 3)
    turned = {n: np.array(a, order=order) for n, a in arrays.items()}
    turned["x"] = np.ascontiguousarray(arrays["x"].swapaxes(0, 1)).swapaxes(0, 1)
    for found, expected in zip(
        results(getattr(tn, kind), turned, {}), results(getattr(tn, kind), arrays, {}), strict=True
    ):
        close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 2, 2, 3), (3, 0, 2, 3), (3, 2, 0, 3), (1, 1, 1, 1), (2, 1, 1, 0)])
@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_and_one(kind: str, shape: tuple[int, ...], reverse: bool) -> None:
    arrays = arguments(kind, *shape)
    options = {"reverse": reverse}
    for found, expected in zip(
        results(getattr(tn, kind), arrays, options), results(by_turns(kind), arrays, options), strict=True
    ):
        close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_integers_and_float32(kind: str) -> None:
    arrays = {n: a.astype(np.float32) for n, a in arguments(kind, 3, 2, 2, 3).items()}
    assert {v.dtype for v in results(getattr(tn, kind), arrays, {"lengths": np.array([1, 3])})} == {np.dtype("f4")}
    whole = {**arrays, "x": np.ones((3, 2, 2), int)}
    weight = tn.tensor(whole["w_ih"], requires_grad=True)
    out = getattr(tn, kind)(**{**whole, "w_ih": weight})[0]
    out.sum().backward()
    expected = tn.tensor(arrays["w_ih"], requires_grad=True)
    getattr(tn, kind)(**{**arrays, "x": np.ones((3, 2, 2)), "w_ih": expected})[0].sum().backward()
    np.testing.assert_allclose(weight.grad.data, expected.grad.data, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_results_lie_in_memory_of_their_own(kind: str) -> None:
    """A compiled program may write over what is not needed any more."""
    op = getattr(tn, kind)
    for options in (
        {},
        {"reverse": True},
        {"lengths": np.array([3, 2])},
        {"lengths": np.array([1, 3]), "reverse": True},
    ):
        found = op.forward(**arguments(kind, 3, 2, 2, 3), **options)
        for i, a in enumerate(found):
            assert not any(np.shares_memory(a, b) for b in found[:i])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [-300, 300])
def test_gates_far_out_neither_overflow_nor_warn(kind: str, far: float) -> None:
    arrays = {n: a.astype(np.float32) for n, a in arguments(kind, 3, 2, 2, 3).items()}
    arrays["b_ih"] = np.full_like(arrays["b_ih"], far)
    assert all(np.isfinite(v).all() for v in results(getattr(tn, kind), arrays, {}))


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_may_be_a_tensor_or_a_list(kind: str) -> None:
    arrays = arguments(kind, 3, 2, 2, 3)
    expected = results(getattr(tn, kind), arrays, {"lengths": np.array([1, 3])})
    for lengths in (tn.tensor([1, 3]), [1, 3], np.array([1, 3], np.uint8)):
        for a, b in zip(results(getattr(tn, kind), arrays, {"lengths": lengths}), expected, strict=True):
            close(a, b)


def test_multiplications_are_counted() -> None:
    for kind in KINDS:
        arrays = arguments(kind, 3, 2, 2, 5)
        shapes = {f"{n}_shape": a.shape for n, a in arrays.items()}
        count = getattr(tn, kind).multiply_adds
        asked = {n: shapes.get(n, ()) for n in count.__code__.co_varnames[: count.__code__.co_argcount]}
        assert count(**asked) == 3 * 2 * GATES[kind] * 5 * (2 + 5)
    assert tn.lstm.multiply_adds((3, 2, 2), (2, 5), (20, 2), (20, 4), (4, 5)) == 3 * 2 * (20 * (2 + 4) + 4 * 5)


WRONG = {
    "three axes, \\(time, batch, inputs\\): add the axis of the batch": {"x": (3, 2)},
    "three axes, \\(time, batch, inputs\\)$|three axes, \\(time, batch, inputs\\) ": {"x": (3, 2, 2, 1)},
    "w_ih has shape \\(12, 3\\); for x \\(3, 2, 2\\) with 2 inputs it must be \\(4 \\* units, 2\\)": {"w_ih": (12, 3)},
    "w_ih has shape \\(13, 2\\)": {"w_ih": (13, 2)},
    "w_hh has shape \\(12, 2\\); .* a batch of 2, and w_ih \\(12, 2\\), 3 units, it must be \\(12, 3\\)": {
        "w_hh": (12, 2)
    },
    "h0 has shape \\(3,\\); .*, it must be \\(2, 3\\)": {"h0": (3,)},
    "c0 has shape \\(1, 3\\)": {"c0": (1, 3)},
    "b_ih has shape \\(3,\\)": {"b_ih": (3,)},
    "b_hh has shape \\(12, 1\\)": {"b_hh": (12, 1)},
    "w_hr has shape \\(2, 2\\); .* 3 units projected to 2, it must be \\(2, 3\\)": {"w_hr": (2, 2)},
}


@pytest.mark.parametrize("words", WRONG)
def test_shapes_that_do_not_fit(words: str) -> None:
    arrays = arguments("lstm", 3, 2, 2, 3) | {n: np.zeros(shape) for n, shape in WRONG[words].items()}
    with pytest.raises(ValueError, match=words):
        tn.lstm(**{n: tn.tensor(a) for n, a in arrays.items()})


@pytest.mark.parametrize("lengths", [[3], [1, 2, 3], [0.5, 1.0], [[1, 2]]])
def test_lengths_that_are_none(lengths: Any) -> None:
    with pytest.raises(ValueError, match="give an integer for each of the 2 rows"):
        tn.gru(**arguments("gru", 3, 2, 2, 3), lengths=lengths)


@pytest.mark.parametrize("lengths", [[4, 1], [-1, 2]])
def test_lengths_out_of_range(lengths: Any) -> None:
    with pytest.raises(ValueError, match="x has 3 time steps: they must be 0 to 3"):
        tn.rnn(**arguments("rnn", 3, 2, 2, 3), lengths=lengths)


def test_another_nonlinearity() -> None:
    with pytest.raises(ValueError, match="'sine' is neither 'tanh' nor 'relu'"):
        tn.rnn(**arguments("rnn", 3, 2, 2, 3), nonlinearity="sine")
