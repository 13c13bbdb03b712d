"""`tn.primitive`: rows that users add to the table of primitives, and `check_primitive`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tests.ops.c_code import double_function, made
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.linspace(-1.0, 2.0, 7)
ROUND = np.array([[4.0, 1.0, 0.5], [0.2, 3.0, 1.0], [1.0, 0.1, 5.0]])


def samples(*shapes: tuple[int, ...]) -> Callable[[Any], list[Any]]:
    return lambda r: [tn.sample(*(r.uniform(0.5, 1.5, s) for s in shapes))]


def make_fused(**changed: Any) -> Op:
    options: dict[str, Any] = {
        "name": "fused",
        "native": lambda x, y, z: x.intrinsic("fma", y, z),
        "x": lambda g, y: g * y,
        "y": lambda g, x: g * x,
        "z": lambda g: g,
        "doc": "x · y + z, rounded once.",
        "samples": samples((2, 3), (3,), (2, 1)),
    }
    return tn.primitive(lambda x, y, z: x * y + z, **(options | changed))


def make_inverse(**changed: Any) -> Op:
    def rule(g: Any, out: Any) -> Any:
        turned = np.swapaxes(out, -1, -2)
        return -turned @ g @ turned

    options: dict[str, Any] = {
        "name": "inverse",
        "shape": "(n,n)->(n,n)",
        "x": rule,
        "doc": "The inverse of a matrix.",
        "samples": lambda r: [tn.sample(ROUND), tn.sample(np.stack([ROUND, ROUND + np.eye(3)]))],
    }
    return tn.primitive(lambda x: np.linalg.inv(x), **(options | changed))


def make_glue(**changed: Any) -> Op:
    options: dict[str, Any] = {
        "name": "glue",
        "shape": lambda x, y: (x[0] + y[0],),
        "x": lambda g, x_shape: g[: x_shape[0]],
        "y": lambda g, x_shape: g[x_shape[0] :],
        "doc": "One vector behind the other.",
        "samples": samples((3,), (2,)),
    }
    return tn.primitive(lambda x, y: np.concatenate([x, y]), **(options | changed))


fused, inverse, glue = make_fused(), make_inverse(), make_glue()


@pytest.mark.parametrize("op", [fused, inverse, glue], ids=lambda op: str(op.name))
def test_what_primitives_promise(op: Op) -> None:
    tn.testing.check_primitive(op)


def groups(function: Any) -> list[list[str]]:
    return [[i.name for i in group.instructions] for group in function.variants[0].runner.groups().groups]


def called(function: Any) -> bool:
    return "calls of Python: 0" not in function.variants[0].runner.report(full=False)


# -- element by element ------------------------------------------------------------------------------------------


def test_native_code_is_part_of_the_kernel_around_it() -> None:
    pytest.importorskip("llvmlite")
    step = tn.compile(lambda x: np.exp(fused(x, 2 * x, 1.0)).sum(), backend="native")
    for _ in range(2):
        np.testing.assert_allclose(step(X).item(), np.exp(2 * X * X + 1).sum(), rtol=1e-14)
    assert groups(step) == [["multiply", "u_fused", "exp", "reduce_add"]]
    assert not called(step)
    runner: Any = step.variants[0].runner
    assert "call double @llvm.fma.f64" in runner.module.text


@backends
def test_it_is_differentiated_batched_and_looped(compiled: Compile) -> None:
    def scanned(x: Any) -> Any:
        return tn.scan(lambda c, a: (fused(c, a, 0.5 * a), c), x[0], x)[0]

    def plain(x: Any) -> Any:
        return tn.scan(lambda c, a: (c * a + 0.5 * a, c), x[0], x)[0]

    for transformed in (tn.grad, tn.hessian, lambda f: tn.vmap(tn.grad(lambda x: f(x * X[:3]))), tn.jacfwd):
        step, expected = compiled(transformed(scanned)), transformed(plain)(X[:3])
        for _ in range(2):
            np.testing.assert_allclose(step(X[:3]), expected, rtol=1e-12, atol=1e-13)


def test_float32_stays_float32() -> None:
    pytest.importorskip("llvmlite")
    step = tn.compile(lambda x: fused(x, x, 1.0), backend="native")
    step(X.astype(np.float32))
    found = step(X.astype(np.float32))
    assert found.dtype == np.float32
    assert not called(step)


@backends
def test_dtypes_without_native_code_run_as_numpy(compiled: Compile) -> None:
    parts = tn.primitive(
        lambda x: np.frexp(x)[1], name="exponent", nondiff=True, native=lambda x: (x.view("int64") >> 52).astype("int32")
    )  # fmt: skip
    assert parts(8.0) == 4
    for dtype in ("float32", "float64"):
        step = compiled(lambda x: parts(x) + 1)
        for _ in range(2):
            found = step(np.array([8.0, 1.0], dtype))
        assert found.dtype == np.int32
        if dtype == "float32":  # of 32 bits: no native code, which NumPy's code stands in for
            np.testing.assert_array_equal(found, [5, 2])


@backends
def test_native_code_is_written_as_numpy_code(compiled: Compile) -> None:
    sin = tn.native(double_function("sin"))

    def native(x: Any, n: Any) -> Any:
        smooth = np.where(x > 0.5, np.exp(-x) * sin(x.astype("float64")), 2 * x + 1)
        return np.maximum(smooth, n) - (x.view("int64") & 0).astype("float64")

    mixed = tn.primitive(
        lambda x, n: np.maximum(np.where(x > 0.5, np.exp(-x) * np.sin(x), 2 * x + 1), n),
        name="mixed",
        native=native,
        nondiff=True,
    )
    step = compiled(lambda x: mixed(x, np.zeros(7)))
    for _ in range(2):
        np.testing.assert_allclose(step(X), mixed(X, np.zeros(7)), rtol=1e-14)
    assert not (hasattr(step.variants[0].runner, "module") and called(step))


@backends
def test_native_code_by_a_c_function(compiled: Compile) -> None:
    hypot = tn.native(double_function("hypot", 2))
    length = tn.primitive(
        np.hypot, name="length", native=hypot, x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out,
        doc="The length of a vector.", samples=samples((2, 3), (3,)),
    )  # fmt: skip
    tn.testing.check_primitive(length)
    step = compiled(tn.grad(lambda x: length(x, 2.0).sum()))
    for _ in range(2):
        np.testing.assert_allclose(step(X), X / np.hypot(X, 2), rtol=1e-14)


def test_it_stands_for_a_numpy_function() -> None:
    special = pytest.importorskip("scipy.special._ufuncs")  # with one that no op stands for
    wave = tn.primitive(
        special._sinpi,
        name="wave",
        numpy=special._sinpi,
        native=lambda x: np.sin(np.pi * x),
        x=lambda g, x: g * np.pi * np.cos(np.pi * x),
    )
    assert special._sinpi(tn.tensor(X, requires_grad=True)).requires_grad
    assert wave.numpy == (special._sinpi,)


# -- of arrays ---------------------------------------------------------------------------------------------------


@backends
def test_matrices(compiled: Compile) -> None:
    many = np.stack([ROUND, ROUND + 1, 2 * ROUND])
    functions: list[Callable[..., Any]] = [
        lambda a: inverse(a) * 2,
        tn.grad(lambda a: (inverse(a) ** 2).sum()),
        tn.vmap(lambda a: inverse(a @ a)),
        tn.vmap(tn.jacfwd(inverse)),
        lambda a: tn.hessian(lambda x: inverse(x).sum())(a[0]),
        tn.grad(lambda a: tn.scan(lambda c, b: (inverse(c) @ b, c.sum()), tn.tensor(ROUND), a)[1].sum()),
    ]
    for function in functions:
        step = compiled(function)
        eager = function(tn.tensor(many))
        for _ in range(2):
            np.testing.assert_allclose(step(many), eager, rtol=1e-10)
    np.testing.assert_allclose(compiled(inverse)(many), np.linalg.inv(many), rtol=1e-13)


@backends
def test_a_function_of_shapes(compiled: Compile) -> None:
    step = compiled(tn.vmap(lambda x, y: glue(x, y) ** 2, in_axes=(0, None)))
    forward = compiled(tn.jacfwd(lambda x: glue(x, 2 * x)))
    for _ in range(2):
        np.testing.assert_array_equal(step(np.full((2, 3), 3.0), np.arange(2.0)), [[9, 9, 9, 0, 1]] * 2)
        np.testing.assert_array_equal(forward(np.ones(2)), [[1, 0], [0, 1], [2, 0], [0, 2]])


@backends
def test_lanes_first(compiled: Compile) -> None:
    turn = tn.primitive(
        lambda x: x[..., ::-1].copy(), name="turned", shape=lambda x: x, vmap="leading", x=lambda g: g[..., ::-1]
    )  # fmt: skip
    step = compiled(tn.vmap(turn))
    for _ in range(2):
        np.testing.assert_array_equal(step(np.arange(6.0).reshape(2, 3)), [[2, 1, 0], [5, 4, 3]])
    ((only,),) = groups(step)
    assert only.startswith("u_turned")  # and no loop


def test_a_c_function_of_arrays_is_its_native_code() -> None:
    product = tn.native(made("product"), "float64(m,n), float64(n) -> float64(m)", name="product")
    matvec = tn.primitive(
        lambda a, x: (a @ x[..., None])[..., 0], name="matvec", shape="(m,n),(n)->(m)", native=product,
        a=lambda g, x: g[..., :, None] * x[..., None, :], x=lambda g, a: matvec(np.swapaxes(a, -1, -2), g),
        doc="The product of a matrix and a vector.", samples=samples((2, 3), (3,)),
    )  # fmt: skip
    tn.testing.check_primitive(matvec)
    step = tn.compile(tn.grad(lambda a, x: (matvec(a, x) ** 2).sum(), argnums=(0, 1)), backend="native")
    for _ in range(2):
        _, dx = step(ROUND, X[:3])
        np.testing.assert_allclose(dx, 2 * ROUND.T @ (ROUND @ X[:3]), rtol=1e-14)
    assert not called(step)
    single = tn.compile(matvec, backend="native")  # for which there is no C function
    for _ in range(2):
        np.testing.assert_allclose(single(ROUND.astype(np.float32), X[:3].astype(np.float32)), ROUND @ X[:3], rtol=1e-5)


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"z": None, "nondiff": ()}, "z=None is neither an option"),
        ({"native": lambda x, y, z: x if x > 0 else y}, "native= branches on a number"),
        ({"native": lambda x, y, z: np.sort(x)}, r"native= calls np\.sort, which is no function of numbers"),
        ({"native": lambda x, y, z: [x]}, "native= gives list, not a number"),
        ({"native": lambda x, y, z: x > y}, "native= gives bool for float32, float32, float32, and the function float32"),
        ({"native": np.exp}, "is none that tn.native made"),
        ({"x": lambda g, y, x_shape: g * y}, "the rule for 'x' asks for 'x_shape'; element by element it may name g, out, x"),
        ({"fuse": True}, "fuse= is an option of ops that are no primitives"),
        ({"vmap": "leading"}, "vmap='leading'; it takes 'leading', and that where shape= is a function"),
        ({"shape": "(n)->(k)"}, "the size 'k' of a result is that of no argument"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        make_fused(**change)


def test_a_rule_is_not_derived() -> None:
    with pytest.raises(TypeError, match=r"give a rule for 'x', x=lambda g, \.\.\.: \.\.\., or name it in nondiff="):
        tn.primitive(lambda x: x * x, name="square")
    with pytest.raises(TypeError, match="give a rule for 'limit'"):
        tn.primitive(lambda x, limit=1.0: x * limit, name="scaled", x=lambda g: g)


def test_a_result_of_another_shape_is_not_compiled() -> None:
    wrong = make_glue(shape=lambda x, y: x)
    step = tn.compile(wrong, backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(step(np.ones(3), np.zeros(2)), [1, 1, 1, 0, 0])
    (reason,) = step.variants[0].called
    assert "gives [Spec(shape=(3,)" in reason.reason


def test_sums_are_not_element_by_element() -> None:
    total = tn.primitive(
        lambda x: x - x.mean(), name="centred", x=lambda g: g, doc="Centred.", samples=samples((3,))
    )  # fmt: skip
    with pytest.raises(AssertionError, match="centred"):
        tn.testing.check_primitive(total)


@pytest.mark.parametrize(
    ("op", "why"),
    [
        (lambda: make_fused(native=lambda x, y, z: x * y - z), r"-0\.5 against 0\.5 at \(\), by native code .* z=0\.5"),
        (lambda: make_fused(native=lambda x, y, z: np.maximum(x * y + z, -1e30)), r"-1e\+30 against -inf"),
        (lambda: make_fused(x=lambda g, y: -g * y), "gradient of order 1"),
        (lambda: make_glue(shape=lambda x, y: (x[0] + y[0] + 1,)), "glue"),
        (lambda: make_inverse(x=lambda g, out: -out @ g @ out), "gradient of order 1"),
        (lambda: make_glue(vmap="leading"), "over lanes"),
    ],
)  # fmt: skip
def test_check_primitive_finds_what_is_wrong(op: Callable[[], Op], why: str) -> None:
    pytest.importorskip("llvmlite")
    with pytest.raises((AssertionError, ValueError), match=why):
        tn.testing.check_primitive(op())


def test_check_primitive_takes_primitives_alone() -> None:
    with pytest.raises(TypeError, match="check_primitive checks what"):
        tn.testing.check_primitive(tn.exp)


def test_defined_again_it_is_another_one() -> None:
    """Programs that were made keep the old one."""
    old = make_fused(name="again")
    step = tn.compile(lambda x: old(x, x, 1.0), backend="numpy")
    step(X)
    new = tn.primitive(lambda x: -x, name="again", x=lambda g: -g)
    np.testing.assert_array_equal(step(X), X * X + 1)
    np.testing.assert_array_equal(new(X), -X)
