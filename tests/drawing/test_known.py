"""The numbers of a drawn function: those that NumPy computes, and gradients by hand."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.drawing import options
from tapenet.drawing.sources.known import gradients_on, values_on
from tests.drawing.graphs import leaf

#: The arrays behind the numbers of a picture, which itself keeps their texts alone.
ARRAYS: dict[int, Any] = {}


@pytest.fixture(autouse=True)
def _arrays_are_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    in_short = options._in_short

    def kept(arrays: Any) -> Any:
        made = in_short(arrays)
        ARRAYS[id(made)] = arrays
        return made

    monkeypatch.setattr(options, "_in_short", kept)
    yield
    ARRAYS.clear()


def numbers(picture: Any, *, gradients: bool = False) -> dict[str, Any]:
    known = ARRAYS[id(picture._numbers)]
    arrays = known.gradients if gradients else known.values
    return {v.title: arrays[i] for i, v in enumerate(picture.source.vertices) if i in arrays}


def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, err_msg=name)


def test_values_and_gradients_of_a_small_function() -> None:
    x, w, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.25]), np.array(1.5)
    picture = tn.draw(lambda x, w, b: np.tanh(x @ w + b).sum(), x, w, b, backward=True)
    z = x @ w
    y = np.tanh(z + b)
    check(numbers(picture), {"x": x, "w": w, "b": b, "@": z, "+": z + b, "tanh": y, "sum": y.sum()})
    g = 1 - y**2
    expected = {"x": np.outer(g, w), "w": g @ x, "b": g.sum(), "@": g, "+": g, "tanh": np.ones(2), "sum": 1.0}
    check(numbers(picture, gradients=True), expected)


def test_what_is_used_several_times_has_the_sum_of_its_gradients() -> None:
    x = np.array([1.0, 2.0])

    def function(x: Any) -> Any:
        y = np.exp(x)
        return y * y + x * np.sin(y)

    picture = tn.draw(function, x, backward=True)
    y = np.exp(x)
    dy = 2 * y + x * np.cos(y)
    found = numbers(picture, gradients=True)
    np.testing.assert_allclose(found["exp"], dy, rtol=1e-12)
    np.testing.assert_allclose(found["x"], dy * y + np.sin(y), rtol=1e-12)
    np.testing.assert_allclose(found["sin"], x, rtol=1e-12)


def test_gradients_are_those_of_the_sum_of_all_results() -> None:
    x = np.array([1.0, 2.0])
    picture = tn.draw(lambda x: {"a": 3 * x, "b": x**2, "c": np.argmax(x)}, x, backward=True)
    np.testing.assert_allclose(numbers(picture, gradients=True)["x"], 3 + 2 * x)
    both = tn.draw(lambda x: (x * 5, x * 5), x, backward=True)
    np.testing.assert_allclose(numbers(both, gradients=True)["x"], [10, 10])


def test_a_result_that_others_are_computed_from() -> None:
    def function(x: Any) -> Any:
        y = x * 3
        return y, y**2

    x = np.array([1.0, 2.0])
    found = numbers(tn.draw(function, x, backward=True), gradients=True)
    np.testing.assert_allclose(found["× 3"], 1 + 2 * 3 * x)
    np.testing.assert_allclose(found["x"], 3 * (1 + 6 * x))


def test_arrays_that_are_no_tensors_are_known_too() -> None:
    scale = np.array([2.0, 4.0])
    picture = tn.draw(lambda x: x * scale + scale, np.ones(2))
    assert [v.title for v in picture.source.vertices].count("scale") == 1
    check(numbers(picture), {"x": np.ones(2), "scale": scale, "×": scale, "+": 2 * scale})


def test_a_tape_knows_its_values() -> None:
    u = tn.tensor([1.0, 2.0])
    with tn.Tape() as tape:
        v = np.exp(u) * 2
    found = numbers(tn.draw(tape))
    check(found, {"u": [1.0, 2.0], "exp": np.exp([1.0, 2.0])})
    np.testing.assert_allclose(v.numpy(), 2 * found["exp"])


def test_no_gradient_is_changed_and_no_hook_is_left() -> None:
    w, other = leaf(2), leaf(2)
    seen: list[Any] = []
    w.register_hook(lambda g: seen.append(g))
    w.grad = tn.tensor([7.0, 8.0], dtype=np.float32)
    earlier = np.exp(other)
    with tn.Tape() as tape:
        y = w * earlier
    found = gradients_on(tape, [y])
    np.testing.assert_allclose(found[w.node], np.exp(other.numpy()), rtol=1e-6)
    np.testing.assert_allclose(found[y.node], np.ones(2))
    np.testing.assert_array_equal(w.grad.numpy(), [7, 8])
    assert other.grad is None
    assert len(seen) == 1
    y.sum().backward()
    assert len(seen) == 2  # the user's own is there still
    assert values_on(tape)[w.node] is not None


@pytest.mark.parametrize("rounds", [1, 2])
def test_results_without_a_gradient_are_no_error(rounds: int) -> None:
    for _ in range(rounds):
        picture = tn.draw(lambda x: np.argmax(x), np.ones(3), backward=True)
        assert numbers(picture, gradients=True) == {}


def test_a_picture_keeps_no_computed_arrays_alive_and_tells_what_they_were() -> None:
    """It keeps the function and what it was called with, which `watch` calls again."""
    x = np.array([1.0, 2.0])
    computed: list[Any] = []

    def function(x: Any) -> Any:
        big = x.reshape(2, 1) * np.ones((2, 10_000))
        computed.append(weakref.ref(big.data))
        return x * 3, big.sum()

    picture = tn.draw(function, x, compact=False)
    assert computed
    ARRAYS.clear()
    gc.collect()
    assert [made() for made in computed] == [None] * len(computed)
    x[:] = 0
    assert "[3 6]" in picture.animate().text
