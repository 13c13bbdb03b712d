"""Kernels of programs that work row by row: called with arrays, they give new arrays."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tapenet.kernels import aligned
from tapenet.llvm import rehearsal, sharing, workers
from tapenet.llvm.tasks import Task
from tapenet.llvm.toolchain import Library, build
from tapenet.program import generated, numpy_code
from tapenet.program.ir import Constant, Input, Program, Value, substitute
from tapenet.program.native import entry
from tapenet.program.row_code import BlockSum, RowCode, Split
from tapenet.program.row_programs import SEGMENT, NotByRows, by_rows
from tapenet.typing import Array, Shape

#: Bytes of a result from which it pays to have it begin with a cache line.
SLOW = 1 << 17
#: Multiply-adds in the time that it takes to read or write a byte, between that from a cache and that from memory.
READ = 1
_DOUBLE = np.dtype(np.float64)


@functools.lru_cache(maxsize=512)
def _library(text: str) -> Library:
    return build(text)


class RowKernel:
    """The kernel of a simplified program: `kernel(*arrays)` gives the list of its results as new arrays.

    Full arguments lie in memory as `order` says (`Rows`), or are copied; so do full results. Others are in row-major order.

    Raises:
        NotByRows: the program does not work row by row.
    """

    def __init__(self, program: Program, order: Shape | None = None, split: Split | None = None) -> None:
        rows = self.rows = by_rows(program, order, None if split is None else split[0])
        if split is not None and rows.flat:
            raise NotByRows("parts without rows")
        self.order = order
        #: The axes of results in memory's order, from the first of the array to the last.
        self._back = None if order is None else sorted(range(len(order)), key=order.__getitem__)
        self.program = rows.program
        code = RowCode(rows, split)
        parts = self.parts = code.parts
        text = code.text()
        self.quick = entry.usable()
        sizes = len(parts.outputs), len(parts.sums), len(parts.inputs), len(parts.kept)
        if self.quick:
            text += "\n" + entry.direct(*sizes)
        kinds = [sharing.POINTER, sharing.EACH, sharing.POINTER, sharing.SCRATCH]
        parameters = [kind for kind, count in zip(kinds, sizes, strict=True) for _ in range(count)]
        parameters += [sharing.POINTER, sharing.BEGIN, sharing.END, *[sharing.INTEGER] * 3]
        text += "\n" + sharing.text("rows", parameters)
        # Made once, also where several threads are the first to call.
        self._library, self._direct = Task(partial(_library, text)), Task(self._function)
        self._numbers = np.array([float(n.array.item()) for n in parts.numbers] or [0.0])
        self._run = sharing.Shared(self._library.result, "rows", parameters)
        self.end = rows.length if rows.flat else rows.count
        if rows.across:
            self.end = rows.count // rows.length * -(-rows.length // code.together)
        self._lengths = rows.length, rows.turns, rows.count
        full = [v for v in (*rows.program.inputs, *rows.program.outputs) if v.size == rows.size]
        self._cost = int(rows.cost() * max(1, rows.size) * 2) + READ * sum(v.nbytes for v in full)
        self._short = self._cost < 2 * sharing.PART
        #: The inputs that the kernel wants repeated along axes, or in another order of axes.
        self._tables = {
            i: v for i, v in enumerate(rows.program.inputs) if v.size != rows.size and rows.repeated(v) is None
        }
        constants = [v for v in parts.inputs if isinstance(v, Constant)]
        self._constants = [
            self._table(v, v.array)
            if v.size != rows.size and rows.repeated(v) is None
            else np.ascontiguousarray(v.array)
            for v in constants
        ]
        self._outputs = [(self._shape(v), v.dtype) for v in parts.outputs]
        self._makers = [aligned if v.nbytes >= SLOW else np.empty for v in parts.outputs]
        self._sums = [math.prod(rows.lengths(rows.table(rows.kind[v]))) for v in parts.sums]
        #: Which sums each part has for itself: what is added up along a row alone has places that no other part has.
        self._own = [rows.across or rows.kind[v] != SEGMENT for v in parts.sums]
        numbers = sum(n for n, own in zip(self._sums, self._own, strict=True) if own)
        #: How many parts there are where each has sums of its own, on any number of threads, and whether a call is never worth
        #: several.
        self._parts = self._run.parts(self.end, self._cost, numbers) if self._sums else 1
        self._alone = self._run.most(self.end, self._cost, numbers) < 2
        several = [self._parts > 1 and own for own in self._own]
        self._zeros = [(self._parts, n) if more else n for n, more in zip(self._sums, several, strict=True)]
        each = rows.turns * (1 if rows.across else rows.length) * code.together
        self._kept = [(v.size if isinstance(v, BlockSum) else each, v.dtype) for v in parts.kept]
        if self.quick:
            checked = [v.dtype for v in parts.inputs]
            table = [id(o) for o in entry.OBJECTS] + [self._numbers.ctypes.data, self.end, *self._lengths]
            table += [self._parts, *map(operator.mul, self._sums, self._own), not self._short]
            self._memory = np.array([*table, *map(id, checked)], np.uint64)
            self._checked = checked
        #: The positions of the results that the kernel writes.
        self._written = [i for i, _ in sorted([*rows.outputs(), *rows.row_outputs()])]
        left = [v for i, v in enumerate(rows.program.outputs) if i not in self._written]
        totals = {v: Input(v.shape, v.dtype) for v in parts.sums}
        late = substitute(Program(rows.program.inputs, [], rows.late, left, []), totals)
        self._late = numpy_code.function(Program([*late.inputs, *totals.values()], [], late.body, late.outputs, []))
        if any(i.name == "divide" and not isinstance(i.args[1], Constant) for i in late.body):
            self._late = np.errstate(all="ignore")(self._late)  # a mean of nothing is nan, without a warning
        self._finished = self._finishing()
        results = self._written == list(range(len(rows.program.outputs)))
        self._simple = results and order is None and all(self._shape(v) == v.shape for v in parts.outputs)
        self._others: dict[Shape, RowKernel | None] = {}
        #: What a call does: code for as many arguments and results, where they need nothing more than the kernel.
        self.run: Callable[..., list[Array]] = self._first

    def __call__(self, *arrays: Array) -> list[Array]:
        return self.run(*arrays)

    def fill(self, outs: list[Array], arrays: Sequence[Array]) -> bool:
        """Write results to arrays, of which several may be parts of one; False if the arguments are not in row-major order."""
        return self._simple and self._filled(outs, arrays) is not None

    def _first(self, *arrays: Array) -> list[Array]:
        """The results, until arguments come in the order of memory that the kernel reads: of a convolution's they never do, and
        then it is not compiled."""
        given = enumerate(zip(arrays, self.rows.program.inputs, strict=True))
        if not all(i in self._tables or _fits(a, v) for i, (a, v) in given):
            return self._arranged(arrays)
        if not self._at_once():
            return self._general(*arrays)
        written = self.quick and self.order is None and not self._tables
        self.run = self._written_out() if written else self._general
        return self.run(*arrays)

    def _at_once(self) -> bool:
        """Whether a call is done by the thread that makes it, without the pool of threads: that takes 15 µs less Python, which
        a kernel of a megabyte has driven from the caches. A long one is not done in a rehearsal."""
        return self._short or not (rehearsal.state.on or (not self._alone and workers.threads() > 1))

    def _function(self) -> tuple[Callable[..., object], object]:
        """The kernel as a function of arrays, and what has to be kept alive with it."""
        library = self._library.result()
        return entry.builtin("direct", library.address("direct"), self._memory), library

    def _general(self, *arrays: Array) -> list[Array]:
        if arrays and arrays[0].ndim > 1 and not arrays[0].flags.c_contiguous:
            return self._arranged(arrays)
        outs = [make(shape, dtype) for make, (shape, dtype) in zip(self._makers, self._outputs, strict=True)]
        return self._filled(outs, arrays) or self._arranged(arrays)

    def _written_out(self) -> Callable[..., list[Array]]:
        """A function that makes the results and calls the kernel, and no more: of few elements `_general` takes as long as
        the kernel. What is worth several threads goes there while there are some (`_at_once`)."""
        call, _ = self._direct.result()
        known: dict[str, object] = {"call": call, "arranged": self._arranged, "finished": self._finished}
        names = [f"a{i}" for i in range(len(self.rows.program.inputs))]
        lines, made = [], []
        if not self._short:
            known |= {"state": rehearsal.state, "threads": workers.threads, "general": self._general}
            several = "" if self._alone else " or threads() > 1"
            lines.append(f"    if state.on{several}: return general({', '.join(names)})")
        makers: list[Callable[..., Array]] = [*self._makers, *[np.zeros] * len(self._sums)]
        wanted = [*self._outputs, *((n, _DOUBLE) for n in self._zeros), *(((n,), dtype) for n, dtype in self._kept)]
        makers += [np.empty if self._short else aligned] * len(self._kept)
        for i, (maker, (shape, dtype)) in enumerate(zip(makers, wanted, strict=True)):
            known |= {f"m{i}": maker, f"s{i}": shape, f"d{i}": dtype}
            lines.append(f"    o{i} = m{i}(s{i}, d{i})")
            made.append(f"o{i}")
        outs, sums = made[: len(self._outputs)], made[len(self._outputs) : len(makers) - len(self._kept)]
        constants = [f"c{i}" for i in range(len(self._constants))]
        known |= dict(zip(constants, self._constants, strict=True))
        given = [*outs, *sums, *names, *constants, *made[len(outs) + len(sums) :]]
        found = f"[{', '.join(outs)}]"
        if not self._simple:
            totals = [s if isinstance(n, int) else f"total({s})" for s, n in zip(sums, self._zeros, strict=True)]
            known["total"] = np.add.reduce
            found = f"finished({found}, [{', '.join(totals)}], [{', '.join(names)}])"
        lines.append(f"    if call({', '.join(given)}) is True: return {found}")
        lines.append(f"    return arranged([{', '.join(names)}])")
        text = f"def run({', '.join(names)}):\n" + "\n".join(lines) + "\n"
        return generated.function("run", text, known, "kernel")

    def _filled(self, outs: list[Array], arrays: Sequence[Array]) -> list[Array] | None:
        """All results, written to `outs`; None if the arguments are not in the order of memory that the kernel reads."""
        given = arrays
        if self._tables:
            arrays = [self._table(self._tables[i], a) if i in self._tables else a for i, a in enumerate(arrays)]
        if self.quick and self._at_once():
            sums = [np.zeros(n) for n in self._zeros]
            kept = [aligned((n,), dtype) for n, dtype in self._kept]
            call, _ = self._direct.result()
            if call(*outs, *sums, *arrays, *self._constants, *kept) is not True:
                return None
            sums = [s if s.ndim == 1 else np.add.reduce(s) for s in sums]
        elif all(map(_fits, arrays, self.rows.program.inputs)):
            sums = self._shared(outs, arrays)
        else:
            return None
        return outs if self._simple else self._finished(outs, sums, given)

    def _arranged(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for arguments that lie in another way."""
        inputs = self.rows.program.inputs
        full = [i for i, v in enumerate(inputs) if v.size == self.rows.size]
        # Of several the one that is not the usual: a gradient that came through a reshape has lost that of the layers before.
        orders = [] if self.order else [o for i in full if (o := _order(arrays[i])) is not None]
        order = orders[0] if orders else None
        other = None if order is None else self._other(order)
        if other is not None and order is not None:
            arrays = [a.transpose(order) if i in full else a for i, a in enumerate(arrays)]
            return other(*arrays)
        outs = [aligned(shape, dtype) for shape, dtype in self._outputs]
        found = self._filled(outs, list(map(_dense, arrays, inputs)))
        assert found is not None
        return found

    def _other(self, order: Shape) -> RowKernel | None:
        """The kernel for another order of memory, if there can be one."""
        if order not in self._others:
            full = {v.shape for v in (*self.program.inputs, *self.program.outputs) if v.size == self.rows.size}
            made = None
            if len(full) == 1:
                with contextlib.suppress(NotByRows):
                    made = RowKernel(self.program, order)
            self._others[order] = made
        return self._others[order]

    def _shared(self, outs: list[Array], arrays: Sequence[Array]) -> list[Array]:
        """Run on as many threads as pay; each part adds up sums of its own."""
        parts = self._parts if self._sums else self._run.parts(self.end, self._cost)
        sums = [np.zeros(n) for n in self._zeros]
        each = [s if s.ndim > 1 else np.ndarray((parts, s.size), s.dtype, s, strides=(0, s.itemsize)) for s in sums]
        kept = [size * dtype.itemsize for size, dtype in self._kept]
        arguments = *outs, *each, *arrays, *self._constants, *kept, self._numbers, *self._lengths
        self._run(self.end, self._cost, *arguments, parts=parts)
        return [s if s.ndim == 1 else np.add.reduce(s) for s in sums]

    def _finishing(self) -> Callable[..., list[Array]]:
        """A function of what the kernel wrote, its sums and the arguments, which gives all results, also those that are known
        when all rows are done. It is written out, since loops over them take a tenth of the cross entropy of (256, 64)."""
        known: dict[str, object] = {"array": np.array, "late": self._late, "given": self._given}
        totals, found, left = [], [], itertools.count()
        for i, value in enumerate(self.parts.sums):
            single = not value.shape and self._sums[i] == 1
            known[f"t{i}"] = value.dtype.type if single else self._total(value)
            totals.append(f"t{i}(sums[{i}]{'[0]' if single else ''})")
        for i in range(len(self.rows.program.outputs)):
            if i not in self._written:
                found.append(f"array(rest[{next(left)}])")
                continue
            k = self._written.index(i)
            known[f"v{k}"] = value = self.parts.outputs[k]
            plain = self._shape(value) == value.shape and not (self._back and value.size == self.rows.size)
            found.append(f"outs[{k}]" if plain else f"given(v{k}, outs[{k}])")
        text = f"def finished(outs, sums, arrays):\n    rest = late({', '.join(['*arrays', *totals])})\n"
        text += f"    return [{', '.join(found)}]\n"
        return generated.function("finished", text, known, "kernel")

    def _total(self, value: Value) -> Callable[[Array], Array]:
        """What makes a sum of what the kernel has added up: the numbers of a table, in double precision."""
        table, left = self.rows.table(self.rows.kind[value]), self.rows.over.get(value, frozenset())
        lengths = self.rows.lengths(table)
        axes, rest = tuple(i for i, axis in enumerate(table) if axis not in left), [i for i in table if i in left]

        def total(sums: Array) -> Array:
            if len(lengths) > 1 or axes:
                sums = _natural(np.add.reduce(sums.reshape(lengths), axes), rest)
            return sums.astype(value.dtype).reshape(value.shape)

        return total

    # -- axes ----------------------------------------------------------------------------------------------------

    def _shape(self, value: Value) -> Shape:
        """The shape in which the kernel writes a result."""
        if value.size == self.rows.size:
            return value.shape if self.order is None else tuple(value.shape[i] for i in self.order)
        own = self.rows.own
        return value.shape if own == sorted(own) else self.rows.lengths(own)

    def _given(self, value: Value, array: Array) -> Array:
        """A result that the kernel wrote."""
        if value.size == self.rows.size:
            return array if self._back is None else array.transpose(self._back)
        return array if array.shape == value.shape else _natural(array, self.rows.own).reshape(value.shape)

    def _table(self, value: Value, array: Array) -> Array:
        """A small argument as the kernel reads it: one number for each place along the axes of its class."""
        table, over = self.rows.table(self.rows.kind[value]), sorted(self.rows.over[value])
        array = np.reshape(array, self.rows.lengths(over)).transpose([over.index(i) for i in table if i in over])
        array = array[tuple(slice(None) if i in over else None for i in table)]
        return np.array(np.broadcast_to(array, self.rows.lengths(table)), value.dtype, order="C")


def _natural(array: Array, axes: Sequence[int]) -> Array:
    """An array of such axes with them in order."""
    ordered = sorted(axes)
    return array if ordered == axes else np.transpose(array, [axes.index(i) for i in ordered])


def _fits(array: Array, value: Value) -> bool:
    flags = array.flags
    return type(array) is np.ndarray and array.dtype == value.dtype and flags.c_contiguous and flags.aligned


def _dense(array: Array, value: Value) -> Array:
    """An argument in row-major order."""
    return array if _fits(array, value) and array.dtype is value.dtype else np.array(array, value.dtype, order="C")


def _order(array: Array) -> Shape | None:
    """The axes of an array that is dense in another order than the usual one, from the slowest in memory to the fastest."""
    axes = tuple(sorted(range(array.ndim), key=lambda i: -array.strides[i]))
    return axes if not array.flags.c_contiguous and array.transpose(axes).flags.c_contiguous else None
