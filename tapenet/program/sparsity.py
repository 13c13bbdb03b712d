"""The sparsity of a program's Jacobian: which inputs each element of its results may depend on, found without running it.

Each element has a set of inputs. What moves elements moves their sets; what computes with several takes the union. Sets are
kept once and named by numbers, so a value has an array of numbers in its own shape: a view of it, an index, a join is the
same operation on that array, and elements that depend on the same inputs share a set.

The pattern is never too small. It is too large where zeros come about by arithmetic (`x - x`), and where values decide what
is read: an index that depends on what varies may be any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.program.called_ops import filled
from tapenet.program.derivatives import FLAT, RULES, arguments
from tapenet.program.ir import Constant, Instruction, Program, Result, Value
from tapenet.program.primitives import PRIMITIVES
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: The most entries that are kept: of a larger pattern there is nothing to gain.
LIMIT = 1 << 28
#: The most turns of a loop that are followed one by one.
TURNS = 4096
#: Entries from which sets that lie within others are looked for before unions are made.
_MANY = 1 << 24
#: How many rounds a loop without a known number of turns may take to settle.
_ROUNDS = 32


class NotSparse(ValueError):
    """A pattern has too many entries to be of use."""


class Sparsity(NamedTuple):
    """What `sparsity` found.

    Attributes:
        patterns: of each output, its elements in row-major order by those of all active inputs, one after another: true
            where the derivative may be other than 0.
        read: positions of the inputs whose values were looked at; for other values of theirs the patterns may be others.
    """

    patterns: list[csr_array]
    read: list[int]


def sparsity(program: Program, active: Sequence[int], arrays: Sequence[Array | None]) -> Sparsity:
    """The pattern of the Jacobian of each output by the active inputs.

    Args:
        program: any program without references, hosts and writes.
        active: positions of the inputs that derivatives are by.
        arrays: the values of all inputs, of which arrays of indices are computed; None for what varies.

    Raises:
        NotSparse: there are more entries than can be kept.
    """
    order = sorted(active)
    sets = _Sets(sum(program.inputs[i].size for i in order))
    ids: list[Array | None] = [None] * len(program.inputs)
    begin = 1
    for i in order:
        value = program.inputs[i]
        ids[i] = np.arange(begin, begin + value.size).reshape(value.shape)
        begin += value.size
    read: set[int] = set()
    sources = [None if a is None else _Given(a, i, read) for i, a in enumerate(arrays)]
    frame = _Frame(sets, program, ids, sources)
    patterns = [sets.pattern(_or_none(frame.ids.get(v), v)) for v in program.outputs]
    return Sparsity(patterns, sorted(read))


def _or_none(ids: Array | None, value: Value) -> Array:
    return np.zeros(value.shape, np.intp) if ids is None else ids


class _Given:
    """The value of an input. To ask for it says that it was looked at."""

    def __init__(self, array: Array, position: int, read: set[int]) -> None:
        self.array = array
        self._position = position
        self._read = read

    def __call__(self) -> Array:
        self._read.add(self._position)
        return self.array


class _Sets:
    """Sets of numbers below `n`, each with a number: 0 is the empty set, 1 + j is {j}."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = n + 1
        self._pointers = np.concatenate([[0], np.arange(n + 1)]).astype(np.int32)
        self._members = np.arange(n, dtype=np.int32)
        self._unions: dict[tuple[int, int], tuple[Array, Array, Array]] = {}

    def _sizes(self, ids: Array) -> Array:
        sizes: Array = (self._pointers[ids + 1] - self._pointers[ids]).astype(np.int64)
        return sizes

    def _matrix(self, pointers: Array, indices: Array, columns: int) -> csr_array:
        from scipy.sparse import csr_array

        return csr_array((np.ones(len(indices), bool), indices, pointers), shape=(len(pointers) - 1, columns))

    def _table(self) -> csr_array:
        members = self._members[: self._pointers[self.count]]
        return self._matrix(self._pointers[: self.count + 1], members, max(self.n, 1))

    def pattern(self, ids: Array) -> csr_array:
        """The sets of an array, a row for each element."""
        flat = ids.reshape(-1)
        self._check(int(self._sizes(flat).sum()))
        found = self._matrix(np.arange(len(flat) + 1), flat, self.count) @ self._table()
        found.sort_indices()
        cut: csr_array = found[:, : self.n]
        return cut

    def _check(self, entries: int) -> None:
        if entries > LIMIT:
            raise NotSparse(f"the pattern of the Jacobian has {entries} entries or more")

    def both(self, a: Array | None, b: Array | None) -> Array | None:
        """The union of two arrays of sets, element by element."""
        if a is None or b is None or a is b:
            return b if a is None else a
        key = (id(a), id(b))
        found = self._unions.get(key)
        if found is None:
            shape = np.broadcast_shapes(a.shape, b.shape)
            pairs = np.empty((*shape, 2), np.intp)
            pairs[..., 0], pairs[..., 1] = a, b
            found = a, b, self.union(pairs.reshape(-1, 2)).reshape(shape)  # with a and b, whose id() stay theirs
            self._unions[key] = found
        return found[2]

    def along(self, ids: Array, axes: Sequence[int]) -> Array:
        """The union along axes."""
        rest = [i for i in range(ids.ndim) if i not in axes]
        shape = tuple(ids.shape[i] for i in rest)
        moved = ids.transpose([*rest, *axes]).reshape(math.prod(shape), math.prod(ids.shape[i] for i in axes))
        return self.union(moved).reshape(shape)

    def all(self, ids: Array) -> Array:
        """The one set of all elements, as an array without axes."""
        return self.along(ids, range(ids.ndim))

    def union(self, rows: Array) -> Array:
        """The union of each row."""
        if rows.shape[1] == 0:
            return np.zeros(len(rows), np.intp)
        first = rows[:, 0]
        others = rows[:, 1:]
        if ((others == first[:, None]) | (others == 0)).all():
            return first
        rows, back = _distinct(np.sort(rows, axis=1))
        return self._united(rows)[back]

    def gathered(self, places: Array, ids: Array, size: int) -> Array:
        """For each of `size` places the union of the sets that are there."""
        keep = np.flatnonzero(ids)
        keep = keep[np.argsort(places[keep], kind="stable")]
        places, ids = places[keep], ids[keep]
        out = np.zeros(size, np.intp)
        begins = np.flatnonzero(np.diff(places, prepend=-1))
        counts = np.diff(begins, append=len(places))
        for count in np.unique(counts):
            rows = begins[counts == count]
            out[places[rows]] = self.union(ids[rows[:, None] + np.arange(count)])
        return out

    def _united(self, rows: Array) -> Array:
        """The union of each row. It gets a number of its own unless it is the largest set of the row."""
        sizes = self._sizes(rows)
        largest = np.argmax(sizes, axis=1)[:, None]
        out: Array = np.take_along_axis(rows, largest, 1)[:, 0]
        most = np.take_along_axis(sizes, largest, 1)[:, 0]
        told = (rows == out[:, None]) | (rows == 0)
        todo = np.flatnonzero((most < self.n) & ~told.all(axis=1))
        if sizes[todo].sum() > _MANY:
            todo = todo[~self._within(rows[todo], sizes[todo], out[todo])]
        if not len(todo):
            return out
        self._check(int(sizes[todo].sum()))
        width = rows.shape[1]
        made = (
            self._matrix(np.arange(0, len(todo) * width + 1, width), rows[todo].reshape(-1), self.count) @ self._table()
        )
        new = np.flatnonzero(np.diff(made.indptr) > most[todo])
        if len(new):
            out[todo[new]] = self._added(made[new] if len(new) < len(todo) else made)
        return out

    def _added(self, made: csr_array) -> Array:
        rows, used = made.shape[0], int(self._pointers[self.count])
        self._check(used + made.nnz)
        self._pointers = _grown(self._pointers, self.count + 1, rows)
        self._members = _grown(self._members, used, made.nnz)
        self._pointers[self.count + 1 : self.count + 1 + rows] = made.indptr[1:] + used
        self._members[used : used + made.nnz] = made.indices
        self.count += rows
        return np.arange(self.count - rows, self.count)

    def _within(self, rows: Array, sizes: Array, big: Array) -> Array:
        """Whether all sets of a row lie within the one given for it."""
        table = self._table()
        table.sort_indices()
        keys = np.repeat(np.arange(self.count, dtype=np.int64) * self.n, np.diff(table.indptr)) + table.indices
        small = rows != big[:, None]
        self._check(int(sizes[small].sum()))
        parts = self._matrix(np.arange(small.sum() + 1), rows[small], self.count) @ table
        row = np.repeat(np.nonzero(small)[0], np.diff(parts.indptr))
        asked = big[row] * self.n + parts.indices
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        inside = np.ones(len(rows), bool)
        inside[row[keys[at] != asked]] = False
        return inside


def _grown(array: Array, used: int, more: int) -> Array:
    """The array with room for more elements behind those in use."""
    if used + more <= len(array):
        return array
    out = np.empty(2 * (used + more), array.dtype)
    out[:used] = array[:used]
    return out


def _distinct(rows: Array) -> tuple[Array, Array]:
    """The rows without repetitions as far as they are found, and for each row which of these it is."""
    with np.errstate(over="ignore"):
        weights = np.random.default_rng(0).integers(1, 1 << 62, rows.shape[1]) | 1
        hashes = (rows * weights).sum(axis=1)
    _, at, back = np.unique(hashes, return_index=True, return_inverse=True)
    if not (rows[at][back] == rows).all():  # two have one hash
        return rows, np.arange(len(rows))
    return rows[at], back


class _Frame:
    """A program whose values have sets.

    Attributes:
        ids: by value, the sets of its elements; what is not there depends on no active input.
        varies: the values that cannot be known.
    """

    def __init__(
        self,
        sets: _Sets,
        program: Program,
        ids: Sequence[Array | None],
        sources: Sequence[Callable[[], Array] | None],
    ) -> None:
        self.sets = sets
        self.program = program
        self.ids: dict[Value, Array] = {
            v: i for v, i in zip(program.inputs, ids, strict=True) if i is not None and i.any()
        }
        self._sources: dict[Value, Callable[[], Array] | None] = dict(zip(program.inputs, sources, strict=True))
        self.varies: set[Value] = {v for v, s in self._sources.items() if s is None}
        self._arrays: dict[Value, Array] = {}
        for instruction in program.body:
            if instruction.effect or not self.varies.isdisjoint(instruction.args):
                self.varies.update(instruction.results)
            if self.ids.keys().isdisjoint(instruction.args):
                continue
            found = _HANDLERS.get(instruction.name, _computed)(self, instruction)
            for value, made in zip(instruction.results, found, strict=True):
                if made is not None and value.dtype.kind in "fc":
                    self.ids[value] = np.broadcast_to(made, value.shape)

    def of(self, value: Value) -> Array:
        """The sets of a value, in its shape."""
        return _or_none(self.ids.get(value), value)

    def array(self, value: Value) -> Array | None:
        """What a value is, None if it varies."""
        if value in self.varies:
            return None
        todo, waiting = set(), [value]
        while waiting:
            v = waiting.pop()
            if isinstance(v, Result) and v not in self._arrays and v.instruction not in todo:
                todo.add(v.instruction)
                waiting += v.instruction.args
        if todo:
            with np.errstate(all="ignore"):
                for instruction in self.program.body:
                    if instruction in todo:
                        made = PRIMITIVES[instruction.name].evaluate(
                            *map(self._ready, instruction.args), **instruction.params
                        )
                        several = made if isinstance(made, tuple) else (made,)
                        self._arrays.update(zip(instruction.results, map(np.asarray, several), strict=True))
        return self._ready(value)

    def _ready(self, value: Value) -> Array:
        if isinstance(value, Constant):
            return value.array
        if value not in self._arrays:
            source = self._sources[value]
            assert source is not None
            self._arrays[value] = source()
        return self._arrays[value]

    def given(self, value: Value) -> _Given | None:
        """What is behind an input that is given from outside."""
        source = self._sources.get(value)
        return source if isinstance(source, _Given) else None

    def source(self, value: Value) -> Callable[[], Array] | None:
        """What gives a value where it is asked for."""
        if value in self.varies:
            return None

        def get() -> Array:
            array = self.array(value)
            assert array is not None
            return array

        return get


#: The sets of the results of an instruction; None for a result that depends on nothing.
Found = Sequence[Array | None]


def _computed(frame: _Frame, instruction: Instruction) -> Found:
    """What is element by element, if it is that; of all else each element may depend on all."""
    if instruction.kind == "elementwise":
        return _elementwise(frame, instruction)
    return _mixed(frame, instruction, 0)


def _mixed(frame: _Frame, instruction: Instruction, lead: int) -> Found:
    """What depends on all elements of the arguments that have the same place in so many axes in front."""
    every: Array | None = None
    for arg in instruction.args:
        if arg in frame.ids:
            every = frame.sets.both(every, frame.sets.along(frame.ids[arg], range(lead, arg.ndim)))
    if every is None:
        return [None] * len(instruction.results)
    return [every.reshape((*every.shape, *(1,) * (v.ndim - lead))) for v in instruction.results]


def _call(frame: _Frame, instruction: Instruction) -> Found:
    """An op that is called as it stands: each matrix by itself where it computes so, or along an axis."""
    op, args = instruction.params["op"], instruction.args
    outs = [v for v in instruction.results if v.dtype.kind in "fc"]
    if op.vmap == "leading":
        lead = min(a.ndim for a in args) - 2
        if lead > 0 and len({v.shape[:lead] for v in (*args, *outs)}) == 1:
            found = _mixed(frame, instruction, lead)
            return [f if v in outs else None for f, v in zip(found, instruction.results, strict=True)]
    axis = instruction.params["template"].get("axis")
    if op.vmap == "axis" and type(axis) is int and len(args) == len(outs) == len(instruction.results) == 1:
        (x,), (out,) = args, outs
        axis %= max(x.ndim, 1)
        every = frame.sets.along(frame.of(x), [axis])
        rest = (*x.shape[:axis], *x.shape[axis + 1 :])
        if out.shape == rest:
            return [every]
        if out.ndim == x.ndim and (*out.shape[:axis], *out.shape[axis + 1 :]) == rest:
            return [np.expand_dims(every, axis)]
    outside = _mixed(frame, instruction, 0)
    return [f if v in outs else None for f, v in zip(outside, instruction.results, strict=True)]


def _elementwise(frame: _Frame, instruction: Instruction) -> Found:
    name = instruction.name
    if name in FLAT or name == "stop" or instruction.results[0].dtype.kind not in "fc":
        return [None]
    rules = RULES.get(name)
    out: Array | None = None
    for given, arg in zip(arguments(name), instruction.args, strict=False):
        if rules is None or given in rules:
            out = frame.sets.both(out, frame.ids.get(arg))
    return [out]


def _moved(frame: _Frame, instruction: Instruction) -> Found:
    """What moves elements, moves their sets."""
    return [_evaluated(instruction, [frame.of(a) for a in instruction.args])]


def _evaluated(instruction: Instruction, args: Sequence[Array]) -> Array:
    made = PRIMITIVES[instruction.name].evaluate(*args, **instruction.params)
    assert not isinstance(made, tuple)
    return made


def _reduced(frame: _Frame, instruction: Instruction) -> Found:
    return [frame.sets.along(frame.ids[instruction.args[0]], instruction.params["axes"])]


def _nothing(frame: _Frame, instruction: Instruction) -> Found:
    return [None]


def _known(frame: _Frame, values: Sequence[Value]) -> list[Array] | None:
    """What values are; None if one of them varies."""
    if not frame.varies.isdisjoint(values):
        return None
    return [a for v in values if (a := frame.array(v)) is not None]


def _take(frame: _Frame, instruction: Instruction) -> Found:
    x, index = instruction.args
    known = _known(frame, [index])
    if known is not None:
        return [_evaluated(instruction, [frame.of(x), *known])]
    axis = instruction.params["axis"]
    every = frame.sets.along(frame.of(x), [axis])
    return [every.reshape((*every.shape[:axis], *(1,) * index.ndim, *every.shape[axis:]))]


def _index(frame: _Frame, instruction: Instruction) -> Found:
    x, *index = instruction.args
    known = _known(frame, index)
    return [frame.sets.all(frame.of(x)) if known is None else _evaluated(instruction, [frame.of(x), *known])]


def _put(frame: _Frame, instruction: Instruction) -> Found:
    x, value, *index = instruction.args
    known = _known(frame, index)
    if known is not None:
        return [_evaluated(instruction, [frame.of(x), frame.of(value), *known])]
    return [frame.sets.both(frame.of(x), frame.sets.all(frame.of(value)))]


def _added(frame: _Frame, ids: Array, index: Sequence[Value], template: object, shape: Shape) -> Array:
    """The sets of zeros to which values with these sets are added."""
    known = _known(frame, index)
    if known is None:
        return frame.sets.all(ids)
    places = np.arange(math.prod(shape)).reshape(shape)[filled(template, known)]
    places, ids = np.broadcast_arrays(places, ids)
    return frame.sets.gathered(places.reshape(-1), ids.reshape(-1), math.prod(shape)).reshape(shape)


def _scatter_add(frame: _Frame, instruction: Instruction) -> Found:
    values, *index = instruction.args
    params = instruction.params
    return [_added(frame, frame.of(values), index, params["template"], params["shape"])]


def _add_at(frame: _Frame, instruction: Instruction) -> Found:
    x, values, *index = instruction.args
    more = _added(frame, frame.of(values), index, instruction.params["template"], x.shape)
    return [frame.sets.both(frame.of(x), more)]


def _add_rows(frame: _Frame, instruction: Instruction) -> Found:
    x, values, index = instruction.args
    places = np.arange(x.size).reshape(x.shape)
    known = _known(frame, [index])
    if known is None:
        more = frame.sets.all(frame.of(values))
    else:
        at = places[known[0]].reshape(-1)
        more = frame.sets.gathered(at, frame.of(values).reshape(-1), x.size).reshape(x.shape)
    return [frame.sets.both(frame.of(x), more)]


def _dot(frame: _Frame, instruction: Instruction) -> Found:
    a, b = instruction.args[-2:]
    sides: list[tuple[Array | None, Array | None]] = []
    for value, flag in ((a, "ta"), (b, "tb")):
        ids = frame.ids.get(value)
        zeros = _zeros(frame, value) if ids is None else None
        turned = bool(instruction.params.get(flag))
        sides.append(tuple(np.swapaxes(m, -1, -2) if m is not None and turned else m for m in (ids, zeros)))  # type: ignore[arg-type]
    (left, left_mask), (right, right_mask) = sides
    shape = instruction.results[0].shape
    out: Array | None = None if len(instruction.args) == 2 else frame.ids.get(instruction.args[0])
    if left is not None:
        part = _product(frame.sets, np.swapaxes(left, -1, -2), right_mask, -1)
        out = frame.sets.both(out, np.broadcast_to(part, shape))
    if right is not None:
        mask = None if left_mask is None else np.swapaxes(left_mask, -1, -2)
        part = _product(frame.sets, right, mask, -2)
        out = frame.sets.both(out, np.broadcast_to(part, shape))
    return [out]


def _product(sets: _Sets, ids: Array, mask: Array | None, axis: int) -> Array:
    """The sets of a product of which one factor, (..., k, m), has sets, and the other, (..., k, n), zeros where the mask has.
    The product's axis of the other factor is `axis`."""
    *lead, k, m = ids.shape
    if mask is not None and not mask.all():
        n, batch = mask.shape[-1], math.prod(lead)
        at, row, column = np.nonzero(mask.reshape(batch, k, n))
        if len(at) * m <= _MANY:
            places = ((at * n + column) * m)[:, None] + np.arange(m)
            found = sets.gathered(places.reshape(-1), ids.reshape(batch, k, m)[at, row].reshape(-1), batch * n * m)
            made = found.reshape(*lead, n, m)
            return made if axis == -2 else np.swapaxes(made, -1, -2)
    every = sets.along(ids, [ids.ndim - 2])
    return every[..., None, :] if axis == -2 else every[..., None]


def _zeros(frame: _Frame, value: Value) -> Array | None:
    """Where a matrix is not 0, if it is a constant, or given and mostly 0: others that are given, such as weights, change."""
    path = []
    while (
        isinstance(value, Result)
        and len(value.instruction.args) == 1
        and value.instruction.kind in ("view", "elementwise")
    ):
        path.append(value.instruction)
        (value,) = value.instruction.args
    source = frame.given(value)
    array = value.array if isinstance(value, Constant) else None if source is None else source.array
    if array is None or (source is not None and 2 * np.count_nonzero(array) > array.size):
        return None
    if source is not None:
        source()
    for instruction in reversed(path):
        array = _evaluated(instruction, [array])
    found: Array = array != 0
    return found


# -- programs inside ---------------------------------------------------------------------------------------------


def _inside(frame: _Frame, program: Program, args: Sequence[Value]) -> Found:
    inner = _Frame(frame.sets, program, [frame.ids.get(a) for a in args], [frame.source(a) for a in args])
    return [inner.ids.get(v) for v in program.outputs]


def _apply(frame: _Frame, instruction: Instruction) -> Found:
    return _inside(frame, instruction.params["function"].program(), instruction.args)


def _branch(frame: _Frame, instruction: Instruction) -> Found:
    bodies = instruction.params["true"], instruction.params["false"]
    true, false = (_inside(frame, body, instruction.args[1:]) for body in bodies)
    return [
        frame.sets.both(None if a is None else np.broadcast_to(a, v.shape), b)
        for a, b, v in zip(true, false, instruction.results, strict=True)
    ]


def _loop(frame: _Frame, instruction: Instruction) -> Found:
    params = instruction.params
    carries, slices, length = params["carries"], params["slices"], params["length"]
    args = instruction.args
    body: Program = params["body"]
    xs, others = args[carries : carries + slices], args[carries + slices :]
    rest = [frame.ids.get(a) for a in others], [frame.source(a) for a in others]
    if length > TURNS:
        every = [None if v not in frame.ids else frame.sets.along(frame.ids[v], [0]) for v in xs]
        carried, turn = _settled(frame, body, args[:carries], [*every, *rest[0]], [*[None] * slices, *rest[1]])
        return [*carried, *(turn.ids.get(v) for v in body.outputs[carries:])]
    carried = [frame.ids.get(a) for a in args[:carries]]
    sources = [frame.source(a) for a in args[:carries]]
    columns: list[Array | None] = [None] * (len(body.outputs) - carries)
    for i in range(length)[:: -1 if params.get("reverse") else 1]:
        given = [None if v not in frame.ids else frame.ids[v][i] for v in xs]
        turn = _Frame(
            frame.sets,
            body,
            [*carried, *given, *rest[0]],
            [*sources, *(_slice(frame.source(v), i) for v in xs), *rest[1]],
        )
        carried = [turn.ids.get(v) for v in body.outputs[:carries]]
        sources = [_counted(turn, v) for v in body.outputs[:carries]]
        for j, v in enumerate(body.outputs[carries:]):
            if v in turn.ids:
                if columns[j] is None:
                    columns[j] = np.zeros((length, *v.shape), np.intp)
                columns[j][i] = turn.ids[v]  # type: ignore[index]
    return [*carried, *columns]


def _slice(source: Callable[[], Array] | None, i: int) -> Callable[[], Array] | None:
    return None if source is None else lambda: source()[i]


def _counted(turn: _Frame, value: Value) -> Callable[[], Array] | None:
    """What is carried to the next turn if it is known, as counters are; floats are not followed."""
    if value in turn.varies or value.dtype.kind == "f":
        return None
    array = turn.array(value)
    return None if array is None else lambda: array


def _settled(
    frame: _Frame,
    body: Program,
    start: Sequence[Value],
    ids: Sequence[Array | None],
    sources: Sequence[Callable[[], Array] | None],
) -> tuple[list[Array | None], _Frame]:
    """What is carried after any number of turns, and the turn that comes after."""
    carried = [frame.ids.get(a) for a in start]
    unknown: list[Callable[[], Array] | None] = [None] * len(start)
    for rounds in range(_ROUNDS + 1):
        turn = _Frame(frame.sets, body, [*carried, *ids], [*unknown, *sources])
        after = [frame.sets.both(c, turn.ids.get(v)) for c, v in zip(carried, body.outputs, strict=False)]
        if all(
            a is c or (a is not None and c is not None and (a == c).all()) for a, c in zip(after, carried, strict=True)
        ):
            break
        carried = after
        if rounds == _ROUNDS - 1:  # it spreads slowly: as far as it can
            every: Array | None = None
            for part in (*carried, *ids):
                every = frame.sets.both(every, None if part is None else frame.sets.all(part))
            carried = [
                np.broadcast_to(every, v.shape) if every is not None and v.dtype.kind in "fc" else None for v in start
            ]
    return carried, turn


def _while(frame: _Frame, instruction: Instruction) -> Found:
    carries, args = instruction.params["carries"], instruction.args
    others = args[carries:]
    ids, sources = [frame.ids.get(a) for a in others], [frame.source(a) for a in others]
    body: Program = instruction.params["body"]
    carried, turn = _settled(frame, body, args[:carries], ids, sources)
    return [*carried, *(turn.ids.get(v) for v in body.outputs[carries:])]


_HANDLERS: dict[str, Callable[[_Frame, Instruction], Found]] = {
    **dict.fromkeys(("reshape", "transpose", "broadcast", "slice", "concatenate", "update"), _moved),
    **dict.fromkeys(("reduce_add", "reduce_multiply", "reduce_maximum", "reduce_minimum"), _reduced),
    **dict.fromkeys(("reduce_logical_and", "reduce_logical_or", "argmax", "argmin"), _nothing),
    "take": _take,
    "index": _index,
    "put": _put,
    "scatter_add": _scatter_add,
    "add_at": _add_at,
    "add_rows": _add_rows,
    "dot": _dot,
    "dot_add": _dot,
    "loop": _loop,
    "branch": _branch,
    "while": _while,
    "apply": _apply,
    "call": _call,
}
