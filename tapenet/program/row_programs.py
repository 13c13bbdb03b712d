"""Programs that work row by row: elementwise steps, and sums, largest and smallest elements of rows.

The formulas of activations, losses and normalisations are of this kind. All their large values have one shape, the domain.
Its leading axes count rows, the others make a row; where nothing is reduced row by row the whole domain is one run of elements.
Every value is of one class: full (one number per element), row (one per row), column (one per place in a row), or single.

What a sum over all rows gives is late: known only when all rows are done. What is computed of late values is left to NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from tapenet.native.loops import reducible
from tapenet.native.scalar import COST, can
from tapenet.program.ir import Builder, Constant, Input, Instruction, Program, Result, Value, rewrite, substitute
from tapenet.program.passes import dead, simplify

FULL, ROW, COLUMN, SINGLE = "full", "row", "column", "single"
#: A value is computed again in a later pass over its row, rather than kept, if that costs no more than this.
CHEAP = 3


class NotByRows(Exception):
    """A program is of another kind."""


class Waits(NotByRows):
    """Rows use what is known when all of them are done."""


class Rows:
    """A program, read as one that works row by row.

    Attributes:
        program: the program.
        domain: the shape of its full values.
        split: how many leading axes count rows. 0: the domain is one row.
        flat: whether there are no rows: the domain is one run of elements.
        kind: the class of each value.
        source: what a value shows: itself, or what lies behind views.
        phase: the pass over the row in which a full value, or a row's, is ready.
        members: the instructions that run in the kernel, in order.
        late: those that run when all rows are done, in order.
        sums: the reductions over all rows, in order.
        kept: full values that are kept from one pass to later ones.
    """

    def __init__(self, program: Program) -> None:
        """Read a program.

        Raises:
            NotByRows: it is of another kind.
        """
        self.program = program
        self.domain = _domain(program)
        rank = len(self.domain)
        error: NotByRows | None = None
        for flat, split in [(True, rank), *((False, s) for s in range(rank - 1, -1, -1))]:
            self.flat, self.split = flat, split
            try:
                self._read()
            except NotByRows as e:
                error = e if error is None or isinstance(e, Waits) else error
            else:
                self.kept = self._crossing()
                return
        raise error or NotByRows("no full value")

    @property
    def count(self) -> int:
        """How many rows there are."""
        return 1 if self.flat else math.prod(self.domain[: self.split])

    @property
    def length(self) -> int:
        """The length of a row, or of all."""
        return math.prod(self.domain) if self.flat else math.prod(self.domain[self.split :])

    # -- classes -------------------------------------------------------------------------------------------------

    def _shape(self, kind: str) -> tuple[int, ...]:
        rows = self.domain[: self.split] if kind in (FULL, ROW) else (1,) * self.split
        rest = self.domain[self.split :]
        return (*rows, *(rest if kind in (FULL, COLUMN) else (1,) * len(rest)))

    def _fits(self, shape: tuple[int, ...], kind: str) -> bool:
        """Whether a value of a shape, broadcast to the domain, has that class."""
        return (1,) * (len(self.domain) - len(shape)) + shape == self._shape(kind)

    def _given(self, value: Value) -> str:
        """The class of an input or constant."""
        if value.size == 1:
            return SINGLE
        for kind in (FULL, COLUMN, ROW):
            if self._fits(value.shape, kind) or (kind == ROW and value.shape == self.domain[: self.split]):
                return kind
        raise NotByRows(f"an argument of shape {value.shape} beside {self.domain}")

    def _read(self) -> None:
        program = self.program
        self.kind: dict[Value, str] = {}
        self.source: dict[Value, Value] = {}
        self.phase: dict[Value, int] = {}
        self.spread: set[Value] = set()
        self.members: list[Instruction] = []
        self.late: list[Instruction] = []
        self.sums: list[Instruction] = []
        self._late: set[Value] = set()
        for value in (*program.inputs, *program.constants):
            self.kind[value], self.source[value], self.phase[value] = self._given(value), value, 0
        for instruction in program.body:
            (result,) = instruction.results
            if any(self.source[a] in self._late for a in instruction.args):
                if any(self.kind[a] not in (SINGLE, COLUMN) for a in instruction.args if a not in self._late):
                    raise Waits("rows use what is known when all are done")
                self.late.append(instruction)
                self._late.add(result)
                self.kind[result], self.source[result] = SINGLE, result
            elif instruction.kind == "view":
                self._view(instruction, result)
            elif instruction.kind == "reduction":
                self._reduction(instruction, result)
            else:
                self._elementwise(instruction, result)
        small = [v for v in program.outputs if not self._by_row(v)]
        beside = {i for v in small for i in _makers(v)}
        if beside:  # what no row is needed for is left to NumPy
            self.late = [i for i in program.body if i in beside or i in self.late]
        self._late.update(self.source[v] for v in small)
        if not self.members and not self.sums:
            raise NotByRows("nothing is computed")

    def _by_row(self, value: Value) -> bool:
        """Whether an output is known row by row, or late."""
        kind = self.kind[value]
        return (
            self.source[value] in self._late or kind in (FULL, ROW) or (kind == SINGLE and value.shape == self.domain)
        )

    def _view(self, instruction: Instruction, result: Value) -> None:
        (arg,) = instruction.args
        kind, source = self.kind[arg], self.source[arg]
        if result.size == arg.size and instruction.name in ("reshape", "broadcast") and arg not in self.spread:
            if kind == FULL and result.shape != self.domain:
                raise NotByRows("a full value in another shape")
        elif instruction.name == "broadcast" and result.shape == self.domain and self._aligned(arg, kind):
            self.spread.add(result)
        else:
            raise NotByRows(f"{instruction.name} from {arg.shape} to {result.shape}")
        self.kind[result], self.source[result], self.phase[result] = kind, source, self.phase[arg]

    def _aligned(self, value: Value, kind: str) -> bool:
        return value in self.spread or self._fits(value.shape, kind) or value.size == 1

    def _reduction(self, instruction: Instruction, result: Value) -> None:
        (arg,) = instruction.args
        axes = instruction.params.get("axes")
        if axes is None or not reducible(instruction.name, arg.dtype):
            raise NotByRows(f"{instruction.name} of {arg.dtype}")
        self.source[result] = result
        self.phase[result] = self.phase[arg]
        full = arg.shape == self.domain and not self.flat
        if full and self._long(axes) == self._long(range(self.split, len(self.domain))):
            self.kind[result] = ROW
            self.phase[result] += 1
            self.members.append(instruction)
            return
        everything = axes == tuple(range(arg.ndim))
        columns = full and self._long(axes) == self._long(range(self.split))
        if instruction.name != "reduce_add" or arg.dtype.char not in "fd" or not (everything or columns):
            raise NotByRows(f"{instruction.name} over {axes} of {arg.shape}")
        if arg.shape != self.domain and self.kind[arg] != ROW:
            raise NotByRows("a sum of what is the same for all rows")
        self.kind[result] = COLUMN if columns else SINGLE
        self.sums.append(instruction)
        self._late.add(result)

    def _long(self, axes: Iterable[int]) -> set[int]:
        """The axes of the domain among these that have more than one element."""
        return {i for i in axes if self.domain[i] != 1}

    def _elementwise(self, instruction: Instruction, result: Value) -> None:
        if not can(instruction.name, tuple(a.dtype for a in instruction.args), result.dtype):
            raise NotByRows(f"{instruction.name} of {instruction.args[0].dtype}")
        kinds = {self.kind[a] for a in instruction.args} - {SINGLE}
        kind = SINGLE if not kinds else kinds.pop() if len(kinds) == 1 else FULL
        if kind == FULL or result.shape == self.domain:
            if result.shape != self.domain or not all(self._aligned(a, self.kind[a]) for a in instruction.args):
                raise NotByRows(f"{instruction.name} in shape {result.shape}")
            if kind != FULL:
                self.spread.add(result)
        elif any(a.size not in (1, result.size) or a in self.spread for a in instruction.args):
            raise NotByRows(f"{instruction.name} in shape {result.shape}")
        self.kind[result], self.source[result] = kind, result
        self.phase[result] = max(self.phase[a] for a in instruction.args)
        self.members.append(instruction)

    # -- passes over a row ---------------------------------------------------------------------------------------

    @property
    def phases(self) -> int:
        """How many passes there are over a row."""
        return 1 + max([self.phase[v] for v in self.phase if v not in self._late], default=0)

    def full(self) -> Iterator[Instruction]:
        """The instructions that are computed for each element: columns too."""
        for member in self.members:
            if member.kind == "elementwise" and self.kind[member.results[0]] in (FULL, COLUMN):
                yield member

    def outputs(self) -> Iterator[tuple[int, Value]]:
        """The full results, with their positions; also what is the same for many elements."""
        for i, value in enumerate(self.program.outputs):
            if self.source[value] not in self._late and value.shape == self.domain:
                yield i, value

    def row_outputs(self) -> Iterator[tuple[int, Value]]:
        """Results of one number per row, with their positions."""
        for i, value in enumerate(self.program.outputs):
            if self.source[value] not in self._late and value.shape != self.domain:
                yield i, value

    def is_late(self, value: Value) -> bool:
        """Whether a value is known when all rows are done."""
        return self.source[value] in self._late

    def cost(self) -> float:
        """What one element costs, where an addition is 1."""
        return sum(COST.get(m.name, 1) for m in self.members if self.kind[m.results[0]] != ROW) or 1.0

    def _crossing(self) -> set[Value]:
        """The full values that are used in a later pass and cost too much to be computed again."""
        price: dict[Value, float] = {}
        for member in self.full():
            below = sum(price.get(self.source[a], 0.0) for a in member.args)
            price[member.results[0]] = COST.get(member.name, 1) + below
        found: set[Value] = set()

        def use(value: Value, phase: int) -> None:
            source = self.source[value]
            if price.get(source, 0.0) > CHEAP and self.phase[source] < phase and self.kind[source] == FULL:
                found.add(source)

        for member in self.members:
            phase = self.phase[member.results[0]] - (member.kind == "reduction")
            for arg in member.args:
                use(arg, phase)
        return found


def _makers(value: Value) -> Iterator[Instruction]:
    """The instructions that a value is computed by."""
    stack, seen = [value], {value}
    for v in stack:  # grows while it is walked over
        if isinstance(v, Result):
            yield v.instruction
            stack += [a for a in v.instruction.args if a not in seen]
            seen.update(v.instruction.args)


def cut(program: Program) -> tuple[Program, Program]:
    """A program in two parts: the sums over all rows that need no other such sum, and the rest, which takes them as inputs
    after those of the program."""
    domain = _domain(program)
    found: list[Value] = []
    after: set[Value] = set()
    for instruction in program.body:
        (result,) = instruction.results
        if not after.isdisjoint(instruction.args):
            after.add(result)
        elif (
            instruction.name == "reduce_add"
            and instruction.args[0].shape == domain
            and instruction.params["axes"][0] == 0
        ):
            found.append(result)
            after.add(result)
    if not found:
        raise NotByRows("rows use what is known when all are done")
    given = {value: Input(value.shape, value.dtype) for value in found}
    first = dead.run(Program(program.inputs, [], program.body, found, []))
    rest = substitute(program, given)
    return first, dead.run(Program([*program.inputs, *given.values()], [], rest.body, rest.outputs, []))


def _domain(program: Program) -> tuple[int, ...]:
    shapes: list[tuple[int, ...]] = [()]
    for instruction in program.body:
        if len(instruction.results) != 1 or instruction.kind not in ("elementwise", "view", "reduction"):
            raise NotByRows(instruction.name)
        shapes += [v.shape for v in (*instruction.args, *instruction.results)]
    return max(shapes, key=lambda shape: (math.prod(shape), len(shape)))


def by_rows(program: Program) -> Rows:
    """A simplified program, read as one that works row by row, with as few passes over a row as there can be.

    Raises:
        NotByRows: it is of another kind.
    """
    rows = Rows(program)
    if rows.phases <= 2:
        return rows
    other = Rows(simplify(rewrite(program, _sums_apart)))
    return other if other.phases < rows.phases else rows


def _sums_apart(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
    """A row's sum of terms as sums of each, and factors that are one per row outside: then a sum need not wait for such a
    factor, which may come from another sum, and both are taken in one pass."""
    if instruction.name != "reduce_add" or args[0].dtype.kind != "f":
        return None
    axes = instruction.params["axes"]

    def total(value: Value) -> Value | None:
        """The sum, taken apart; None where it cannot be."""
        maker = value.instruction if isinstance(value, Result) else None
        if maker is None or maker.name not in ("add", "negative", "multiply", "divide"):
            return None
        full = [a for a in maker.args if a.shape == value.shape]
        if maker.name in ("add", "negative"):
            return builder.elementwise(maker.name, *map(whole, full)) if len(full) == len(maker.args) else None
        others = [a for a in maker.args if a.ndim == value.ndim and all(a.shape[i] == 1 for i in axes)]
        if len(full) != 1 or len(others) != 1 or (maker.name == "divide" and maker.args[0] is not full[0]):
            return None
        shape = tuple(n for i, n in enumerate(others[0].shape) if i not in axes)
        return builder.elementwise(maker.name, whole(full[0]), builder.reshape(others[0], shape))

    def whole(value: Value) -> Value:
        made: Value | None = total(value)
        if made is None:
            made = builder.emit("reduce_add", value, axes=axes)
        return made

    return total(args[0])


def is_literal(value: Value) -> bool:
    """Whether a constant stands in the code itself: integers, and the floats that arithmetic simplifies for. Other numbers
    are given to the code, so that one serves for all options."""
    if not isinstance(value, Constant) or value.size != 1:
        return False
    number = value.array.item()
    return value.dtype.kind != "f" or number in (0, 1, -1, 2, 0.5) or not np.isfinite(number)


__all__ = ["COLUMN", "FULL", "ROW", "SINGLE", "NotByRows", "Rows", "Waits", "by_rows", "cut", "is_literal"]
