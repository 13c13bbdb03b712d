"""Python's functions of numbers, texts, prints, asserts and errors inside lifted functions."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn

BACKENDS = ["numpy", "native"]


def compiled(f: Callable[..., Any], backend: str) -> Any:
    """A lifted function, compiled."""
    if backend == "native":
        pytest.importorskip("llvmlite")
    return tn.compile(f, lift=True, backend=backend)


def reals(x: Any) -> Any:
    """Most functions of `math`."""
    total = float(x)
    for f in (
        math.exp,
        math.sin,
        math.tanh,
        math.sqrt,
        math.log1p,
        math.cbrt,
        math.erf,
        math.erfc,
        math.gamma,
        math.lgamma,
        math.degrees,
        math.acosh,
    ):
        total += f(x)
    total += math.log(x, 2) + math.hypot(x, 2, 3) + math.atan2(x, 2.0) + math.pow(x, 3) + math.copysign(x, -1.0)
    total += math.floor(x) + math.ceil(x) + math.trunc(x) + int(x) + round(x) + round(x, 1) * 0
    total += max(x, 1.0, 0.5 * x) + min([x, 1.0]) + abs(-x) + divmod(x, 1.0)[1] + math.fmod(x, 2.0)
    total += math.remainder(x, 2.0) + math.isfinite(x) + bool(x) + math.fsum([x, x]) + sum([x, 1.0])
    return total + (any([x > 100, x > 1]) and all([x > 0, x < 100])) + math.fabs(x)


def complexes(x: Any) -> Any:
    """Those of `cmath`."""
    z = complex(x, 2.0) * complex(x)
    r, phi = cmath.polar(z)
    total = cmath.exp(z / 10) + cmath.sqrt(z) + cmath.rect(r, phi) + cmath.log(z) + cmath.phase(z) + cmath.isfinite(z)
    return abs(total) + np.float64(total.real)


@pytest.mark.parametrize("f", [reals, complexes])
def test_functions_of_numbers(f: Callable[..., Any]) -> None:
    """Their values are Python's and have gradients, recorded and compiled."""
    x, eps = 1.7, 1e-6
    slope = (f(x + eps) - f(x - eps)) / (2 * eps)
    value, gradient = tn.value_and_grad(tn.lift(f))(np.float64(x))
    np.testing.assert_allclose([value.item(), gradient.item()], [f(x), slope], rtol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", [reals, complexes])
def test_functions_of_numbers_in_programs(f: Callable[..., Any], backend: str) -> None:
    program = compiled(f, backend)
    for x in (1.7, 2.6):
        eps = 1e-6
        np.testing.assert_allclose(program(np.float64(x)).item(), f(x), rtol=1e-12)
        slope = (f(x + eps) - f(x - eps)) / (2 * eps)
        np.testing.assert_allclose(tn.grad(program)(np.float64(x)).item(), slope, rtol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_keep_the_dtype_of_arrays_beside_them(backend: str) -> None:
    """As Python's do; a number of NumPy's has its own."""

    def f(x: Any, a: Any) -> Any:
        return x * float(a), x * math.exp(a), x * int(a), x * np.float64(a), np.float32(a) * x, x.astype(float)

    x = np.ones(2, np.float32)
    dtypes = [t.dtype for t in f(x, np.float64(2))]
    assert [t.dtype for t in compiled(f, backend)(x, np.float64(2))] == dtypes

    def recorded(a: Any) -> Any:
        kinds.extend(t.dtype for t in f(np.ones(2, np.float32), a))
        return a * 1.0

    kinds: list[object] = []
    tn.grad(tn.lift(recorded))(np.float64(2))
    assert kinds == dtypes


def test_types_stay_types() -> None:
    """Inside a lifted function they are compared, asked about and used as dtypes as ever."""

    def f(x: Any) -> Any:
        y = np.zeros(2, dtype=float)
        assert y.dtype == float
        assert y.dtype == np.float64
        assert np.dtype(int) == int
        assert isinstance(1.0, float)
        assert isinstance(x, float)
        assert isinstance(x, (int, np.floating))
        assert not isinstance(x, int)
        assert issubclass(np.float64, float)
        assert np.issubdtype(y.dtype, np.floating)
        assert {float: 1}[float] == 1
        assert float.__name__ == "float"
        assert float("1.5") == 1.5
        assert int("12", 3) == 5
        assert np.finfo(np.float64).eps == np.finfo(float).eps
        assert complex(1, 2) == 1 + 2j
        assert isinstance(str(x), str)
        assert isinstance("", str)
        assert str.join("-", ["a", "b"]) == "a-b"
        assert str(1) == "1"
        return x * y.sum() + x

    assert tn.grad(tn.lift(f))(np.float64(3.0)).item() == 1.0
    assert tn.compile(f, lift=True, backend="numpy")(np.float64(3.0)).item() == 3.0


def test_errors_of_math_are_raised() -> None:
    def f(x: Any) -> Any:
        return math.sqrt(x)

    with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative"):
        tn.grad(tn.lift(f))(np.float64(-1.0))

    def g(x: Any) -> Any:
        return math.nextafter(x, 2.0)

    with pytest.raises(NotImplementedError, match=r"math.nextafter of a number that is recorded"):
        tn.grad(tn.lift(g))(np.float64(1.0))


# -- questions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_questions_on_values(backend: str) -> None:
    """Compiled they are asked at each run, and no further than Python would."""

    def f(a: Any, x: Any) -> Any:
        i = 0
        while i < len(a) and a[i] < x:
            i += 1
        inside = 0.0 < x <= 4.0 or x == 7.0
        y = math.sqrt(x) if x > 0 else 0.0
        return i + (10 if inside and not math.isnan(x) else 20) + y + (100 if x in (2.0, 5.0) else 0)

    a = np.array([1.0, 2.0, 3.0])
    program = compiled(f, backend)
    for x in (-1.0, 0.5, 2.0, 3.0, 5.0, 7.0):
        np.testing.assert_allclose(program(a, np.float64(x)).item(), f(a, x), rtol=1e-15)
    assert tn.grad(program, 1)(a, np.float64(0.0)).item() == 0.0
    assert tn.grad(program, 1)(a, np.float64(0.25)).item() == 1.0


# -- texts, prints and checks ------------------------------------------------------------------------------------


def told(x: Any) -> Any:
    """Prints in a few ways."""
    y = x * 2
    print("x", x, y.shape, sep="|")
    print(f"{y[0]:.2f} {y[1]!r} {y.sum():>6}", "%.1f %s" % (float(y[0]), "a"), "{0} {b:.1e}".format(y[1], b=y[0]))  # noqa: UP031, UP032
    print(str(y) + "", repr(y), end="!\n")
    norm = math.sqrt(y.sum())
    print(f"{norm:.3f}", norm, "%.2e" % norm)  # noqa: UP031
    tn.debug_print("{:.1f} {n}", norm, n=y)
    return y.sum()


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_prints_show_what_numpy_shows(backend: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.array([1.0, 2.0])
    told(x)
    expected = capsys.readouterr().out
    if backend is None:
        assert tn.grad(tn.lift(told))(x).numpy().tolist() == [2.0, 2.0]
        assert capsys.readouterr().out == expected
        return
    program = compiled(told, backend)
    for _ in range(3):
        program(x)
        assert capsys.readouterr().out == expected
    assert tn.grad(program)(x).numpy().tolist() == [2.0, 2.0]
    assert capsys.readouterr().out == expected, "the gradient prints nothing more"


@pytest.mark.parametrize("backend", BACKENDS)
def test_debug_print(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def f(x: Any) -> Any:
        def step(carry: Any, k: Any) -> Any:
            tn.debug_print("{} {k}", carry, k=k)
            return carry * k, None

        return tn.scan(step, x, np.array([2.0, 3.0]))[0]

    program = tn.compile(f, backend=backend)
    for x in (1.0, 5.0, 7.0):
        assert program(tn.tensor(x)).item() == 6 * x
        assert capsys.readouterr().out == f"{x} 2.0\n{2 * x} 3.0\n"
    assert tn.grad(program)(tn.tensor(1.0)).item() == 6.0
    assert capsys.readouterr().out == "1.0 2.0\n2.0 3.0\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_names_no_tensor_is_printed_at_each_run(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def f(x: Any) -> Any:
        tn.debug_print("begins {}", 3)

        def step(carry: Any, k: Any) -> Any:
            tn.debug_print("turn")
            return carry * k, None

        return tn.scan(step, x, np.array([2.0, 3.0]))[0]

    program = tn.compile(f, backend=backend)
    for x in (1.0, 5.0, 7.0):
        assert program(tn.tensor(x)).item() == 6 * x
        assert capsys.readouterr().out == "begins 3\nturn\nturn\n"
    assert tn.vmap(f)(np.ones(2)).numpy().tolist() == [6.0, 6.0]
    assert capsys.readouterr().out == "begins 3\nturn\nturn\n"


def test_prints_under_transformations(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        tn.debug_print("x = {}", x)
        return x * x

    assert tn.vmap(f)(np.array([1.0, 2.0])).numpy().tolist() == [1.0, 4.0]
    assert capsys.readouterr().out == "x = [1. 2.]\n"
    assert tn.jvp(f, (3.0,), (1.0,))[1].item() == 6.0
    assert capsys.readouterr().out == "x = 3.0\n"


def test_checks_under_transformations() -> None:
    def f(x: Any) -> Any:
        for i in range(5):
            assert x * i < 10, f"{i} {x}"
        if x == 2.0:
            raise ArithmeticError(x)
        return x * x

    lifted = tn.lift(f)
    assert tn.vmap(lifted)(np.array([1.0, 1.5])).numpy().tolist() == [1.0, 2.25]
    assert tn.jvp(lifted, (1.0,), (1.0,))[1].item() == 2.0
    with pytest.raises(ArithmeticError):
        tn.vmap(lifted)(np.array([1.0, 2.0]))
    with pytest.raises(ArithmeticError):
        tn.jvp(lifted, (2.0,), (1.0,))
    with pytest.raises(AssertionError):
        tn.vmap(lifted)(np.array([1.0, 3.0]))
    with pytest.raises(AssertionError):
        tn.jvp(lifted, (3.0,), (1.0,))


def checked(x: Any, n: Any) -> Any:
    """Checks at its top, in a loop and behind it."""
    if n < 0:
        raise ValueError(f"n is {n}")
    total = 0.0
    for i in range(len(x)):
        if x[i] > 3:
            raise ArithmeticError(f"x[{i}] is {x[i]:.2f}", i)
        assert x[i] != -5, "five"
        total += x[i] * x[i]
    assert total < 20, ("too much", total)
    return total


CASES: list[tuple[object, object, type[Exception], str]] = [
    ([1.0, 2.0, 1.0], -2, ValueError, "n is -2"),
    ([1.0, 3.5, 4.5], 1, ArithmeticError, r"\('x\[1\] is 3.50', 1\)"),
    ([-1.0, -5.0, 4.5], 1, AssertionError, "^five"),
    ([3.0, 3.0, 3.0], 1, AssertionError, r"'too much', .*27\."),
]


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_checks_are_made_at_each_run(backend: str | None) -> None:
    f = tn.lift(checked) if backend is None else compiled(checked, backend)
    good = np.array([1.0, 2.0, 1.0])
    for x, n, kind, message in CASES:
        assert f(good, np.int64(1)).item() == 6.0
        with pytest.raises(kind, match=message) as raised:
            f(np.array(x), np.int64(n))
        assert type(raised.value) is kind
        assert tn.grad(f)(good, np.int64(1)).numpy().tolist() == [2.0, 4.0, 2.0]
        with pytest.raises(kind, match=message):
            tn.grad(f)(np.array(x), np.int64(n))
