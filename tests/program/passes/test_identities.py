"""Identities of arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Value
from tapenet.program.passes import identities
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names

INF = float("inf")


def binary(name: str, left: Any, right: Any, dtype: Any = np.float32, shape: tuple[int, ...] = (20,)) -> Any:
    """A program of one instruction; "x" and "y" stand for inputs, numbers for constants."""
    b = Build()
    given: dict[str, Value] = {}

    def value(what: Any) -> Value:
        if isinstance(what, str):
            return given.setdefault(what, b.input(*shape, dtype=dtype))
        return constant(what, dtype)

    return b.program(b.emit(name, value(left), value(right)))


NOTHING = [
    ("add", "x", -0.0, "f2 f4 f8 i4 u1 ?"),
    ("add", -0.0, "x", "f4 i4 ?"),
    ("subtract", "x", 0.0, "f2 f4 f8 i4 u1"),
    ("multiply", "x", 1, "f2 f4 f8 i4 u1 ?"),
    ("multiply", 1, "x", "f4 i4 ?"),
    ("divide", "x", 1, "f2 f4 f8"),
    ("floor_divide", "x", 1, "i4 u1"),
    ("maximum", "x", "x", "f4 i4 ?"),
    ("minimum", "x", "x", "f4 i4 ?"),
    ("fmax", "x", "x", "f4 i4 ?"),
    ("fmin", "x", "x", "f4 i4 ?"),
    ("maximum", -INF, "x", "f2 f4 f8"),
    ("minimum", "x", INF, "f2 f4 f8"),
    ("bitwise_and", "x", "x", "i4 u1 ?"),
    ("bitwise_or", "x", 0, "i4 u1 ?"),
    ("bitwise_xor", 0, "x", "i4 u1 ?"),
    ("logical_and", "x", "x", "?"),
    ("logical_and", 1, "x", "?"),
    ("logical_or", "x", 0, "?"),
]


@pytest.mark.parametrize(
    ("name", "left", "right", "dtype"), [(*case, dtype) for *case, dtypes in NOTHING for dtype in dtypes.split()]
)
def test_what_changes_nothing_goes(name: str, left: Any, right: Any, dtype: str) -> None:
    assert names(assert_same(identities.run, binary(name, left, right, dtype))) == []


def test_division_of_one_stays() -> None:
    assert_kept(identities.run, binary("floor_divide", 1, "x", np.int32))


def test_division_of_complex_numbers_stays() -> None:
    assert_kept(identities.run, binary("divide", "x", 2.0, np.complex64))


def test_a_logical_result_is_bool() -> None:
    assert_kept(identities.run, binary("logical_and", "x", "x", np.float32))


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("add", "x", 0.0),  # -0.0 becomes 0.0
        ("subtract", "x", -0.0),
        ("subtract", 0.0, "x"),
        ("subtract", "x", "x"),  # NaN, inf
        ("multiply", "x", 0.0),
        ("divide", "x", "x"),
        ("divide", "x", 3.0),  # a third is no float
        ("divide", "x", 0.0),
        ("divide", "x", INF),
        ("divide", "x", 2.0**127),  # its reciprocal is subnormal
        ("divide", "x", 2.0**-140),  # its reciprocal is infinite
        ("divide", 2.0, "x"),
        ("floor_divide", "x", 1.0),
        ("fmax", "x", -INF),  # of NaN
        ("maximum", "x", INF),
        ("safe_mul", "x", "y"),
        ("safe_mul", "x", INF),
        ("safe_mul", "x", float("nan")),
    ],
)
def test_what_changes_something_stays(name: str, left: Any, right: Any) -> None:
    assert_kept(identities.run, binary(name, left, right))


def test_the_result_keeps_its_shape() -> None:
    b = Build()
    changed = assert_same(identities.run, b.program(b.emit("multiply", b.input(3), constant(np.ones((2, 1))[:1]))))
    assert changed.outputs[0].shape == (1, 3)


def test_numbers_are_seen_through_views() -> None:
    b = Build()
    ones = b.emit("reshape", b.emit("broadcast", constant(1), shape=(2, 3)), shape=(6,))
    assert assert_same(identities.run, b.program(b.emit("multiply", b.input(6), ones))).outputs[0] is b.inputs[0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("divisor", [2.0, -4.0, 0.125, 1024.0])
def test_division_by_a_power_of_two(divisor: float, dtype: Any) -> None:
    changed = assert_same(identities.run, binary("divide", "x", divisor, dtype, (300,)))
    assert names(changed) == ["multiply"]
    assert changed.constants[0].array == 1 / divisor


def test_division_by_an_array_of_powers_of_two() -> None:
    assert names(assert_same(identities.run, binary("divide", "x", [1.0, -2.0, 8.0], shape=(3,)))) == ["multiply"]
    assert_kept(identities.run, binary("divide", "x", [1.0, 2.0, 3.0], shape=(3,)))


def test_division_by_minus_one_is_negation() -> None:
    assert names(assert_same(identities.run, binary("divide", "x", -1.0))) == ["negative"]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_signs(dtype: Any) -> None:
    b = Build()
    x, y = b.input(30, dtype=dtype), b.input(30, dtype=dtype)
    minus_x, minus_y = b.emit("negative", x), b.emit("negative", y)
    made = [
        b.emit("negative", minus_x),
        b.emit("positive", x),
        b.emit("add", x, minus_y),
        b.emit("add", minus_x, y),
        b.emit("subtract", x, minus_y),
        b.emit("multiply", minus_x, minus_y),
        b.emit("multiply", constant(-1, dtype), x),
    ]
    changed = assert_same(identities.run, b.program(*made))
    expected = ["negative", "negative", "subtract", "subtract", "add", "multiply", "negative"]
    assert names(changed) == expected
    assert changed.outputs[:2] == (x, x)


def test_the_negative_of_a_difference_stays() -> None:
    """-(x - x) is -0.0, x - x is 0.0."""
    b = Build()
    x, y = b.input(3), b.input(3)
    assert_kept(identities.run, b.program(b.emit("negative", b.emit("subtract", x, y))))


def test_bits_twice_inverted() -> None:
    b = Build()
    x = b.input(5, dtype=np.int32)
    changed = assert_same(identities.run, b.program(b.emit("invert", b.emit("invert", x))))
    assert changed.outputs == (x,)


@pytest.mark.parametrize("order", [1, -1])
def test_safe_mul_by_a_number(order: int) -> None:
    """By a finite one a product, whose zeros may have another sign; by zero it is zero, of NaN and inf too."""
    product = binary("safe_mul", *("x", 2.0)[::order])
    assert names(assert_same(identities.run, product, zeros=False)) == ["multiply"]
    zero = assert_same(identities.run, binary("safe_mul", *("x", -0.0)[::order]))
    assert names(zero) == ["broadcast"]


def test_safe_mul_of_integers_is_a_product() -> None:
    assert names(assert_same(identities.run, binary("safe_mul", "x", "y", np.int32))) == ["multiply"]


def test_safe_mul_with_a_mask_is_a_choice() -> None:
    b = Build()
    mask, x = b.input(40, dtype=bool), b.input(40)
    changed = assert_same(identities.run, b.program(b.emit("safe_mul", b.cast(mask, np.float32), x)), zeros=False)
    assert names(changed) == ["cast", "where"]
    b = Build()
    whole, x = b.input(40, dtype=np.int8), b.input(40)  # not of 0 and 1 alone
    assert_kept(identities.run, b.program(b.emit("safe_mul", b.cast(whole, np.float32), x)))


def test_one_identity_leads_to_the_next() -> None:
    b = Build()
    x = b.input(3)
    changed = identities.run(b.program(b.emit("safe_mul", b.emit("divide", x, constant(1)), constant(1))))
    assert changed.outputs == (x,)


def test_random_programs() -> None:
    assert_property(identities.run, floats=True, acts=0.5)
    assert_property(identities.run, floats=False, acts=0.5)
