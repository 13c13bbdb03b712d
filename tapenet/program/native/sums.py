"""Sums over the same axes that are added: what they take in is added instead, and summed up once.

The gradient of what broadcasts is the sum of a sum for each place that read it: of 2,000 instructions on (128, 8, 4) and
(1, 1, 4) numbers 236, each a pass over memory of its own beside what the kernel computes.

Integers wrap around, and of floats nan and infinities come to the same in any order; other than by rounding a result differs
only where numbers on the way are too large or too small for the dtype, as it does with the order of a sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value, Write
from tapenet.program.native.kernels import fusible
from tapenet.program.passes.patterns import number
from tapenet.typing import Shape

#: Floats between one over this and this are factors of terms as well as of their sum.
FACTOR = 2.0**30


class _Kind(NamedTuple):
    """Of a sum, what is the same for those that become one.

    Attributes:
        axes: summed up.
        shape: of what is.
        stage: how many instructions are run by themselves before it. A term that is added behind one of these would be held
            in memory until then: of an unrolled recurrent layer that of every step.
        depth: how many reductions lie behind its term: kernels, or phases of one, follow each other.
        family: what its term is computed with, an array that stands for all of them.
    """

    axes: Shape
    shape: Shape
    stage: int
    depth: int
    family: Value


class _Term(NamedTuple):
    """What is added: a value, times a number, with the other sign if it is to be subtracted."""

    value: Value
    factor: Constant | None
    minus: bool

    def added(self, builder: Builder, before: _Term | None) -> _Term:
        """The term and one before it as one, to be subtracted only if both are: of zeros the result is not -0.0."""
        value = self.value if self.factor is None else builder.emit("multiply", self.value, self.factor)
        if before is None:
            return _Term(value, None, self.minus)
        if self.minus == before.minus:
            return _Term(builder.emit("add", before.value, value), None, self.minus)
        first, second = (before.value, value) if self.minus else (value, before.value)
        return _Term(builder.emit("subtract", first, second), None, False)


class _Tree(NamedTuple):
    """Sums and differences of values that nothing else reads.

    Attributes:
        groups: the sums that become one, by kind.
        rest: all else.
        inner: the instructions that it is made of, but the last and the sums.
    """

    groups: dict[_Kind, dict[Instruction, _Term]]
    rest: list[_Term]
    inner: list[Instruction]


def run(program: Program) -> Program:
    """Add first, and sum up then, where both sums belong to one kernel."""
    if sum(i.name == "reduce_add" for i in program.body) < 2:
        return program
    uses = program.uses()
    kinds = _kinds(program, uses)
    trees = dict(_trees(program, uses, kinds)) if len(set(kinds.values())) < len(kinds) else {}
    if not trees:
        return program
    gone = {i for tree in trees.values() for i in tree.inner}
    homes = {i: (root, kind) for root, tree in trees.items() for kind, group in tree.groups.items() for i in group}
    builder = Builder()
    replaced: dict[Value, Value] = {}
    #: What is to be summed up, so far, and how many terms that is.
    totals: dict[tuple[Instruction, _Kind], tuple[_Term, int]] = {}

    def now(value: Value) -> Value:
        return replaced.get(value, value)

    for instruction in program.body:
        builder.line = instruction.line
        if instruction in homes:
            root, kind = home = homes[instruction]
            group = trees[root].groups[kind]
            before, count = totals.get(home, (None, 0))
            total = group[instruction]._replace(value=now(instruction.args[0])).added(builder, before)
            if count + 1 == len(group):
                summed = builder.emit("reduce_add", total.value, axes=kind.axes)
                total = total._replace(value=builder.reshape(summed, root.results[0].shape))
            totals[home] = total, count + 1
        elif instruction in trees:
            tree, (result,) = trees[instruction], instruction.results
            terms = [totals[instruction, kind][0] for kind in tree.groups]
            terms += [t._replace(value=builder.reshape(now(t.value), result.shape)) for t in tree.rest]
            made: _Term | None = None
            for term in sorted(terms, key=lambda term: term.minus):  # first what is added
                made = term.added(builder, made)
            assert made is not None
            replaced[result] = builder.emit("negative", made.value) if made.minus else made.value
        elif instruction not in gone:
            args = tuple(map(now, instruction.args))
            if args == instruction.args:
                builder.body.append(instruction)
            else:
                results = builder.several(instruction.name, *args, **instruction.params)
                replaced.update(zip(instruction.results, results, strict=True))
    writes = [Write(target, now(value)) for target, value in program.writes]
    return Program(program.inputs, program.hosts, builder.body, map(now, program.outputs), writes)


def _kinds(program: Program, uses: dict[Value, int]) -> dict[Instruction, _Kind]:
    """The kind of each sum that one instruction reads."""
    families: dict[Value, Value] = {}

    def family(value: Value) -> Value:
        while (above := families.get(value, value)) is not value:
            families[value] = value = families.get(above, above)
        return value

    found: dict[Instruction, tuple[int, int]] = {}
    depth: dict[Value, int] = {}
    stage = 0
    for instruction in program.body:
        level = max((depth.get(a, 0) for a in instruction.args), default=0)
        if instruction.kind == "elementwise":
            (result,) = instruction.results
            for arg in instruction.args:
                if arg.shape == result.shape:
                    families[family(arg)] = family(result)
        elif instruction.name == "reduce_add" and fusible(instruction) and uses.get(instruction.results[0]) == 1:
            found[instruction] = stage, level
        stage += instruction.kind != "view" and not fusible(instruction)
        depth |= dict.fromkeys(instruction.results, level + (instruction.kind == "reduction"))
    return {i: _Kind(i.params["axes"], i.args[0].shape, *place, family(i.args[0])) for i, place in found.items()}


def _trees(
    program: Program, uses: dict[Value, int], kinds: dict[Instruction, _Kind]
) -> Iterator[tuple[Instruction, _Tree]]:
    """The last instruction of sums and differences, with what they are made of, where some of that becomes one."""
    inside: set[Instruction] = set()
    for instruction in reversed(program.body):
        if instruction in inside or not _is(instruction, "add", "subtract"):
            continue
        groups: dict[_Kind, dict[Instruction, _Term]] = {}
        rest: list[_Term] = []
        inner: list[Instruction] = []
        paths: dict[Instruction, list[Instruction]] = {}
        stack = list(_terms(instruction, _Term(instruction.results[0], None, False)))
        while stack:
            term, path = stack.pop(), []
            below = term
            while (maker := _own(below.value, uses)) and (simpler := _simpler(maker, below)):
                path.append(maker)
                below = simpler
            if maker in kinds:
                groups.setdefault(kinds[maker], {})[maker] = below
                paths[maker] = path
            elif maker is not None and _is(maker, "add", "subtract"):
                inner += [*path, maker]
                stack += _terms(maker, below)
            else:
                rest.append(term)
        inside.update(inner)
        for kind in [kind for kind, group in groups.items() if len(group) == 1]:
            ((reduction, term),) = groups.pop(kind).items()
            path = paths.pop(reduction)
            rest.append(term._replace(value=reduction.results[0]))
            inner += path
        if groups:
            yield instruction, _Tree(groups, rest, [*inner, *(i for path in paths.values() for i in path)])


def _own(value: Value, uses: dict[Value, int]) -> Instruction | None:
    """What computes a value that one instruction reads."""
    return value.instruction if isinstance(value, Result) and uses[value] == 1 else None


def _is(instruction: Instruction, *names: str) -> bool:
    """Whether it is a primitive of numbers of which none is repeated."""
    if instruction.name not in names:
        return False
    (result,) = instruction.results
    return result.dtype.kind in "iuf" and all(a.size == result.size for a in instruction.args)


def _terms(instruction: Instruction, term: _Term) -> Iterator[_Term]:
    """The two terms of a sum or a difference."""
    first, second = instruction.args
    yield term._replace(value=first)
    yield term._replace(value=second, minus=term.minus != (instruction.name == "subtract"))


def _simpler(instruction: Instruction, term: _Term) -> _Term | None:
    """A term without what is only a view of it, or changes its sign or its factor."""
    value, *others = instruction.args
    if instruction.name == "reshape":
        return term._replace(value=value)
    if _is(instruction, "negative"):
        return term._replace(value=value, minus=not term.minus)
    if instruction.name == "multiply" and term.factor is None and value.dtype.kind in "iuf":
        for a, b in ((value, *others), (*others, value)):
            factor = number(b)
            if factor is None or a.size != instruction.results[0].size:
                continue
            if factor.dtype.kind != "f" or 1 / FACTOR <= abs(float(factor)) <= FACTOR:
                return term._replace(value=a, factor=Constant(factor))
    return None
