"""Kernels of programs that work row by row, beside the same programs in NumPy."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.llvm import loops
from tapenet.llvm.processor import Registers
from tapenet.llvm.toolchain import Library
from tapenet.program import numpy_code, row_code, row_kernels, row_programs
from tapenet.program.ir import Builder, Input, Program
from tapenet.program.native import entry
from tapenet.program.passes import simplify
from tapenet.program.pullback import pullback
from tapenet.program.row_code import RowCode
from tapenet.program.row_kernels import RowKernel
from tapenet.program.row_programs import NotByRows, Rows, by_rows
from tapenet.program.symbols import Symbol, array_of
from tests.kernels.beside import many_threads

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


def program(f: Callable[..., Any], arrays: Any) -> Program:
    builder = Builder()
    inputs = [Input(a.shape, a.dtype) for a in arrays]
    found = f(*(Symbol(builder, i, shared=True) for i in inputs))
    outs = found if isinstance(found, tuple) else (found,)
    return simplify(Program(inputs, [], builder.body, [array_of(builder, o).value for o in outs], []))


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def log_softmax(x: Any) -> Any:
    below = x - np.max(x, axis=-1, keepdims=True)
    return below - np.log(np.sum(np.exp(below), axis=-1, keepdims=True))


def normalised(x: Any, w: Any, b: Any) -> Any:
    d = x - np.mean(x, axis=-1, keepdims=True)
    return d * (1 / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + 1e-5)) * w + b


def several(x: Any, y: Any) -> Any:
    return x * y, np.sum(x, axis=-1), np.sum(x * y), np.mean(np.exp(y), axis=-1) * 2.0


#: By name: the formula, and its arguments: full (f), a row's columns (c), one per row (r), single (s).
FORMULAS: dict[str, tuple[Callable[..., Any], str]] = {
    "one step": (lambda x: np.tanh(x) * 0.3, "f"),
    "choices": (lambda x, y: np.where(x > y, x, 0.5 * y), "ff"),
    "softmax": (softmax, "f"),
    "log_softmax": (log_softmax, "f"),
    "normalised": (normalised, "fcc"),
    "a mean": (lambda x, y: np.mean(np.logaddexp(0, -x * y)), "ff"),
    "per row": (lambda x, y, z: (x - y) * np.exp(y) * z, "frs"),
    "several results": (several, "ff"),
}
SHAPES = [(7, 5), (3, 16), (200, 3), (5, 319), (3, 31), (2, 3, 7), (2, 20_001)]


def arrays_of(kinds: str, shape: tuple[int, ...], dtype: str) -> list[Any]:
    shapes = {"f": shape, "c": shape[-1:], "r": (*shape[:-1], 1), "s": ()}
    return [np.asarray(R.normal(size=shapes[k])).astype(dtype) for k in kinds]


def held(made: Program, arrays: list[Any], run: Any, dtype: str) -> None:
    found = run(*arrays)
    expected = numpy_code.function(made)(*arrays)
    for a, b, value in zip(found, expected, made.outputs, strict=True):
        assert (a.shape, a.dtype) == (value.shape, value.dtype)
        scale = max(1.0, float(np.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=scale * (3e-5 if dtype == "f" else 1e-12))


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_forward_and_pullback(name: str, shape: tuple[int, ...], dtype: str) -> None:
    f, kinds = FORMULAS[name]
    arrays = arrays_of(kinds, shape, dtype)
    made = program(f, arrays)
    held(made, arrays, RowKernel(made), dtype)
    back = simplify(pullback(made, range(len(arrays))))
    given = [*arrays, *(np.asarray(R.normal(size=o.shape)).astype(dtype) for o in made.outputs)]
    held(back, given, RowKernel(back), dtype)


def test_masks_are_for_what_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def masked(f: Callable[..., Any], length: int, width: int) -> bool:
        for module in (row_code, loops):
            monkeypatch.setattr(module, "registers", lambda: Registers(width, 32))
        made = program(f, [np.empty((3, length), np.float32)])
        return ".masked" in RowCode(by_rows(made)).text()

    assert masked(softmax, 319, 64)
    assert masked(softmax, 25, 64)
    assert not masked(softmax, 24, 64)  # half a vector is one of its own
    assert not masked(softmax, 15, 64)  # there is nothing else
    assert not masked(lambda x: x - np.max(x, axis=-1, keepdims=True), 31, 64)
    assert not masked(softmax, 319, 32)


def test_bounds_take_one_comparison_each() -> None:
    """Numbers that the code is given are not nan."""
    text = RowCode(by_rows(program(lambda x: np.minimum(np.maximum(x, -3), 6), [np.ones(4096, "f")]))).text()
    assert text.count("fcmp") == 2
    found = tn.relu6(np.array([np.nan, -np.inf, np.inf, 3] * 1024, "f"))
    np.testing.assert_array_equal(found[-4:], [np.nan, 0, 6, 3])


def test_sums_of_short_runs_alone_are_kept_for_each_place() -> None:
    """A row has several runs; of long ones that costs more stores than sums in registers cost additions."""

    def lanes(length: int) -> bool:
        arrays = [np.ones((8, 4, length), "f"), np.ones((8, 4, 1), "f")]
        made = program(lambda x, w: (x - np.sum(x * w, axis=(1, 2), keepdims=True)) * w, arrays)
        return "x float], align 64" in RowCode(by_rows(made)).text()

    assert lanes(128)
    assert not lanes(144)


@pytest.mark.parametrize("shape", [(40,), (1, 40)])
@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_a_single_row(f: Any, shape: tuple[int, ...]) -> None:
    x, g = R.normal(size=(2, *shape))
    made = program(f, [x])
    held(made, [x], RowKernel(made), "d")
    back = simplify(pullback(made, [0]))
    held(back, [x, g], RowKernel(back), "d")


@pytest.mark.parametrize("name", ["normalised", "a mean", "softmax", "several results"])
def test_threads_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many_threads(monkeypatch, 3)
    f, kinds = FORMULAS[name]
    arrays = arrays_of(kinds, (50, 9), "d")
    made = program(f, arrays)
    back = simplify(pullback(made, range(len(arrays))))
    held(made, arrays, RowKernel(made), "d")
    given = [*arrays, *(np.asarray(R.normal(size=o.shape)) for o in made.outputs)]
    held(back, given, RowKernel(back), "d")


@pytest.mark.parametrize("name", ["normalised", "several results"])
def test_long_work_of_one_thread_does_without_the_pool(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut into the same parts, so that sums are the same to the last digit."""
    many_threads(monkeypatch, 3)
    f, kinds = FORMULAS[name]
    arrays = arrays_of(kinds, (50, 9), "f")
    back = simplify(pullback(program(f, arrays), range(len(arrays))))
    given = [*arrays, *(R.normal(size=v.shape).astype(v.dtype) for v in back.inputs[len(arrays) :])]
    several = RowKernel(back)(*given)
    monkeypatch.setattr("tapenet.llvm.workers._number", 1)
    kernel = RowKernel(back)
    monkeypatch.setattr(kernel, "_shared", None)
    for _ in range(2):
        for found, expected in zip(kernel(*given), several, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_long_work_lets_other_threads_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapenet.llvm.workers._number", 1)
    x = R.normal(size=(4000, 1000)).astype("f")
    kernel, gate, ran = RowKernel(program(softmax, [x])), threading.Lock(), threading.Event()
    kernel(x)
    gate.acquire()
    other = threading.Thread(target=lambda: (gate.acquire(), ran.set()))
    other.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody is asked for the interpreter's lock meanwhile
    try:
        gate.release()
        assert any((kernel(x), ran.is_set())[1] for _ in range(1000))
    finally:
        sys.setswitchinterval(before)
        other.join()


@pytest.mark.parametrize("name", ["choices", "softmax", "a mean"])
def test_any_order_of_memory(name: str) -> None:
    f, kinds = FORMULAS[name]
    for turn in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], lambda a: np.broadcast_to(a[:1], a.shape)):
        arrays = [turn(a) for a in arrays_of(kinds, (6, 5), "d")]
        made = program(f, arrays)
        held(made, arrays, RowKernel(made), "d")
    x = np.moveaxis(R.normal(size=(2, 3, 4)), 0, -1)
    (y,) = RowKernel(program(np.exp, [x]))(x)
    assert y.strides == x.strides  # what works element by element keeps the order
    plain = np.ascontiguousarray(x)
    (y,) = RowKernel(program(np.multiply, [plain, x]))(plain, x)
    assert y.strides == x.strides  # also where another argument has the usual one


def test_one_kernel_serves_many_sizes_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = set()
    library = row_kernels._library
    monkeypatch.setattr(row_kernels, "_library", lambda text: (texts.add(text), library(text))[1])
    for n in (300, 1000, 4001):
        for slope in (0.1, 0.2):
            x = R.normal(size=(3, n)).astype("f")
            for f in (lambda x, slope=slope: np.where(x > 0, x, x * slope), softmax):
                made = program(f, [x])
                held(made, [x], RowKernel(made), "f")
    assert len(texts) == 2
    for count in (2, 30):
        x = R.normal(size=(count, 8)).astype("f")
        RowKernel(program(softmax, [x]))(x)
    assert len(texts) == 3
    for n in (309, 1009):
        tn.cross_entropy(R.normal(size=(7, n)).astype("f"), np.arange(7))
    assert len(texts) == 4


def test_code_for_an_order_of_memory_that_never_comes_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    library = row_kernels._library
    monkeypatch.setattr(row_kernels, "_library", lambda text: (texts.append(text), library(text))[1])
    plain = R.normal(size=(3, 4, 5)).astype("f")
    kernel = RowKernel(program(softmax, [plain]))
    for x in (plain.transpose(2, 0, 1).copy().transpose(1, 2, 0), plain):
        assert len(texts) == (x is plain)
        for _ in range(2):
            held(kernel.program, [x], kernel, "f")
    assert len(texts) == 2


def test_several_threads_may_call_a_kernel_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code and the function of it are made once: what another thread made might be gone while the first calls it."""
    library, builtin, met = row_kernels._library, entry.builtin, threading.Barrier(2)
    made = []

    def slowly(text: str) -> Library:
        with contextlib.suppress(threading.BrokenBarrierError):
            met.wait(1)  # for another thread, which is not to come
        made.append(text)
        return library(text)

    def noted(*given: Any) -> Any:
        made.append(given[0])
        return builtin(*given)

    monkeypatch.setattr(row_kernels, "_library", slowly)
    monkeypatch.setattr(entry, "builtin", noted)
    x = R.normal(size=(3, 5)).astype("f")
    kernel = RowKernel(program(softmax, [x]))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(kernel(x))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    for array in found:
        np.testing.assert_allclose(array, softmax(x), rtol=1e-5)


def test_sums_that_need_not_wait_are_taken_in_one_pass() -> None:
    arrays = arrays_of("fcc", (4, 6), "d")
    back = simplify(pullback(program(normalised, arrays), [0, 1, 2]))
    assert (Rows(back).phases, by_rows(back).phases) == (4, 3)


def test_long_sums_are_as_exact_as_numpys() -> None:
    x = np.full((1 << 22,), 0.1, np.float32)
    (total,) = RowKernel(program(lambda x: np.sum(x), [x]))(x)
    assert abs(float(total) / (0.1 * x.size) - 1) < 1e-6
    rows = np.full((1 << 20, 2), 0.1, np.float32)
    (columns,) = RowKernel(program(lambda x: np.sum(x * 1.5, axis=0), [rows]))(rows)
    np.testing.assert_allclose(columns, 0.15 * len(rows), rtol=1e-6)


def by_columns(x: Any, w: Any) -> Any:
    m = np.mean(x, axis=0)
    d = x - m
    v = np.mean(d * d, axis=0)
    return d * (1 / np.sqrt(v + 0.1)) * w, m, v


@pytest.mark.parametrize("shape", [(300, 5), (40, 300)])
def test_sums_over_all_rows_that_rows_use(shape: tuple[int, ...]) -> None:
    arrays = arrays_of("fc", shape, "d")
    made = program(by_columns, arrays)
    held(made, arrays, RowKernel(made), "d")
    back = simplify(pullback(made, [0, 1]))
    given = [*arrays, *(np.asarray(R.normal(size=o.shape)) for o in made.outputs)]
    held(back, given, RowKernel(back), "d")
    whole = program(lambda x: x / np.sqrt(np.sum(x * x)), arrays[:1])
    held(whole, arrays[:1], RowKernel(whole), "d")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.transpose(x) * 2.0,
        lambda x: np.cumsum(x) if isinstance(x, np.ndarray) else x.reshape(4, 3) * x.reshape(4, 3)[:, :1],
        lambda x: x.reshape(12),
    ],
)
def test_programs_of_another_kind_are_refused(f: Any) -> None:
    with pytest.raises(NotByRows):
        RowKernel(program(f, [R.normal(size=(3, 4))]))


def over(axes: tuple[int, ...], groups: int = 0) -> Callable[..., Any]:
    """Mean 0 and variance 1 along some axes, then scaled and shifted along axis 1, with the statistics. With `groups` axis 1
    is divided."""

    def f(x: Any, w: Any, b: Any) -> Any:
        n, channels, *image = shape = x.shape
        lead = (groups, channels // groups) if groups else (channels,)
        x = x.reshape((n, *lead, *image))
        d = x - np.mean(x, axis=axes, keepdims=True)
        v = np.mean(d * d, axis=axes, keepdims=True)
        s, t = (np.reshape(p, (*lead, 1, 1)) for p in (w, b))
        return (d * (1 / np.sqrt(v + 0.1)) * s + t).reshape(shape), v

    return f


def test_parts_have_no_sums_of_their_own_of_what_is_added_up_along_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    many_threads(monkeypatch, 3)
    arrays = [R.normal(size=(12, 4, 5, 6)), *R.normal(size=(2, 4))]
    back = simplify(pullback(program(over((2, 3, 4), 2), arrays), range(3)))
    given = [*arrays, *(R.normal(size=v.shape) for v in back.inputs[3:])]
    for threads in (3, 1):
        monkeypatch.setattr("tapenet.llvm.workers._number", threads)
        kernel = RowKernel(back)
        assert kernel._parts > 1
        assert all(isinstance(n, int) for n in kernel._zeros)
        for _ in range(2):
            held(back, given, kernel, "d")


def softmax_of_channels(x: Any, w: Any, b: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True) * w[:, None, None] + b[:, None, None]


OVER_AXES: dict[str, Callable[..., Any]] = {
    "channels": over((0, 2, 3)),
    "groups": over((2, 3, 4), 2),
    "positions": over((2, 3)),
    "softmax": softmax_of_channels,
    "scaled": lambda x, w, b: x * np.exp(w)[:, None, None] + b[:, None, None],
}
ORDERS = [(0, 1, 2, 3), (1, 2, 3, 0), (0, 2, 3, 1), (3, 0, 1, 2)]


def check_over_axes(name: str, shape: tuple[int, ...], order: tuple[int, ...], dtype: str) -> None:
    def turned(a: Any) -> Any:
        return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))

    x, w, b = (R.normal(size=s).astype(dtype) for s in (shape, shape[1], shape[1]))
    made = program(OVER_AXES[name], [x, w, b])
    held(made, [turned(x), w, b], RowKernel(made), dtype)
    back = simplify(pullback(made, [0, 1, 2]))
    g, *more = (R.normal(size=o.shape).astype(dtype) for o in made.outputs)
    held(back, [turned(x), w, b, turned(g), *more], RowKernel(back), dtype)


@pytest.mark.parametrize(("order", "dtype"), list(zip(ORDERS, "fdfd", strict=True)))
@pytest.mark.parametrize("name", OVER_AXES)
def test_rows_along_any_axes(name: str, order: tuple[int, ...], dtype: str) -> None:
    check_over_axes(name, (5, 4, 3, 6), order, dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", [(5, 8, 1, 1), (300, 64, 1, 1), (70, 700, 1, 1)])
def test_columns_that_come_again_after_some_rows(
    shape: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the scale of each channel does, where a row is a group of a sample's channels without positions."""
    check_over_axes("groups", shape, ORDERS[0], dtype)
    many_threads(monkeypatch, 3)
    check_over_axes("groups", shape, ORDERS[0], dtype)


@pytest.mark.parametrize("order", ORDERS[:2])
@pytest.mark.parametrize("name", ["channels", "groups", "softmax"])
@pytest.mark.parametrize("shape", [(6, 4, 12, 20), (40, 8, 30, 40)])
def test_rows_longer_than_a_block(shape: tuple[int, ...], name: str, order: tuple[int, ...]) -> None:
    check_over_axes(name, shape, order, "f")


@pytest.mark.parametrize("shape", [(64, 3, 4), (5, 301, 2), (7, 600, 2)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_parts_of_few_numbers_are_taken_side_by_side(
    shape: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_programs, "LEAST", 1)

    def normalised(x: Any, w: Any) -> Any:
        mean = np.mean(x, axis=(0, 2), keepdims=True)
        return (x - mean) * w / (1 + np.max(x * w, axis=(0, 2), keepdims=True)), np.reshape(mean, -1)

    arrays = [R.normal(size=shape).astype(dtype), R.uniform(1, 2, (shape[1], 1)).astype(dtype)]
    made = program(normalised, arrays)
    rows = by_rows(made)
    assert (rows.across, rows.parts) == (True, shape[2])
    held(made, arrays, RowKernel(made), dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_results_of_rows_in_parts(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where parts lie along an axis in front of that of rows; and beside a result with a number for each place of a part."""
    monkeypatch.setattr(row_programs, "LEAST", 1)

    def centred(x: Any, w: Any) -> Any:
        mean = np.mean(x, axis=(0, 2), keepdims=True)
        return (x - mean) * w, np.reshape(mean, -1), np.tanh(w)

    for shape, order in [((4, 6, 30), (2, 1, 0)), ((30, 4, 4), (0, 1, 2))]:
        x = R.normal(size=shape).astype(dtype)
        arrays = [np.ascontiguousarray(x.transpose(order)).transpose(order), R.normal(size=shape[2]).astype(dtype)]
        made = program(centred, arrays)
        held(made, arrays, RowKernel(made), dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_columns_that_come_again_within_a_row(dtype: str) -> None:
    """Passes over a row of which one reads segments or none: the scale of channels that lie innermost, a shift by place."""

    def scaled(x: Any, w: Any) -> Any:
        return (x - np.mean(x, axis=(1, 2), keepdims=True)) * w

    x, w, v = (R.normal(size=shape).astype(dtype) for shape in [(9, 20, 30), (30,), (20, 1)])
    programs = {
        scaled: [x, w],
        lambda x, w, v: scaled(x, w) + v: [x, w, v],
        lambda x, w, v: np.exp(scaled(x, w)) * np.mean(x * v, axis=(1, 2), keepdims=True): [x, w, v],
    }
    for f, arrays in programs.items():
        made = program(f, arrays)
        assert by_rows(made).segments
        held(made, arrays, RowKernel(made), dtype)
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, 2)), 1, 2)
    want = np.array(tn.group_norm(x, 1, v[:, 0], v[:, 0]))
    np.testing.assert_allclose(tn.group_norm(channels_last, 1, v[:, 0], v[:, 0]), want, rtol=1e-3, atol=1e-5)


def test_long_sums_of_rows_side_by_side_are_as_exact() -> None:
    x = np.full((1 << 18, 3), 0.1, np.float32)
    (found,) = RowKernel(program(lambda x: x / np.sum(x, axis=0), [x]))(x)
    np.testing.assert_allclose(found, 1 / len(x), rtol=1e-6)
