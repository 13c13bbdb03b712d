"""Programs over lanes: each lane has what the program gives for its arguments alone."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program import linear_algebra, numpy_backend, primitives, transforms
from tapenet.program.batching import RULES, CannotBatch, batch
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Constant, Input, Program, check, substitute
from tapenet.program.passes import simplify
from tapenet.program.primitives import ADDED, NAMES, PRIMITIVES
from tests.program.evaluate import evaluate
from tests.program.native.generate import Loops, Rows
from tests.program.passes.programs import Build, Random, names, numbers

SIZE = 3
#: The shape and dtype of an argument, and what its numbers are below.
Given = tuple[tuple[int, ...], str, int]


def drawn(rng: np.random.Generator, given: Given, lanes: bool) -> Any:
    """An argument: small whole numbers, in floats too, so that sums are exact in any order."""
    shape, dtype, below = given
    low = 1 if dtype == "f8" else 0
    return rng.integers(low, below, (SIZE, *shape) if lanes else shape).astype(dtype)


def held(program: Program, arrays: Sequence[Any], batched: Sequence[bool], rtol: float = 0.0) -> Program:
    """Hold the program over lanes against one run for each."""
    check(program)
    lanes = [[a[k] if flag else a for a, flag in zip(arrays, batched, strict=True)] for k in range(SIZE)]
    expected = [np.stack(each) for each in zip(*(evaluate(program, args).outputs for args in lanes), strict=True)]
    made, flags = batch(program, batched, SIZE)
    everything, all_flags = batch(program, batched, SIZE, everything=True)
    assert all(all_flags)
    assert any(batched) or not any(flags)
    for found, full, flag, e in zip(
        evaluate(check(made), arrays).outputs, evaluate(check(everything), arrays).outputs, flags, expected, strict=True
    ):
        assert full.shape == e.shape
        assert found.dtype == full.dtype == e.dtype
        same(found if flag else np.broadcast_to(found, e.shape), e, rtol)
        same(full, e, rtol)
    return made


def same(found: Any, expected: Any, rtol: float) -> None:
    if rtol and expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=rtol)
    else:
        np.testing.assert_array_equal(found, expected)


def f8(*shape: int) -> Given:
    return shape, "f8", 5


def places(below: int, *shape: int) -> Given:
    return shape, "i8", below


def truth(*shape: int) -> Given:
    return shape, "?", 2


def some(start: int, stop: int, step: int = 1) -> tuple[int, int, int]:
    return start, stop, step


WHOLE = slice(None)
#: Arguments and parameters, by primitive.
CASES: dict[str, list[tuple[Sequence[Given], dict[str, Any]]]] = {
    "cast": [([f8(2, 3)], {"dtype": np.dtype(np.float32)})],
    "copy": [([f8(2, 3)], {})],
    "stop": [([f8(2, 3)], {})],
    **{name: [([f8(2, 3, 4)], {"axes": axes}) for axes in ((0, 2), (1,), ())] for name in ("reduce_add", "reduce_maximum")},
    **{name: [([f8(2, 3, 4)], {"axes": (0, 2)})] for name in ("reduce_multiply", "reduce_minimum")},
    **{name: [([truth(2, 3)], {"axes": (1,)})] for name in ("reduce_logical_and", "reduce_logical_or")},
    **{name: [([f8(2, 7)], {"axis": axis}) for axis in (0, 1)] for name in ("argmax", "argmin")},
    "reshape": [([f8(2, 6)], {"shape": (3, 1, 4)}), ([f8(1)], {"shape": ()})],
    "transpose": [([f8(2, 3, 4)], {"axes": (2, 0, 1)})],
    "broadcast": [([f8(3)], {"shape": (2, 3)}), ([f8()], {"shape": (2, 3)}), ([f8(2, 1)], {"shape": (4, 2, 3)})],
    "slice": [([f8(4, 5)], {"slices": (some(3, -1, -1), some(1, 5, 2))})],
    "barrier": [([f8(2, 3), f8(2)], {})],
    "provided": [([f8(2, 3), ((), "?", 1)], {"error": ArithmeticError, "text": "no"})],
    "dot": [
        ([f8(*lead, *((k, n) if ta else (n, k))), f8(*lead, *((m, k) if tb else (k, m)))], {"ta": ta, "tb": tb})
        for lead, n, k, m in (((), 2, 3, 4), ((2,), 2, 3, 4), ((2, 3), 2, 3, 2), ((), 1, 3, 4), ((), 2, 3, 1), ((2,), 1, 1, 2))
        for ta in (False, True)
        for tb in (False, True)
    ],
    "dot_add": [([f8(2, 4), f8(2, 3), f8(3, 4)], {}), ([f8(2, 4), f8(3, 2), f8(4, 3)], {"ta": True, "tb": True})],
    "concatenate": [([f8(2, 3), f8(2, 1), f8(2, 2)], {"axis": 1}), ([f8(2), f8(1)], {"axis": 0})],
    "update": [([f8(4, 5), f8(2, 5)], {"slices": (some(3, -1, -2), some(0, 5))})],
    "take": [([f8(4, 5, 3), places(3, *shape)], {"axis": axis}) for axis in (0, 1, 2) for shape in ((), (2,), (2, 2))],
    "index": [
        ([f8(4, 5, 3), *index], {"template": template})
        for index, template in (
            ([places(4, 2)], (Hole(0), WHOLE, WHOLE)),
            ([places(4, 2)], (Hole(0),)),
            ([places(5, 2)], (WHOLE, Hole(0), slice(1, None))),
            ([places(4, 2), places(5, 2)], (Hole(0), Hole(1), WHOLE)),
            ([places(5, 2), places(3, 2, 1)], (slice(None, None, -1), Hole(0), Hole(1))),
            ([places(3, 2, 1), places(4, 2)], (Hole(1), WHOLE, Hole(0))),
            ([places(4, 2), places(3)], (Hole(0), WHOLE, Hole(1))),
            ([places(4), places(3)], (Hole(0), WHOLE, Hole(1))),
            ([places(4, 2)], (Hole(0), WHOLE, 2)),
            ([places(5, 2)], (1, Hole(0), WHOLE)),
            ([places(3, 2)], (WHOLE, 1, Hole(0))),
            ([places(4, 2)], (None, Hole(0), None, WHOLE)),
            ([places(4, 2), places(5, 2)], (Hole(0), None, Hole(1))),
            ([places(5, 2, 2)], (None, WHOLE, Hole(0), slice(0, 2), None)),
        )
    ],
    "put": [
        ([f8(4, 5, 3), f8(*value), *index], {"template": template})
        for value, index, template in (
            ((2, 5, 3), [places(4, 2)], (Hole(0), WHOLE, WHOLE)),
            ((5, 1), [places(4, 2)], (Hole(0),)),
            ((), [places(5, 2)], (WHOLE, Hole(0), slice(1, None))),
            ((2, 5), [places(4, 2), places(3, 2)], (Hole(0), WHOLE, Hole(1))),
            ((1, 1, 4, 2), [places(5, 2), places(3, 2)], (slice(None, None, -1), Hole(0), Hole(1))),
            ((5,), [places(4), places(3)], (Hole(0), WHOLE, Hole(1))),
        )
    ],
    "scatter_add": [
        ([f8(*value), *index], {"template": template, "shape": (4, 5, 3)})
        for value, index, template in (
            ((2, 5, 3), [places(4, 2)], (Hole(0), WHOLE, WHOLE)),
            ((4, 2, 2), [places(5, 2)], (WHOLE, Hole(0), slice(1, None))),
            ((2, 5), [places(4, 2), places(3, 2)], (Hole(0), WHOLE, Hole(1))),
            ((4, 2), [places(5, 2), places(3, 2)], (slice(None, None, -1), Hole(0), Hole(1))),
            ((3,), [places(4), places(5)], (Hole(0), Hole(1))),
        )
    ],
    "add_at": [([f8(4, 2), f8(3, 2), places(4, 3)], {"template": (Hole(0), WHOLE)})],
    "add_rows": [([f8(4, 2), f8(3, 2), places(4, 3)], {})],
    **{name: [([f8(4, 2)], {"axis": axis, "kind": "stable"}) for axis in (0, 1)] for name in ("sort", "argsort")},
    **{name: [([f8(4, 2)], {"axis": axis}) for axis in (0, 1)] for name in ("cummax", "cummin", "cumsum", "cumprod")},
}  # fmt: skip


def flags(count: int) -> list[tuple[bool, ...]]:
    """Which of so many arguments have lanes, in every way."""
    return list(itertools.product([False, True], repeat=count))


def one(name: str, given: Sequence[Given], params: dict[str, Any]) -> Program:
    """A program of one instruction."""
    build = Build()
    made = build.emit(name, *(build.input(*shape, dtype=dtype) for shape, dtype, _ in given), **params)
    return build.program(made)


@pytest.mark.parametrize("name", CASES)
def test_primitives(name: str) -> None:
    rng = np.random.default_rng(0)
    for given, params in CASES[name]:
        program = one(name, given, params)
        for batched in flags(len(given)):
            held(program, [drawn(rng, g, flag) for g, flag in zip(given, batched, strict=True)], batched)


@pytest.mark.parametrize(("count", "name"), [(count, name) for count, names in NAMES.items() for name in names])
def test_elementwise_primitives(count: int, name: str) -> None:
    """Of shapes that broadcast, each of which may be that with the most axes."""
    if name in ("erf", "erfc", "normal_cdf"):
        pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    kind = bool if name.startswith(("logical", "bitwise", "invert", "left", "right")) else np.float64
    dtypes = primitives.loop_dtypes(name, (np.dtype(kind),) * count)[:count]
    for shapes in itertools.permutations([(2, 1, 1), (3,), (), (2, 3)], count):
        build = Build()
        inputs = [build.input(*s, dtype=d) for s, d in zip(shapes, dtypes, strict=True)]
        program = build.program(build.emit(name, *inputs))
        for batched in flags(count):
            arrays = [
                rng.uniform(0.3, 0.9, (SIZE, *v.shape) if flag else v.shape).round(1).astype(v.dtype)
                for v, flag in zip(inputs, batched, strict=True)
            ]
            held(program, arrays, batched, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(linear_algebra.ROWS))
def test_linear_algebra(name: str) -> None:
    params = {"eigh": {"UPLO": "L"}, "qr": {"mode": "complete"}, "svd": {"full_matrices": True}}.get(name, {})
    rng = np.random.default_rng(0)
    two = name == "matmul" or name.startswith("solve")
    dtype = linear_algebra.ROWS[name].dtypes[-1]
    for shapes in [((3, 3), (2, 3, 1)), ((2, 3, 3), (3, 2))] if two else [((2, 3, 3),), ((3, 3),)]:
        build = Build()
        program = build.program(*build.several(name, *(build.input(*s, dtype=dtype) for s in shapes), **params))
        for batched in flags(len(shapes)):
            given = [(SIZE, *s) if flag else s for s, flag in zip(shapes, batched, strict=True)]
            held(program, [_apart(rng.normal(size=s)).astype(dtype) for s in given], batched, rtol=1e-12)


def test_searching_in_order() -> None:
    build = Build()
    program = build.program(build.emit("searchsorted", build.input(5), build.input(2, 3), side="right"))
    rng = np.random.default_rng(0)
    for batched in flags(2):
        line, values = (drawn(rng, g, flag) for g, flag in zip((f8(5), f8(2, 3)), batched, strict=True))
        held(program, [np.sort(line), values], batched)


@pytest.mark.parametrize("name", transforms.NAMES)
def test_transforms(name: str) -> None:
    build = Build()
    x = build.input(2, 5, dtype="f8" if name == "rfft" else "c16")
    program = build.program(build.emit(name, x, n=6, axis=1, norm="ortho"))
    array = np.random.default_rng(0).normal(size=(SIZE, 2, 5)).astype(x.dtype)
    held(program, [array], [True], rtol=1e-12)


def _apart(x: Any) -> Any:
    """Of a square matrix a positive one, whose eigenvalues differ."""
    return x + np.swapaxes(x, -1, -2) + np.diag([9.0, 19.0, 31.0]) if x.shape[-2:] == (3, 3) else x


def test_every_primitive_has_a_rule_and_a_test() -> None:
    late = {"convolve", "quantized_convolve"}  # which programs that are frozen get behind all transformations
    assert RULES.keys() == PRIMITIVES.keys() - late
    here = {"loop", "while", "branch", "call", "apply", "searchsorted", *linear_algebra.ROWS, *transforms.NAMES}
    assert PRIMITIVES.keys() - ADDED - late - CASES.keys() - {n for names in NAMES.values() for n in names} == here


@pytest.mark.parametrize(
    "shapes", [((4, 5), (5, 6), ()), ((4, 5), (6, 5), ("tb",)), ((5, 4), (5, 6), ("ta",)), ((2, 4, 5), (2, 5, 6), ())]
)
def test_a_product_of_one_side_alone_is_one_product(shapes: Any) -> None:
    """As large as those of all lanes."""
    a, b, params = shapes
    program = one("dot", [f8(*a), f8(*b)], dict.fromkeys(params, True))
    for batched in ((True, False), (False, True)):
        (product,) = [i for i in batch(program, batched, 7)[0].body if i.name == "dot"]
        assert product.results[0].ndim == len(a)
        assert product.results[0].size == 7 * program.outputs[0].size


def test_what_depends_on_no_lane_is_computed_once() -> None:
    build = Build()
    x, y = build.input(2, 3), build.input(3)
    shared = build.emit("exp", y)
    program = build.program(build.elementwise("multiply", x, shared), shared)
    made, with_lanes = batch(program, [True, False], SIZE)
    assert with_lanes == [True, False]
    assert [r.shape for i in made.body for r in i.results] == [(3,), (SIZE, 2, 3)]


# -- loops and branches ------------------------------------------------------------------------------------------


def loop(length: int = 4, reverse: bool = False) -> Program:
    """Three carries: one that is scaled by another input, one that gets what the first was, and one that counts turns; a
    slice, and something that each turn reads."""
    body = Build()
    a, b, n, x, w = (
        body.input(*s, dtype=d) for s, d in (((2,), "f8"), ((2,), "f8"), ((), "i8"), ((2,), "f8"), ((2,), "f8"))
    )
    after = body.elementwise("maximum", body.elementwise("subtract", body.elementwise("multiply", x, w), a), b)
    turn = body.program(after, a, body.elementwise("add", n, 1), body.elementwise("add", after, x), n)
    build = Build()
    given = [
        build.input(*s, dtype=d) for s, d in (((2,), "f8"), ((2,), "f8"), ((), "i8"), ((length, 2), "f8"), ((2,), "f8"))
    ]
    params = {"body": turn, "carries": 3, "slices": 1, "length": length} | ({"reverse": True} if reverse else {})
    return build.program(*build.several("loop", *given, **params))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("batched", flags(5))
def test_loops(batched: tuple[bool, ...], reverse: bool) -> None:
    rng = np.random.default_rng(0)
    given = [f8(2), f8(2), places(9), f8(4, 2), f8(2)]
    held(loop(reverse=reverse), [drawn(rng, g, flag) for g, flag in zip(given, batched, strict=True)], batched)


def test_what_is_carried_without_lanes_has_none() -> None:
    made, with_lanes = batch(loop(), [False, False, False, False, True], SIZE)
    assert with_lanes == [True, True, False, True, False]
    (turn,) = [i for i in made.body if i.name == "loop"]
    assert [v.shape for v in turn.params["body"].inputs] == [(SIZE, 2), (SIZE, 2), (), (2,), (SIZE, 2)]


def repeated(**length: int) -> Program:
    """As long as a sum is small: what is added up, a count of turns, and, with a length, what each turn added."""
    shapes = ((), "f8"), ((), "i8"), ((2,), "f8"), ((), "f8")
    bodies = []
    for name in ("test", "body"):
        body = Build()
        total, n, x, limit = (body.input(*s, dtype=d) for s, d in shapes)
        if name == "test":
            bodies.append(body.program(body.elementwise("less", total, limit)))
            continue
        added = body.emit("reduce_add", x, axes=(0,))
        results = [body.elementwise("add", total, added), body.elementwise("add", n, 1), *([added] if length else [])]
        bodies.append(body.program(*results))
    build = Build()
    given = [build.input(*s, dtype=d) for s, d in shapes]
    results = list(build.several("while", *given, test=bodies[0], body=bodies[1], carries=2, **length))
    if length:  # rows of turns that were not made hold anything
        turns = build.elementwise("subtract", results[1], given[1])
        made = build.elementwise("less", Constant(np.arange(length["length"])), turns)
        results[2] = build.elementwise("where", made, results[2], 0.0)
    return build.program(*results)


WHILE = [f8(), places(9), f8(2), ((), "f8", 40)]


@pytest.mark.parametrize("length", [{}, {"length": 60}])
@pytest.mark.parametrize("batched", flags(4))
def test_while(batched: tuple[bool, ...], length: dict[str, int]) -> None:
    rng = np.random.default_rng(0)
    made = held(repeated(**length), [drawn(rng, g, flag) for g, flag in zip(WHILE, batched, strict=True)], batched)
    (again,) = [i for i in made.body if i.name == "while"]
    stops_apart = batched[0] or batched[2] or batched[3]
    assert again.params["carries"] == 2 + stops_apart


def test_while_goes_on_too_long_in_one_lane() -> None:
    arrays = [np.zeros(()), np.zeros((), int), np.ones(2), np.array([2.0, 8.0, 4.0])]
    held(repeated(length=4), arrays, [False, False, False, True])
    with pytest.raises(RuntimeError, match="max_turns=3"):
        evaluate(batch(repeated(length=3), [False, False, False, True], SIZE)[0], arrays)


def branch() -> Program:
    bodies = []
    for name in ("add", "multiply"):
        body = Build()
        x, y, z = body.input(2, dtype="f8"), body.input(3, 2, dtype="f8"), body.input(dtype="f8")
        bodies.append(
            body.program(body.elementwise(name, x, y), x if name == "add" else body.elementwise("square", x), z)
        )
    build = Build()
    given = [build.input(dtype=bool), *(build.input(*s, dtype="f8") for s in ((2,), (3, 2), ()))]
    return build.program(*build.several("branch", *given, true=bodies[0], false=bodies[1]))


@pytest.mark.parametrize("batched", flags(4))
def test_branches(batched: tuple[bool, ...]) -> None:
    given = [truth(), f8(2), f8(3, 2), f8()]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        made = held(branch(), [drawn(rng, g, flag) for g, flag in zip(given, batched, strict=True)], batched)
        assert ("branch" in names(made)) == (not batched[0])


# -- calls -------------------------------------------------------------------------------------------------------


def test_an_op_that_is_called_as_it_stands_is_a_loop_over_lanes() -> None:
    build = Build()
    x, y = build.input(3, dtype="f8"), build.input(3, dtype="f8")
    op = tn.op(lambda x, y, n: x[:n].dot(y[:n]) * x, name="prefix_dot", opaque="test", nondiff=("x", "y", "n"))
    program = build.program(build.call(op, x, y, n=2))
    rng = np.random.default_rng(0)
    for batched in flags(2):
        held(program, [drawn(rng, f8(3), flag) for flag in batched], batched)


def test_a_result_that_nobody_uses_is_no_part_of_the_loop() -> None:
    build = Build()
    op = tn.op(lambda x: (x + 1, np.arange(2)), name="pair_of", opaque="test", outputs=2, nondiff=True)
    spec = primitives.Spec((3,), np.dtype("f8"))
    x = build.input(3, dtype="f8")
    first, _ = build.several("call", x, op=op, template={"x": Hole(0)}, specs=[spec, None])
    held(build.program(first), [np.ones((SIZE, 3))], [True])


def test_effects_and_sizes_that_values_decide_are_refused() -> None:
    for params, words in (
        ({"effect": True}, "shout has an effect"),
        ({"sized": True}, "how many elements shout gives"),
    ):
        build = Build()
        op = tn.op(lambda x: x + 0, name="shout", opaque="test", nondiff=True)
        x = build.input(3, dtype="f8")
        spec = primitives.Spec((3,), np.dtype("f8"))
        made = build.emit("call", x, op=op, template={"x": Hole(0)}, specs=[spec], **params)
        with pytest.raises(CannotBatch, match=words):
            batch(build.program(made), [True], SIZE)


# -- whole programs ----------------------------------------------------------------------------------------------


def closed(program: Program) -> Program:
    """The program with inputs in place of what it reads from outside."""
    outside = {v: Input(v.shape, v.dtype) for v in (*program.references, *program.hosts)}
    made = substitute(program, outside)
    return Program([*made.inputs, *outside.values()], [], made.body, made.outputs, [])


PROGRAMS: dict[str, Callable[[int], Program]] = {
    "floats": lambda seed: Random(seed, floats=True).program(25),
    "integers": lambda seed: Random(seed, floats=False).program(25),
    "rows": lambda seed: Rows(np.random.default_rng(seed)).program(20),
    "loops": lambda seed: Loops(np.random.default_rng(seed)).program(12),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", PROGRAMS)
def test_random_programs(kind: str, seed: int) -> None:
    program = closed(PROGRAMS[kind](seed))
    rng = np.random.default_rng(seed)
    batched = [bool(b) for b in rng.random(len(program.inputs)) < 0.5]
    whole = kind in ("rows", "loops")
    arrays = [
        rng.integers(-3, 4, shape).astype(v.dtype) if whole else numbers(rng, shape, v.dtype)
        for v, flag in zip(program.inputs, batched, strict=True)
        for shape in [(SIZE, *v.shape) if flag else v.shape]
    ]
    made = held(program, arrays, batched, rtol=1e-6)
    expected = evaluate(made, arrays).outputs
    for run in runners(made):
        with np.errstate(all="ignore"):
            results = run(*arrays)
        for found, e in zip(results, expected, strict=True):
            same(found, e, rtol=1e-6)


def runners(program: Program) -> list[Callable[..., Any]]:
    """What runs a program: NumPy, and machine code where that is possible."""
    backends = [numpy_backend.build]
    if importlib.util.find_spec("llvmlite"):
        backends.append(importlib.import_module("tapenet.program.native").build)
    return [build(simplify(program)).call for build in backends]
