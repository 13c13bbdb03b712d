"""Ops of the user's own that change something beside their result, or draw random numbers, compiled and batched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.typing import Array


@tn.op(effect=True, x=lambda g: g)
def counted(x: Array, state: Any) -> Array:
    """`x`; counts its elements."""
    if isinstance(state, dict):
        state["elements"] += x.size
    elif isinstance(state, list):
        state.append(x.size)
    else:
        state.elements += x.size
    return x


def count(state: Any) -> int:
    if isinstance(state, list):
        return sum(state)
    found: int = state["elements"] if isinstance(state, dict) else state.elements
    return found


@tn.op(random=True, rate=lambda g, out, rate: -g * out / rate)
def waiting(rate: Array) -> Array:
    """Random times until events of that rate."""
    return np.asarray(tn.random.generator().standard_exponential(rate.shape, rate.dtype) / rate)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("state", [{"elements": 0}, [], SimpleNamespace(elements=0)], ids=lambda s: type(s).__name__)
def test_an_effect_on_what_the_function_gives_to_an_op_happens_at_each_run(state: Any, backend: str) -> None:
    """And the program is made once, though it reaches what changes."""
    if backend == "native":
        pytest.importorskip("llvmlite")
    before = count(state)
    step = tn.compile(lambda x: counted(2 * x, state).sum(), backend=backend)
    for _ in range(3):
        assert step(np.ones(4)).item() == 8
    assert count(state) == before + 12
    assert "1 program," in str(step.explain())
    slope = tn.compile(tn.grad(lambda x: counted(2 * x, state).sum()), backend=backend)
    for _ in range(3):
        assert slope(np.ones(4)).tolist() == [2] * 4
    assert count(state) == before + 24


def test_a_change_by_the_function_itself_is_refused() -> None:
    state, other = {"elements": 0}, {"elements": 0}

    @tn.compile
    def step(x: tn.Tensor) -> tn.Tensor:
        state["elements"] += 1
        return counted(x, other)

    with pytest.raises(CaptureError, match="changed the dict"):
        step(np.ones(2))


def drawn(f: Any, *args: object) -> Array:
    tn.random.seed(0)
    return np.asarray(f(*args))


def test_each_lane_draws_its_own() -> None:
    rates = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]])
    lane_by_lane = drawn(lambda: np.stack([waiting(rate) for rate in rates]))
    batched = tn.vmap(waiting, randomness="different")
    assert np.array_equal(drawn(batched, rates), lane_by_lane)
    step = tn.compile(batched)
    for _ in range(3):
        assert np.array_equal(drawn(step, rates), lane_by_lane)
    slopes = tn.vmap(tn.grad(lambda rate: waiting(rate).sum()), randomness="different")
    for f in (slopes, tn.compile(slopes)):
        assert np.array_equal(drawn(f, rates), -lane_by_lane / rates)


def test_two_draws_are_two() -> None:
    twice = tn.vmap(lambda rate: waiting(rate) - waiting(rate), randomness="different")
    for f in (twice, tn.compile(twice)):
        assert (drawn(f, np.ones((3, 2))) != 0).all()


@pytest.mark.parametrize(("randomness", "message"), [("error", "say randomness="), ("same", "once for each lane")])
def test_lanes_do_not_draw_unasked(randomness: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        tn.vmap(waiting, randomness=randomness)(np.ones((3, 2)))
