"""Derivatives of formulas, and the shape that pullbacks have. Those of each primitive are in `test_derivatives`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tapenet.program import numpy_code
from tapenet.program.ir import Builder, Input, Program
from tapenet.program.passes import simplify
from tapenet.program.primitives import Hole
from tapenet.program.pullback import pullback
from tapenet.program.symbols import Symbol, array_of
from tests.program.differentiated import of_differences

R = np.random.default_rng(0)


def program(f: Callable[..., Any], arrays: Sequence[Any]) -> Program:
    builder = Builder()
    inputs = [Input(a.shape, a.dtype) for a in arrays]
    out = array_of(builder, f(*(Symbol(builder, i, shared=True) for i in inputs)))
    return Program(inputs, [], builder.body, [out.value], [])


FORMULAS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "a cast": (lambda x: (x > 1).astype(np.float64) * x.astype(np.float64), ((5,),)),
    "reductions": (lambda x: np.sum(x * x, axis=1) * np.max(x, axis=1) - np.min(x), ((3, 4),)),
    "mean and variance": (lambda x: (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + 0.1), ((5, 2),)),
    "views": (lambda x: np.transpose(x, (1, 0)).reshape(2, 6)[:, 1:5:2] * np.broadcast_to(x[0, 0], (2, 2)), ((3, 4),)),
    "products": (lambda x, y: np.matmul(np.matmul(x, y), np.swapaxes(y, 0, 1)), ((2, 3), (3, 4))),
    "batches of products": (lambda x, y: np.matmul(x, y), ((2, 2, 3), (2, 3, 2))),
    "joined": (lambda x, y: np.concatenate([x, x * y, y], axis=1), ((2, 3), (2, 3))),
    "taken": (lambda x: np.take(x, np.array([0, 2, 2]), axis=1), ((2, 3),)),
    "indexed": (lambda x: x[np.array([0, 1, 1]), np.array([2, 0, 0])] ** 2, ((2, 3),)),
    "branches": (lambda x, y: np.where(x > y, x * y, np.exp(y)), ((2, 3), (3,))),
    "powers": (lambda x: x**3 + x**0.5 + 1 / x + 2.0**x, ((4,),)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    f, shapes = FORMULAS[name]
    arrays = [R.uniform(0.5, 1.5, shape) for shape in shapes]
    of_differences(program(f, arrays), arrays)


def test_writes_and_scattering() -> None:
    x, y = R.normal(size=(4, 3)), R.normal(size=(2, 3))
    builder = Builder()
    a, b = Input(x.shape, x.dtype), Input(y.shape, y.dtype)
    index = Input((2,), np.dtype(np.intp))
    updated = builder.emit("update", a, b, slices=((1, 3, 1), (0, 3, 1)))
    put = builder.emit("put", updated, b, index, template=(Hole(0),))
    added = builder.emit("scatter_add", builder.elementwise("multiply", b, b), index, template=(Hole(0),), shape=(4, 3))
    total = builder.elementwise("add", put, added)
    of_differences(Program([a, b, index], [], builder.body, [total], []), [x, y, np.array([3, 0])])


def test_elements_that_are_as_large_share_the_gradient() -> None:
    x = np.array([[1.0, 3.0, 3.0]])
    back = numpy_code.function(simplify(pullback(program(lambda x: np.max(x, axis=1), [x]), [0])))
    np.testing.assert_array_equal(back(x, np.ones(1))[0], [[0, 0.5, 0.5]])


def test_what_nothing_depends_on_has_zeros() -> None:
    x = R.normal(size=3)
    back = numpy_code.function(simplify(pullback(program(lambda x: np.floor(x) + 1.0, [x]), [0])))
    np.testing.assert_array_equal(back(x, np.ones(3))[0], np.zeros(3))


def elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.where(x > 0, 0, x)))


def test_what_comes_back_through_the_branches_of_a_choice_is_chosen_from() -> None:
    pulled = simplify(pullback(program(elu, [R.normal(size=(2, 3))]), [0]))
    assert [i.name for i in pulled.body] == ["greater", "exp", "safe_mul", "where"]


@pytest.mark.parametrize("inner", [">", "<"])
def test_choices_inside_choices(inner: str) -> None:
    def f(x: Any, y: Any) -> Any:
        low = np.where(x > y if inner == ">" else x < y, x * y, np.sin(x))
        return np.where(x > y, low * x, np.where(y > 0, low, y) * y) + low

    arrays = [R.normal(size=(3, 4)), R.normal(size=(3, 4))]
    of_differences(program(f, arrays), arrays)


def test_products_are_plain_where_all_is_finite() -> None:
    pulled = simplify(pullback(program(lambda x: np.log(np.sqrt(x)), [np.zeros(4)]), [0]))
    quick, careful = numpy_code.function(pulled), numpy_code.function(pulled, {})
    with np.errstate(all="ignore"):
        for x in ([0.5, 1.0, 2.0, 3.0], [0.0, 1.0, np.inf, 0.0]):
            for g in ([1.0, 1.0, 0.0, 2.0], [0.0, np.inf, 0.0, 0.0]):
                given = np.array(x), np.array(g)
                np.testing.assert_array_equal(quick(*given)[0], careful(*given)[0])
                assert np.isfinite(quick(*given)[0][np.array(g) == 0]).all()
