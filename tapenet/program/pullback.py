"""The derivative of a program: from one that computes a formula, one that pulls gradients back through it.

Elementwise primitives are differentiated by the rules of `derivatives`, which run on symbols; those of all others are here,
in terms of primitives. Axes that were broadcast are summed over here, so that no rule has to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from tapenet.program import symbol_compositions as _functions  # noqa: F401  fills the table of what symbols know
from tapenet.program.called_ops import Hole
from tapenet.program.derivatives import FLAT, RULES, arguments, safe_mul
from tapenet.program.ir import Builder, Constant, Input, Instruction, Program, Result, Value
from tapenet.program.passes.patterns import number
from tapenet.program.symbols import FUNCTIONS, CannotLower, Symbol, array_of, builder_of, elementwise
from tapenet.typing import DType, Shape

#: A value and the gradient by it; and what gives such pairs for the gradient by a value that is made of theirs.
Pair = tuple[Value, Value]
Stated = Callable[[Builder, Value], Iterable[Pair]]


class NoDerivative(CannotLower):
    """A program has a primitive whose derivative is not known."""


FUNCTIONS[safe_mul] = lambda a, d: elementwise(builder_of(a, d), "safe_mul", a, d)


def pullback(program: Program, wanted: Collection[int], stated: Mapping[Value, Stated] = {}) -> Program:
    """The program that pulls gradients back.

    Args:
        program: any program without references, hosts and writes; each output is a float, or has no derivative.
        wanted: positions of the inputs whose gradients are given.
        stated: what pulls gradients back through some values in one go (`Builder.rules`).

    Returns:
        a program of the same inputs, and of the gradients by the outputs after them; it gives a gradient for each of the
        `wanted` inputs, of its shape and dtype, in their order. It computes anew what it needs of the forward.

    Raises:
        NoDerivative: a primitive on the way has none.
    """
    work = _Pullback(program, wanted, stated)
    given = [Input(v.shape, v.dtype) for v in program.outputs]
    for value, g in zip(program.outputs, given, strict=True):
        work.add(value, g)
    for instruction in reversed(program.body):
        work.pull(instruction)
    results = [work.total(program.inputs[i]) for i in sorted(wanted)]
    return Program([*program.inputs, *given], [], work.builder.body, results, [])


class _Pullback:
    """The work of one pullback."""

    def __init__(self, program: Program, wanted: Collection[int], stated: Mapping[Value, Stated]) -> None:
        self.builder = Builder()
        self.stated = stated
        self.builder.body = list(program.body)
        self.grads: dict[Value, Value] = {}
        #: Of a gradient that is 0 where a condition does not hold, or where it does: each such condition, outermost first.
        self.branches: dict[Value, tuple[tuple[Value, bool], ...]] = {}
        self.conditions: dict[tuple[object, ...], Value] = {}
        #: The values that depend on a wanted input.
        self.active: set[Value] = {program.inputs[i] for i in wanted}
        for instruction in program.body:
            if not self.active.isdisjoint(instruction.args):
                self.active.update(r for r in instruction.results if r.dtype.kind in "fc")

    def add(self, value: Value, g: Value) -> None:
        """Add to the gradient by a value. What came through the two branches of a choice is chosen from, not added up."""
        if value not in self.active:
            return
        before = self.grads.get(value)
        if before is None:
            self.grads[value] = g
            return
        ours, others = self.branches.get(before, ()), self.branches.get(g, ())
        n = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, others, strict=False)))
        if len(ours) > n < len(others) and ours[n][0] is others[n][0]:
            chosen = (before, g) if ours[n][1] else (g, before)
            total = self.builder.elementwise("where", ours[n][0], *chosen)
        else:
            total = self.builder.elementwise("add", before, g)
        self.grads[value] = total
        if n:
            self.branches[total] = ours[:n]

    def total(self, value: Value) -> Value:
        """The gradient by a value: zeros where nothing depends on it."""
        found = self.grads.get(value)
        return zeros(self.builder, value.shape, value.dtype) if found is None else found

    def pull(self, instruction: Instruction) -> None:
        """Pull the gradient by what an instruction gives back to its arguments."""
        if len(instruction.results) != 1:
            if any(r in self.grads for r in instruction.results):
                raise NoDerivative(f"no derivative of {instruction.name} is known")
            return
        (out,) = instruction.results
        g = self.grads.pop(out, None)
        if g is None:
            return
        builder = self.builder
        builder.line = instruction.line
        if out in self.stated:
            with np.errstate(all="ignore"):
                for arg, d in self.stated[out](builder, g):
                    self.add(arg, _fitted(builder, d, arg))
            return
        if instruction.name in STRUCTURE:
            for position, arg in enumerate(instruction.args):
                if arg in self.active:
                    d = STRUCTURE[instruction.name](builder, position, g, out, instruction)
                    self.add(arg, _fitted(builder, d, arg))
            return
        rules = RULES.get(instruction.name)
        if rules is None:
            if instruction.name in FLAT:
                return
            raise NoDerivative(f"no derivative of {instruction.name} is known")
        names = arguments(instruction.name)
        known = {n: self._operand(v) for n, v in zip(names, instruction.args, strict=False)}
        known |= {"g": Symbol(builder, g, shared=True), "out": Symbol(builder, out, shared=True)}
        for name, arg in zip(names, instruction.args, strict=False):
            rule = rules.get(name)
            if rule is not None and arg in self.active:
                needs = rule.__code__.co_varnames[: rule.__code__.co_argcount]
                with np.errstate(all="ignore"):
                    found = rule(*(known[n] for n in needs))
                d = _fitted(builder, array_of(builder, found).value, arg)
                if arg.shape == out.shape and d is not g:  # else there are sums between
                    branches = self.branches.get(g, ())
                    if instruction.name == "where" and instruction.args[0].shape == out.shape:
                        branches = (*branches, (self._condition(instruction.args[0]), name == "x"))
                    self.branches[d] = branches
                self.add(arg, d)

    def _condition(self, value: Value) -> Value:
        """The first condition that compares the same, where a formula says it twice."""
        if not isinstance(value, Result):
            return value
        numbers = [(a, number(a)) for a in value.instruction.args]
        return self.conditions.setdefault(
            (value.instruction.name, *(id(a) if n is None else n for a, n in numbers)), value
        )

    def _operand(self, value: Value) -> Symbol | float:
        """An argument as a rule is given it: a single constant is a Python number, so that rules see exponents."""
        if isinstance(value, Constant) and not value.shape and value.dtype.kind in "biuf":
            number: float = value.array.item()
            return number
        return Symbol(self.builder, value, shared=True)


def _fitted(builder: Builder, d: Value, arg: Value) -> Value:
    """A gradient in the shape and dtype of an argument: summed over the axes that were broadcast, or broadcast itself."""
    d = builder.cast(d, arg.dtype)
    if d.shape == arg.shape:
        return d
    lead = d.ndim - arg.ndim
    axes = tuple(i for i, n in enumerate(d.shape) if i < lead or (arg.shape[i - lead] == 1 and n != 1))
    if lead >= 0 and axes:
        d = builder.emit("reduce_add", d, axes=axes)
        d = builder.reshape(d, tuple(1 if arg.shape[i] == 1 else n for i, n in enumerate(arg.shape)))
    return builder.broadcast(d, arg.shape)


def zeros(builder: Builder, shape: Shape, dtype: DType) -> Value:
    """Zeros of a shape."""
    return builder.broadcast(Constant(np.zeros((), dtype)), shape)


# -- what is not elementwise -------------------------------------------------------------------------------------

#: Given a builder, the position of an argument, the gradient by the result, the result, and the instruction.
Structure = Callable[[Builder, int, Value, Value, Instruction], Value]


def _kept(shape: Sequence[int], axes: Iterable[int]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _spread(builder: Builder, value: Value, instruction: Instruction) -> Value:
    """What is there once per reduction, for each element of what it takes in."""
    (arg,) = instruction.args
    return builder.broadcast(builder.reshape(value, _kept(arg.shape, instruction.params["axes"])), arg.shape)


def _extreme(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    """Elements that are as large share the gradient."""
    (arg,) = instruction.args
    equal = builder.elementwise("equal", arg, _spread(builder, out, instruction))
    count = builder.emit("reduce_add", builder.cast(equal, arg.dtype), axes=instruction.params["axes"])
    share = _spread(builder, builder.elementwise("divide", g, count), instruction)
    return builder.elementwise("where", equal, share, 0)


def _product(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    a, b = instruction.args[-2:]
    ta, tb = bool(instruction.params.get("ta")), bool(instruction.params.get("tb"))
    if len(instruction.args) == 3 and position == 0:
        return g
    if position == len(instruction.args) - 2:
        made: Value = builder.emit("dot", b, g, ta=tb, tb=True) if ta else builder.emit("dot", g, b, tb=not tb)
    else:
        made = builder.emit("dot", g, a, ta=True, tb=ta) if tb else builder.emit("dot", a, g, ta=not ta)
    return made


def _joined(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    axis = instruction.params["axis"]
    begin = sum(a.shape[axis] for a in instruction.args[:position])
    end = begin + instruction.args[position].shape[axis]
    slices = tuple((begin, end, 1) if i == axis else (0, n, 1) for i, n in enumerate(g.shape))
    return builder.emit("slice", g, slices=slices)


def _barrier(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    after = instruction.args[1]
    return zeros(builder, after.shape, after.dtype) if position else g


def _slice(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    (arg,) = instruction.args
    return builder.emit("update", zeros(builder, arg.shape, g.dtype), g, slices=instruction.params["slices"])


def _update(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    slices = instruction.params["slices"]
    if position == 1:
        return builder.emit("slice", g, slices=slices)
    made = builder.emit("update", g, zeros(builder, instruction.args[1].shape, g.dtype), slices=slices)
    return made


def _take(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    arg, index = instruction.args
    template = (*(slice(None),) * instruction.params["axis"], Hole(0))
    return builder.emit("scatter_add", g, index, template=template, shape=arg.shape)


def _index(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    arg, *index = instruction.args
    return builder.emit("scatter_add", g, *index, template=instruction.params["template"], shape=arg.shape)


def _scatter_add(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    return builder.emit("index", g, *instruction.args[1:], template=instruction.params["template"])


def _put(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    _, value, *index = instruction.args
    template = instruction.params["template"]
    if position == 1:
        read = builder.emit("index", g, *index, template=template)
        # Of what is written to one place the last one stays: each is told by its number.
        numbers = Constant(np.arange(read.size).reshape(read.shape))
        kept = builder.emit("put", zeros(builder, out.shape, numbers.dtype), numbers, *index, template=template)
        stays = builder.elementwise("equal", builder.emit("index", kept, *index, template=template), numbers)
        return builder.elementwise("where", stays, read, 0)
    nothing = zeros(builder, value.shape, g.dtype)
    made = builder.emit("put", g, nothing, *index, template=template)
    return made


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


STRUCTURE: dict[str, Structure] = {
    "cast": lambda builder, position, g, out, instruction: g,
    "copy": lambda builder, position, g, out, instruction: g,
    "barrier": _barrier,
    "broadcast": lambda builder, position, g, out, instruction: g,  # which is summed up again, as everywhere
    "reshape": lambda builder, position, g, out, instruction: builder.reshape(g, instruction.args[0].shape),
    "transpose": lambda builder, position, g, out, instruction: builder.transpose(
        g, _inverse(instruction.params["axes"])
    ),
    "slice": _slice,
    "reduce_add": lambda builder, position, g, out, instruction: _spread(builder, g, instruction),
    "reduce_maximum": _extreme,
    "reduce_minimum": _extreme,
    "dot": _product,
    "dot_add": _product,
    "concatenate": _joined,
    "update": _update,
    "take": _take,
    "index": _index,
    "scatter_add": _scatter_add,
    "put": _put,
}

__all__ = ["NoDerivative", "pullback"]
