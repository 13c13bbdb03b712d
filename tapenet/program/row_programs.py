"""Programs that work row by row: elementwise steps, and sums, largest and smallest elements of rows.

The formulas of activations, losses and normalisations are of this kind. All their large values have as many elements, those
of the domain. Some of its axes make a row, the others count rows; where nothing is reduced row by row the whole domain is
one run of elements. Every value is of one class: full (one number per element), row (one per row), column (one per place in a
row), segment (one per row and place along the first axes of a row), or single.

What a sum over all rows gives is late: known only when all rows are done. What is computed of late values is left to NumPy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from tapenet.llvm.reductions import reducible
from tapenet.llvm.scalar import COST, can
from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes import simplify
from tapenet.typing import Shape

FULL, ROW, COLUMN, SEGMENT, SINGLE = "full", "row", "column", "segment", "single"
#: A value is computed again in a later pass over its row, rather than kept, if that costs no more than this.
CHEAP = 3
#: Lengths of a run for which rows that have several runs, with those of other rows between, are taken side by side, and how
#: many numbers there are then at least. Batch norm of 64 x 512 x 2 x 2 takes 0.11 of the time so, with gradients 0.13,
#: of 64 x 512 x 4 x 4 0.3 and 0.6; of 64 x 16 x 4 x 4 it would take 2.9 and 2.3.
PARTS, LEAST = (2, 4, 8, 16), 1 << 15
#: Axes of the domain: of those that are longer than one.
Axes = frozenset[int]


class NotByRows(Exception):
    """A program is of another kind."""


class Rows:
    """A program, read as one that works row by row.

    Attributes:
        program: the program.
        domain: the shape of its full values, or of those of them with most axes.
        axes: of the domain, those longer than one, from the slowest in memory to the fastest.
        flat: whether there are no rows: the domain is one run of elements.
        across: whether rows lie side by side in memory, and not the elements of one.
        parts: how many of what lies side by side are one row, if that is more than one.
        rows: the axes that count rows; the last ones, of rows side by side, are `run`.
        segments: the first axes of a row, where it is not one run of elements.
        run: the axes of what lies side by side in memory: of elements of a row, or of rows.
        tiles: the last axes that count rows, where arguments or sums differ along these and along a row: what a column is
            comes again after so many rows.
        kind: the class of each value.
        source: what a value shows: itself, or what lies behind views.
        over: the axes along which a value differs.
        phase: the pass over the row in which a full value, or a row's, is ready.
        reads: the instructions that read one place of each row, and of what: the place, and the axis of the domain that it is
            along, None if it is one in a table.
        members: the instructions that run in the kernel, in order.
        late: those that run when all rows are done, in order.
        sums: the reductions over all rows, in order.
        kept: full values that are kept from one pass to later ones.
    """

    def __init__(self, program: Program, order: Shape | None = None, outer: int | None = None) -> None:
        """Read a program.

        Args:
            program: a simplified one.
            order: how full values lie in memory: the axes of the first that is given, from the slowest to the fastest. By
                default row by row.
            outer: how many axes count rows, where that is given.

        Raises:
            NotByRows: it is of another kind.
        """
        self.program = program
        self.outer = outer
        self.domain = _domain(program)
        self.size = math.prod(self.domain)
        self.axes = [i for i, n in enumerate(self.domain) if n != 1]
        if order is not None:
            first = next(v for v in program.inputs if v.size == self.size)
            merged = self.merged(first.shape)
            self.axes = [i for at in order for i in sorted(merged[at])]
        self.reads = {i: self._read_at(i) for i in program.body if i.kind == "movement"}
        self.over = self._places()
        error = NotByRows("no full value")
        for inner in self._choices():
            try:
                self._divide(inner)
                self._read()
            except NotByRows as e:
                error = e
            else:
                self.kept = self._crossing()
                return
        raise error

    # -- axes ----------------------------------------------------------------------------------------------------

    def merged(self, shape: Shape) -> list[list[int]]:
        """The axes of the domain that each axis of a full value in another shape stands for."""
        rest = [i for i, n in enumerate(self.domain) if n != 1]
        found: list[list[int]] = []
        for n in shape:
            own: list[int] = []
            while math.prod(self.domain[i] for i in own) < n and rest:
                own.append(rest.pop(0))
            if math.prod(self.domain[i] for i in own) != n:
                raise NotByRows(f"full values of shapes {shape} and {self.domain}")
            found.append(own)
        return found

    def _placed(self, shape: Shape, full: Shape) -> Axes:
        """The axes along which a value differs that is broadcast to a full value."""
        merged = self.merged(full)[len(full) - len(shape) :]
        return frozenset(i for n, own in zip(shape, merged, strict=True) if n != 1 for i in own)

    def _read_at(self, instruction: Instruction) -> tuple[Value, int | None]:
        """Where an `index` reads one element of each row of an argument, or a `take` one of a table."""
        if instruction.name not in ("index", "take"):
            raise NotByRows(instruction.name)
        whole, *index = instruction.args
        (place, *more) = [i for i in index if not isinstance(i, Constant)] or index
        grid = [i.array for i in index if isinstance(i, Constant)]
        table = instruction.name == "take" and whole.ndim == 1
        rows = len(index) == whole.ndim > 1 and whole.shape == self.domain and whole.size == self.size
        alike = len(grid) == place.ndim and all(map(np.array_equal, grid, np.ogrid[tuple(map(slice, place.shape))]))
        if more or place.dtype != np.int64 or whole not in self.program.inputs or not (table or (rows and alike)):
            raise NotByRows(f"{instruction.name} of {whole.shape}")
        return place, None if table else index.index(place)

    def needs(self, instruction: Instruction) -> Sequence[Value]:
        """What an instruction needs to be known: not all of what it reads a place of."""
        return self.reads[instruction][:1] if instruction in self.reads else instruction.args

    def _places(self) -> dict[Value, Axes]:
        """The axes along which values differ, as far as it is known how they lie to full ones."""
        whole = frozenset(self.axes)
        over: dict[Value, Axes] = {}

        def say(value: Value, axes: Axes | None) -> bool:
            if axes is None or value.size == 1 or over.get(value) == axes:
                return False
            if value in over:
                raise NotByRows(f"a value of shape {value.shape} is used in two ways")
            over[value] = axes
            return True

        changed = True
        while changed:
            changed = False
            for instruction in self.program.body:
                (result,), args = instruction.results, instruction.args
                if instruction in self.reads:
                    place, axis = self.reads[instruction]
                    known = over.get(result, over.get(place)) if axis is None else whole - {axis}
                    for value in (result, place):
                        changed |= say(value, known)
                elif instruction.kind == "reduction":
                    if args[0].size == self.size and instruction.params.get("axes") is not None:
                        changed |= say(result, whole - self._reduced(instruction))
                elif result.size == self.size:
                    for arg in args:
                        changed |= say(arg, whole if arg.size == self.size else self._placed(arg.shape, result.shape))
                else:
                    alike = [v for v in (result, *args) if v.size == result.size]
                    known = next((over[v] for v in alike if v in over), None)
                    for value in alike:
                        changed |= say(value, known)
        over.update((v, whole) for v in self.program.values() if v.size == self.size)
        return over

    def _reduced(self, instruction: Instruction) -> Axes:
        """The axes of the domain over which a full value is reduced."""
        merged = self.merged(instruction.args[0].shape)
        return frozenset(i for axis in instruction.params["axes"] for i in merged[axis])

    def _choices(self) -> Iterator[Axes]:
        """The sets of axes that may make a row: none first, then those that lie side by side, then others, then all."""
        whole = frozenset(self.axes)
        if self.outer is not None:
            yield frozenset(i for i in self.axes if i >= self.outer)
            return
        trailing = [frozenset(self.axes[i:]) for i in range(len(self.axes) - 1, 0, -1)]
        found = dict.fromkeys(axes for own in self.over.values() for axes in (own, whole - own))
        yield frozenset()
        yield from [axes for axes in trailing if axes in found]
        yield from [axes for axes in found if axes not in (*trailing, whole, frozenset())]
        yield whole

    def _divide(self, inner: Axes) -> None:
        """Take some axes for those of a row."""
        self.flat = not inner
        self.inner = inner
        runs = [(own, list(axes)) for own, axes in itertools.groupby(self.axes, inner.__contains__)]
        pattern = "".join("A" if own else "R" for own, _ in runs)
        first, *rest = [axes for _, axes in runs] or [[]]
        self.across = pattern in ("AR", "RAR")
        self.parts = 1
        self.rows: list[int] = []
        self.segments: list[int] = []
        self.tiles: list[int] = []
        if self.flat:
            self.run = self.axes
        elif pattern == "A":
            self.run = first
        elif pattern == "RA":
            self.rows, self.run = first, rest[0]
            # What differs along the first axes of a row alone makes segments of them.
            parts = [axes & inner for axes in self.over.values() if axes & inner < inner]
            most = max((len(part) for part in parts), default=0)
            self.segments, self.run = self.run[:most], self.run[most:]
            if not self.segments and self.outer is None:
                self.tiles = self._tiled()
        elif pattern == "ARA" and self.size >= LEAST and math.prod(self.lengths(rest[1])) in PARTS:
            self.across, self.parts = True, math.prod(self.lengths(rest[1]))
            self.segments, self.run = first, [*rest[0], *rest[1]]
        elif pattern == "ARA":
            self.segments, self.rows, self.run = first, *rest
        elif pattern == "AR":
            self.segments, self.run = first, rest[0]
        elif pattern == "RAR":
            self.rows, self.segments, self.run = first, *rest
        else:
            raise NotByRows(f"rows along the axes {sorted(inner)} of {self.domain}")
        if self.across:
            self.rows = [*self.rows, *self.run]

    def _tiled(self) -> list[int]:
        """The last axes that count rows, from the first along which a value differs that differs along a row too."""
        whole = frozenset(self.axes)
        mixed = [axes - self.inner for axes in self.over.values() if axes < whole and axes & self.inner]
        first = min((self.rows.index(i) for axes in mixed for i in axes), default=0)
        return self.rows[first:] if first else []

    def lengths(self, axes: Sequence[int]) -> Shape:
        """The lengths of axes."""
        return tuple(self.domain[i] for i in axes)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.lengths(self.rows))

    @property
    def length(self) -> int:
        """How many elements, or rows, lie side by side."""
        return math.prod(self.lengths(self.run))

    @property
    def turns(self) -> int:
        """How many segments a row has."""
        return math.prod(self.lengths(self.segments))

    @property
    def own(self) -> list[int]:
        """The axes that count rows and are not of one, in memory's order: those of a result of one number per row."""
        return [i for i in self.rows if i not in self.inner]

    def table(self, kind: str) -> list[int]:
        """The axes of an array that holds values of a class, as the kernel reads it."""
        if kind == SEGMENT:
            return [*self.rows[: len(self.rows) - len(self.run) * self.across], *self.segments]
        columns = self.segments if self.across else [*self.tiles, *self.segments, *self.run]
        return {FULL: self.axes, ROW: self.rows, COLUMN: columns, SINGLE: []}[kind]

    def repeated(self, value: Value) -> tuple[int, int] | None:
        """How an argument of a class lies to its table: how many numbers it has, and how often each stands in a row there
        before the next, after the last of which the first comes again. None where they are in another order."""
        axes, table = sorted(self.over.get(value, ())), self.table(self.kind[value])
        if not axes:
            return 1, 1
        begin = table.index(axes[0])
        end = begin + len(axes)
        size, each = math.prod(self.lengths(axes)), math.prod(self.lengths(table[end:]))
        moves = self.kind[value] == (ROW if self.across else COLUMN)
        if table[begin:end] != axes or (moves and (each > 1 or size % self.length)):
            return None
        return size, each

    # -- classes -------------------------------------------------------------------------------------------------

    def _given(self, value: Value) -> str:
        """The class of an input or constant."""
        if value.size == 1:
            return SINGLE
        axes = self.over.get(value)
        if axes is None:  # full values do not depend on it
            self._late.add(value)
            return COLUMN
        if value.size == self.size:
            return FULL
        for kind in () if self.flat else (ROW, COLUMN, SEGMENT):
            if axes.issubset(self.table(kind)):
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
            if any(self.source[a] in self._late for a in self.needs(instruction)):
                if result.size == self.size > 1 or any(a.size == self.size > 1 for a in instruction.args):
                    raise NotByRows("rows use what is known when all are done")
                self.late.append(instruction)
                self._late.add(result)
                self.kind[result], self.source[result] = SINGLE, result
            elif instruction in self.reads:
                place, axis = self.reads[instruction]
                if self.kind[place] != ROW or self.phase[place] or (axis is not None and self.inner != {axis}):
                    raise NotByRows(f"places {place.spec}")
                self.kind[result], self.source[result], self.phase[result] = ROW, result, 0
                self.members.append(instruction)
            elif instruction.kind == "view":
                self._view(instruction, result)
            elif instruction.kind == "reduction":
                self._reduction(instruction, result)
            else:
                self._elementwise(instruction, result)
        if not self.members and not self.sums:
            raise NotByRows("nothing is computed")
        self._settle()

    def _settle(self) -> None:
        """Leave to NumPy what is computed of late values, and outputs that no row is needed for."""
        for value in self.program.outputs:
            if not self._by_row(value):
                self._late.add(self.source[value])
        needed: set[Instruction] = set()
        for value in (*self.program.outputs, *(a for i in self.late for a in i.args)):
            if self.source[value] in self._late:
                stack = [value]
                while stack:
                    v = stack.pop()
                    if isinstance(v, Result) and v.instruction not in needed and v.instruction not in self.sums:
                        needed.add(v.instruction)
                        stack += v.instruction.args
        for instruction in needed:
            if any(self.kind[a] in (FULL, ROW) and a not in self.program.inputs for a in instruction.args):
                raise NotByRows("rows use what is known when all are done")
        self.late = [i for i in self.program.body if i in needed]

    def _by_row(self, value: Value) -> bool:
        """Whether an output is known row by row, or late."""
        if value.size == self.size or self.source[value] in self._late:
            return True
        axes = self.over.get(value, frozenset())
        return self.kind[value] == ROW and axes.issubset(self.own) and value.size * self.parts == self.count

    def _view(self, instruction: Instruction, result: Value) -> None:
        (arg,) = instruction.args
        if instruction.name not in ("reshape", "broadcast") or result.size not in (arg.size, self.size):
            raise NotByRows(f"{instruction.name} from {arg.shape} to {result.shape}")
        if result.size == self.size:
            self.merged(result.shape)
            if arg.size != result.size or arg in self.spread:
                self.spread.add(result)
        self._shows(result, arg)

    def _shows(self, result: Value, arg: Value) -> None:
        self.kind[result], self.source[result], self.phase[result] = self.kind[arg], self.source[arg], self.phase[arg]

    def _reduction(self, instruction: Instruction, result: Value) -> None:
        (arg,) = instruction.args
        axes = instruction.params.get("axes")
        if axes is None or not reducible(instruction.name, arg.dtype):
            raise NotByRows(f"{instruction.name} of {arg.dtype}")
        full = arg.size == self.size > 1
        reduced = self._reduced(instruction) if full else frozenset()
        if full and not reduced:
            self._shows(result, arg)
            return
        self.source[result] = result
        self.phase[result] = self.phase[arg]
        left = frozenset(self.axes) - reduced
        if full and not self.flat and left == frozenset(self.own):
            self.kind[result] = ROW
            self.phase[result] += 1
            self.members.append(instruction)
            return
        if instruction.name != "reduce_add" or arg.dtype.char not in "fd":
            raise NotByRows(f"{instruction.name} over {axes} of {arg.shape}")
        if full:
            kinds = (k for k in (SINGLE, COLUMN, SEGMENT) if left.issubset(self.table(k)) and not self.flat * len(left))
            kind = next(kinds, None)
        else:
            whole = self.kind[arg] == ROW and axes == tuple(range(arg.ndim)) and self.parts == 1
            kind = SINGLE if whole else None
        if kind is None:
            raise NotByRows(f"{instruction.name} over {axes} of {arg.shape}")
        self.kind[result] = kind
        self.sums.append(instruction)
        self._late.add(result)

    def _elementwise(self, instruction: Instruction, result: Value) -> None:
        if not can(instruction.name, tuple(a.dtype for a in instruction.args), result.dtype):
            raise NotByRows(f"{instruction.name} of {instruction.args[0].dtype}")
        kinds = {self.kind[a] for a in instruction.args} - {SINGLE}
        if result.size == self.size:
            kind = FULL if len(kinds) > 1 else kinds.pop() if kinds else SINGLE
            if kind != FULL:
                self.spread.add(result)
        else:
            kind = kinds.pop() if kinds else SINGLE
            if kinds or any(a in self.spread or (a.size > 1 and a not in self.over) for a in instruction.args):
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
        """The instructions that are computed for each element: those of columns and segments too."""
        for member in self.members:
            if member.kind == "elementwise" and self.kind[member.results[0]] in (FULL, COLUMN, SEGMENT):
                yield member

    def outputs(self) -> Iterator[tuple[int, Value]]:
        """The full results, with their positions; also what is the same for many elements."""
        for i, value in enumerate(self.program.outputs):
            if self.source[value] not in self._late and value.size == self.size:
                yield i, value

    def row_outputs(self) -> Iterator[tuple[int, Value]]:
        """Results of one number per row, with their positions."""
        for i, value in enumerate(self.program.outputs):
            if self.source[value] not in self._late and value.size != self.size:
                yield i, value

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


def _domain(program: Program) -> tuple[int, ...]:
    shapes: list[tuple[int, ...]] = [()]
    for instruction in program.body:
        if len(instruction.results) != 1 or instruction.kind not in ("elementwise", "view", "reduction", "movement"):
            raise NotByRows(instruction.name)
        shapes += [v.shape for v in (*instruction.args, *instruction.results)]
    return max(shapes, key=lambda shape: (math.prod(shape), len(shape)))


def by_rows(program: Program, order: Shape | None = None, outer: int | None = None) -> Rows:
    """A simplified program, read as one that works row by row (`Rows`), with as few passes over a row as there can be.

    Raises:
        NotByRows: it is of another kind.
    """
    rows = Rows(program, order, outer)
    if rows.phases <= 2:
        return rows
    other = Rows(simplify(rewrite(program, _sums_apart)), order, outer)
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


__all__ = ["COLUMN", "FULL", "ROW", "SEGMENT", "SINGLE", "NotByRows", "Rows", "by_rows", "is_literal"]
