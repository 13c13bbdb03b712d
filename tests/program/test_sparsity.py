"""The sparsity of Jacobians: against what results do when one input is changed, and as small as it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own, registry
from tapenet.ops.signatures import bind
from tapenet.ops.variants import formula
from tapenet.program.ir import Constant, Input, Program, Value, check
from tapenet.program.primitives import Hole
from tapenet.program.pullback import pullback
from tapenet.program.sparsity import NotSparse, sparsity
from tests.program.passes.programs import Build
from tests.program.test_pullback import program

Array = np.ndarray[Any, Any]


def pattern(f: Callable[..., Any], *arrays: Array) -> Array:
    """The pattern of a function by its first argument; the others are known."""
    return dense(program(f, arrays), [0], arrays)


def dense(made: Program, active: list[int], arrays: Any) -> Array:
    known = [None if i in active else a for i, a in enumerate(arrays)]
    found: Array = sparsity(made, active, known).patterns[0].toarray()
    return found


def changing(made: Program, active: list[int], arrays: Any) -> Array:
    """Which results change with which input: the true pattern at this place, where nothing jumps."""
    before = made.evaluate(arrays)[0]
    columns = []
    for i in active:
        for j in range(arrays[i].size):
            moved = [np.array(a) for a in arrays]
            moved[i].reshape(-1)[j] += 1e-5
            columns.append((made.evaluate(moved)[0] != before).reshape(-1))
    return np.array(columns, bool).reshape(len(columns), before.size).T


def assert_covers(made: Program, active: list[int], arrays: Any) -> tuple[int, int]:
    """How many entries the pattern has, and the true one, all of which it has."""
    found, true = dense(made, active, arrays), changing(made, active, arrays)
    assert found.shape == true.shape
    assert not (true & ~found).any()
    return int(found.sum()), int(true.sum())


# -- random programs ---------------------------------------------------------------------------------------------


class Draw:
    """A random program of two arrays of floats, and one of indices."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.build = Build()
        self.values: list[Value] = [self.build.input(3, 4, dtype=float), self.build.input(5, dtype=float)]
        self.index = self.build.input(4, dtype=np.int64)

    def program(self, count: int) -> Program:
        for _ in range(count):
            steps = [
                self.one,
                self.two,
                self.view,
                self.join,
                self.take,
                self.put,
                self.scatter,
                self.sum,
                self.dot,
                self.loop,
            ]
            made = steps[self.rng.integers(len(steps))]()
            if made is not None and 0 < made.size < 60:
                self.values.append(made)
        outputs = [self.build.reshape(v, (v.size,)) for v in self.values[2:]]
        return self.build.program(self.build.emit("concatenate", *outputs, axis=0))

    def value(self, ndim: int = 0) -> Value:
        fitting = [v for v in self.values if v.ndim >= ndim]
        return fitting[self.rng.integers(len(fitting))]

    def one(self) -> Value:
        name = self.rng.choice(["sin", "tanh", "floor", "square", "sign", "negative"])
        return self.build.elementwise(str(name), self.value())

    def two(self) -> Value | None:
        a, b = self.value(), self.value()
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            return None
        if self.rng.random() < 0.3:
            return self.build.elementwise("where", self.build.elementwise("greater", a, b), a, b)
        return self.build.elementwise(str(self.rng.choice(["add", "multiply", "maximum", "arctan2"])), a, b)

    def view(self) -> Value:
        a = self.value()
        kind = self.rng.integers(4)
        if kind == 0:
            return self.build.transpose(a, tuple(int(i) for i in self.rng.permutation(a.ndim)))
        if kind == 1:
            return self.build.reshape(a, (a.size,))
        if kind == 2:
            return self.build.broadcast(a, (2, *a.shape))
        return self.build.emit("slice", a, slices=tuple((0, n, 2) if n > 2 else (0, n, 1) for n in a.shape))

    def join(self) -> Value:
        a, b = (self.build.reshape(v, (v.size,)) for v in (self.value(), self.value()))
        if a.size < b.size and self.rng.random() < 0.5:
            return self.build.emit("update", b, a, slices=((b.size - a.size, b.size, 1),))
        return self.build.emit("concatenate", a, b, axis=0)

    def some(self, n: int) -> Value:
        """Indices below n, which are an argument's or those of a largest element."""
        if self.rng.random() < 0.2:
            a = self.value(1)
            index: Value = self.build.emit("argmax", a, axis=0)
            return self.build.elementwise("remainder", index, n)
        return self.build.elementwise("remainder", self.index, n)

    def take(self) -> Value:
        a = self.value(1)
        axis = int(self.rng.integers(a.ndim))
        index = self.some(a.shape[axis])
        if self.rng.random() < 0.5:
            return self.build.emit("take", a, index, axis=axis)
        return self.build.emit("index", a, index, template=(*(slice(None),) * axis, Hole(0)))

    def put(self) -> Value:
        a = self.build.reshape(v := self.value(), (v.size,))
        index = self.some(a.size)
        value = (
            self.build.broadcast(self.build.emit("slice", a, slices=((0, 1, 1),)), index.shape) if index.ndim else None
        )
        value = value or self.build.reshape(self.build.emit("slice", a, slices=((0, 1, 1),)), ())
        return self.build.emit("put", a, value, index, template=(Hole(0),))

    def scatter(self) -> Value:
        a = self.value(1)
        index = self.some(3)
        taken = self.build.emit("take", a, self.build.elementwise("remainder", index, a.shape[0]), axis=0)
        if self.rng.random() < 0.5 or index.ndim != 1:
            shape = (3, *a.shape[1:])
            return self.build.emit("scatter_add", taken, index, template=(Hole(0),), shape=shape)
        rows = self.build.elementwise("remainder", index, a.shape[0])
        if self.rng.random() < 0.5:
            return self.build.emit("add_at", a, taken, rows, template=(Hole(0),))
        return self.build.emit("add_rows", a, taken, rows)

    def sum(self) -> Value:
        a = self.value(1)
        name = self.rng.choice(["reduce_add", "reduce_maximum", "reduce_multiply"])
        return self.build.emit(str(name), a, axes=(int(self.rng.integers(a.ndim)),))

    def dot(self) -> Value:
        a = self.value(2)
        flags = {"ta": True} if self.rng.random() < 0.5 else {}
        k = a.shape[-2] if flags else a.shape[-1]
        if self.rng.random() < 0.3 and a.ndim == 2 and not flags:
            return self.build.emit("dot", a, a, tb=True)
        matrix = np.round(self.rng.uniform(-1, 1, (*a.shape[:-2], k, 2)))
        return self.build.emit("dot", a, Constant(matrix), **flags)

    def loop(self) -> Value:
        a = self.value(1)
        row = Input(a.shape[1:], a.dtype)
        carry = Input(a.shape[1:], a.dtype)
        count = Input((), np.dtype(np.int64))
        inner = Build()
        made = inner.elementwise("add", carry, inner.elementwise("multiply", row, row))
        read = inner.emit(
            "take", inner.reshape(made, (made.size,)), inner.elementwise("remainder", count, made.size), axis=0
        )
        body = Program([carry, count, row], [], inner.body, [made, inner.elementwise("add", count, 1), read], [])
        begin = self.build.emit("slice", a, slices=((0, 1, 1), *((0, n, 1) for n in a.shape[1:])))
        _, _, column = self.build.several(
            "loop", self.build.reshape(begin, a.shape[1:]), Constant(np.array(0)), a, body=check(body), carries=2, slices=1,
            length=a.shape[0], reverse=bool(self.rng.random() < 0.5),
        )  # fmt: skip
        return column


def test_random_programs() -> None:
    entries = np.zeros(2)
    for seed in range(60):
        made = Draw(seed).program(12)
        rng = np.random.default_rng(seed)
        arrays = [
            rng.uniform(0.2, 0.9, v.shape) if v.dtype.kind == "f" else rng.integers(0, 9, v.shape) for v in made.inputs
        ]
        entries += assert_covers(made, [0, 1], arrays)
    assert entries[0] < 2.5 * entries[1]


# -- ops ---------------------------------------------------------------------------------------------------------

tn.ops.everything()
OPS = [n for n, op in sorted(registry.items()) if isinstance(op, Op) and is_own(op) and op.samples and not op.random]


def test_ops() -> None:
    """Of every op whose formula can be read, on the smaller ones of its samples."""
    held = set()
    for name in OPS:
        op = registry[name]
        for call in list(op.samples(np.random.default_rng(0)))[:2]:
            try:
                args = bind(op, call.args, call.kwargs)
                names = [a.name for a in op.arguments if not a.keyword_only]
                made = formula(op, [args[n] for n in names], {n: v for n, v in args.items() if n not in names})
            except Exception:
                continue
            arrays = [args[n] for n in args if isinstance(args[n], np.ndarray)]
            active = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
            if len(arrays) != len(made.inputs) or not active or made.outputs[0].dtype.kind != "f":
                continue
            if sum(a.size for a in arrays) <= 30:
                assert_covers(made, active, arrays)
                held.add(name)
    assert len(held) > 150


# -- exact patterns ----------------------------------------------------------------------------------------------

x = np.linspace(0.3, 0.8, 6)


def band(n: int, below: int, above: int) -> Array:
    return np.tri(n, k=above, dtype=bool) & ~np.tri(n, k=-below - 1, dtype=bool)


def test_differences_have_bands() -> None:
    found = pattern(lambda x: np.concatenate([x[:1], x[1:-1] ** 2 - x[2:] * x[:-2], x[-1:]]), x)
    expected = band(6, 1, 1)
    expected[[0, -1]] = np.eye(6, dtype=bool)[[0, -1]]
    np.testing.assert_array_equal(found, expected)


def test_what_is_flat_has_no_entries() -> None:
    assert not pattern(lambda x: np.floor(x) + np.sign(x) * (x > 0.5), x).any()
    np.testing.assert_array_equal(pattern(lambda x: np.where(x > 0.5, np.floor(x), x), x), np.eye(6, dtype=bool))


def test_products_with_constants_follow_their_zeros() -> None:
    matrix = np.triu(np.tri(6, k=1)) * 1.5
    np.testing.assert_array_equal(pattern(lambda x: (matrix @ x[:, None])[:, 0], x), matrix != 0)
    batch = np.stack([np.eye(3), np.ones((3, 3))])
    found = pattern(lambda x: np.matmul(batch, np.reshape(x, (2, 3, 1))), x)
    np.testing.assert_array_equal(found, np.block([[np.eye(3), np.zeros((3, 3))], [np.zeros((3, 3)), np.ones((3, 3))]]))
    other = pattern(lambda x: np.matmul(np.reshape(x, (2, 3)), np.eye(3)), x)
    np.testing.assert_array_equal(other, np.eye(6))


def test_a_matrix_that_is_given_is_looked_at_only_if_most_of_it_is_zeros() -> None:
    for matrix, read in ((np.eye(6), [1]), (np.ones((6, 6)), [])):
        arrays = [x, matrix]
        found = sparsity(program(lambda x, m: np.matmul(m.T, x[:, None]), arrays), [0], [None, matrix])
        np.testing.assert_array_equal(found.patterns[0].toarray(), matrix)
        assert found.read == read


def test_indices_are_looked_at_and_said() -> None:
    index = np.array([4, 4, -1])
    made = program(lambda x, i: np.take(x, i + 0), [x, index])
    known = sparsity(made, [0], [None, index])
    np.testing.assert_array_equal(known.patterns[0].toarray(), np.eye(6)[[4, 4, 5]])
    assert known.read == [1]
    unknown = sparsity(made, [0], [None, None])
    assert unknown.patterns[0].toarray().all()
    assert unknown.read == []


def test_loops_turn_by_turn_and_long_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Program:
        b = Build()
        a = b.input(6, dtype=float)
        carry, item = Input((), a.dtype), Input((), a.dtype)
        inner = Build()
        total = inner.elementwise("add", carry, item)
        body = Program([carry, item], [], inner.body, [total, total], [])
        _, column = b.several("loop", Constant(np.zeros(())), a, body=body, carries=1, slices=1, length=6)
        return b.program(column)

    np.testing.assert_array_equal(dense(made(), [0], [x]), np.tri(6))
    monkeypatch.setattr("tapenet.program.sparsity.TURNS", 3)
    assert dense(made(), [0], [x]).all()


def test_while_goes_on_until_nothing_spreads(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Program:
        b = Build()
        a = b.input(6, dtype=float)
        count, carry = Input((), np.dtype(np.int64)), Input((6,), a.dtype)
        inner = Build()
        before = inner.emit("slice", carry, slices=((0, 5, 1),))
        shifted = inner.emit("update", carry, before, slices=((1, 6, 1),))
        body = Program(
            [count, carry],
            [],
            inner.body,
            [inner.elementwise("add", count, 1), inner.elementwise("multiply", carry, shifted), carry],
            [],
        )
        inner = Build()
        test = Program([count, carry], [], inner.body, [inner.elementwise("less", count, 3)], [])
        _, out, column = b.several("while", Constant(np.array(0)), a, test=test, body=body, carries=2, length=2)
        return b.program(b.emit("concatenate", b.reshape(out, (1, 6)), column, axis=0))

    np.testing.assert_array_equal(dense(made(), [0], [x]), np.tile(np.tri(6), (3, 1)))
    monkeypatch.setattr("tapenet.program.sparsity._ROUNDS", 2)
    assert dense(made(), [0], [x]).all()


def test_branches_are_taken_both() -> None:
    b = Build()
    a, condition = b.input(2, dtype=float), b.input(dtype=bool)
    bodies = {}
    for name, turned in (("true", True), ("false", False)):
        inner, given = Build(), Input((2,), a.dtype)
        out = inner.emit("slice", given, slices=((1, -1, -1),)) if turned else inner.elementwise("sin", given)
        bodies[name] = Program([given], [], inner.body, [out], [])
    made = b.program(b.emit("branch", condition, a, **bodies))
    assert dense(made, [0], [x[:2], np.array(True)]).all()


def test_ops_that_are_called_depend_on_all_they_are_given() -> None:
    b = Build()
    a = b.input(3, dtype=float)
    made = b.program(b.emit("concatenate", b.call(tn.ops.sort, a, axis=-1), a, axis=0))
    np.testing.assert_array_equal(dense(made, [0], [x[:3]]), np.vstack([np.ones((3, 3)), np.eye(3)]))


def test_ops_that_are_called_keep_matrices_and_axes_apart() -> None:
    b = Build()
    a = b.input(2, 3, 3, dtype=float)
    found = dense(b.program(b.call(tn.linalg.inv, a)), [0], [np.zeros((2, 3, 3))])
    np.testing.assert_array_equal(found, np.kron(np.eye(2), np.ones((9, 9))))
    b = Build()
    a = b.input(2, 3, dtype=float)
    for axis, expected in ((0, np.kron(np.ones((2, 2)), np.eye(3))), (-1, np.kron(np.eye(2), np.ones((3, 3))))):
        found = dense(b.program(b.call(tn.ops.cumsum, a, axis=axis, dtype=None)), [0], [np.zeros((2, 3))])
        np.testing.assert_array_equal(found, expected)


def test_the_gradient_has_the_pattern_of_the_hessian() -> None:
    made = program(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), [x])
    slope = pullback(made, [0])
    np.testing.assert_array_equal(dense(slope, [0], [x, np.ones(())]), band(6, 1, 1))


def test_sets_are_shared_where_all_depends_on_all() -> None:
    """A pattern of 10,000 times 10,000 entries is not written down on the way to a vector."""
    n = 10_000

    def f(x: Any) -> Any:
        e = np.exp(x)
        return np.sum(e / np.sum(e) + x[0] * np.concatenate([x[: n // 2] / np.sum(x[: n // 2]), x[n // 2 :]]))

    assert pattern(f, np.ones(n)).all()


def test_a_pattern_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapenet.program.sparsity.LIMIT", 99)
    with pytest.raises(NotSparse, match="100 entries"):
        pattern(lambda x: x / np.sum(x), np.ones(10))
