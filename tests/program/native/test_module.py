"""A program as one LLVM module: what is in it once, how it is cut, and that it is the same every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.program.ir import Program
from tapenet.program.primitives import loop_dtypes
from tests.compiler.lowered import program_of
from tests.program.native.generate import Loops, Rows
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

from tapenet.llvm.loops import ARRAYS
from tapenet.program.native import entry, module, series
from tapenet.program.native.functions import Function, Series
from tapenet.program.native.memory import Arena, Slot
from tapenet.program.native.module import Module
from tapenet.program.native.outline import Segment
from tests.program.native.running import assert_native, called

X = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
ADD_LENGTH = tn.op(lambda x: x + len(x), name="add_length", x=lambda g: g, effect=True)


def functions(text: str) -> dict[str, int]:
    """The functions that a module defines, with how many parameters they have."""
    found: dict[str, int] = {}
    for name, parameters in re.findall(r"^define [^@]*@([\w.]+)\(([^)]*)\)", text, re.MULTILINE):
        assert name not in found
        found[name] = len(parameters.split(", ")) if parameters else 0
    return found


def kernels(text: str) -> list[str]:
    """Those of kernels and other instructions."""
    return [name for name in functions(text) if re.fullmatch(r"k\d+", name)]


def calls(text: str) -> list[tuple[str, int]]:
    """The calls of functions that the module defines, with how many arguments they are given."""
    found = re.findall(r"\bcall [^@\n]*@([\w.]+)\(([^)\n]*)\)", text)
    own = functions(text)
    return [(name, len(arguments.split(", ")) if arguments else 0) for name, arguments in found if name in own]


# -- once --------------------------------------------------------------------------------------------------------


def deep(layers: int) -> str:
    """The module of a training step of a network of so many equal layers."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(8, 8), nn.Tanh()]
    net = nn.Sequential(*parts)
    opt = optim.SGD(net.parameters(), lr=0.1)

    @tn.compile(backend="native")
    def step(x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    x = np.ones((4, 8), np.float32)
    step(x, x)
    runner: Any = step.variants[0].runner
    text: str = runner.module.text
    return text


def test_equal_layers_share_their_code() -> None:
    few, many = deep(3), deep(20)
    assert len(calls(many)) > 5 * len(calls(few))
    assert len(kernels(many)) == len(kernels(few))


def test_equal_layers_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    whole = Module._computed

    def noted(self: Module, entry: Any, *given: Any) -> Function:
        written.append(entry)
        return whole(self, entry, *given)

    monkeypatch.setattr(Module, "_computed", noted)
    deep(3)
    few = len(written)
    deep(20)
    assert len(written) == 2 * few


def test_kernels_that_differ_do_not() -> None:
    b = Build()
    x, y = b.input(5), b.input(6)
    two, three = constant(2), constant(3)
    program = b.program(*(b.emit("multiply", v, c) for v in (x, y) for c in (two, three)), b.emit("multiply", x, two))
    text = Module(program).text
    assert len(kernels(text)) == 4
    assert_native(program, np.ones(5, np.float32), np.ones(6, np.float32))


def test_turns_of_an_unrolled_loop_share_their_code() -> None:
    """Each works on a row of its own."""
    b = Build()
    x = b.input(20, 4)
    rows = [b.emit("slice", x, slices=((i, i + 1, 1), (0, 4, 1))) for i in range(20)]
    program = b.program(*(b.emit("exp", row) for row in rows))
    text = Module(program).text
    assert len(kernels(text)) == 1
    assert_native(program, np.ones((20, 4), np.float32), rtol=1e-6)


def test_equal_work_in_other_memory_shares_its_code() -> None:
    b = Build()
    x, y = b.input(3, 3), b.input(3, 3)
    program = b.program(b.emit("dot", x, y), b.emit("dot", y, x), b.emit("dot", y, x, tb=True))
    text = Module(program).text
    assert len(kernels(text)) == 2
    assert len(calls(text)) == 3
    assert_native(program, X, 2 * X + 1)


@pytest.mark.parametrize("kind", [Rows, Loops])
@pytest.mark.parametrize("seed", range(15))
def test_functions_are_called_with_what_they_take(kind: type[Rows | Loops], seed: int) -> None:
    """Functions of equal text are one function: they had better have equal parameters."""
    program = kind(np.random.default_rng(seed)).program(15)
    text = Module(program).text
    own = functions(text)
    assert [(name, count, own[name]) for name, count in calls(text) if count != own[name]] == []
    assert {name for name, _ in calls(text)} >= set(kernels(text))


def test_a_function_finds_values_at_equal_distances_by_itself() -> None:
    """It gets one pointer for all of them: LLVM would take long to pass each."""
    b = Build()
    x, w = b.input(6, 6), b.input(6, 6)
    kept = [b.emit("multiply", x, w)]
    for i in range(2 * ARRAYS):
        kept.append(b.emit("add", kept[-1], x if i % 2 else w))
        if i == ARRAYS:  # a product between them
            kept.append(b.emit("dot", kept[-1], w))
    total = b.emit("dot", kept[-1], w)
    for value in kept:
        total = b.emit("subtract", total, value)
    program = b.program(total)
    text = Module(program).text
    own = functions(text)
    assert max(own[name] for name in kernels(text)) < 12
    assert [(name, count, own[name]) for name, count in calls(text) if count != own[name]] == []
    given = np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)
    assert_native(program, given, given[::-1].copy(), rtol=1e-4)


def test_series_of_buffers() -> None:
    """Those that are in the arena, at equal distances, in the order of a function's parameters."""
    places = [0, 64, 128, 200, *range(1000, 3000, 10), 5, *range(4000, 3000, -100), 7]
    function = Function("", (Slot(9), *map(Arena, places), Slot(9)), frozenset(), frozenset())
    found = series.found(function)
    assert found.series == (Series(5, 200, 10), Series(206, 10, -100))
    assert [found.buffers[i] for i in found.given] == [
        Slot(9), *map(Arena, (0, 64, 128, 200, 1000, 5, 4000, 7)), Slot(9),
    ]  # fmt: skip
    few = function._replace(buffers=tuple(map(Arena, range(0, 1000, 10))))
    assert series.found(few) is few


# -- cut ---------------------------------------------------------------------------------------------------------


def steps(module: Module) -> list[str]:
    """What runs in order: how many entries a native segment has, or which instruction Python runs."""
    return [str(len(s.entries)) if isinstance(s, Segment) else s.instruction.name for s in module.steps]


def chain(*parts: str) -> Program:
    """One thing after another: "exp", "dot", "call"."""
    b = Build()
    value: Any = b.input(3, 3)
    other = b.input(3, 3)
    for part in parts:
        if part == "call":
            value = b.call(ADD_LENGTH, value, effect=True)
        else:
            value = b.emit(part, value, other) if part == "dot" else b.emit(part, value)
    return b.program(value)


X = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], ["1"]),
        (["exp"], ["1"]),
        (["exp", "dot", "tanh"], ["3"]),
        (["call"], ["call", "0"]),  # one native function is always there
        (["exp", "call", "tanh"], ["1", "call", "1"]),
        (["call", "exp"], ["call", "1"]),
        (["exp", "call", "call", "dot", "tanh", "call", "tanh"], ["1", "call", "call", "2", "call", "1"]),
    ],
)
def test_what_python_runs_cuts_the_program(parts: list[str], expected: list[str]) -> None:
    program = chain(*parts)
    module = Module(program)
    assert steps(module) == expected
    assert module.native == ("call" not in parts)
    segments = [s.number for s in module.steps if isinstance(s, Segment)]
    assert segments == list(range(len(segments)))
    assert [n for n in functions(module.text) if n.startswith("segment")] == [f"segment{i}" for i in segments]
    runner = assert_native(program, X, X, rtol=1e-5)
    assert called(runner) == ["call"] * parts.count("call")


def test_what_the_body_of_a_loop_calls_is_called_back() -> None:
    def loop(*parts: str) -> Program:
        b = Build()
        x, y = b.input(3, 3), b.input(3, 3)
        (made, ys) = b.several("loop", x, y, body=body(*parts), carries=1, slices=0, length=3)
        return b.program(b.emit("exp", made), ys)

    def body(*parts: str) -> Program:
        b = Build()
        value: Any = b.input(3, 3)
        other = b.input(3, 3)
        for part in parts:
            value = b.call(ADD_LENGTH, value) if part == "call" else b.emit(part, value)
        return b.program(value, b.emit("add", value, other))

    assert steps(Module(loop("tanh"))) == ["2"]
    assert steps(Module(loop("call", "tanh"))) == (["2"] if entry.usable() else ["loop", "1"])
    for parts in (["tanh"], ["call", "tanh"]):
        assert_native(loop(*parts), X, X, rtol=1e-5)


# -- the same every time -----------------------------------------------------------------------------------------

SCRIPT = """
import hashlib
import numpy as np
from tapenet.program.native.module import Module
from tests.program.native.generate import Loops, Rows

for seed in range(8):
    for kind in (Rows, Loops):
        for length in (20, 25):
            program = kind(np.random.default_rng(seed)).program(length)
            print(hashlib.sha256(Module(program).text.encode()).hexdigest())
"""


def test_the_text_does_not_depend_on_the_process() -> None:
    """Sets of strings and of objects have another order in every process; the cache goes by the text."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", f"junk = [object() for _ in range({1000 * seed})]\n{SCRIPT}"],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    first, second = (process.communicate(timeout=300)[0].split() for process in started)
    assert len(set(first)) > 8
    assert first == second


def test_equal_functions_have_equal_text() -> None:
    """Captured twice, with other tensors."""

    def text() -> str:
        net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))
        x = np.ones((5, 4), np.float32)
        return Module(program_of(lambda x: F.cross_entropy(net(x), np.zeros(5, int)), x)).text

    assert text() == text()


def test_long_programs_are_cut_into_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same results, and an error from a later part ends the call as ever."""
    monkeypatch.setattr(module, "PART", 3)

    def f(x: Any, index: Any) -> Any:
        for _ in range(5):
            x = np.tanh(x @ x)
        return x[index], np.exp(x).sum()

    x = np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)
    made = tn.compile(f, backend="native")
    expected = [np.asarray(part) for part in made(x, np.array([5, 0]))]  # captured: NumPy's own
    for part, e in zip(made(x, np.array([5, 0])), expected, strict=True):
        np.testing.assert_allclose(part.numpy(), e, rtol=1e-5)
    text = made.variants[0].runner.module.text
    assert "@segment0_0(" in text
    assert "@segment0_3(" in text
    with pytest.raises(IndexError, match="out of bounds"):
        made(x, np.array([5, 6]))
    np.testing.assert_allclose(made(x, np.array([0, 5]))[0].numpy(), expected[0][::-1], rtol=1e-5)


def test_a_row_that_is_read_again_and_again_is_copied_to_where_a_cache_line_begins() -> None:
    def first(rows: int, columns: int) -> list[str]:
        w = tn.tensor(np.ones((rows, columns), np.float32))
        made = tn.compile(lambda x: w * x, backend="native")
        made(np.ones((1, columns), np.float32))
        return [i.name for i in made.variants[0].runner.module.program.body]

    assert first(100, 784) == ["copy", "multiply"]
    assert first(8, 784) == ["multiply"]  # read too seldom
    assert first(100, 10) == ["multiply"]  # too small to be worth it


def test_scipy_is_not_loaded_for_the_error_function() -> None:
    """It takes 15 MB, and the code computes erf by itself. The first call, which is recorded, runs op by op: an array this
    large is a kernel's there, a small one SciPy's."""
    code = """
import sys
import numpy as np
import tapenet as tn
gelu = tn.compile(tn.nn.functional.gelu, backend="native")
gelu(np.ones((128, 128), np.float32))
sys.exit("scipy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["erf", "erfc", "normal_cdf"])
@pytest.mark.parametrize("given", [np.dtype("f"), np.dtype("d"), np.dtype("i"), float])
def test_the_error_functions_have_the_dtypes_of_scipy(name: str, given: Any) -> None:
    import scipy.special

    there = getattr(scipy.special, "ndtr" if name == "normal_cdf" else name)
    assert loop_dtypes(name, (given,)) == there.resolve_dtypes((given, None))
