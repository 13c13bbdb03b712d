"""Kernels that are shared out among threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapenet.program.fusion import Kernel, fuse
from tapenet.program.ir import Program, Reference, Write
from tapenet.program.layout import Layouts
from tests.program.evaluate import evaluate
from tests.program.native.generate import Rows
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.program.native import parallel, runner
from tapenet.program.native.module import Module
from tests.program.native.running import assert_native, compiled

posix = pytest.mark.skipif(sys.platform == "win32", reason="threads are those of POSIX")
COUNTS = (1, 2, 3, 7)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have every kernel shared out among so many threads, however small it is."""
    monkeypatch.setattr(parallel, "WORTH", 0)

    def use(count: int) -> None:
        monkeypatch.setattr(runner, "threads", lambda: count)

    return use


def started(program: Program, count: int) -> int:
    """How many threads a run of a program starts."""
    return Module(program, count).text.count("call i32 @pthread_create")


def numbers(shape: Any, dtype: Any = np.float32) -> Any:
    r = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return r.normal(size=shape).astype(dtype)
    return r.integers(0, 2 if np.dtype(dtype).kind == "b" else 100, shape).astype(dtype)


def results(program: Program, *given: Any) -> list[Any]:
    return list(compiled(program).call(*given))


def equal(found: list[Any], expected: list[Any]) -> None:
    for f, e in zip(found, expected, strict=True):
        assert (f.shape, f.dtype) == (e.shape, e.dtype)
        np.testing.assert_array_equal(f, e)


# -- results -----------------------------------------------------------------------------------------------------

SHAPES = [(1,), (2,), (7,), (13,), (14,), (15,), (100,), (4096,), (6, 5), (14, 1), (15, 33), (7, 2, 3), (29, 1, 4)]


@posix
@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise(shape: tuple[int, ...], threads: Callable[[int], None]) -> None:
    """Every element is computed the same, whoever does it."""
    b = Build()
    x, y, row = b.input(*shape), b.input(*shape), b.input(*shape[-1:])
    made = b.elementwise("add", b.emit("exp", b.emit("multiply", x, y)), row)
    program = b.program(made, b.emit("tanh", y))
    given = numbers(shape), numbers(shape) / 3, numbers(shape[-1:])
    threads(1)
    alone = results(program, *given)
    for count in COUNTS[1:]:
        threads(count)
        assert (started(program, count) > 0) == (shape[0] >= 2 * count)
        equal(results(program, *given), alone)


@posix
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
@pytest.mark.parametrize("count", COUNTS)
def test_operands_in_any_order_of_memory(count: int, dtype: str, threads: Callable[[int], None]) -> None:
    threads(count)
    b = Build()
    x, column = b.input(9, 31, dtype=dtype), b.input(31, dtype=dtype)
    name = "logical_xor" if dtype == "?" else "maximum"
    turned = b.elementwise(name, b.transpose(x, (1, 0)), b.reshape(column, (31, 1)))
    back = b.emit("slice", turned, slices=((30, -1, -2), (0, 9, 1)))
    program = b.program(turned, b.elementwise(name, back, back), b.transpose(turned, (1, 0)))
    assert_native(program, numbers((9, 31), dtype), numbers(31, dtype))


REDUCTIONS = {"of all": (0, 1), "of columns": (0,), "of rows": (1,)}


def reductions(axes: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Program:
    """Sums, extremes and what they are of."""
    b = Build()
    x = b.input(*shape, dtype=dtype)
    made = b.emit("multiply", x, constant(3, dtype))
    reduced = [b.emit(f"reduce_{name}", made, axes=axes) for name in ("add", "maximum", "minimum")]
    return b.program(made, *reduced)


@posix
@pytest.mark.parametrize("axes", REDUCTIONS.values(), ids=REDUCTIONS)
@pytest.mark.parametrize("shape", [(2, 3), (14, 1), (29, 65)])
def test_reductions(axes: tuple[int, ...], shape: tuple[int, ...], threads: Callable[[int], None]) -> None:
    for count in COUNTS:
        threads(count)
        assert_native(reductions(axes, shape, np.int64), numbers(shape, np.int64))
        program = reductions(axes, shape, np.float32)
        given = numbers(shape)
        made = compiled(program)
        first = list(made.call(given))
        for f, e in zip(first, evaluate(program, [given]).outputs, strict=True):
            np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-4)
        for _ in range(10):
            equal(list(made.call(given)), first)  # whatever the order in which the threads come to an end
        equal(results(program, given), first)


@posix
@pytest.mark.parametrize("count", COUNTS)
def test_special_numbers_in_reductions(count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    for value in (np.nan, np.inf, -np.inf, -0.0):
        for at in (0, 6, 13, 20):
            x = np.full((21, 2), -0.0, np.float32)
            x[at, 1] = value
            b = Build()
            i = b.input(21, 2)
            program = b.program(*(b.emit(f"reduce_{n}", i, axes=(0,)) for n in ("add", "maximum", "minimum")))
            equal(results(program, x), evaluate(program, [x]).outputs)


@posix
@pytest.mark.parametrize("count", COUNTS)
def test_rows(count: int, threads: Callable[[int], None]) -> None:
    """A softmax: all loops over a row are one thread's."""
    b = Build()
    x = b.input(33, 10)
    largest = b.reshape(b.emit("reduce_maximum", x, axes=(1,)), (33, 1))
    powers = b.emit("exp", b.elementwise("subtract", x, largest))
    total = b.reshape(b.emit("reduce_add", powers, axes=(1,)), (33, 1))
    program = b.program(b.elementwise("divide", powers, total))
    given = numbers((33, 10))
    threads(1)
    alone = results(program, given)
    threads(count)
    assert started(program, count) == count - 1
    equal(results(program, given), alone)


@posix
@pytest.mark.parametrize("count", COUNTS)
def test_what_is_written(count: int, threads: Callable[[int], None]) -> None:
    """Tensors that are changed where they are, in their own order of memory."""
    threads(count)
    targets = [tn.asarray(numbers((31, 5), "f8")), tn.asarray(numbers((5, 31), "f8").T)]
    b = Build()
    x = b.input(31, 5, dtype="f8")
    for target in targets:
        reference = Reference(target)
        b.writes.append(Write(reference, b.emit("subtract", reference, x)))
    program = b.program(b.emit("reduce_maximum", b.emit("multiply", x, b.writes[0].target), axes=(0, 1)))
    assert_native(program, numbers((31, 5), "f8"))


@posix
@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int, threads: Callable[[int], None]) -> None:
    """Of small integers, whose sums are exact in any order."""
    rng = np.random.default_rng(seed)
    program = Rows(rng).program(15)
    given = [rng.integers(-3, 4, v.shape).astype(v.dtype) for v in program.inputs]
    for count in COUNTS[1:]:
        threads(count)
        assert_native(program, *given)


# -- who gets threads --------------------------------------------------------------------------------------------


def kernel_of(program: Program) -> Kernel:
    (kernel,) = fuse(program, Layouts(), set(program.body))
    assert isinstance(kernel, Kernel)
    return kernel


def exp(*shape: int) -> Kernel:
    b = Build()
    return kernel_of(b.program(b.emit("exp", b.input(*shape))))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 13, 14, 15, 16, 20, 97, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_parts(length: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORTH", 0)
    found = parallel.parts(exp(length), count)
    if count == 1 or length < 2 * count:
        assert found == [0]
        return
    assert sum(found) == length
    assert 1 < len(found) <= count
    assert min(found) > 0
    assert len(set(found)) <= 2  # each length is a function of its own


def test_small_kernels_are_not_shared_out() -> None:
    assert parallel.parts(exp(1000), 4) == [0]
    assert parallel.parts(exp(10_000_000), 4) == [2_500_000] * 4
    assert parallel.parts(exp(), 4) == [0]
    assert parallel.parts(exp(4, 3_000_000), 4) == [0]  # the first axis is too short


def test_large_sums_are_not_shared_out() -> None:
    def columns(rows: int, width: int) -> Kernel:
        b = Build()
        return kernel_of(b.program(b.emit("reduce_add", b.input(rows, width), axes=(0,))))

    assert len(parallel.parts(columns(60_000, 1000), 4)) == 4
    assert parallel.workspace(columns(60_000, 1000), 4) == 3 * 4032  # whole cache lines
    assert parallel.parts(columns(600, 100_000), 4) == [0]
    assert parallel.workspace(columns(600, 100_000), 4) == 0


def test_bodies_of_loops_have_one_thread() -> None:
    body = Build()
    size = 3_000_000
    c = body.input(size, dtype=np.float64)
    inner = body.program(body.emit("exp", c))
    b = Build()
    x = b.input(size, dtype=np.float64)
    made = b.several("loop", x, body=inner, carries=1, slices=0, length=2)[0]
    assert started(b.program(b.emit("exp", x)), 2) == 1
    assert started(b.program(made), 2) == 0


@posix
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, 8), ("", 8), ("1", 1), ("2", 2), ("3,2", 3), ("8", 8), ("100", 8), ("0", 8), ("-1", 8), ("many", 8),
    ],
)  # fmt: skip
def test_the_number_of_threads(limit: str | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    if limit is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert parallel.threads() == expected


@posix
@pytest.mark.parametrize(("processors", "expected"), [(4, 4), (None, 1)])
def test_where_nobody_says_which_processors_may_be_used(
    processors: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert parallel.threads() == expected


class _NoThreads:
    pass


def refused(name: None) -> Any:
    raise OSError("no such library")


@pytest.mark.parametrize("library", [lambda name: _NoThreads(), refused], ids=["no function", "no library"])
def test_without_threads_of_posix(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(parallel, "_startable", parallel._startable.__wrapped__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert parallel.threads() == 1


# -- what happens to threads -------------------------------------------------------------------------------------

PROGRAM = """
import ctypes
import os
import numpy as np
from tapenet.program.native import build, parallel, runner
from tests.program.passes.programs import Build

parallel.WORTH = 0
runner.threads = lambda: 3

def program(n):
    b = Build()
    x = b.input(n, 2)
    y = b.emit("multiply", x, x)
    return b.program(y, b.emit("reduce_add", y, axes=(0,)))

def check(made, n):
    x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    y, total = made.call(x)
    np.testing.assert_array_equal(y, x * x)
    np.testing.assert_array_equal(total, (x * x).sum(0))
"""

FORK = """
made = build(program(20))
check(made, 20)
for _ in range(3):
    child = os.fork()
    if not child:
        try:
            check(made, 20)
            check(build(program(23)), 23)
            a = np.ones((200, 200), np.float32)
            assert (a @ a == 200).all()
        except BaseException:
            os._exit(1)
        os._exit(0)
    check(made, 20)
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""

REFUSED = """
import llvmlite.binding as llvm

calls = []

@ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)
def pthread_create(thread, attributes, function, context):
    calls.append(1)
    return 11  # EAGAIN: too many threads

llvm.add_symbol("pthread_create", ctypes.cast(pthread_create, ctypes.c_void_p).value)
made = build(program(20))
for k in range(1, 4):
    check(made, 20)
    assert len(calls) == 2 * k
print("done")
"""


def run(script: str) -> str:
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM + script],
        env={**os.environ, "TAPENET_CACHE": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_is_forked() -> None:
    """Nothing is left running, or locked, between two calls."""
    assert run(FORK) == "done"


@posix
def test_threads_that_cannot_be_started() -> None:
    """Their part is done by the thread that could not start them."""
    assert run(REFUSED) == "done"
