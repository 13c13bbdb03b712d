"""Kernels that are cut into parts, which threads share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapenet.program.fusion import Kernel, fuse
from tapenet.program.ir import Input, Program, Reference, Write
from tapenet.program.layout import Layouts
from tests.program.evaluate import evaluate
from tests.program.native.generate import Rows
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import Tensor, nn
from tapenet.program.native import parallel, pieces
from tapenet.program.native.kernels import cycles
from tapenet.program.native.module import Module
from tests.program.native.running import assert_native, compiled

COUNTS = (1, 2, 3, 7)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Have every kernel cut into parts, however small it is, and so many threads."""
    monkeypatch.setattr(pieces, "PART", 1)
    monkeypatch.setattr(parallel, "RUN", 1)
    monkeypatch.setattr(parallel, "BLOCKED", 1)
    monkeypatch.setattr(parallel, "SUMS", 1e9)
    yield tn.set_num_threads
    tn.set_num_threads(None)


def shared(program: Program) -> int:
    """How many pieces of work a program shares."""
    return Module(program).text.count("call void @tn_share")


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


def test_what_is_computed_into_a_tensor_of_another_order_keeps_its_parts(threads: Callable[[int], None]) -> None:
    """Columns that lie one after the other are cut apart, and share no sums; then they are written to rows."""
    b = Build()
    x = Input((20, 30), np.dtype(np.float32), (1, 0))
    b.inputs.append(x)
    y = b.emit("sin", x)
    target = Reference(tn.asarray(np.zeros((20, 30), np.float32)))
    b.writes.append(Write(target, y))
    program = b.program(b.emit("reduce_add", y, axes=(0,)))
    given = np.asfortranarray(numbers((20, 30)))
    (found,) = results(program, given)
    np.testing.assert_allclose(found, np.sin(given).sum(0), rtol=1e-5)
    np.testing.assert_allclose(target.tensor.numpy(), np.sin(given), rtol=1e-6)


# -- images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high", [3, 12])
def test_images_are_cut_along_rows(high: int, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """As convolutions are, which have them with the batch innermost; maps of a few rows are not."""
    monkeypatch.setattr(pieces, "ROWS", 1)
    b = Build()
    x = b.input(16, 8, high, 7)
    program = b.program(b.emit("maximum", x, constant(0.0)))
    strides = {program.inputs[0]: (1, high * 7 * 16, 7 * 16, 16)}
    for given, axis in ((None, 0), (strides, 2 if high > 3 else 1)):
        module = Module(program, strides=given)
        (kernel,) = module.entries
        assert isinstance(kernel, Kernel)
        found = parallel.cut(kernel, module.layouts)
        assert found is not None
        assert found.axis == axis


def test_pooled_images_in_parts(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Maxima, their gradients, which are moved to their places, and sums over images."""
    monkeypatch.setattr(pieces, "ROWS", 1)
    images = np.ascontiguousarray(numbers((16, 3, 10, 9)).transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    bias = numbers((3, 1, 1))

    def loss(x: Any, b: Any) -> Any:
        return (tn.nn.functional.max_pool2d(tn.relu(x + b), 2) ** 2).sum()

    expected = tn.grad(loss, argnums=(0, 1))(images, bias)
    step = tn.compile(tn.grad(loss, argnums=(0, 1)), backend="native")
    step(images, bias)  # eager's numbers
    found = []
    for count in COUNTS:
        threads(count)
        found.append([t.numpy() for t in step(images, bias)])
    for f, e in zip(found[0], expected, strict=True):
        np.testing.assert_allclose(f, e.numpy(), rtol=1e-5)
    for other in found[1:]:
        equal(other, found[0])


def test_parts_of_what_is_joined_are_few(threads: Callable[[int], None]) -> None:
    """Each is a function of its own."""
    b = Build()
    program = b.program(b.emit("exp", b.emit("concatenate", b.input(3, 50), b.input(3, 50), axis=0)))
    module = Module(program)
    (kernel,) = module.entries
    assert isinstance(kernel, Kernel)
    assert kernel.joins
    found = parallel.cut(kernel, module.layouts)
    assert found is not None
    assert 2 <= found.parts <= parallel.JOINED


def test_what_is_cut_and_what_loops_declare_may_be_alike(threads: Callable[[int], None]) -> None:
    """Few images are cut by the number of threads, and labels are compared with the number of classes: both take the larger of
    two integers, and LLVM refuses a second declaration."""
    threads(2)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 10)
    ).double()
    x, y = np.random.default_rng(0).normal(size=(20, 1, 28, 28)), np.arange(20) % 10

    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        return loss

    expected = step(tn.tensor(x), tn.tensor(y)).numpy()
    np.testing.assert_allclose(tn.compile(step, backend="native")(x, y).numpy(), expected, rtol=1e-12)


# -- results -----------------------------------------------------------------------------------------------------

SHAPES = [(1,), (2,), (7,), (13,), (14,), (15,), (100,), (4096,), (6, 5), (14, 1), (15, 33), (7, 2, 3), (29, 1, 4)]


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
        assert (shared(program) > 0) == (max(shape) >= 2)
        equal(results(program, *given), alone)


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
    assert shared(program) == 1
    equal(results(program, given), alone)


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


def cut(kernel: Kernel) -> parallel.Cut | None:
    return parallel.cut(kernel, Layouts())


@pytest.mark.parametrize("length", [1, 2, 3, 5, 13, 14, 15, 16, 20, 97, 1000, 100_003])
@pytest.mark.parametrize("work", [1, 20, 1000])
def test_parts(length: int, work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PART", work)
    found = cut(exp(length))
    if found is None:
        assert length < 2 or cycles(exp(length)) < 2 * work
        return
    axis, steps, count = found
    assert axis == 0
    assert 2 <= count <= pieces.PARTS
    assert (count - 1) * steps < length <= count * steps  # none is empty


def test_parts_of_short_rows_are_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that their loops are of vectors."""
    before = cut(exp(100_000, 3))
    monkeypatch.setattr(parallel, "BLOCKED", 75_000)
    found = cut(exp(100_000, 3))
    assert found is not None
    assert before is not None
    assert found.axis == before.axis == 0
    assert found.parts <= 4 < before.parts


def test_small_kernels_are_not_cut() -> None:
    assert cut(exp(1000)) is None
    assert cut(exp()) is None
    assert cut(exp(10_000_000)) == (0, 156_250, 64)


def test_a_short_first_axis_is_left_whole() -> None:
    assert cut(exp(3, 4, 1_000_000)) == (2, 15_625, 64)
    found = cut(exp(1000, 10, 64))
    assert found is not None
    assert found.axis == 0


def test_what_is_outermost_in_memory_is_cut() -> None:
    b = Build()
    x = b.transpose(b.input(500, 2000), (1, 0))
    kernel = kernel_of(b.program(b.emit("exp", x)))
    found = parallel.cut(kernel, Layouts({kernel.members[0].args[0]: (1, 2000)}))
    assert found is not None
    assert kernel.domain[found.axis] == 500


def test_sums_of_parts_cost_little() -> None:
    def columns(rows: int, width: int) -> Kernel:
        b = Build()
        return kernel_of(b.program(b.emit("reduce_add", b.input(rows, width), axes=(0,))))

    for rows, width in ((60_000, 1000), (3000, 1000), (300, 1000)):
        kernel = columns(rows, width)
        found = cut(kernel)
        assert found is not None
        room = parallel.workspace(kernel, found)
        assert room == (0 if found.axis else (found.parts - 1) * 4032)  # whole cache lines
        assert room <= 0.011 * 4 * rows * width
    found = cut(columns(60, 100_000))
    assert found is not None
    assert found.axis == 1  # each part has columns of its own
    assert parallel.workspace(columns(60, 100_000), found) == 0


def test_bodies_of_loops_are_cut_too() -> None:
    body = Build()
    size = 300_000
    c = body.input(size, dtype=np.float64)
    inner = body.program(body.emit("negative", c))
    b = Build()
    x = b.input(size, dtype=np.float64)
    program = b.program(b.several("loop", x, body=inner, carries=1, slices=0, length=2)[0])
    assert shared(program) == 1
    assert_native(program, numbers(size, "f8"))


# -- what happens to threads -------------------------------------------------------------------------------------

PROGRAM = """
import os
import numpy as np
import tapenet as tn
from tapenet.program.native import build, parallel, pieces
from tests.program.passes.programs import Build

pieces.PART = parallel.RUN = 1
parallel.SUMS = 1e9
tn.set_num_threads(3)

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_is_forked() -> None:
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TAPENET_CACHE": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == "done"
