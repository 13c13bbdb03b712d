"""Forwards that are no NumPy code: they run as they stand, eager and from compiled programs."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compiler.compile import available_backend
from tests.benchmarks.overhead import executed
from tests.ops.c_code import double_function, library
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.array([0.5, -1.0, 2.0])


def called(function: Any, *arrays: Any) -> dict[str, str]:
    """The ops that a compiled function calls as they stand, and why."""
    step = tn.compile(function, backend="numpy")
    step(*arrays)
    return {c.op.name: c.reason for c in step.variants[0].called}


def same_everywhere(op: Any, *arrays: Any, order: int = 2) -> None:
    """Its value is the same on tensors, compiled, and over lanes; and its gradients are right."""
    expected = op(*arrays)
    assert type(expected) is np.ndarray
    np.testing.assert_array_equal(op(*map(tn.tensor, arrays)).data, expected, strict=True)
    for backend in sorted({"numpy", available_backend()}):
        step = tn.compile(op, backend=backend)
        for _ in range(2):
            np.testing.assert_array_equal(step(*arrays).data, expected, strict=True)
    lanes = [np.stack([a, a + 0.25]) for a in arrays]
    expected = np.stack([op(*(a[i] for a in lanes)) for i in range(2)])
    np.testing.assert_array_equal(tn.vmap(op)(*lanes).data, expected, strict=True)
    if op.differentiable:
        tn.testing.check_grads(op, list(arrays), order=order)


# -- Numba -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def squares() -> Any:
    numba = pytest.importorskip("numba")
    made: Any = numba.njit(lambda x: x * x)
    return made


@backends
def test_a_numba_function_is_called_from_a_program(compiled: Compile, squares: Any) -> None:
    op = tn.op(lambda x: squares(x), name="squares", x=lambda g, x: 2 * g * x)
    step = compiled(lambda x: op(x).sum())
    for x in (X, X + 1):
        assert step(x).item() == (x * x).sum()
    assert called(op, X) == {"squares": "calls Numba"}


def test_an_error_that_somebody_keeps_keeps_no_tensor() -> None:
    kept: SimpleQueue[Exception] = SimpleQueue()  # as in a library: nothing that a program could depend on

    def forward(x: Any) -> Any:
        try:
            return np.asarray(x) * 2
        except Exception as error:
            kept.put(error)
            raise

    double = tn.op(forward, name="double", nondiff=True)
    assert called(lambda x: double(x).sum(), X) == {"double": "asks for the elements"}
    assert kept.qsize() == 1


def test_what_numba_makes_is_a_forward_as_it_is(squares: Any) -> None:
    same_everywhere(tn.op(squares, name="squares", x=lambda g, x: 2 * g * x), X)


@pytest.mark.slow  # each of these is compiled by Numba
def test_ufuncs_of_numba() -> None:
    numba = pytest.importorskip("numba")
    product = tn.op(numba.vectorize(lambda x, y: x * y), name="product", x=lambda g, y: g * y, y=lambda g, x: g * x)
    same_everywhere(product, np.ones((2, 3)), X)
    typed = numba.vectorize(["float64(float64)"])(lambda x: x * 2.0)
    same_everywhere(tn.op(typed, name="twice", x=lambda g: g * 2), X)
    pointer = numba.cfunc("float64(float64)")(lambda x: x * 2.0)
    same_everywhere(tn.op(pointer, name="twice", x=lambda g: g * 2), X)


@pytest.mark.slow
@pytest.mark.parametrize("types", [[], [["void(float64[:], float64[:], float64[:])"]]], ids=["dynamic", "typed"])
def test_the_outputs_of_guvectorize_are_no_arguments(types: list[Any]) -> None:
    numba = pytest.importorskip("numba")

    def scaled(row: Any, factors: Any, out: Any) -> None:
        for i in range(row.size):
            out[i] = row[i] * factors[i]

    made = numba.guvectorize(*types, "(n),(n)->(n)")(scaled)
    op = tn.op(made, row=lambda g, factors: g * factors, factors=lambda g, row: g * row)
    assert [a.name for a in op.arguments] == ["row", "factors"]
    same_everywhere(op, np.ones((2, 3)), X)


# -- Python for each element ---------------------------------------------------------------------------------------


def test_np_vectorize() -> None:
    """The first result is a whole number, which would be the dtype of all that np.vectorize gives."""
    hinge = tn.op(
        np.vectorize(lambda a: 0 if a < 0.6 else a * a), name="hinge", a=lambda g, a: np.where(a < 0.6, 0, 2 * g * a)
    )
    assert hinge(X).tolist() == [0, 0, 4]
    same_everywhere(hinge, X)
    assert hinge(X.astype(np.float32)).dtype == np.float32
    assert called(hinge, X) == {"hinge": "calls Python for each element"}
    assert hinge(np.zeros((0, 2))).shape == (0, 2)


def test_options_of_np_vectorize() -> None:
    power = tn.op(
        np.vectorize(lambda a, n=2, *, scale=1.0: scale * a**n, excluded={"n", "scale"}),
        name="power", a=lambda g, a, n, scale: g * scale * n * a ** (n - 1),
    )  # fmt: skip
    assert power(X, 3, scale=2.0).tolist() == (2 * X**3).tolist()
    tn.testing.check_grads(power, [X], order=2, kwargs={"n": 3, "scale": 2.0})
    halves = tn.op(np.vectorize(lambda a: (a / 2, a * 2)), name="halves", outputs=2, a=lambda g: g[0] / 2 + g[1] * 2)
    assert [part.tolist() for part in halves(X)] == [(X / 2).tolist(), (X * 2).tolist()]
    typed = tn.op(np.vectorize(lambda a: a, otypes=[np.float32]), name="typed", nondiff=True)
    assert typed(X).dtype == np.float32
    sums = tn.op(np.vectorize(lambda row: row.sum(), signature="(n)->()"), name="sums", nondiff=True)
    assert sums(np.ones((2, 3))).tolist() == [3, 3]


def test_np_frompyfunc() -> None:
    product = tn.op(np.frompyfunc(lambda a, b: a * b, 2, 1), name="product", x=lambda g, y: g * y, y=lambda g, x: g * x)
    same_everywhere(product, np.ones((2, 3)), X)
    assert product(X.astype(np.float32), 2).dtype == np.float32
    assert product(np.array([1, 2]), 3).dtype == np.int64
    positive = tn.op(np.frompyfunc(lambda a: a > 0, 1, 1), name="positive", nondiff=True)
    assert positive(tn.tensor(X)).data.tolist() == [True, False, True]
    turned = tn.op(np.frompyfunc(lambda a: a * 1j, 1, 1), name="turned", nondiff=True)
    assert turned(X.astype(np.float32)).dtype == np.complex64
    words = tn.op(np.frompyfunc(str, 1, 1), name="words", nondiff=True)
    with pytest.raises(TypeError, match=r"words.* gives str for an element, which is no number"):
        words(X)


# -- C -------------------------------------------------------------------------------------------------------------


def test_a_c_function_is_a_forward_as_it_is() -> None:
    op = tn.op(double_function("sin"), name="sine", x=lambda g, x: g * np.cos(x))
    assert type(op.forward) is np.ufunc
    same_everywhere(op, X)
    assert called(op, X) == {}  # a row of the table of primitives
    with pytest.raises(TypeError, match=r"op 'abs': the forward is a C function .* tn\.op\(tn\.native\(f, SIGNATURE\)"):
        tn.op(library().abs, name="abs", nondiff=True)


def test_a_cffi_function_is_a_forward_as_it_is() -> None:
    ffi = pytest.importorskip("cffi").FFI()
    ffi.cdef("double cos(double);")
    name = ctypes.util.find_library("m") if sys.platform != "win32" else "ucrtbase"
    op = tn.op(ffi.dlopen(name).cos, name="cosine", x=lambda g, x: -g * np.sin(x))
    same_everywhere(op, X)


def test_a_cython_function_is_a_forward_as_it_is() -> None:
    """Of numbers, by np.vectorize; its arguments are those that it says."""
    special = pytest.importorskip("scipy.special")
    gammaln = pytest.importorskip("scipy.special.cython_special").gammaln
    op = tn.op(np.vectorize(gammaln), name="gammaln", x0=lambda g, x0: g * special.digamma(x0))
    np.testing.assert_array_equal(op(X + 2), special.gammaln(X + 2))
    same_everywhere(op, X + 2, order=1)


def test_a_function_that_does_not_say_its_arguments() -> None:
    with pytest.raises(TypeError, match=r"op 'most': .* does not say what its arguments are called: give a lambda"):
        tn.op(np.vectorize(max), name="most", nondiff=True)


# -- calls from programs -------------------------------------------------------------------------------------------


@backends
def test_a_subprocess(compiled: Compile) -> None:
    def forward(x: Any) -> Any:
        code = "import sys; print(*(2 * float(v) for v in sys.stdin.read().split()))"
        text = " ".join(map(repr, x.ravel().tolist()))
        done = subprocess.run(
            [sys.executable, "-S", "-c", code], input=text, capture_output=True, text=True, check=True
        )
        return np.array(done.stdout.split(), x.dtype).reshape(x.shape)

    double = tn.op(forward, name="double", opaque="asks another process", x=lambda g: 2 * g)
    x = tn.tensor(X, requires_grad=True)

    def step(x: Any) -> Any:
        loss = (double(x) * x).sum()
        loss.backward()
        return loss

    run = compiled(step)
    for k in range(2):
        x.grad = None
        assert run(x).item() == 2 * (X * X).sum()
        assert x.grad is not None, k
        np.testing.assert_array_equal(x.grad.data, 4 * X)


def foreign(forward: Any, **options: Any) -> Any:
    """An op that programs call."""
    return tn.op(forward, name="foreign", opaque="foreign", **{"nondiff": True, **options})


@backends
def test_results_are_new_whatever_an_op_gives(compiled: Compile) -> None:
    """Its argument, a view of that, what it keeps, a number, another order of memory: where one is to be changed in place
    nobody else sees it."""
    kept = np.array([7.0, 8.0, 9.0])
    square = np.arange(9.0).reshape(3, 3)
    cases = {
        "argument": (foreign(lambda x: x), X), "view": (foreign(lambda x: x[::-1]), X), "kept": (foreign(lambda x: kept), X),
        "number": (foreign(lambda x: 3.0), X), "scalar": (foreign(lambda x: x[0]), X),
        "order": (foreign(lambda x: np.asfortranarray(x)), square), "list": (foreign(lambda x: np.array(x.tolist())), X),
    }  # fmt: skip
    for name, (op, x) in cases.items():
        step = compiled(lambda x, op=op: op(x))
        expected = np.array(op(x))
        for _ in range(3):
            found = step(x).data
            assert type(found) is np.ndarray, name
            np.testing.assert_array_equal(found, expected, strict=True)
            assert found.flags.writeable, name
            assert not np.may_share_memory(found, x), name
            assert not np.may_share_memory(found, kept), name
            found[...] = -1
    assert kept.tolist() == [7, 8, 9]


@backends
def test_native_code_reads_what_an_op_gives_where_it_is(compiled: Compile) -> None:
    """Between two calls, on the way to sums, updates and joined arrays, and twice as a result."""
    target = tn.tensor(np.zeros(3))
    double, halves = foreign(lambda x: x * 2), foreign(lambda x: (x[:2] / 2, x), outputs=2)

    def step(x: Any) -> Any:
        y = double(x + 1)
        z = double(y) - y
        first, second = halves(z)
        target.data = target + y
        return y, z.sum(), np.concatenate([first, second, y]), y.reshape(3, 1), second

    run = compiled(step)
    y = (X + 1) * 2
    for k in range(1, 4):
        found = run(X)
        expected = (y, y.sum(), np.concatenate([y[:2] / 2, y, y]), y.reshape(3, 1), y)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.data, other)
        np.testing.assert_array_equal(target.data, k * y)
        assert not any(np.may_share_memory(one.data, other.data) for i, one in enumerate(found) for other in found[:i])


@backends
def test_arguments_of_all_kinds_reach_the_op(compiled: Compile) -> None:
    seen: SimpleQueue[Any] = SimpleQueue()

    def forward(x: Any, pair: Any, rows: Any, n: int, *, scale: float = 1.0, words: Any = ("a", ["b"])) -> Any:
        seen.put((type(pair), type(rows), n, scale, words))
        return (x + pair[0] * pair[1] + sum(rows)) * scale

    op = foreign(forward, nondiff=("x", "pair", "rows"), sequences=("pair", "rows"))
    step = compiled(lambda x: op(x * 1, (x, x + 1), [x, X], 3, scale=2.0))
    for _ in range(2):
        np.testing.assert_allclose(step(X).data, (X + X * (X + 1) + 2 * X) * 2)
    found = [seen.get() for _ in range(seen.qsize())]
    assert found == [(tuple, list, 3, 2.0, ("a", ["b"]))] * len(found)


@backends
@pytest.mark.parametrize("make", [lambda x: x[:2], lambda x: x.astype(np.float32)], ids=["shape", "dtype"])
def test_an_op_that_changes_its_mind(compiled: Compile, make: Any) -> None:
    other = threading.Event()
    op = foreign(lambda x: make(x) if other.is_set() else x * 2)
    for f in (lambda x: op(x), lambda x: op(x) + 1, lambda x: op(op(x))):
        other.clear()
        step = compiled(f)
        step(X)
        other.set()
        with pytest.raises(ValueError, match=r"foreign.* must not depend on the values"):
            step(X)


@backends
def test_an_error_tells_the_op_and_the_line(compiled: Compile) -> None:
    def forward(x: Any) -> Any:
        if x[0] > 9:
            raise ZeroDivisionError("mine")
        return x

    op = foreign(forward)
    step = compiled(lambda x: np.exp(op(x)))
    step(X)
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        step(X + 10)
    (note,) = caught.value.__notes__
    assert note.startswith("raised by op 'foreign' in a compiled program, at ")
    assert "test_foreign_forwards.py:" in note
    np.testing.assert_array_equal(step(X).data, np.exp(X))


@backends
def test_an_error_tells_the_shapes_of_few_arguments(compiled: Compile) -> None:
    @tn.op(opaque="it raises", parts=lambda g, parts: tuple(g for _ in parts))
    def least(parts: Sequence[Any]) -> Any:
        if parts[0][0] < 0:
            raise ValueError("negative")
        return parts[0]

    step = compiled(lambda x: least([x * n for n in range(1, 101)]))
    step(X)
    with pytest.raises(ValueError, match="negative") as caught:
        step(-abs(X) - 1)
    assert caught.value.__notes__[0].endswith(f", of {f'float64 {X.shape}, ' * 6}94 more")


@backends
def test_an_error_without_words_stays_the_error(compiled: Compile) -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def forward(x: Any) -> Any:
        if x[0] > 9:
            raise Wordless
        return x

    op = foreign(forward)
    step = compiled(lambda x: np.exp(op(x)))
    step(X)
    with pytest.raises(Wordless) as caught:
        step(X + 10)
    assert "in a compiled program, at " in caught.value.__notes__[0]


@backends
def test_the_check_of_an_op_runs_before_each_call(compiled: Compile) -> None:
    def positive(x: Any, n: int, *, least: float = 0.0) -> None:
        if x.shape != (3,):
            raise ValueError(f"three, not {x.shape}")

    def values(x: Any, least: float) -> None:
        if (x < least).any():
            raise ValueError("too small")

    for check, given in ((positive, {}), (values, {"least": -2.0})):
        op = foreign(lambda x, n=2, *, least=0.0: x * n, check=check)
        step = compiled(lambda x, op=op, given=given: op(x, 3, **given))
        for _ in range(2):
            np.testing.assert_array_equal(step(X).data, X * 3)
    with pytest.raises(ValueError, match="too small"):
        step(X - 5)


@backends
def test_an_op_warns_where_it_is_all_there_is(compiled: Compile) -> None:
    op = foreign(np.log)
    alone, beside = compiled(lambda x: op(x)), compiled(lambda x: op(x) + 1)
    zero = np.zeros(3)
    for step in (alone, beside):
        step(X + 2)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        alone(zero)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beside(zero)
    assert np.geterr()["divide"] == "warn"


@backends
def test_loops_call_ops(compiled: Compile) -> None:
    op = foreign(lambda x: x + 1, nondiff=False, x=lambda g: g)

    def turns(x: Any) -> Any:
        return tn.scan(lambda c, row: (op(c) * row, c.sum()), x, np.ones((5, 3)))

    def until(x: Any) -> Any:
        return tn.while_loop(lambda c: c.sum() < 20, op, x)

    for f in (turns, until):
        step = compiled(f)
        for _ in range(2):
            for one, other in zip(tn.tree.leaves(step(X)), tn.tree.leaves(f(tn.tensor(X))), strict=True):
                np.testing.assert_array_equal(one.data, other.data)


@backends
def test_threads_run_the_ops_of_one_program_side_by_side(compiled: Compile) -> None:
    """Each waits inside of the op until the other is there, too."""
    both = threading.Barrier(2)
    ready = threading.Event()

    def forward(x: Any) -> Any:
        if ready.is_set():
            both.wait(60)
        return x * 2

    op = foreign(forward)
    step = compiled(lambda x: op(x))
    step(X)
    ready.set()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(step, [X, X + 1]))
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one.data, (X + k) * 2)


@backends
def test_what_an_op_gives_is_freed_where_nobody_needs_it(compiled: Compile) -> None:
    op = foreign(lambda x: x + 1)

    def eight(x: Any) -> Any:
        for k in range(8):
            x = op(x) * 2 if k == 4 else op(x)
        return x.sum()

    step = compiled(eight)
    x = np.zeros(1 << 17)
    assert step(x).item() == step(x).item() == x.size * 13
    tracemalloc.start()
    try:
        step(x)
        assert tracemalloc.get_traced_memory()[1] < 4 * x.nbytes
    finally:
        tracemalloc.stop()


@backends
def test_threads_run_programs_with_ops_side_by_side(compiled: Compile) -> None:
    """Where a program does more than to call ops, a thread that finds it at work gets memory of its own."""
    both = threading.Barrier(2)
    ready = threading.Event()

    def forward(x: Any) -> Any:
        if ready.is_set():
            both.wait(60)
        return x * 2

    op, weight = foreign(forward), tn.tensor(np.full(3, 3.0))
    step = compiled(lambda x: (op(x * weight) + 1) * weight)
    step(X)
    for value in (3.0, 5.0):
        weight.data = np.full(3, value)  # which those that come later see too
        ready.set()
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(step, [X, X + 1]))
        ready.clear()
        for k, one in enumerate(found):
            np.testing.assert_array_equal(one.data, ((X + k) * value * 2 + 1) * value)


@backends
def test_a_call_enters_one_or_two_functions_around_the_ops(compiled: Compile) -> None:
    """Counted, since a time depends on the machine: tests/benchmarks/foreign_calls.py takes it."""

    def forward(x: Any) -> Any:
        return x + 1

    op = foreign(forward)

    def several(x: Any) -> Any:
        for _ in range(4):
            x = op(x)
        return x

    one, four = compiled(lambda x: op(x)), compiled(several)
    x = tn.tensor(X)
    counts = []
    for step, calls in ((one, 1), (four, 4)):
        for _ in range(3):
            step(x)
        (_, *frames), count = executed(lambda step=step: step(x))
        native = "native" in repr(step)
        assert frames == ["fast", *["call"] * native, *["forward"] * calls]
        counts.append(count)
    assert counts[0] <= 160
    assert counts[1] - counts[0] <= 3 * 40


@backends
def test_what_an_opaque_forward_reads_and_keeps_is_its_own(compiled: Compile) -> None:
    """It is called each time; nothing of that is part of the program."""
    calls, factor = [], [2.0]

    def forward(x: Any) -> Any:
        calls.append(x.shape)
        return x * factor[0]

    op = foreign(forward)
    step = compiled(lambda x: op(x) + 1)
    for k in range(4):
        factor[0] = float(k)
        np.testing.assert_array_equal(step(X).data, X * k + 1)
    assert len(calls) == 4
    assert len(step.variants) == 1
