"""The generator, its samplers and dropout."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tapenet.ops import random
from tapenet.testing import check_grads
from tests.ops.oracle import close
from tests.replay import Replay

SAMPLERS: dict[str, Any] = {
    "uniform": random.uniform,
    "normal": random.normal,
    "bernoulli": lambda **k: tn.random.bernoulli(0.3, **k),
    "integers": lambda **k: random.integers(5, **k),
    "permutation": lambda size=0, **k: random.permutation(7, **k),
    "draw": lambda size=(), **k: random.draw(lambda rng: rng.laplace(size=size), **k),
    "dropout": lambda size=0, **k: tn.dropout(np.ones((4, 5)), 0.5, **k),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_gives_the_same_numbers(name: str) -> None:
    draw = SAMPLERS[name]
    runs = []
    for _ in range(2):
        random.seed(3)
        runs.append([draw(size=(3, 4)) for _ in range(3)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])
    random.seed(4)
    assert not np.array_equal(draw(size=(3, 4)), runs[0][0])


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_generator_or_an_integer_takes_the_place_of_the_default(name: str) -> None:
    draw = SAMPLERS[name]
    random.seed(0)
    before = random.generator().bit_generator.state
    one, other = (draw(size=(3, 4), rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(draw(size=(3, 4), rng=5), one)
    rng = np.random.default_rng(5)
    draw(size=(3, 4), rng=rng)
    assert not np.array_equal(draw(size=(3, 4), rng=rng), one)
    assert random.generator().bit_generator.state == before


def test_seeding_with_none_takes_fresh_entropy() -> None:
    random.seed(None)
    a = random.uniform(size=4)
    random.seed(None)
    assert not np.array_equal(a, random.uniform(size=4))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_ranges_and_moments(dtype: Any) -> None:
    u = random.uniform(-2, 3, (20_000,), dtype, rng=0)
    n = random.normal(1, 2, (20_000,), dtype, rng=0)
    assert u.dtype == n.dtype == dtype
    assert u.min() >= -2
    assert u.max() <= 3
    np.testing.assert_allclose(u.astype(float).mean(), 0.5, atol=0.05)
    np.testing.assert_allclose(n.astype(float).mean(), 1, atol=0.05)
    np.testing.assert_allclose(n.astype(float).std(), 2, atol=0.05)
    assert random.uniform(dtype=dtype).shape == random.normal(dtype=dtype).shape == ()


def test_discrete_samplers() -> None:
    assert set(random.integers(2, 5, 100, rng=0)) == {2, 3, 4}
    assert random.integers(3, size=(2, 2), dtype=np.int8).dtype == np.int8
    b = tn.random.bernoulli(0.25, (10_000,), rng=0)
    assert b.dtype == np.bool_
    np.testing.assert_allclose(b.mean(), 0.25, atol=0.02)
    assert tn.random.bernoulli(0.5, 3, np.float32).dtype == np.float32
    assert not tn.random.bernoulli(0.0, 100).any()
    assert sorted(random.permutation(9, rng=0)) == list(range(9))


def test_numpy_random_is_not_imported_with_the_package() -> None:
    code = "import sys, tapenet; sys.exit('numpy.random' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: random.generator("seed"), TypeError, r"rng='seed' is a str: give a NumPy generator"),
        (lambda: random.generator(True), TypeError, "rng=True is a bool"),
        (
            lambda: tn.random.bernoulli(1.5),
            ValueError,
            r"^tn\.random\.bernoulli: p is a probability, from 0 to 1, not 1.5",
        ),
        (lambda: random.uniform(dtype=np.int32), TypeError, "dtype=int32: .*use tn.random.integers"),
        (lambda: tn.dropout(tn.tensor([1.0]), -0.1), ValueError, "dropout.*p=-0.1 is no probability"),
        (lambda: tn.dropout(tn.tensor([1.0]), float("nan")), ValueError, "p=nan is no probability"),
        (lambda: tn.dropout(tn.tensor([1.0]), 2, training=False), ValueError, "p=2 is no probability"),
        (lambda: tn.dropout(tn.tensor([1.0]), rng="x"), TypeError, "rng='x' is a str"),
    ],
)
def test_errors_say_what_to_do(call: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


# -- dropout -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_a_share_and_scales_the_rest(p: float, dtype: Any) -> None:
    x = tn.tensor(np.arange(1, 20_001, dtype=dtype), requires_grad=True)
    y = tn.dropout(x, p, rng=0)
    assert y.dtype == dtype
    kept = y.data != 0
    np.testing.assert_allclose(kept.mean(), 1 - p, atol=0.02)
    np.testing.assert_allclose(y.data[kept], x.data[kept] / (1 - p), rtol=1e-6)
    y.backward(np.ones(y.shape, dtype))
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad.data != 0, kept)
    np.testing.assert_allclose(x.grad.data[kept], 1 / (1 - p), rtol=1e-6)


@pytest.mark.parametrize("args", [(0.5, False), (0.0, True), (0, True), (1.0, False)])
def test_dropout_does_nothing_in_evaluation_or_without_probability(args: Any) -> None:
    x = tn.tensor([1.0, np.inf], requires_grad=True)
    y = tn.dropout(x, *args)
    np.testing.assert_array_equal(y.data, x.data)
    y.backward(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(x.grad.data, [2.0, 3.0])


def test_dropout_of_everything() -> None:
    x = tn.tensor([1.0, np.inf], requires_grad=True)
    y = tn.dropout(x, 1.0)
    np.testing.assert_array_equal(y.data, 0)
    y.backward(np.array([1.0, np.inf]))
    np.testing.assert_array_equal(x.grad.data, 0)


def test_a_dropped_infinity_is_zero_without_a_warning() -> None:
    y = tn.dropout(np.full(100, np.inf), 0.5, rng=0)
    assert set(y) == {0.0, np.inf}


def test_dropout_to_second_order() -> None:
    check_grads(lambda x: tn.dropout(x, 0.5, rng=1) ** 3, [np.linspace(0.5, 2, 6)], order=2)


def test_a_replay_draws_anew_and_its_gradient_follows() -> None:
    x = tn.tensor(np.ones(200), requires_grad=True)
    with Capture() as tape:
        y = tn.dropout(x, 0.5)
        y.sum().backward()
        gradient = x.grad
        assert gradient is not None
    replay = Replay(tape, [x], tn.Tensor._of(gradient._data, None, gradient._trace))
    first, second = replay(np.ones(200)), replay(np.ones(200))
    assert not np.array_equal(first, second)
    assert set(first) == set(second) == {0.0, 2.0}


def test_a_captured_dropout_in_evaluation_does_nothing() -> None:
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    with Capture() as tape:
        tn.dropout(x, 0.5, training=False).sum().backward()
        gradient = x.grad
        assert gradient is not None
    np.testing.assert_array_equal(Replay(tape, [x], gradient)(np.ones(2)), 1)


def test_dropout_is_marked_as_random() -> None:
    assert tn.dropout.random
    with tn.Tape() as tape:
        tn.dropout(np.ones(3), 0.5)
    assert [n.name for n in tape] == ["dropout"]


def test_memory_order_is_kept() -> None:
    x = np.ones((3, 4, 5)).transpose(2, 0, 1)
    y = tn.dropout(x, 0.5, rng=0)
    assert y.strides == x.strides
    close(y, tn.dropout(np.ones((5, 3, 4)), 0.5, rng=0))


def test_parameters_may_be_arrays() -> None:
    drawn = random.normal([0.0, 100.0], [[1.0], [0.0]], rng=0)
    assert drawn.shape == (2, 2)
    assert drawn[1].tolist() == [0.0, 100.0]
    plain = np.random.default_rng(0).standard_normal((2, 2))
    np.testing.assert_array_equal(drawn[0], plain[0] + [0.0, 100.0])
    assert random.normal([0.0, 100.0], size=(500, 2), rng=0).mean(0).round().tolist() == [0.0, 100.0]
    low, high = random.uniform([0, 10], [1, 11], (100, 2), rng=0).T
    assert (low < 1).all()
    assert ((high >= 10) & (high < 11)).all()
    assert random.uniform(rng=0).shape == random.normal(size=(), rng=0).shape == ()
    for draw in (random.normal, random.uniform):
        with pytest.raises(ValueError, match=r"size=3 does not fit parameters of shape \(2,\): leave it out"):
            draw([0.0, 1.0], size=3)


def test_a_seed_is_an_integer() -> None:
    wrong: Any
    for wrong, kind in (("abc", TypeError), (b"abc", TypeError), (1.5, TypeError), (-1, ValueError)):
        with pytest.raises(
            kind, match=r"^tn\.random\.seed\(.*\): a seed is an integer of 0 or more, a sequence of them, or None"
        ):
            random.seed(wrong)


# -- where the generator is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_the_state_can_be_taken_and_put_back(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(random, "_default", np.random.Generator(getattr(np.random, kind)(5)))
    random.uniform(size=3)
    state = random.get_state()
    first = [random.normal(size=7), tn.random.bernoulli(0.3, 5), random.permutation(9)]
    random.seed(1)  # a PCG64
    random.set_state(state)
    again = [random.normal(size=7), tn.random.bernoulli(0.3, 5), random.permutation(9)]
    assert all(map(np.array_equal, first, again))
    random.set_state(state)  # which was not changed by drawing
    np.testing.assert_array_equal(random.normal(size=7), first[0])


def test_who_holds_the_generator_goes_on_from_the_state_too() -> None:
    held, state = random.generator(), random.get_state()
    first = random.uniform()
    random.set_state(state)
    assert held.random() == first


def test_compiled_steps_draw_from_where_the_state_was_put() -> None:
    f = tn.compile(lambda x: tn.dropout(x, 0.5))
    x = np.ones(50)
    f(x)
    state = random.get_state()
    first = [f(x).numpy() for _ in range(3)]
    random.set_state(state)
    again = [f(x).numpy() for _ in range(3)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"bit_generator": "default_rng"},
        {"bit_generator": "PCG64"},
        {"bit_generator": "PCG64", "state": {"state": -1, "inc": 1}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "MT19937", "state": {"key": [1, 2], "pos": 3}},
    ],
    ids=str,
)
def test_what_is_no_state_is_refused_and_changes_nothing(state: Any) -> None:
    before = random.get_state()
    with pytest.raises(ValueError, match=r"tn.random.set_state"):
        random.set_state(state)
    assert random.get_state() == before


@pytest.mark.parametrize("backend", ["numpy", None])
def test_a_compiled_function_draws_anew(backend: Any) -> None:
    tn.random.seed(0)
    expected = [2.0 * random.draw(lambda rng: rng.laplace(size=3)) for _ in range(3)]
    tn.random.seed(0)
    f = tn.compile(lambda x: x * random.draw(lambda rng: rng.laplace(size=3)), backend=backend)
    for numbers in expected:
        np.testing.assert_array_equal(f(tn.tensor(2.0)).data, numbers)
