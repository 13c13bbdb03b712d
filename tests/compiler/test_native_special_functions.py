"""SciPy's special functions in compiled programs: its own inner loops, without Python, in loops too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import special
from tapenet.program.ufunc_rows import UFUNCS
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
ONE = ("gammaln", "psi", "expit", "j0", "i0e", "ndtri", "erfinv", "zetac", "ellipk")
TWO = ("betaln", "jv", "gammainc", "xlogy", "hyp0f1", "eval_hermite")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ONE + TWO)
@backends
def test_they_are_scipys(compiled: Compile, name: str, dtype: type) -> None:
    """Bit for bit, of arrays that lie anyhow and broadcast."""
    f = getattr(special, name)
    x = RNG.uniform(0.1, 0.9, (3, 4, 5)).astype(dtype)
    x[0, 0, :3] = np.nan, np.inf, -0.0
    y = np.array([0, 1, 2], np.int64 if name == "eval_hermite" else dtype)[:, None, None]
    given = (y,) if name in TWO else ()
    step = compiled(lambda x, *y: f(*y, x))
    for each in (
        x,
        x,
        x.transpose(2, 1, 0)[:3, :, 1:2],
        x[:, ::-1, ::2],
        x[0, 0, 0][()] * np.ones((3, 1, 1), dtype),
    ):
        right = np.asarray(f(*given, each))
        found = np.asarray(step(each, *given))
        assert found.dtype == right.dtype
        np.testing.assert_array_equal(found, right)
    assert not calls_python(step)
    np.testing.assert_array_equal(np.asarray(step(x[:, :0], *given)), np.asarray(f(*given, x[:, :0])))


@backends
def test_in_loops_with_gradients(compiled: Compile) -> None:
    def f(x: Any) -> Any:
        def turn(c: Any, x: Any) -> Any:
            value = special.gammaln(x + 1) + special.xlogy(x, 2.0) * special.j0(x) + special.log_ndtr(c)
            return 0.1 * value.sum() + c, special.expit(x) + np.sinc(x - x[0])  # at 0 too

        last, rows = tn.scan(turn, np.float64(0.5), x)
        return last + (rows * rows).sum()

    x = RNG.uniform(0.5, 2, (4, 3))
    for g in (f, tn.grad(f)):
        step = compiled(g)
        for _ in range(2):
            np.testing.assert_allclose(step(x), np.asarray(g(x)), rtol=1e-11)
        assert not calls_python(step)


@backends
def test_lanes(compiled: Compile) -> None:
    xs, y = RNG.uniform(0.5, 2, (3, 5)), np.array([1.0, 2.0, 4.0])
    step = compiled(tn.vmap(lambda x, y: special.gammainc(y, x)))
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(step(xs, y)), special.gammainc(y[:, None], xs))
    assert not calls_python(step)


def test_what_scipy_raises_is_raised() -> None:
    pytest.importorskip("llvmlite")
    import scipy.special

    step = tn.compile(special.gammaln, backend="native")
    for _ in range(2):
        step(np.array([1.0, -1.0]))
    with (
        scipy.special.errstate(singular="raise"),
        pytest.raises(scipy.special.SpecialFunctionError, match="singularity"),
    ):
        step(np.array([1.0, -1.0]))
    assert float(step(np.array([3.0]))[0]) == scipy.special.gammaln(3.0)


def test_each_function_of_one_result_is_a_primitive() -> None:
    assert len(UFUNCS) > 100
