"""Random programs that kernels, loops and memory planning trip over.

All numbers are small integers, in floats too, so that sums are exact in any order and results are the same to the last
bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.program.ir import Constant, Program, Reference, Value, Write
from tests.program.passes.programs import Build

#: Elements of a value at most.
SIZE = 4000


class Draw:
    """Draws values for a program."""

    def __init__(self, rng: np.random.Generator, dtype: Any = np.float64) -> None:
        self.rng = rng
        self.dtype = np.dtype(dtype)
        self.build = Build()
        self.values: list[Value] = []

    def choice(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def numbers(self, shape: Sequence[int]) -> Any:
        return self.rng.integers(-3, 4, tuple(shape)).astype(self.dtype)

    def pick(self) -> Value:
        """A value, rather a late one."""
        picked: Value = self.choice(self.values[-6:] if self.chance(0.6) else self.values)
        return picked

    def reference(self, shape: tuple[int, ...]) -> Reference:
        """A tensor from outside, in any order of memory."""
        order = [int(i) for i in self.rng.permutation(len(shape))]
        wide = np.zeros([shape[i] * (2 if self.chance(0.2) else 1) for i in order], self.dtype)
        part = wide[(*(slice(None, None, wide.shape[k] // shape[i]) for k, i in enumerate(order)), ...)]
        if self.chance(0.2) and part.ndim:
            part = part[::-1]
        array = part.transpose([order.index(i) for i in range(len(shape))])
        array[...] = self.numbers(shape)
        return Reference(tn.asarray(array))

    def constant(self, shape: tuple[int, ...]) -> Constant:
        return Constant(self.numbers(shape))

    def small(self, x: Value) -> Value:
        """Numbers from -4 to 4."""
        low, high = (Constant(np.asarray(n, self.dtype)) for n in (-4, 4))
        return self.build.elementwise("maximum", self.build.elementwise("minimum", x, high), low)

    def keep(self, x: Value) -> Value:
        self.values.append(x)
        return x

    # -- what there is to draw -------------------------------------------------------------------------------------

    def unary(self, x: Value) -> Value:
        name = self.choice(["negative", "absolute", "square", "sign"])
        made: Value = self.build.emit(name, x)
        return self.small(made) if name == "square" else made

    def matching(self, x: Value, size: int = SIZE) -> Value:
        """A value that broadcasts with another."""
        for _ in range(12):
            y = self.pick()
            try:
                if math.prod(np.broadcast_shapes(x.shape, y.shape)) <= size:
                    return y
            except ValueError:
                pass
        return x

    def binary(self, x: Value) -> Value:
        name = self.choice(["add", "subtract", "multiply", "maximum", "minimum", "where"])
        y = self.matching(x)
        if name == "where":
            return self.build.elementwise("where", self.build.elementwise("less", x, y), x, y)
        return self.small(self.build.elementwise(name, x, y))

    def reduce(self, x: Value, axes: tuple[int, ...]) -> Value:
        name = self.choice(["reduce_add", "reduce_add", "reduce_maximum", "reduce_minimum"])
        made = self.small(self.build.emit(name, x, axes=axes))
        if self.chance(0.6):
            kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
            made = self.build.reshape(made, kept)
        return made

    def view(self, x: Value) -> Value:
        kind = self.choice(["transpose", "slice", "broadcast", "reshape"])
        if kind == "transpose" and x.ndim > 1:
            return self.build.transpose(x, tuple(int(i) for i in self.rng.permutation(x.ndim)))
        if kind == "slice" and x.ndim:
            whole = [range(n)[:: self.choice([1, 1, -1])] for n in x.shape]
            return self.build.emit("slice", x, slices=tuple((r.start, r.stop, r.step) for r in whole))
        if kind == "broadcast":
            shape = tuple(3 if n == 1 else n for n in x.shape)
            return self.build.broadcast(x, shape if math.prod(shape) <= SIZE else x.shape)
        if kind == "reshape":
            return self.build.reshape(x, (x.size,) if x.ndim != 1 else (1, x.size))
        return x

    def writes(self, references: Sequence[Reference], values: Sequence[Value], share: float) -> None:
        """Write some of the values to tensors that they fit, one value perhaps to several."""
        for target in references:
            fitting = [v for v in values if (v.shape, v.dtype) == (target.shape, target.dtype)]
            if fitting and self.chance(share):
                self.build.writes.append(Write(target, self.choice(fitting[-4:])))


class Rows(Draw):
    """Programs about one domain: reductions over its last axes, and much that is done with their results."""

    #: Domains, and how many axes are rows.
    DOMAINS = (
        ((5, 7), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((6, 33), 1), ((3, 1, 5), 2), ((4, 1), 1), ((1, 6), 1), ((9,), 0),
        ((3, 5), 0), ((2, 2, 2, 3), 2), ((40, 3), 1), ((1, 1), 1),
    )  # fmt: skip

    def program(self, length: int) -> Program:
        domain, split = self.choice(self.DOMAINS)
        self.domain, self.split = domain, split
        rows = domain[:split]
        kept = (*rows, *[1] * (len(domain) - split))
        references = []
        for shape in (domain, domain, kept, rows, domain[split:], (), domain):
            if self.chance(0.5):
                self.keep(self.build.input(*shape, dtype=self.dtype))
            else:
                references.append(self.keep(self.reference(shape)))
        self.keep(self.constant(domain))
        given = len(self.values)
        while len(self.build.body) < length:
            kind = self.rng.random()
            x = self.pick()
            if kind < 0.35 and x.shape == domain:
                self.keep(self.reduce(x, tuple(range(split, len(domain)))))
            elif kind < 0.45 and x.ndim:
                axes = tuple(i for i in range(x.ndim) if self.chance(0.5))
                self.keep(self.reduce(x, axes))
            elif kind < 0.53:
                self.keep(self.view(x))
            elif kind < 0.65:
                self.keep(self.unary(x))
            else:
                self.keep(self.binary(x))
        made = self.values[given:]
        outputs = [v for v in made if self.chance(0.2)]
        self.writes([r for r in references if isinstance(r, Reference)], made, 0.7)
        return self.build.program(*(outputs or made[-1:]))


class Loops(Draw):
    """Programs with loops and branches, whose bodies are drawn too."""

    def program(self, length: int) -> Program:
        shapes = [(3,), (2, 3), (3, 3), (4, 3), (), (3, 2)]
        references = []
        for shape in (*shapes, (4, 2, 3)):
            self.keep(self.build.input(*shape, dtype=self.dtype))
            references.append(self.reference(shape))
            self.keep(references[-1])
        self.keep(self.constant((2, 3)))
        given = len(self.values)
        while len(self.build.body) < length:
            if self.chance(0.5):
                self.some(2)
            else:
                self.values += self.control(2)
        made = self.values[given:]
        self.writes(references, made, 0.5)
        return self.build.program(*[v for v in made if self.chance(0.4)][:8], made[-1])

    def some(self, count: int) -> None:
        """A few instructions."""
        for _ in range(count):
            x = self.pick()
            if x.size > 200:
                continue
            step = self.choice([self.unary, self.binary, self.binary, self.view, self.dot, self.sum])
            self.keep(step(x))

    def sum(self, x: Value) -> Value:
        return self.reduce(x, tuple(i for i in range(x.ndim) if self.chance(0.5)))

    def dot(self, x: Value) -> Value:
        """A product with a value of fitting shape, transposed or not."""
        if x.ndim != 2:
            return x
        fitting = [v for v in self.values if v.ndim == 2 and v.dtype == x.dtype and x.shape[1] in v.shape]
        if not fitting:
            return x
        y = self.choice(fitting)
        made = self.build.emit("dot", x, y, tb=y.shape[0] != x.shape[1])
        return self.small(made)

    def control(self, depth: int) -> list[Value]:
        """A loop or a branch of values that there are."""
        if self.chance(0.25):
            return self.branch(depth)
        if self.chance(0.3):
            return self.repeat(depth)
        length = self.choice([1, 2, 4])
        carries = [self.pick() for _ in range(self.choice([0, 1, 1, 2, 3]))]
        sliced = [v for v in self.values if v.ndim and v.shape[0] == length]
        slices = [self.choice(sliced) for _ in range(self.choice([0, 1, 2]))] if sliced else []
        closed = [self.pick() for _ in range(self.choice([0, 1, 2]))]
        body, after = self.turn([v.shape for v in carries], [v.shape[1:] for v in slices], closed, depth)
        ys = [body.pick() for _ in range(self.choice([0, 1, 2]))]
        if not after and not ys:
            ys = [body.values[-1]]
        params: dict[str, Any] = {"body": body.build.program(*after, *ys), "carries": len(carries)}
        params |= {"slices": len(slices), "length": length} | ({"reverse": True} if self.chance(0.4) else {})
        made = self.build.several("loop", *carries, *slices, *closed, **params)
        return list(made)

    def turn(
        self, carries: Sequence[tuple[int, ...]], slices: Sequence[tuple[int, ...]], closed: Sequence[Value], depth: int
    ) -> tuple[Loops, list[Value]]:
        """The body of a loop, and what it carries on."""
        body = Loops(self.rng, self.dtype)
        for shape in (*carries, *slices, *(v.shape for v in closed)):
            body.keep(body.build.input(*shape, dtype=self.dtype))
        body.keep(body.constant((3,)))
        body.some(3)
        if depth > 1 and self.chance(0.3):
            body.values += body.control(depth - 1)
        return body, [self.choice([v for v in body.values if v.shape == shape]) for shape in carries]

    def repeat(self, depth: int) -> list[Value]:
        """A loop that ends when it has counted to a number, or before. Of what it stacks only the rows are kept that are
        surely made."""
        turns = self.choice([0, 1, 3])
        carries = [self.pick() for _ in range(self.choice([0, 1, 1, 2]))]
        closed = [self.pick() for _ in range(self.choice([0, 1, 2]))]
        counted = Constant(np.zeros((), self.dtype))
        body, after = self.turn([(), *(v.shape for v in carries)], [], closed, depth)
        after[0] = body.build.elementwise("add", body.values[0], 1)
        test = Draw(self.rng, self.dtype)
        given = [test.build.input(*v.shape, dtype=v.dtype) for v in (counted, *carries, *closed)]
        goes_on = test.build.elementwise("less", given[0], turns)
        early = len(given) > 1 and self.chance(0.3)
        if early:
            least = test.build.emit("reduce_minimum", given[1], axes=tuple(range(given[1].ndim)))
            goes_on = test.build.elementwise("logical_and", goes_on, test.build.elementwise("less", least, 3))
        params: dict[str, Any] = {"test": test.build.program(goes_on), "carries": len(after)}
        ys: list[Value] = []
        if self.chance(0.5):
            ys = [body.pick() for _ in range(self.choice([0, 1, 2]))]
            params["length"] = turns + self.choice([0, 2])
            ys = [] if not params["length"] else ys
        params["body"] = body.build.program(*after, *ys)
        made = self.build.several("while", counted, *carries, *closed, **params)
        rows = [] if early or not turns else made[len(after) :]
        cut = [((0, turns, 1), *((0, n, 1) for n in row.shape[1:])) for row in rows]
        return [*made[: len(after)], *(self.build.emit("slice", r, slices=c) for r, c in zip(rows, cut, strict=True))]

    def branch(self, depth: int) -> list[Value]:
        given = [self.pick() for _ in range(self.choice([1, 2, 3]))]
        bodies, drawn = [], []
        for _ in range(2):
            body = Loops(self.rng, self.dtype)
            for v in given:
                body.keep(body.build.input(*v.shape, dtype=v.dtype))
            body.some(3)
            bodies.append(body)
        for v in {(w.shape, w.dtype): w for w in bodies[0].values}.values():
            others = [w for w in bodies[1].values if (w.shape, w.dtype) == (v.shape, v.dtype)]
            if others:
                drawn.append((v, self.choice(others)))
        true, false = (body.build.program(*outs) for body, outs in zip(bodies, zip(*drawn, strict=True), strict=True))
        x = self.pick()
        number = self.build.reshape(self.build.emit("reduce_maximum", x, axes=tuple(range(x.ndim))), ())
        condition = self.build.elementwise("less", number, Constant(np.asarray(3, self.dtype)))
        made = self.build.several("branch", condition, *given, true=true, false=false)
        return list(made)
