"""Programs for the tests of the passes: small ones written by hand, and random ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Builder, Constant, Host, Input, Program, Reference, Value, Write, check, inline
from tapenet.program.primitives import Spec
from tapenet.program.pullback import pullback
from tests.program.evaluate import assert_equal, evaluate

Pass = Callable[[Program], Program]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Build(Builder):
    """A builder that makes its own inputs, and the program at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Input] = []
        self.hosts: list[Host] = []
        self.writes: list[Write] = []

    def input(self, *shape: int, dtype: Any = np.float32) -> Input:
        self.inputs.append(Input(shape, np.dtype(dtype)))
        return self.inputs[-1]

    def host(self, function: Callable[[], Any]) -> Host:
        example = np.asarray(function())
        self.hosts.append(Host(example.shape, example.dtype, function))
        return self.hosts[-1]

    def call(self, op: Op, *args: Value, effect: bool = False, **options: Any) -> Any:
        """An op that is called as it stands, with a result like its first argument."""
        given = [a.name for a in op.arguments if a.name not in options]
        template = {name: Hole(i) for i, name in enumerate(given)} | options
        params: dict[str, Any] = {"op": op, "template": template, "specs": [Spec(args[0].shape, args[0].dtype)]}
        return self.emit("call", *args, **params, **({"effect": True} if effect else {}))

    def program(self, *outputs: Value) -> Program:
        return check(Program(self.inputs, self.hosts, self.body, outputs, self.writes))


def constant(value: Any, dtype: Any = np.float32) -> Constant:
    return Constant(np.asarray(value, dtype))


def names(program: Program) -> list[str]:
    """The primitives of a program in order."""
    return [i.name for i in program.body]


#: Numbers that identities trip over.
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -2.5, np.inf, -np.inf, np.nan, 1e30, -1e-30, 1e-42]


def numbers(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Any:
    """Numbers of a dtype, the awkward ones among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(-3 if dtype.kind == "i" else 0, 4, shape).astype(dtype)
    with np.errstate(over="ignore"):
        return np.where(rng.random(shape) < 0.5, rng.choice(SPECIAL, shape), rng.normal(size=shape)).astype(dtype)


def ordinary(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Any:
    """Numbers without infinities, NaN and extremes: for what differs in rounding."""
    return rng.normal(size=shape).astype(dtype) if np.dtype(dtype).kind == "f" else numbers(rng, shape, dtype)


def assert_same(run: Pass, program: Program, seed: int = 0, *, rtol: float = 0.0, zeros: bool = True) -> Program:
    """The program after a pass, which is well formed, computes the same and comes to an end of its changes.

    Without `rtol` it is the same to the last bit, for NaN, infinities and both zeros too.
    """
    changed = check(run(program))
    if changed is program:
        return program
    rng = np.random.default_rng(seed)
    for _ in range(3):
        inputs = [(ordinary if rtol else numbers)(rng, v.shape, v.dtype) for v in program.inputs]
        drawn = [h.evaluate() for h in program.hosts]
        assert changed.inputs == program.inputs
        assert changed.hosts == program.hosts
        found, expected = evaluate(changed, inputs, drawn), evaluate(program, inputs, drawn)
        assert_equal(found, expected, rtol=rtol, zeros=zeros)
    assert_settles(run, changed)
    return changed


def assert_settles(run: Pass, program: Program) -> None:
    """Run again and again, a pass comes to an end."""
    for _ in range(12):
        again = run(program)
        if again is program:
            return
        program = again
    raise AssertionError(f"no end of it:\n{program}")


def assert_kept(run: Pass, program: Program) -> None:
    """A pass finds nothing to do."""
    assert run(program) is program


def assert_property(run: Pass, *, floats: bool, acts: float, count: int = 120) -> None:
    """On random programs a pass keeps all results, and in this part of them at least it finds something to do."""
    changed = 0
    for seed in range(count):
        program = random_program(seed, floats)
        changed += assert_same(run, program, seed) is not program
    assert changed >= acts * count


# -- random programs ---------------------------------------------------------------------------------------------


@functools.cache
def random_program(seed: int, floats: bool) -> Program:
    """One of those that every pass is tested on."""
    return Random(seed, floats).program(25)


#: Elements of a value at most.
SIZE = 200


class Random:
    """Draws a program whose results do not depend on the order of sums.

    Either of floats, with all that is special about them, but without sums and products, and without what may give
    either of two zeros; or of integers, which wrap around, with everything.
    """

    def __init__(self, seed: int, floats: bool) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.floats = floats
        self.build = Build()
        self.dtypes = [FLOAT32, FLOAT64] if floats else [np.dtype(n) for n in ("i4", "i8", "i1")]
        self.dtype = dtype = self.dtypes[seed % 2]
        self.values: list[Value] = [self.build.input(*s, dtype=dtype) for s in ((2, 3), (3,), (2, 1), (2, 3, 4))]
        self.values += [Reference(tn.tensor(numbers(rng, s, dtype))) for s in ((1, 3), (3, 2))]
        self.values += [constant(c, dtype) for c in (0, -0.0, 1, -1, 2, 4)]
        self.values += [constant(numbers(rng, (2, 3), dtype), dtype), constant(np.full((2, 3), 2), dtype)]
        self.values.append(self.build.host(lambda: np.asarray(3, dtype)))
        self.given = len(self.values)

    def program(self, length: int) -> Program:
        """A program of about as many instructions."""
        steps = [self.elementwise] * 6 + [self.unary] * 2 + [self.view] * 7 + [self.again] * 2
        steps += [self.reduction] * 2 + [self.movement] + ([] if self.floats else [self.dot] * 2)
        while len(self.build.body) < length:
            value = self.choice(steps)(self.pick())
            if 0 < value.size <= SIZE and value.ndim <= 4:
                self.values.append(value)
        made = [v for v in self.values[self.given :] if self.chance(0.3)] or self.values[-1:]
        for target in self.values[: self.given]:
            fitting = [v for v in made if (v.shape, v.dtype) == (target.shape, target.dtype)]
            if isinstance(target, Reference) and fitting:
                self.build.writes.append(Write(target, fitting[-1]))
        return self.build.program(*made)

    def choice(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self) -> Value:
        """A value, rather a late one."""
        picked: Value = self.choice(self.values[-8:] if self.chance(0.6) else self.values)
        return picked

    def matching(self, value: Value) -> Value:
        """A value of the same dtype that broadcasts with another."""
        for _ in range(8):
            other = self.pick()
            try:
                shape = np.broadcast_shapes(value.shape, other.shape)
            except ValueError:
                continue
            if other.dtype == value.dtype and int(np.prod(shape)) <= SIZE:
                return other
        return value

    def elementwise(self, x: Value) -> Any:
        y = self.matching(x)
        if x.dtype == bool:
            return self.build.emit(self.choice(["logical_and", "logical_or", "equal"]), x, y)
        common = ["add", "subtract", "multiply", "where", "equal", "less"]
        name = self.choice(common + (["divide"] if self.floats else ["maximum", "minimum", "safe_mul"]))
        if name != "where":
            return self.build.elementwise(name, x, y)
        condition = self.build.cast(x, bool) if self.chance(0.5) else self.build.elementwise("less", x, y)
        return self.build.emit("where", condition, x, y)

    def unary(self, x: Value) -> Any:
        if x.dtype == bool:
            return self.build.emit("logical_not", x)
        name = self.choice(["negative", "positive", "square", "cast"])
        return self.build.emit(name, x, **({"dtype": self.choice(self.dtypes)} if name == "cast" else {}))

    def again(self, x: Value) -> Any:
        """The same as before."""
        if not self.build.body:
            return x
        old = self.choice(self.build.body)
        made: Value = self.build.emit(old.name, *old.args, **old.params)
        return made

    def reduction(self, x: Value) -> Any:
        axes = tuple(i for i in range(x.ndim) if self.chance(0.5))
        if x.dtype == bool:
            return self.build.emit(self.choice(["reduce_logical_and", "reduce_logical_or"]), x, axes=axes)
        if self.floats:
            return self.build.emit("reduce_maximum", x, axes=tuple(i for i in axes if x.shape[i] == 1))
        name = self.choice(["reduce_add", "reduce_add", "reduce_maximum", "reduce_multiply"])
        return self.build.emit(name, x, axes=axes)

    def dot(self, x: Value) -> Any:
        build = self.build
        a = build.reshape(x, (1, x.size)) if x.ndim < 2 else x
        ta, tb = self.chance(0.5), self.chance(0.5)
        b = build.transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)) if ta == tb else a
        if self.chance(0.3):  # one matrix for all of the batch
            first = tuple((0, 1 if i < b.ndim - 2 else n, 1) for i, n in enumerate(b.shape))
            b = build.broadcast(build.emit("slice", b, slices=first), b.shape)
        return build.emit("dot", a, b, **({"ta": True} if ta else {}), **({"tb": True} if tb else {}))

    def movement(self, x: Value) -> Any:
        if not x.ndim:
            return x
        if self.chance(0.5):
            axis = int(self.rng.integers(x.ndim))
            return self.build.emit("concatenate", *[x] * self.choice([1, 2]), axis=axis)
        slices = tuple(map(self.slice, x.shape))
        return self.build.emit("update", x, self.build.emit("slice", x, slices=slices), slices=slices)

    def slice(self, n: int) -> tuple[int, int, int]:
        if n < 2 or self.chance(0.4):
            return (0, n, 1)
        positions = range(n)[:: self.choice([1, 2, -1])][self.choice([0, 1]) :]
        return (positions.start, positions.stop, positions.step)

    def view(self, x: Value) -> Any:
        build, n = self.build, x.size
        kind = self.choice(["reshape", "back", "transpose", "broadcast", "slice"])
        if kind == "transpose" and x.ndim:
            return build.emit("transpose", x, axes=tuple(int(i) for i in self.rng.permutation(x.ndim)))
        if kind == "slice" and x.ndim:
            return build.emit("slice", x, slices=tuple(map(self.slice, x.shape)))
        if kind == "broadcast":
            longer = tuple(self.choice([1, 2, 3]) if m == 1 else m for m in x.shape)
            shape = (*self.choice([(), (1,), (2,)]), *longer)
            return build.emit("broadcast", x, shape=shape if int(np.prod(shape)) <= SIZE else x.shape)
        shapes = [(n,), (1, n), (n, 1), (*x.shape, 1), *((k, n // k) for k in (2, 3, 6) if n % k == 0)]
        if kind == "back":  # to the shape of an earlier value
            shapes = [v.shape for v in self.values if v.size == n]
        return build.emit("reshape", x, shape=self.choice(shapes))


def in_place(rng: np.random.Generator, counts: bool = False) -> Program:
    """A loop whose turns read elements of two arrays, write others, and now and then compute with all of one; or a `while`
    that counts its turns."""
    body = Build()
    arrays: list[Value] = [body.input(9, dtype=FLOAT64), body.input(9, dtype=FLOAT64)]
    i, closed = body.input(dtype=np.int64), body.input(9, dtype=FLOAT64)
    numbers: list[Value] = [body.emit("index", closed, i, template=(Hole(0),))]
    for _ in range(8):
        k = int(rng.integers(2))
        at = body.elementwise("add", i, int(rng.integers(4)))
        one, other = (numbers[int(rng.integers(len(numbers)))] for _ in range(2))
        match rng.integers(5):
            case 0:
                arrays[k] = body.emit("put", arrays[k], one, at, template=(Hole(0),))
            case 1 if rng.random() < 0.3:
                arrays[k] = body.elementwise("multiply", arrays[k], one)
            case 2:
                numbers.append(body.emit("tanh", body.emit("multiply", one, other)))
            case 3:
                numbers.append(body.emit("subtract", one, other))
            case _:
                numbers.append(body.emit("index", arrays[k], at, template=(Hole(0),)))
    b = Build()
    if counts:
        inputs = [*body.inputs[:2], i, closed]
        turn = Program(inputs, [], body.body, [*arrays, body.elementwise("add", i, 1), numbers[-1]], [])
        test = Build()
        tested = [test.input(*v.shape, dtype=v.dtype) for v in inputs]
        goes_on = test.program(test.elementwise("less", tested[2], 5))
        starts = [
            b.input(9, dtype=FLOAT64),
            b.input(9, dtype=FLOAT64),
            constant(0, np.int64),
            b.input(9, dtype=FLOAT64),
        ]
        *carried, column = b.several("while", *starts, test=goes_on, body=check(turn), carries=3, length=7)
        return b.program(*carried, b.emit("slice", column, slices=((0, 5, 1),)))
    turn = body.program(*arrays, numbers[-1])
    given = [b.input(9, dtype=FLOAT64), b.input(9, dtype=FLOAT64), Constant(np.arange(6)), b.input(9, dtype=FLOAT64)]
    more = {"reverse": True} if rng.random() < 0.3 else {}
    return b.program(*b.several("loop", *given, body=turn, carries=2, slices=1, length=6, **more))


def with_gradient(program: Program) -> Program:
    """What a program gives, and the gradients by its inputs from those by that."""
    builder = Builder()
    outs = inline(builder, program, program.inputs)
    wanted = [i for i, v in enumerate(program.inputs) if v.dtype.kind == "f"]
    pulled = pullback(program, wanted)
    extra = pulled.inputs[len(program.inputs) :]
    made = inline(builder, pulled, [*program.inputs, *extra])
    return Program([*program.inputs, *extra], [], builder.body, [*outs, *made], [])
