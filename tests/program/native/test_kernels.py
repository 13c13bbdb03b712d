"""Fused kernels and the loops that they are made of."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet.program.ir import Program, Reference, Value

pytest.importorskip("llvmlite")

from tapenet.llvm import loops, toolchain
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import long_length, run_length
from tapenet.program.native import Runner, build
from tapenet.program.native.kernels import crosses, fusible
from tapenet.program.native.module import Module
from tests.compiler.lowered import program_of
from tests.program.evaluate import evaluate
from tests.program.native.generate import Rows
from tests.program.native.running import assert_native, compiled, entries, kernels
from tests.program.passes.programs import Build, numbers

R = np.random.default_rng(0)
EPS = float(np.finfo(np.float32).eps)
BLOCK, LONG = run_length(), long_length()


def integers(*shape: int, dtype: Any = np.float32) -> Any:
    """Small whole numbers, whose sums are exact in any order."""
    return R.integers(-3, 4, shape).astype(dtype)


def only_kernel(program: Program, *inputs: Any, rtol: float = 0.0) -> Any:
    """The runner of a program that is one kernel."""
    runner = assert_native(program, *inputs, rtol=rtol)
    assert entries(runner) == ["kernel"]
    return runner


# -- element by element ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (1, 1), (2, 1, 1), (2, 3, 4)])
@pytest.mark.parametrize("domain", [(2, 3, 4), (2, 3, 1), (1, 1, 1)])
def test_broadcasting(shape: tuple[int, ...], domain: tuple[int, ...]) -> None:
    b = Build()
    x, y = b.input(*domain), b.input(*shape)
    assert_native(b.program(b.emit("subtract", b.emit("multiply", x, x), y)), integers(*domain), integers(*shape))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("step", [1, 2, -1])
def test_any_order_of_memory(order: tuple[int, ...], step: int) -> None:
    shape = (3, 4, 5)
    wide = integers(*(abs(step) * shape[i] for i in order))
    array = wide[::step, ::step, ::step].transpose(np.argsort(order))
    p = Reference(tn.asarray(array))
    assert p.shape == shape
    b = Build()
    x = b.input(*shape)
    total = b.emit("add", p, x)
    only_kernel(b.program(total, b.emit("reduce_add", total, axes=(0, 2))), integers(*shape))


def test_views_are_read_where_they_are() -> None:
    b = Build()
    x, y = b.input(4, 6), b.input(3, 2)
    part = b.emit("slice", x, slices=((3, -1, -2), (1, 6, 2)))  # (2, 3), backwards
    turned = b.emit("transpose", y, axes=(1, 0))
    row = b.emit("broadcast", b.emit("reshape", y, shape=(1, 6)), shape=(2, 6))
    some = b.emit("slice", row, slices=((0, 2, 1), (0, 6, 2)))
    out = b.emit("where", b.emit("less", part, turned), b.emit("add", part, some), turned)
    runner = only_kernel(b.program(out), integers(4, 6), integers(3, 2))
    assert runner.module.memory.arena_bytes == 0


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_dtypes(dtype: str) -> None:
    b = Build()
    x, y = b.input(3, 5, dtype=dtype), b.input(5, dtype=dtype)
    outs = [b.emit("maximum", x, y), b.emit("cast", b.emit("less", x, y), dtype=np.dtype(dtype)), b.cast(x, "f8")]
    if dtype != "?":
        outs += [b.emit("multiply", x, y), b.emit("subtract", x, y)]
    a, c = (numbers(R, s, dtype) for s in ((3, 5), (5,)))
    assert set(entries(assert_native(b.program(*outs), a, c))) == {"kernel"}


def test_constants_are_part_of_the_code() -> None:
    b = Build()
    x = b.input(2, 3)
    scaled = b.elementwise("multiply", x, 0.5)
    half = b.emit("broadcast", b.elementwise("add", scaled, -2).instruction.args[1], shape=(2, 3))  # type: ignore[attr-defined]
    runner = only_kernel(b.program(b.emit("add", scaled, half)), integers(2, 3))
    assert len(runner.module.memory.table) == 2  # the argument and the result


def test_what_is_used_in_the_kernel_alone_is_never_in_memory() -> None:
    b = Build()
    x = value = b.input(100, 100)
    for _ in range(20):
        value = b.emit("add", b.emit("square", b.emit("subtract", value, x)), x)
    runner = compiled(b.program(b.emit("reduce_add", value, axes=(0, 1))))
    assert entries(runner) == ["kernel"]
    assert runner.module.memory.arena_bytes < 1000  # sums of the parts that threads share


# -- reductions --------------------------------------------------------------------------------------------------

SUBSETS = [axes for n in range(4) for axes in itertools.combinations(range(3), n)]


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 7, 1), (2, 1, 9), (1, 1, 1)])
def test_sums_along_any_axes(shape: tuple[int, ...]) -> None:
    b = Build()
    x = b.input(*shape)
    y = b.emit("subtract", x, b.input(shape[-1]))
    sums = [b.emit("reduce_add", y, axes=axes) for axes in SUBSETS]
    assert_native(b.program(*sums, y), integers(*shape), integers(shape[-1]))


REDUCED = {"reduce_add": "ilILfd", "reduce_multiply": "ilILfd", "reduce_maximum": "ilILfd", "reduce_minimum": "ilILfd",
           "reduce_logical_and": "?", "reduce_logical_or": "?"}  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, dtypes in REDUCED.items() for d in dtypes])
def test_kinds_of_reductions(name: str, dtype: str) -> None:
    b = Build()
    x = b.input(5, 33, dtype=dtype)
    program = b.program(*(b.emit(name, x, axes=axes) for axes in ((0,), (1,), (0, 1))))
    array = R.integers(-3 if dtype in "ilfd" else 0, 3, (5, 33)).astype(dtype)
    array[2, :9] = 2  # products that are not 0
    assert_native(program, array)


@pytest.mark.parametrize("name", ["reduce_add", "reduce_maximum", "reduce_minimum", "reduce_multiply"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0])
@pytest.mark.parametrize("length", [1, 70])
def test_special_numbers_in_reductions(name: str, special: float, length: int) -> None:
    b = Build()
    x = b.input(3, length)
    program = b.program(*(b.emit(name, x, axes=axes) for axes in ((0,), (1,), (0, 1))))
    array = np.full((3, length), special, np.float32)
    assert_native(program, array)
    if name != "reduce_add" and not np.isnan(special):  # a sum of nothing but -0.0 may be either zero
        for found, expected in zip(build(program).call(array), evaluate(program, [array]).outputs, strict=True):
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    mixed = integers(3, length)
    mixed[1, length // 2] = special
    assert_native(program, mixed)


@pytest.mark.parametrize(("name", "shorter"), [("reduce_maximum", "smax"), ("reduce_minimum", "smin")])
@pytest.mark.parametrize("dtype", "fd")
def test_extremes_of_floats_are_carried_as_integers(name: str, shorter: str, dtype: str) -> None:
    """As floats, with nan and the zeros in order, each vector waits long for the one before it."""
    b = Build()
    x = b.input(9, 37, dtype=dtype)
    program = b.program(b.emit(name, x, axes=(1,)))
    array = R.normal(size=(9, 37)).astype(dtype)
    array[0], array[1], array[2, ::2], array[3] = np.inf, -np.inf, -np.inf, np.resize([0.0, -0.0], 37)
    array[4, 36], array[5, 0], array[6, 3:5] = np.nan, -np.nan, [np.inf, -np.nan]
    array[7] = np.resize([np.finfo(dtype).max, np.finfo(dtype).min], 37)
    array[8] *= np.finfo(dtype).tiny  # denormal, some of them
    runner = assert_native(program, array)
    assert f"llvm.{shorter}.i{8 * array.itemsize}" in runner.module.text
    found = runner.call(array)[0]
    assert np.signbit(found[3]) == (name == "reduce_minimum")


@pytest.mark.parametrize(("length", "expected"), [(4, 0), (32, 1), (1000, 0)])
def test_short_loops_become_vectors(length: int, expected: int) -> None:
    """LLVM would write them out first, number by number, which it does not with the longer ones."""
    b = Build()
    out = b.emit("multiply", b.input(50, length), b.input(length))
    runner = assert_native(b.program(out), integers(50, length), integers(length))
    assert runner.module.text.count("!loop.rolled") == expected


@pytest.mark.parametrize(("length", "much"), [(20, False), (31, True), (32, False)])
def test_what_is_left_over_of_a_vector_is_computed_by_masks(length: int, much: bool) -> None:
    x = R.normal(size=(6, length)).astype(np.float32)
    runner = assert_native(program_of(lambda x: F.softmax(x, axis=-1), x), x, rtol=1e-5)
    assert ("!loop.masked" in runner.module.text) == (much and registers().bytes >= loops.MASKS)


@pytest.mark.parametrize(("step", "picked"), [(1, False), (2, True), (-3, True), (9, False)])
def test_sums_of_elements_that_lie_apart_take_two_vectors_a_turn(step: int, picked: bool) -> None:
    x = integers(5, 300, dtype=np.float32)
    runner = assert_native(program_of(lambda x: (x[:, ::step].sum(1), x[:, ::step].max(1)), x), x)
    assert (".pairs" in runner.module.text) == picked


BROADCAST = [
    ((32, 32, 4), (1, 1, 4)),
    ((37, 8, 4), (1, 8, 1)),
    ((300, 5), (300, 1)),
    ((3, 70, 10), (1, 70, 1)),
    ((7, 300, 3), (7, 1, 3)),
    ((2000, 7), (7,)),
    ((3, 2, 5), (5,)),
    ((9, 3, 200), (9, 3, 1)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize(("domain", "shape"), BROADCAST)
def test_blocks_of_short_rows(domain: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> None:
    """Many instructions on an array and one that broadcasts to it, and sums over all kinds of axes."""
    b = Build()
    x, z = b.input(*domain, dtype=dtype), b.input(*shape, dtype=dtype)
    value = x
    for i in range(45):
        name = ("maximum", "minimum", "subtract")[i % 3]
        value = b.emit(name, value, b.emit("broadcast", z, shape=domain) if i % 2 else x)
    axes = [i for i, n in enumerate(((1,) * len(domain) + shape)[-len(domain) :]) if n == 1]
    sums = [b.emit("reduce_add", value, axes=tuple(a)) for a in (axes, range(len(domain)), axes[:1])]
    largest = b.emit("reduce_maximum", value, axes=tuple(axes))
    program = b.program(value, *sums, largest)
    assert_native(program, integers(*domain, dtype=dtype), integers(*shape, dtype=dtype))


def test_short_rows_go_in_blocks_where_much_is_computed() -> None:
    for work, expected in ((2, 0), (40, 1)):
        b = Build()
        x, z = b.input(500, 5), b.input(5)
        value = x
        for _ in range(work):
            value = b.emit("maximum", b.emit("subtract", x, value), z)
        text = assert_native(b.program(value), integers(500, 5), integers(5)).module.text
        assert text.count("x float], align 64") == expected, work


def test_blocks_are_two_vectors_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where so much is copied and summed up that more would leave the first level cache."""
    monkeypatch.setattr(loops, "COPIES", 200)
    for domain, shape, axes in (((700, 5), (5,), (0,)), ((60, 5, 3), (5, 1), (0, 2))):
        b = Build()
        x, z = b.input(*domain), b.input(*shape)
        value: Value = x
        for _ in range(30):
            value = b.emit("maximum", b.emit("subtract", x, value), z)
        program = b.program(b.emit("reduce_add", value, axes=axes), b.emit("reduce_maximum", value, axes=axes))
        text = assert_native(program, integers(*domain), integers(*shape)).module.text
        assert "x float], align 64" in text


def test_kernels_of_many_arrays_are_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM sees of some 250 at most that they do not overlap."""
    b = Build()
    given = [b.input(100) for _ in range(300)]
    total: Value = given[0]
    for value in given[1:]:
        total = b.emit("maximum", total, value)
    runner = assert_native(b.program(total, b.emit("reduce_add", total, axes=(0,))), *(integers(100) for _ in given))
    assert ".parallel" in runner.module.text
    compiled: list[int] = []
    for most in (loops.ARRAYS, 1000):
        monkeypatch.setattr(loops, "ARRAYS", most)
        text = toolchain._numbered(Module(b.program(total)).text)
        compiled.append(_vectors(toolchain.target().header + toolchain._ATTRIBUTES + text))
    assert compiled[0] > 200
    assert compiled[1] == 0


def _vectors(text: str) -> int:
    """The reads of vectors that LLVM makes of a module."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text, context=llvm.create_context())
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(toolchain.target().another(), options)
    builder.getModulePassManager().run(module, builder)
    return str(module).count("= load <")


def test_what_no_kernel_can_contain() -> None:
    b = Build()
    none = b.input(0, 3)
    assert not fusible(b.emit("exp", none).instruction)
    assert not fusible(b.emit("reduce_add", none, axes=(0,)).instruction)
    assert not fusible(b.emit("argmax", b.input(3), axis=0).instruction)
    assert not fusible(b.emit("exp", b.input(3, dtype=np.float16)).instruction)
    assert fusible(b.emit("exp", b.input(3)).instruction)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_arrays_without_elements(axes: tuple[int, ...]) -> None:
    b = Build()
    x = b.input(0, 3)
    y = b.emit("exp", x)
    assert_native(b.program(y, b.emit("reduce_add", y, axes=axes)), np.zeros((0, 3), np.float32))


# -- rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 17, 300])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.softmax(x, axis=-1),
        lambda x: F.log_softmax(x, axis=-1),
        lambda x: F.layer_norm(x, x.shape[1:]),
        lambda x: tn.logsumexp(x, axis=-1),
        lambda x: np.var(x, axis=-1) + x.max(axis=-1),
        lambda x: F.softmax(x, axis=-1).sum(axis=0) * x.mean(axis=-1, keepdims=True),
        lambda x: F.softmax(x.T, axis=0),
    ],
    ids=["softmax", "log_softmax", "layer_norm", "logsumexp", "statistics", "columns", "turned"],
)
def test_what_is_computed_row_by_row(function: Any, length: int) -> None:
    x = R.normal(size=(6, length)).astype(np.float32)
    assert_native(program_of(function, x), x, rtol=1e-5)


def test_an_exponential_that_two_phases_need_is_kept_and_a_difference_is_computed_again() -> None:
    x = R.normal(size=(6, 50)).astype(np.float32)
    (soft,) = kernels(compiled(program_of(lambda x: F.softmax(x, axis=-1), x)))
    assert [v.instruction.name for v in crosses(soft)] == ["exp"]  # type: ignore[attr-defined]
    (norm,) = kernels(compiled(program_of(lambda x: F.layer_norm(x, (50,)), x)))
    assert crosses(norm) == set()


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_random_programs_about_rows(dtype: Any) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        program = Rows(rng, dtype).program(25)
        inputs = [rng.integers(-3, 4, v.shape).astype(v.dtype) for v in program.inputs]
        assert_native(program, *inputs)


# -- long sums ---------------------------------------------------------------------------------------------------


def sum_of(x: Any, axes: tuple[int, ...], *more: Any) -> Any:
    """The sum along axes of an array, times other arrays, by a kernel."""
    return summing(x.dtype, axes, x.shape, *(m.shape for m in more)).call(x, *more)[0]


@functools.cache
def summing(dtype: Any, axes: tuple[int, ...], shape: tuple[int, ...], *more: tuple[int, ...]) -> Runner:
    b = Build()
    value: Value = b.input(*shape, dtype=dtype)
    for other in more:
        value = b.emit("multiply", value, b.input(*other, dtype=dtype))
    return build(b.program(b.emit("reduce_add", value, axes=axes)))


def error(found: Any, x: Any, axes: tuple[int, ...]) -> float:
    """The largest relative error of float32 sums of positive numbers, in units of rounding."""
    exact = np.sum(x, axis=axes, dtype=np.float64)
    return float(np.max(np.abs(found - exact) / exact)) / EPS


@pytest.mark.parametrize("kind", ["constant", "uniform", "spread"])
def test_a_long_sum_is_as_accurate_as_numpys(kind: str) -> None:
    """NumPy's pairwise summation errs by a few units whatever the length; a plain loop by hundreds."""
    n = 2**24 + 3
    x = np.full(n, 0.1, np.float32)
    if kind != "constant":
        x = np.random.default_rng(0).random(n, np.float32)
    if kind == "spread":
        x **= 8
    found = sum_of(x, (0,))
    assert error(found, x, (0,)) <= error(np.sum(x), x, (0,)) + (16 if kind == "constant" else 1)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 2**20 + 1), (1,)), ((2**18, 5), (0, 1)), ((2**17, 2, 5), (0, 1, 2)), ((700, 5000), (0, 1)),
     ((2, 2**8, 2**10), (1, 2)), ((2 * BLOCK, 3), (0, 1)), ((LONG + 1,), (0,))],
)  # fmt: skip
def test_long_sums_over_axes_that_do_not_lie_behind_each_other(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = np.full(shape, 0.1, np.float32)
    ones = np.ones(shape[-1], np.float32)  # broadcast, so that the axes stay apart
    assert error(sum_of(x, axes, ones), x, axes) <= 16
    whole = integers(*shape, dtype=np.float64)  # each element counts, and once
    np.testing.assert_array_equal(sum_of(whole, axes, ones.astype(np.float64)), whole.sum(axis=axes))


@pytest.mark.parametrize("shape", [(LONG,), (2 * BLOCK, 3)])
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_in_long_sums(shape: tuple[int, ...], special: float) -> None:
    axes = tuple(range(len(shape)))
    for at in (0, math.prod(shape) // 2, -1):
        x = np.ones(shape, np.float32)
        x.flat[at] = special
        np.testing.assert_array_equal(sum_of(x, axes, np.ones(shape[-1], np.float32)), np.float32(special))
    huge = np.full(shape, 3e38, np.float32)
    assert sum_of(huge, axes) == np.inf
    assert sum_of(np.stack([huge, -huge]), (0, *(a + 1 for a in axes))) != 0  # as NumPy: nan, or an infinity


def test_a_long_sum_beside_other_reductions() -> None:
    b = Build()
    x = b.input(LONG // 3, 5)
    y = b.emit("add", x, b.input(5))
    names = ("reduce_add", "reduce_maximum", "reduce_minimum")
    outs = [b.emit(name, y, axes=axes) for name in names for axes in ((0,), (1,), (0, 1))]
    assert_native(b.program(*outs), integers(LONG // 3, 5), integers(5))


@pytest.mark.slow
def test_a_very_long_sum() -> None:
    n = 2**28 + 1
    x = np.full(n, 0.1, np.float32)
    assert error(sum_of(x, (0,)), x, (0,)) <= 16
