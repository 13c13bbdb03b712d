"""Derivatives of programs in both directions: of every primitive to second order, and of random programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program import numpy_backend, pullback, pushforward, transforms
from tapenet.program.called_ops import Hole
from tapenet.program.derivatives import FLAT, RULES
from tapenet.program.differentiating import DEFINITIONS, NoDerivative
from tapenet.program.ir import Constant, Program, Value
from tapenet.program.passes import simplify
from tapenet.program.primitives import ADDED, NAMES, PRIMITIVES, Spec, loop_dtypes
from tapenet.scipy.linalg import elimination as _factors  # noqa: F401  whose op lu_factor is differentiated as
from tests.program import differentiated
from tests.program.differentiated import free, of_law, to_second_order
from tests.program.native.generate import Loops, Rows
from tests.program.passes.programs import Build, Random, ordinary

R = np.random.default_rng(0)
FLOAT = np.dtype(np.float64)
#: Where the arguments of a primitive lie, if not between 0.3 and 0.9.
DOMAINS = {"arccosh": (1.3, 3.0), "log": (0.3, 3.0), "remainder": (2.2, 2.8), "fmod": (2.2, 2.8)}


@pytest.mark.parametrize("name", sorted(RULES.keys() - ADDED.keys()))
def test_elementwise_primitives(name: str) -> None:
    low, high = DOMAINS.get(name, (0.3, 0.9))
    count = next(n for n, names in NAMES.items() if name in names)
    b = Build()
    arrays: list[Any] = []
    for i, shape in zip(range(count), ((2, 3), (3,), (2, 1)), strict=False):
        condition = name == "where" and i == 0
        arrays.append(np.array([[True, False, True]] * 2) if condition else R.uniform(low, high, shape))
        b.input(*shape, dtype=bool if condition else FLOAT)
    if name in ("remainder", "fmod"):
        arrays[1] = np.array([0.9, 1.0, 1.05])
    to_second_order(b.program(b.emit(name, *b.inputs)), arrays)


Made = Callable[..., Value]


def _apart(b: Build, x: Value) -> Value:
    """A matrix that has an inverse, and eigenvalues that differ."""
    return b.emit("add", x, Constant(np.broadcast_to(np.diag([3.0, 6.0, 11.0]).astype(FLOAT), x.shape)))


def _of_matrix(name: str, params: dict[str, object], b: Build, x: Value) -> Value:
    """The last of what is given, which has signs that do not turn with the matrix."""
    return b.several(name, _apart(b, x), **params)[-1]


def _of_triangle(flags: tuple[bool, bool, bool], b: Build, x: Value, y: Value) -> Value:
    lower, transposed, unit = flags
    return b.emit("solve_triangular", _apart(b, x), y, lower=lower, transposed=transposed, unit=unit, refuses=True)


I2 = np.array([2, 0])
#: By case: what is emitted of inputs of these shapes.
STRUCTURES: dict[str, tuple[Made, tuple[tuple[int, ...], ...]]] = {
    "cast": (lambda b, x: b.cast(b.cast(b.emit("square", x), np.dtype(np.longdouble)), FLOAT), ((3,),)),
    "barrier": (lambda b, x, y: b.emit("barrier", x, y), ((3,), (2,))),
    "provided": (lambda b, x: b.emit("provided", x, Constant(np.asarray(False)), error=ArithmeticError, text=""), ((3,),)),
    "copy": (lambda b, x: b.emit("copy", x), ((3,),)),
    "reshape": (lambda b, x: b.emit("reshape", x, shape=(3, 2)), ((2, 3),)),
    "transpose": (lambda b, x: b.emit("transpose", x, axes=(1, 2, 0)), ((2, 3, 1),)),
    "broadcast": (lambda b, x: b.emit("broadcast", x, shape=(2, 4, 3)), ((4, 1),)),
    "slice": (lambda b, x: b.emit("slice", x, slices=((3, 0, -2), (1, 3, 1))), ((4, 3),)),
    "reduce_add": (lambda b, x: b.emit("reduce_add", x, axes=(0, 2)), ((2, 3, 4),)),
    "reduce_multiply": (lambda b, x: b.emit("reduce_multiply", x, axes=(0, 2)), ((2, 2, 7),)),
    "reduce_maximum": (lambda b, x: b.emit("reduce_maximum", x, axes=(1,)), ((2, 5),)),
    "reduce_minimum": (lambda b, x: b.emit("reduce_minimum", x, axes=(0, 1)), ((2, 5),)),
    "dot": (lambda b, x, y: b.emit("dot", x, y), ((2, 3), (3, 4))),
    "dot ta": (lambda b, x, y: b.emit("dot", x, y, ta=True), ((2, 3, 2), (2, 3, 4))),
    "dot tb": (lambda b, x, y: b.emit("dot", x, y, tb=True), ((2, 3), (4, 3))),
    "dot ta tb": (lambda b, x, y: b.emit("dot", x, y, ta=True, tb=True), ((3, 2), (4, 3))),
    "dot_add": (lambda b, c, x, y: b.emit("dot_add", c, x, y, tb=True), ((2, 4), (2, 3), (4, 3))),
    "concatenate": (lambda b, x, y: b.emit("concatenate", x, y, x, axis=1), ((2, 3), (2, 1))),
    "update": (lambda b, x, y: b.emit("update", x, y, slices=((3, 0, -2), (0, 3, 1))), ((4, 3), (2, 3))),
    "take": (lambda b, x: b.emit("take", x, Constant(np.array([2, 0, 2])), axis=1), ((2, 3),)),
    "index": (lambda b, x: b.emit("index", x, Constant(np.array([2, 0, 2])), template=(0, Hole(0))), ((2, 3),)),
    "put": (lambda b, x, y: b.emit("put", x, y, Constant(I2), template=(Hole(0),)), ((4, 3), (2, 3))),
    "put twice": (lambda b, x, y: b.emit("put", x, y, Constant(I2 * 0), template=(Hole(0),)), ((4, 3), (2, 3))),
    "scatter_add": (lambda b, x: b.emit("scatter_add", x, Constant(I2 * 0), template=(Hole(0),), shape=(3, 3)), ((2, 3),)),
    "add_at": (lambda b, x, y: b.emit("add_at", x, y, Constant(I2 * 0), template=(Hole(0),)), ((4, 3), (2, 3))),
    "add_rows": (lambda b, x, y: b.emit("add_rows", x, y, Constant(I2)), ((4, 3), (2, 3))),
    **{
        name: (partial(_of_matrix, name, params), ((2, 3, 3),))
        for name, params in {
            "cholesky": {"upper": True}, "det": {}, "eigh": {"UPLO": "L"}, "eigvalsh": {"UPLO": "U"}, "inv": {},
            "qr": {"mode": "reduced"}, "slogdet": {}, "svd": {"full_matrices": False}, "svdvals": {},
        }.items()
    },
    "lu_factor": (lambda b, x: b.several("lu_factor", _apart(b, x))[0], ((2, 3, 3),)),
    "sort": (lambda b, x: b.emit("sort", x, axis=0, kind="quicksort"), ((4, 3),)),
    "cummax": (lambda b, x: b.emit("cummax", x, axis=1), ((2, 4),)),
    "cummin": (lambda b, x: b.emit("cummin", x, axis=0), ((4, 2),)),
    "cumsum": (lambda b, x: b.emit("cumsum", x, axis=1), ((2, 4),)),
    "cumprod": (lambda b, x: b.emit("cumprod", x, axis=0), ((4, 2),)),
    **{
        f"solve_triangular {n}": (partial(_of_triangle, params), ((3, 3), (2, 3, 1)))
        for n, params in enumerate([(True, False, False), (False, True, False), (True, True, True)])
    },
    "solve": (lambda b, x, y: b.emit("solve", _apart(b, x), y), ((3, 3), (2, 3, 1))),
}  # fmt: skip


def structure(name: str) -> Program:
    """What a case emits of the squares of its inputs, squared: so there is a second derivative."""
    emit, shapes = STRUCTURES[name]
    b = Build()
    made = emit(b, *(b.emit("square", b.input(*shape, dtype=FLOAT)) for shape in shapes))
    return b.program(b.emit("square", made))


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure(name: str) -> None:
    program = structure(name)
    to_second_order(program, [R.uniform(0.5, 1.5, v.shape) for v in program.inputs])


def test_every_primitive_of_floats_has_derivatives_both_ways_and_is_tried() -> None:
    """Whoever adds a primitive states its derivative, or that it is constant; `call` alone has none, and
    `convolve` and its like, which programs that are frozen get behind all derivatives."""
    elementwise = {name for names in NAMES.values() for name in names}
    inexact = {name for name in elementwise if name in RULES or "f" in loop_dtypes(name, tuple(_given(name)))[-1].char}
    assert inexact <= {*RULES, *FLAT}
    others = (
        {*PRIMITIVES}
        - {*ADDED}
        - elementwise
        - {"call", "convolve", "quantized_convolve", "stop"}
        - {"argmax", "argmin", "argsort", "searchsorted", "reduce_logical_and", "reduce_logical_or"}
    )
    assert others == {*pullback.STRUCTURE, *pullback.WHOLE, *DEFINITIONS} - {*ADDED}
    forward = {*pushforward.LINEAR, *pushforward.OTHERS, *pushforward.WHOLE, *DEFINITIONS}
    assert others == forward - elementwise - {*ADDED}
    tried = {name.partition(" ")[0] for name in STRUCTURES}
    # Of complex numbers, which forward mode does not know: tests/compiler/test_native_complex.py.
    assert others == tried | {"apply", "loop", "while", "branch", "matmul", *transforms.NAMES}


def _given(name: str) -> list[Any]:
    count = next(n for n, names in NAMES.items() if name in names)
    dtype: Any = bool if name.startswith(("bitwise", "invert", "left", "right")) else np.float64
    return [np.dtype(bool) if name == "where" and i == 0 else np.dtype(dtype) for i in range(count)]


# -- loops and branches ------------------------------------------------------------------------------------------


def recurrent(reverse: bool, length: int = 4) -> Program:
    """h = tanh(h W + x) and a running product, stacked; a counter of integers, and a carry that is replaced in each turn."""
    body = Build()
    h, p, n, last, x, w, scale = (
        body.input(2, dtype=FLOAT), body.input(dtype=FLOAT), body.input(dtype=np.int64), body.input(2, dtype=FLOAT),
        body.input(2, dtype=FLOAT), body.input(2, 2, dtype=FLOAT), body.input(dtype=FLOAT),
    )  # fmt: skip
    row = body.reshape(body.emit("dot", body.reshape(h, (1, 2)), w), (2,))
    new = body.emit("tanh", body.emit("add", row, body.emit("multiply", x, last)))
    product = body.emit("multiply", p, body.emit("multiply", scale, body.emit("reduce_add", h, axes=(0,))))
    count = body.emit("add", n, Constant(np.array(1)))
    turn = body.program(new, product, count, x, h, body.emit("multiply", product, body.cast(count, FLOAT)), count)
    b = Build()
    args = [
        b.input(2, dtype=FLOAT), b.input(dtype=FLOAT), b.input(dtype=np.int64), b.input(2, dtype=FLOAT),
        b.input(length, 2, dtype=FLOAT), b.input(2, 2, dtype=FLOAT), b.input(dtype=FLOAT),
    ]  # fmt: skip
    params = {"carries": 4, "slices": 1, "length": length} | ({"reverse": True} if reverse else {})
    return b.program(*b.several("loop", *args, body=turn, **params))


def given(program: Program) -> list[Any]:
    return [R.uniform(0.3, 0.9, v.shape) if v.dtype == FLOAT else np.ones(v.shape, v.dtype) for v in program.inputs]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_loop(reverse: bool, length: int) -> None:
    program = recurrent(reverse, length)
    to_second_order(program, given(program))


def test_a_carry_has_a_tangent_if_it_comes_to_one_in_any_turn() -> None:
    """What is sliced goes from carry to carry: into the third one in the third turn."""
    body = Build()
    carried = [body.input(dtype=FLOAT) for _ in range(3)]
    x = body.input(dtype=FLOAT)
    turn = body.program(body.emit("sin", x), *carried[:2])
    b = Build()
    xs = b.input(4, dtype=FLOAT)
    zero = [Constant(np.zeros(()))] * 3
    program = b.program(*b.several("loop", *zero, xs, body=turn, carries=3, slices=1, length=4))
    (tangents,) = (differentiated.pushed(program).evaluate([np.arange(4.0), np.eye(4)[1]])[3:],)
    np.testing.assert_allclose(tangents, [0, 0, np.cos(1)])
    to_second_order(program, [R.normal(size=4)])


def nested() -> Program:
    """A loop whose body has a loop, and a branch on what is carried."""
    inner = Build()
    c, x, w = inner.input(dtype=FLOAT), inner.input(dtype=FLOAT), inner.input(dtype=FLOAT)
    c2 = inner.emit("sin", inner.emit("add", inner.emit("multiply", c, w), x))
    turn = inner.program(c2, inner.emit("multiply", c, c2))
    yes, no = Build(), Build()
    a = [yes.input(dtype=FLOAT), yes.input(3, dtype=FLOAT)]
    yes = yes.program(yes.emit("multiply", a[0], yes.emit("reduce_multiply", a[1], axes=(0,))))
    a = [no.input(dtype=FLOAT), no.input(3, dtype=FLOAT)]
    no = no.program(no.emit("exp", a[0]))
    outer = Build()
    c, row, w = outer.input(dtype=FLOAT), outer.input(3, dtype=FLOAT), outer.input(dtype=FLOAT)
    last, ys = outer.several("loop", c, row, w, body=turn, carries=1, slices=1, length=3, reverse=True)
    condition = outer.emit("less", last, Constant(np.array(0.1)))
    chosen = outer.emit("branch", condition, last, ys, true=yes, false=no)
    body = outer.program(chosen, ys, condition)
    b = Build()
    args = [b.input(dtype=FLOAT), b.input(4, 3, dtype=FLOAT), b.input(dtype=FLOAT)]
    return b.program(*b.several("loop", *args, body=body, carries=1, slices=1, length=4))


def test_a_loop_in_a_loop_with_a_branch() -> None:
    program = nested()
    arrays = [np.array(0.4), np.linspace(-1.0, 1.0, 12).reshape(4, 3), np.array(0.7)]
    assert set(program.evaluate(arrays)[2].tolist()) == {True, False}
    to_second_order(program, arrays)


def of_products(*functions: str) -> Program:
    """h = the sum of functions of h w, turn by turn."""
    body = Build()
    h, w = body.input(2, 2, dtype=FLOAT), body.input(2, 2, dtype=FLOAT)
    product = body.emit("dot", h, w)
    total: Value = product
    for name in functions:
        total = body.emit("add", total, body.emit(name, product))
    turn = body.program(total)
    b = Build()
    args = [b.input(2, 2, dtype=FLOAT), b.input(2, 2, dtype=FLOAT)]
    return b.program(*b.several("loop", *args, body=turn, carries=1, slices=0, length=3))


@pytest.mark.parametrize(("functions", "anew"), [(["sin"], []), (["sin", "cos", "square"], ["sin", "cos"])])
def test_products_of_a_turn_are_kept_for_the_way_back(functions: list[str], anew: list[str]) -> None:
    """What is made of them where that is less; else they themselves, and the rest is computed anew."""
    program = of_products(*functions)
    to_second_order(program, given(program))
    forward, back = (i.params["body"] for i in differentiated.pulled(program).body if i.name == "loop")
    assert sum(i.name == "dot" for i in forward.body) == 1
    assert sum(i.name == "dot" for i in back.body) == 2  # of the gradient alone
    assert [i.name for i in back.body if i.name in ("sin", "cos", "exp")] == sorted(anew, reverse=True)


def halving(**params: Any) -> Program:
    """While x is above the limit: x sin(x w), and what is squared is stacked, as far as there is room."""
    test, body = Build(), Build()
    x, w, limit = (test.input(2, dtype=FLOAT), test.input(2, dtype=FLOAT), test.input(dtype=FLOAT))
    more = test.program(test.emit("less", limit, test.emit("reduce_add", x, axes=(0,))))
    x, w, limit = (body.input(2, dtype=FLOAT), body.input(2, dtype=FLOAT), body.input(dtype=FLOAT))
    square = [body.emit("square", x)] if "length" in params else []
    turn = body.program(body.emit("multiply", x, body.emit("sin", body.emit("multiply", x, w))), *square)
    b = Build()
    args = [b.input(2, dtype=FLOAT), b.input(2, dtype=FLOAT), b.input(dtype=FLOAT)]
    last, *rows = b.several("while", *args, test=more, body=turn, carries=1, **params)
    # Rows of turns that are not made hold anything: one is made for sure, where there is room for one.
    return b.program(last, *(b.emit("slice", r, slices=((0, min(1, r.shape[0]), 1), (0, 2, 1))) for r in rows))


@pytest.mark.parametrize(("limit", "turns"), [(1.2, 1), (0.3, 3)])
def test_a_while(limit: float, turns: int) -> None:
    """As many turns back as there were, be there room for more or not."""
    arrays = [np.array([0.8, 0.7]), np.array([0.9, 1.1]), np.array(limit)]
    with pytest.raises(RuntimeError, match=f"max_turns={turns - 1}"):
        halving(length=turns - 1).evaluate(arrays)
    for length in (turns, turns + 2):
        to_second_order(halving(length=length), arrays)


def test_a_while_without_a_limit_has_forward_mode_alone() -> None:
    arrays, v = [np.array([0.8, 0.7]), np.array([0.9, 1.1]), np.array(0.3)], [np.ones(2), np.zeros(2)]
    found, expected = (
        pushforward.pushforward(program, [0, 1]).evaluate([*arrays, *v]) for program in (halving(), halving(length=9))
    )
    np.testing.assert_array_equal(found[1], expected[2])
    with pytest.raises(NoDerivative, match=r"tn.while_loop: .* give max_turns=, or use forward mode, tn.jvp"):
        pullback.pullback(halving(), [0])


def test_a_product_is_right_where_factors_are_zeros() -> None:
    """The product of the others, and of the others but one: the finite differences of a polynomial are exact."""
    b = Build()
    program = b.program(b.emit("reduce_multiply", b.input(4, 5, dtype=FLOAT), axes=(1,)))
    x = np.arange(1.0, 21.0).reshape(4, 5)
    x[1, 2] = x[2, 0] = x[2, 4] = 0
    x[3, :3] = 0
    gradient = differentiated.pulled(program).evaluate([x, np.ones(4)])[0]
    expected = [[np.prod(np.delete(row, i)) for i in range(5)] for row in x]
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    v = R.normal(size=x.shape)
    second = differentiated.pushed(differentiated.pulled(program), [0]).evaluate([x, np.ones(4), v])[1]
    expected = [
        [sum(np.prod(np.delete(row, [i, j])) * t[j] for j in range(5) if j != i) for i in range(5)]
        for row, t in zip(x, v, strict=True)
    ]
    np.testing.assert_allclose(second, expected, rtol=1e-12, atol=1e-12)


def test_what_is_as_large_shares_tangents_too() -> None:
    b = Build()
    program = b.program(b.emit("reduce_maximum", b.input(3, dtype=FLOAT), axes=(0,)))
    found = differentiated.pushed(program).evaluate([np.array([1.0, 3.0, 3.0]), np.array([5.0, 2.0, 4.0])])
    np.testing.assert_array_equal(found[1], 3.0)


# -- applied functions, and what stops ---------------------------------------------------------------------------


class Cubed:
    """x · x · x, whose stated derivatives are told from others by a factor."""

    name = "cubed"
    ordered = paired = False

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.inputs = self.outputs = [Spec((2,), FLOAT)]

    def program(self, *given: Any, pull: bool = False, push: bool = False) -> Program:
        b = Build()
        x = b.input(2, dtype=FLOAT)
        square = b.emit("square", x)
        if not (pull or push):
            return b.program(b.emit("multiply", x, square))
        g = b.emit("multiply", b.input(2, dtype=FLOAT), b.emit("multiply", square, Constant(np.array(3 * self.factor))))
        return b.program(g) if pull else b.program(b.emit("multiply", x, square), g)

    def pull(self, wanted: Any) -> Program:
        assert list(wanted) == [0]
        return self.program(pull=True)

    def push(self, active: Any) -> Program:
        assert list(active) == [0]
        return self.program(push=True)

    def evaluate(self, arrays: Any) -> list[Any]:
        return self.program().evaluate(arrays)


def of_cubed(factor: float = 1.0) -> Program:
    b = Build()
    x = b.input(2, dtype=FLOAT)
    made = b.emit("apply", b.emit("sin", x), function=Cubed(factor))
    return b.program(b.emit("exp", made))


def test_a_function_that_is_applied_states_its_derivatives() -> None:
    x, one = np.array([0.4, 0.7]), np.ones(2)
    to_second_order(of_cubed(), [x])
    expected = np.exp(np.sin(x) ** 3) * 3 * np.sin(x) ** 2 * np.cos(x)
    np.testing.assert_allclose(differentiated.pulled(of_cubed(2.0)).evaluate([x, one])[0], 2 * expected)
    np.testing.assert_allclose(differentiated.pushed(of_cubed(2.0)).evaluate([x, one])[1], 2 * expected)


def test_nothing_goes_through_stop() -> None:
    b = Build()
    x = b.input(2, dtype=FLOAT)
    program = b.program(b.emit("multiply", x, b.emit("stop", b.emit("exp", x))))
    x_, one = np.array([0.4, 0.7]), np.ones(2)
    np.testing.assert_allclose(differentiated.pulled(program).evaluate([x_, one])[0], np.exp(x_))
    np.testing.assert_allclose(differentiated.pushed(program).evaluate([x_, one])[1], np.exp(x_))


def test_zeros_are_not_computed_with() -> None:
    """Where nothing depends, neither direction has an instruction."""
    b = Build()
    x, y = b.input(2, dtype=FLOAT), b.input(2, dtype=FLOAT)
    steps = b.emit("multiply", b.emit("floor", x), b.emit("stop", b.emit("exp", x)))
    program = b.program(b.emit("add", b.emit("sin", steps), y))
    assert [i.name for i in differentiated.pulled(program).body] == ["broadcast"]  # of 0
    forward = [i.name for i in simplify(program).body]
    assert [i.name for i in differentiated.pushed(program).body] == forward


def test_what_has_no_derivative_is_named() -> None:
    b = Build()
    clipped = tn.op(lambda x: x.clip(0, 1) if x.sum() > 0 else x, name="clipped")
    made = b.call(clipped, b.input(2, dtype=FLOAT))
    for transform in (pullback.pullback, pushforward.pushforward):
        with pytest.raises(NoDerivative, match="op 'clipped' is called as it stands"):
            transform(b.program(made), [0])
    b = Build()
    made = b.cast(b.input(2, dtype=FLOAT), np.dtype(complex))
    with pytest.raises(NoDerivative, match="real numbers alone, and here is complex128"):
        pushforward.pushforward(b.program(made), [0])
    b = Build()
    made = b.call(clipped, b.input(2, dtype=FLOAT), effect=True)
    with pytest.raises(NoDerivative, match="'clipped' has an effect, which what pulls gradients back would repeat"):
        pullback.pullback(b.program(made), [0])


# -- random programs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_of_floats(seed: int) -> None:
    """Of their outputs those are held that are finite."""
    program = free(Random(2 * seed + 1, floats=True).program(25))
    rng = np.random.default_rng(seed)
    arrays = [ordinary(rng, v.shape, v.dtype) for v in program.inputs]
    outputs = [v for v, a in zip(program.outputs, program.evaluate(arrays), strict=True) if np.isfinite(a).all()]
    assert outputs
    of_law(Program(program.inputs, [], program.body, outputs, []), arrays, seed)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [Rows, Loops])
def test_random_programs_of_rows_and_loops(seed: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    program = free(kind(rng).program(12))
    arrays = [rng.normal(size=v.shape).astype(v.dtype) for v in program.inputs]
    of_law(program, arrays, seed)
    u = differentiated.like(program.outputs, rng)
    back = differentiated.pulled(program)
    of_law(back, [*arrays, *u], seed)
    for made in (back, differentiated.pushed(program)):
        given = differentiated.like(made.inputs, rng)
        for a, b in zip(numpy_backend.build(made)(*given), made.evaluate(given), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
