"""Powers with a fixed exponent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Program
from tapenet.program.passes import powers
from tests.program.evaluate import evaluate
from tests.program.passes.programs import SPECIAL, Build, assert_kept, assert_property, assert_same, constant, names


def power(exponent: Any, dtype: Any = np.float32, shape: tuple[int, ...] = (40,)) -> Program:
    b = Build()
    return b.program(b.emit("power", b.input(*shape, dtype=dtype), constant(exponent, dtype)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (0, ["broadcast"]),
        (1, []),
        (2, ["multiply"]),
        (3, ["multiply", "multiply"]),
        (-1, ["divide"]),
        (0.5, ["sqrt"]),
        (-0.5, ["add", "sqrt", "divide", "equal", "where"]),
    ],
)
def test_values_are_those_of_numpy(exponent: float, expected: list[str], dtype: Any) -> None:
    """At both zeros, infinities and NaN exactly, everywhere else to the last places."""
    program = power(exponent, dtype, (len(SPECIAL),))
    changed = powers.run(program)
    assert names(changed) == expected
    special = np.asarray(SPECIAL).astype(dtype)
    random = np.abs(np.random.default_rng(0).normal(size=special.shape)).astype(dtype)
    for x in (special, random):
        (found,), (wanted,) = evaluate(changed, [x]).outputs, evaluate(program, [x]).outputs
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
        exact = ~np.isfinite(wanted) | (wanted == 0)
        np.testing.assert_array_equal(found[exact], wanted[exact])
        numbers = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(wanted)[numbers])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
def test_powers_of_integers_wrap_around(exponent: int) -> None:
    assert "power" not in names(assert_same(powers.run, power(exponent, np.int8)))


def test_squares_are_products() -> None:
    b = Build()
    assert names(assert_same(powers.run, b.program(b.emit("square", b.input(30))))) == ["multiply"]


@pytest.mark.parametrize("exponent", [-2, 1.5, 2.5, 7, float("nan"), float("inf"), [2, 3], [0.5]])
def test_other_exponents_stay(exponent: Any) -> None:
    """Among them 0.5 in an array, where NumPy calls `pow`, which is no square root at -0.0 and -inf."""
    assert_kept(powers.run, power(exponent, shape=(np.size(exponent),)))


def test_an_exponent_that_is_computed_stays() -> None:
    b = Build()
    assert_kept(powers.run, b.program(b.emit("power", b.input(3), b.input(3))))


def test_the_result_keeps_its_shape() -> None:
    changed = assert_same(powers.run, power([[1.0]], shape=(3,)))
    assert changed.outputs[0].shape == (1, 3)


def test_random_programs() -> None:
    assert_property(powers.run, floats=True, acts=0.2)
    assert_property(powers.run, floats=False, acts=0.2)
