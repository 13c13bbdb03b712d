"""`tn.native`: C functions by address, as ufuncs, in formulas and rules, and called natively from compiled programs."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compiler.compile import Compiled
from tapenet.llvm import toolchain
from tests.ops.c_code import double_function, made, of_c, python_loops
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.linspace(-1.0, 2.0, 7)
SIN, COS = tn.native(double_function("sin")), tn.native(double_function("cos"))
with warnings.catch_warnings():
    warnings.simplefilter("error")  # an op takes the place of the one without a rule in silence
    sine = tn.op(SIN, numpy=SIN, x=lambda g, x: g * COS(x))
    cosine = tn.op(COS, numpy=COS, x=lambda g, x: -g * SIN(x))
CBRT = tn.native([of_c("cbrtf", ctypes.c_float, ctypes.c_float), double_function("cbrt")], name="cbrt")
TANGENT = tn.native(double_function("tan"), name="TANGENT")
LDEXP = tn.native(of_c("ldexp", ctypes.c_double, ctypes.c_double, ctypes.c_int))


def calls_python(function: Compiled) -> bool:
    """Whether the native backend calls Python in some run, by what it reports."""
    reports = [v.runner.report(full=False) for v in function.variants]
    return not all("calls of Python: 0" in report for report in reports if "calls of Python" in report)


def groups(function: Compiled) -> list[list[str]]:
    """What runs in one go: the primitives of each kernel or call."""
    return [[i.name for i in group.instructions] for group in function.variants[0].runner.groups().groups]


# -- eager -------------------------------------------------------------------------------------------------------


def test_it_is_a_ufunc() -> None:
    assert isinstance(SIN, np.ufunc)
    assert SIN.types == ["d->d"]
    np.testing.assert_allclose(SIN(X[:, None] + X), np.sin(X[:, None] + X), rtol=1e-15)
    out = np.zeros(14)
    SIN(X, out=out[::2])
    np.testing.assert_allclose(out[::2], np.sin(X), rtol=1e-15)
    assert SIN(1) == np.sin(1.0)
    assert "float64(float64)" in str(SIN.__doc__)


def test_functions_of_several_dtypes_are_one() -> None:
    assert CBRT.types == ["f->f", "d->d"]
    assert CBRT(np.float32(8)).dtype == np.float32
    assert CBRT(np.float64(8)).dtype == CBRT(8).dtype == np.float64
    assert float(CBRT(np.float32(27))) == 3.0


@pytest.mark.parametrize("python", [False, True], ids=["compiled", "python"])
def test_arguments_of_all_types(python: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    address = made("mix")
    if python:
        python_loops(monkeypatch)
    mix = tn.native(address, "float64(float64, int64, int8, bool)", name=f"mix{python}")
    x, whole, flag = X[::-1, None], np.array([2**40, -3]), np.array([True, False])
    np.testing.assert_array_equal(mix(x, whole, np.int8(-7), flag), np.where(flag, x * whole + 7, -7.0))
    np.testing.assert_array_equal(LDEXP(X, np.arange(7, dtype=np.int32)), np.ldexp(X, np.arange(7)))


@pytest.mark.parametrize("python", [False, True], ids=["compiled", "python"])
def test_functions_of_arrays(python: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    address = made("product")
    if python:
        python_loops(monkeypatch)
    product = tn.native(address, "float64(m,n), float64(n) -> float64(m)", name=f"product{python}")
    a, x = np.arange(60.0).reshape(5, 3, 4) - 20, np.array([1.0, -2.0, 0.5, 4.0])
    for each in (a, a[:, ::-1, ::-1], np.asfortranarray(a), a[0], a[:0]):
        np.testing.assert_array_equal(product(each, x), each @ x)
        np.testing.assert_array_equal(product(each, x[::-1]), each @ x[::-1])
    whole = np.zeros((5, 6))
    product(a, x, out=whole[:, ::2])
    np.testing.assert_array_equal(whole[:, ::2], a @ x)
    assert not whole[:, 1::2].any()
    with pytest.raises(ValueError, match="size 3 is different from 4"):
        product(a, x[:3])


@pytest.mark.skipif(sys.platform == "win32", reason="a function of POSIX")
def test_a_function_of_the_c_library_on_arrays() -> None:
    """Without llvmlite too."""
    swab = tn.native(of_c("swab", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t), "uint8(n) -> uint8(n)")
    x = np.arange(8, dtype=np.uint8)
    np.testing.assert_array_equal(swab(np.stack([x, x + 1])), [[1, 0, 3, 2, 5, 4, 7, 6], [2, 1, 4, 3, 6, 5, 8, 7]])
    step = tn.compile(lambda x: swab(x) * 2, backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(step(x), swab(x) * 2)


# -- in formulas, rules and compiled programs --------------------------------------------------------------------


def test_rules_of_native_functions_are_right_to_every_order() -> None:
    tn.testing.check_grads(sine, [X], order=3)
    assert tn.grad(tn.grad(tn.grad(SIN)))(0.3).item() == pytest.approx(
        -np.cos(0.3), rel=1e-15
    )  # by np.ufunc's protocol
    primal, tangent = tn.jvp(sine, (tn.tensor(0.3),), (tn.tensor(2.0),))
    assert (primal.item(), tangent.item()) == pytest.approx((np.sin(0.3), 2 * np.cos(0.3)), rel=1e-15)


@backends
def test_gradients_are_compiled(compiled: Compile) -> None:
    step = compiled(tn.value_and_grad(lambda x: (sine(2 * x) ** 2).sum()))
    for x in (X, X, X + 1):
        value, grad = step(x)
        np.testing.assert_allclose(value.item(), (np.sin(2 * x) ** 2).sum(), rtol=1e-14)
        np.testing.assert_allclose(grad, 2 * np.sin(4 * x), rtol=1e-13, atol=1e-14)
    second = compiled(tn.hessian(lambda x: (sine(x) * x).sum()))
    expected = np.diag(2 * np.cos(X) - X * np.sin(X))
    for _ in range(2):
        np.testing.assert_allclose(second(X), expected, rtol=1e-13, atol=1e-14)


def test_a_call_is_part_of_the_kernel_around_it() -> None:
    pytest.importorskip("llvmlite")
    step = tn.compile(lambda x: (np.exp(SIN(x * 2)) + 1).sum(), backend="native")
    for _ in range(2):
        np.testing.assert_allclose(step(X).item(), (np.exp(np.sin(2 * X)) + 1).sum(), rtol=1e-14)
    assert groups(step) == [["multiply", "c_sin", "exp", "add", "reduce_add"]]
    assert not calls_python(step)
    runner: Any = step.variants[0].runner
    assert "call double @c_sin_" in runner.module.text
    (address,) = {a for symbol, a in toolchain.symbols.items() if symbol.startswith("c_sin_float64_float64")}
    assert str(address) not in runner.module.text  # which is kept on disk, for processes where it is another
    assert str(step.variants[0].called) == "[]"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@backends
def test_the_function_of_the_dtype_is_called(compiled: Compile, dtype: str) -> None:
    step = compiled(lambda x: CBRT(x) + x)
    x = np.array([8.0, 27.0, 0.125], dtype)
    for _ in range(2):
        found = step(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, CBRT(x) + x)


@backends
def test_arguments_are_cast_as_numpy_casts_them(compiled: Compile) -> None:
    mix = tn.native(made("mix"), "double(double, long long, signed char, _Bool)", name="mix")
    flag = np.array([True, False, True])
    step = compiled(lambda x, n: mix(x, n, n, flag))
    x, n = np.array([1.5, 2.5, -1.0], np.float32), np.array([3, -4, 5], np.int8)
    for _ in range(2):
        np.testing.assert_array_equal(step(x, n), mix(x, n, n, flag))
    integers = compiled(lambda x: LDEXP(x, np.int32(3)))
    for _ in range(2):
        np.testing.assert_array_equal(integers(x), x * 8.0)


@backends
def test_in_loops(compiled: Compile) -> None:
    def scanned(x: tn.Tensor) -> tn.Tensor:
        return tn.scan(lambda carry, a: (sine(carry + a), cosine(carry)), x[0], x)

    expected = scanned(tn.tensor(X))
    step = compiled(scanned)
    until = compiled(lambda x: tn.while_loop(lambda c: COS(c) > 0.5, lambda c: SIN(c) + 0.6, x))
    gradient = compiled(tn.grad(lambda x: scanned(x)[1].sum()))
    for _ in range(2):
        for found, right in zip(step(X), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-15)
        assert until(0.1).item() == pytest.approx(np.sin(np.sin(0.1) + 0.6) + 0.6)
        np.testing.assert_allclose(gradient(X), tn.grad(lambda x: scanned(x)[1].sum())(X), rtol=1e-13)
    assert not any(map(calls_python, (step, until, gradient)))


@backends
def test_lanes_are_more_elements(compiled: Compile) -> None:
    xs, y = np.stack([X, X + 1, X * 2]), np.float64(0.5)
    hypot = tn.native(double_function("hypot", 2))
    step = compiled(tn.vmap(lambda x, y: SIN(hypot(x, y)), in_axes=(0, None)))
    each = compiled(tn.vmap(lambda x, y: SIN(hypot(x, y)), in_axes=(0, 0)))
    for _ in range(2):
        np.testing.assert_allclose(step(xs, y), np.sin(np.hypot(xs, y)), rtol=1e-14)
        np.testing.assert_allclose(each(xs, X[:3]), np.sin(np.hypot(xs, X[:3, None])), rtol=1e-14)
    np.testing.assert_allclose(tn.vmap(tn.grad(SIN))(X), np.cos(X), rtol=1e-15)
    assert not calls_python(step)


@backends
def test_functions_of_arrays_are_called_natively(compiled: Compile) -> None:
    product = tn.native(made("product"), "float64(m,n), float64(n) -> float64(m)", name="product")
    op = tn.op(product, name="matvec", grads={"x": lambda g, y: g[..., :, None] * y[..., None, :],
                                             "y": lambda g, x: op(np.swapaxes(x, -1, -2), g)})  # fmt: skip
    a, x = np.arange(60.0).reshape(5, 3, 4) - 20, np.array([1.0, -2.0, 0.5, 4.0])
    steps = {
        "as it is": compiled(lambda a, x: np.tanh(op(a, x)) + 1),
        "transposed": compiled(lambda a, x: op(a.mT, op(a, x))),
        "over lanes": compiled(tn.vmap(lambda a, x: op(a, 2 * x), in_axes=(0, None))),
        "over lanes of both": compiled(tn.vmap(lambda a, x: op(a[:1], x))),
        "in a loop": compiled(lambda a, x: tn.scan(lambda c, m: (c + op(m, x), op(m, x)), np.zeros(3), a)[1]),
        "twice": compiled(lambda a, x: op(a, x) + op(a, x)),
    }
    many = np.arange(20.0).reshape(5, 4)
    right = {
        "as it is": np.tanh(a @ x) + 1,
        "transposed": (a.mT @ (a @ x)[..., None])[..., 0],
        "over lanes": a @ (2 * x),
        "over lanes of both": (a[:, :1] @ many[..., None])[..., 0],
        "in a loop": a @ x,
        "twice": 2 * (a @ x),
    }
    for name, step in steps.items():
        second = many if name == "over lanes of both" else x
        for _ in range(2):
            np.testing.assert_allclose(step(a, second), right[name], rtol=1e-14, err_msg=name)
        assert not calls_python(step), name
    gradient = compiled(tn.grad(lambda a, x: (op(a, x) ** 2).sum(), argnums=(0, 1)))
    da, dx = gradient(a[0], x)
    np.testing.assert_allclose(dx, 2 * a[0].T @ (a[0] @ x), rtol=1e-14)
    np.testing.assert_allclose(da, 2 * np.outer(a[0] @ x, x), rtol=1e-14)
    tn.testing.check_grads(op, [a[0], x], order=2)
    assert not calls_python(gradient)


@backends
def test_arrays_of_complex_numbers(compiled: Compile) -> None:
    turn = tn.native(made("turn"), "complex128(n) -> complex128(n)", name="turn")
    z = np.arange(12.0).reshape(3, 4) + 1j
    np.testing.assert_array_equal(turn(z[:, ::2]), z[:, ::2].conj())
    step = compiled(lambda z: turn(z))
    for _ in range(2):
        np.testing.assert_array_equal(step(z), z.conj())


@backends
def test_arrays_without_elements(compiled: Compile) -> None:
    scale = tn.native(made("scale"), "float64(n) -> float64(n)", name="scale")
    step = compiled(lambda x: scale(x) + SIN(x))
    for shape in ((0,), (2, 0), (0, 3)):
        for _ in range(2):
            assert step(np.ones(shape)).shape == shape


def test_a_formula_with_it_has_no_derivative_of_its_own() -> None:
    exp = tn.native(double_function("exp"))
    x = tn.tensor(X, requires_grad=True)
    with pytest.raises(TypeError, match=r"op 'exp' gives no gradient rule for 'x'.*the rule, x=lambda g, x: \.\.\."):
        exp(x).sum().backward()
    formula = tn.op(lambda x: exp(x) + 1, name="formula")
    with pytest.raises(
        TypeError, match=r"the C function exp\(x\) has none: make an op of it that has rules, tn\.op\(f, x="
    ):
        formula(x).sum().backward()
    np.testing.assert_allclose(formula(x.detach()), np.exp(X) + 1, rtol=1e-15)


def test_names_of_numpy_are_not_taken_for_numpys_functions() -> None:
    power = tn.native(double_function("pow", 2), name="add")
    op = tn.op(lambda x: power.reduce(x) + power(x, 1.0), name="by_name", nondiff=True)
    step = tn.compile(op, backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(step(np.array([2.0, 3.0])), [10, 11])


def test_a_dtype_that_is_asked_for_is_that_of_the_computation() -> None:
    op = tn.op(lambda x: CBRT(x, dtype="f"), name="narrow", nondiff=True)
    step = tn.compile(op, backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(step(X), CBRT(X.astype(np.float32)))


def test_integers_have_no_gradient() -> None:
    lround = tn.native(of_c("lround", ctypes.c_long, ctypes.c_double))
    op = tn.op(lround, name="rounded", x=lambda g: g)
    found = op(tn.tensor(X, requires_grad=True))
    assert not found.requires_grad
    assert found.dtype == np.dtype("l")


# -- declarations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "signature", "why"),
    [
        (lambda x: x, "float64(float64)", "it is a Python function: give it to tn.op"),
        (np.exp, None, "is a ufunc already"),
        (abs, "float64(float64)", "a built function of Python has no address"),
        ("sin", "float64(float64)", "str is no function of C"),
        (0, "float64(float64)", "0 is the address of nothing"),
        (64, None, "does not say what it takes and gives"),
        (64, "float64", "is no signature"),
        (64, "float16(float16)", "'float16' is no type that a native function may have"),
        (64, "complex128(complex128)", "passed and returned differently"),
        (64, "float64()", "without arguments"),
        (64, "float64(n) -> float64(k)", "the size 'k' of a result is that of no argument"),
        (64, "float64(3) -> float64()", "sizes have names"),
        (64, "(n)->(n)", "does not say the dtypes"),
        (ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(abs), None, "a Python function behind a ctypes callback"),
        (ctypes.pythonapi.PyFloat_AsDouble, "float64(int64)", "it needs the interpreter's lock"),
        (double_function("sin"), "float32(float32)", r"declared as float64\(float64\)"),
        (of_c("sin", ctypes.c_double, ctypes.c_void_p), None, "takes pointers or returns nothing"),
        (of_c("sin", ctypes.c_double, ctypes.c_longdouble), None, "passed and returned differently"),
        (
            of_c("sin", None, ctypes.c_void_p, ctypes.c_int64),
            "float64(n) -> float64(n)",
            r"declared as void f\(const float64 \*, float64 \*, int64 n\); this one is",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(function: Any, signature: str | None, why: str) -> None:
    with pytest.raises(TypeError, match=rf"tn\.native 'f': .*{why}"):
        tn.native(function, signature, name="f")


def test_functions_of_one_name_differ_in_dtypes_alone() -> None:
    with pytest.raises(TypeError, match=r"these are float64\(float64\) and float64\(float64, float64\)"):
        tn.native([double_function("sin"), double_function("hypot", 2)], name="both")


def test_by_ctypes_pointer_types() -> None:
    pointer = ctypes.POINTER(ctypes.c_double)
    declared = ctypes.CFUNCTYPE(None, pointer, np.ctypeslib.ndpointer(np.float64), ctypes.c_int64)(made("scale"))
    scale = tn.native(declared, "(n)->(n)", name="scale")
    assert scale.signature == "(n)->(n)"
    assert scale.types == ["d->d"]
    np.testing.assert_array_equal(scale(X), 3 * X)


def test_by_cffi() -> None:
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef("double cbrt(double); double ldexp(double, int);")
    lib = ffi.dlopen(None)
    cbrt, ldexp = tn.native(lib.cbrt, name="cbrt"), tn.native(lib.ldexp, name="ldexp")
    np.testing.assert_allclose(cbrt([8.0, 27.0]), [2.0, 3.0], rtol=1e-15)
    assert ldexp.types == ["di->d"]
    scale = tn.native(ffi.cast("void (*)(const double *, double *, int64_t)", made("scale")), "(n)->(n)", name="scale")
    np.testing.assert_array_equal(scale(X), 3 * X)


@pytest.mark.slow
def test_by_numba() -> None:
    numba = pytest.importorskip("numba")

    @numba.cfunc("float64(float64, int32)")  # type: ignore[untyped-decorator]
    def falling(x: Any, n: Any) -> Any:
        found = 1.0
        for i in range(n):
            found *= x - i
        return found

    @numba.cfunc("void(CPointer(float32), CPointer(float32), int64)")  # type: ignore[untyped-decorator]
    def running(x: Any, out: Any, n: Any) -> None:
        total = 0.0
        for i in range(n):
            total += x[i]
            out[i] = total

    op, sums = tn.native(falling), tn.native(running, "(n)->(n)")
    assert op.__name__ == "falling"
    n = np.arange(7, dtype=np.int32)
    step = tn.compile(lambda x: op(x, n) + 1, backend="native")
    summed = tn.compile(lambda x: sums(x) * 2, backend="native")
    for _ in range(2):
        np.testing.assert_array_equal(step(X), op(X, n) + 1)
        np.testing.assert_allclose(summed(X.astype(np.float32)), 2 * np.cumsum(X.astype(np.float32)), rtol=1e-6)
    assert groups(step) == [["c_falling", "add"]]
    assert not calls_python(step)
    assert not calls_python(summed)
    with pytest.raises(TypeError, match=r"what numba\.njit makes has no address: give what numba\.cfunc\(SIGNATURE"):
        tn.native(numba.njit(lambda x: x), "float64(float64)", name="f")


def test_by_cython() -> None:
    scipy = pytest.importorskip("scipy")
    special = pytest.importorskip("scipy.special.cython_special")
    j0 = tn.native(scipy.LowLevelCallable.from_cython(special, "j0"), name="j0")
    j1 = tn.native(special.__pyx_capi__["j1"], name="j1")
    bessel = tn.op(j0, name="bessel", x=lambda g, x: -g * j1(x))
    tn.testing.check_grads(bessel, [X])
    np.testing.assert_array_equal(j0(X), scipy.special.j0(X))
    step = tn.compile(tn.grad(lambda x: (bessel(x) ** 2).sum()))
    for _ in range(2):
        np.testing.assert_allclose(step(X), -2 * scipy.special.j0(X) * scipy.special.j1(X), rtol=1e-14)


# -- how long it lives, and where --------------------------------------------------------------------------------


def test_one_function_is_one_ufunc() -> None:
    assert tn.native(double_function("sin")) is SIN
    assert tn.native(double_function("sin"), name="sine") is not SIN


@pytest.mark.slow
def test_what_it_calls_stays_loaded() -> None:
    numba = pytest.importorskip("numba")
    functions = [tn.native(numba.cfunc("float64(float64)")(lambda x: x + 1), name="successor") for _ in range(3)]
    gc.collect()
    for function in functions:
        assert function(1.0) == 2.0


def test_it_is_pickled_by_its_name_and_never_copied() -> None:
    assert pickle.loads(pickle.dumps(TANGENT)) is TANGENT
    assert copy.deepcopy(SIN) is copy.copy(SIN) is SIN
    nowhere = tn.native(double_function("tan"), name="nowhere")
    with pytest.raises((pickle.PicklingError, AttributeError), match="nowhere"):
        pickle.dumps(nowhere)


def test_programs_are_run_in_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("tapenet.program.native.pieces.PART", 1)
    x = np.linspace(0, 1, 4096)
    step = tn.compile(lambda x: SIN(x) * CBRT(x), backend="native")
    expected = np.sin(x) * np.cbrt(x)
    wrong: list[str] = []

    def run(part: int) -> None:
        for _ in range(20):
            try:
                np.testing.assert_allclose(step(x + part), np.sin(x + part) * np.cbrt(x + part), rtol=1e-13)
            except AssertionError as error:
                wrong.append(str(error))

    np.testing.assert_allclose(step(x), expected, rtol=1e-13)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


_PROCESS = """
import sys
import numpy as np, tapenet as tn
from tests.ops.c_code import double_function
first, second = [tn.native(double_function(n), name="same") for n in sys.argv[1:]]
step = tn.compile(lambda x: first(x) + 10 * second(x), backend="native")
step(np.array([0.5]))
print(float(step(np.array([0.5]))[0]), first(0.5), second(0.5))
"""


@pytest.mark.slow
def test_code_that_is_kept_on_disk_calls_the_function_of_this_process(tmp_path: Path) -> None:
    """The same code by the same names, in one process for the sine, in the other for the cosine."""
    pytest.importorskip("llvmlite")

    def run(*names: str) -> list[float]:
        root = Path(__file__).parents[2]
        environment = {"PYTHONPATH": str(root), "TAPENET_CACHE": str(tmp_path / "cache"), "PATH": ""}
        command = [sys.executable, "-c", _PROCESS, *names]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return [float(word) for word in done.stdout.split()]

    sin, cos = float(np.sin(0.5)), float(np.cos(0.5))
    assert run("sin", "cos") == pytest.approx([sin + 10 * cos, sin, cos], rel=1e-15)
    kept = sorted((tmp_path / "cache").glob("*.o"))
    assert run("cos", "sin") == pytest.approx([cos + 10 * sin, cos, sin], rel=1e-15)
    assert sorted((tmp_path / "cache").glob("*.o")) == kept  # all of it was found there


def test_drawings_show_it() -> None:
    assert ">sin<" in tn.draw(lambda x: SIN(x) + 1, tn.tensor(1.0)).svg
    step = tn.compile(lambda x: SIN(x) + 1, backend="numpy")
    step(X)
    assert ">sin<" in tn.draw(step).svg
