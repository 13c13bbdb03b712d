"""Where an optimizer keeps parameters and their state: flat storage, in blocks that fit a cache.

At construction an optimizer moves its parameters, those of one group and dtype, behind each other into one
flat array; each parameter's array becomes a view of it, in its own memory order (an F-ordered weight stays
F-ordered). The state lies alike. An update then costs a few NumPy calls for all small parameters together,
and a large one is worked through in blocks. Storage is only ever copied into, so `p.data = ...` and loading
stay what they are.

A parameter whose memory somebody else refers to stays where it is, since moving it would cut that reference
off in silence: the array behind `tn.asarray(array)`, a detached handle, another optimizer's storage.
Neighbours in one flat array are found again, so a second optimizer over the same parameters has the same
runs. A parameter that was given another array since (by a change of dtype, or a deepcopy) is taken up anew at
the next step, with its state.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from tapenet import kernels
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe import mutation
from tapenet.autodiff.observe.epoch import bump
from tapenet.autodiff.tensor import Tensor
from tapenet.kernels import aligned
from tapenet.ops.indexing.row_sparse import LARGE, RowSparse
from tapenet.optim.rule_calls import Rule, Scalars, State
from tapenet.optim.rule_compilation import Program, program
from tapenet.typing import Array, DType, StateDict

#: Bytes of one array in a block. Adam works on five at once. Measured on 670,000 float32 parameters with 2 MB
#: of second level cache: 16 KB 1.27 ms, 32 KB 1.08, 64 KB 1.04, 128 KB 0.96, 256 KB 0.98, 512 KB 1.04.
BLOCK = 128 * 1024


#: Numbers of flat storage from which machine code updates it: it takes a tenth of a second to make, once.
WORTH = 1 << 16

#: Numbers of a chunk up to which a short rule takes less time in NumPy, and how many calls that has: of ten numbers SGD takes
#: 1.1 us in place of 2.6.
FEW, SHORT = 1 << 12, 3

#: Scalars that no update has.
_UNSET = {"": 0.0}


class Clock:
    """The number of updates so far of parameters that are updated together: counting them is one addition.

    A parameter that is left out once gets a clock of its own, or rather those that go on do. So parameters only ever
    leave a clock: it still stands for those it stood for as long as their number is the same.
    """

    __slots__ = ("slots", "value")

    def __init__(self, value: int, slots: list[Slot]) -> None:
        self.value = value
        #: Those that share it.
        self.slots = slots

    def split(self, leaving: list[Slot]) -> Clock:
        """The clock of these of its parameters alone: itself if they are all, else a new one."""
        if len(leaving) == len(self.slots):
            return self
        made = Clock(self.value, leaving)
        for slot in leaving:
            slot.clock = made
        self.slots = [slot for slot in self.slots if slot.clock is self]
        bump()
        return made


class Slot:
    """One parameter and what the optimizer remembers of it."""

    __slots__ = ("clock", "here", "name", "param", "state")

    def __init__(self, name: str, param: Tensor) -> None:
        self.name = name
        self.param = param
        #: Whether it is updated here, not by another process (`Shards`), which then has its state and its clock.
        self.here = True
        #: Tensors, so that a captured step can refer to them, as it does to the parameter.
        self.state: dict[str, Tensor] = {}
        self.clock = Clock(0, [self])

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return self.clock.value


class Shards(Protocol):
    """Processes that train the same parameters, each of which updates a part of them and keeps the state of these."""

    @property
    def here(self) -> Sequence[bool]:
        """Of each parameter, whether this process updates it."""

    def exchange(self, params: Sequence[Tensor], by: str) -> None:
        """Give the parameters that were updated here to the others, and take theirs; also while a step is captured. `by` says
        what writes them."""

    def gathered(self, states: dict[int, StateDict]) -> dict[int, StateDict]:
        """The states of all parameters by position, of which those that are kept here are given."""


class Chunk:
    """Consecutive parameters of a run with one flat gradient: gathered from small ones, or one's own."""

    __slots__ = ("_axes", "_copies", "_scratch", "_whole", "blocks", "stored", "table")

    def __init__(self, segment: Segment, first: int, last: int) -> None:
        start, stop = segment.starts[first], segment.starts[last]
        self._whole = first if last - first == 1 else None
        #: The position of a parameter whose gradient may be known by rows, which lie behind each other.
        axes = segment.axes[first]
        self.table = first if last - first == 1 and stop - start >= LARGE and axes == tuple(range(len(axes))) else None
        self._axes = segment.axes[first]
        self._scratch: Array = segment.scratch[: stop - start]
        #: Position of each small parameter, and where its gradient goes.
        self._copies = []
        if self._whole is None:
            for k in range(first, last):
                place = self._scratch[segment.starts[k] - start : segment.starts[k + 1] - start]
                self._copies.append((k, shaped(place, segment.params[k].shape, segment.axes[k])))
        #: What machine code works on beside the gradient.
        self.stored = segment.stored(start, stop)
        ends = [*range(0, stop - start, segment.block), stop - start]
        #: From and to in the flat gradient, and what the program works on beside it.
        self.blocks = [(lo, hi, segment.arguments(start + lo, start + hi)) for lo, hi in pairwise(ends)]

    def gather(self, grads: Sequence[Tensor]) -> Array:
        """The flat gradient, in the parameters' memory order."""
        if self._whole is not None:
            grad = grads[self._whole]
            # By rows a gradient stays small behind the step: a BERT-mini of 30,522 words keeps 22 MB, not 53.
            array = grad._data if grad._rows is None else grad._rows.dense()
            # A copy only where the gradient lies in another order than the parameter.
            flat: Array = array.transpose(self._axes).reshape(-1)
            return flat
        for k, place in self._copies:
            place[...] = grads[k]._data
        return self._scratch


class Run:
    """Neighbours that have a gradient and share a clock, which no other parameter has."""

    __slots__ = ("chunks", "clock", "positions", "slots", "writer")

    def __init__(self, storage: Storage, positions: range, memory: Iterable[Array]) -> None:
        self.positions = positions
        self.slots = storage.slots[positions.start : positions.stop]
        self.clock = self.slots[0].clock.split(self.slots)
        #: Notes that the parameters' memory was written.
        self.writer = mutation.Writer(storage.by, map(mutation.region, memory))
        #: Of flat storage: small parameters together, a large one alone.
        self.chunks: list[Chunk] = []


class Storage:
    """Parameters of one group and dtype that are updated together, and what is kept of them."""

    def __init__(self, slots: list[Slot], by: str) -> None:
        self.slots = slots
        #: What writes them, for the note that they were written.
        self.by = by
        self.params = [slot.param for slot in slots]
        self.dtype = self.params[0].dtype
        #: Each parameter with its array as it is now.
        self.arrays = [(p, p._data) for p in self.params]
        #: The scalars of the latest update, and what the rule takes beside them that no step changes.
        self.scalars: dict[str, float] = {}
        self.constants: Scalars = {}
        self._runs: list[Run] = []
        self._kinds: list[type] = []
        # Neighbours that are equally far share a clock, here and nowhere else.
        for step, group in groupby(slots, key=attrgetter("step")):
            clock = Clock(step, list(group))
            for slot in clock.slots:
                slot.clock.slots = []
                slot.clock = clock

    def set(self, scalars: dict[str, float]) -> None:
        """Give the scalars of the rule these values."""
        raise NotImplementedError

    def update(self, run: Run, grads: Sequence[Tensor]) -> None:
        """Update the parameters of a run by their gradients, which are given for all."""
        raise NotImplementedError

    def _run(self, positions: range) -> Run:
        """The run of these neighbours, which have a gradient and share a clock."""
        return Run(self, positions, [self.params[k]._data for k in positions])

    def runs(self) -> tuple[list[Run], list[Any]]:
        """The runs to update, and all gradients. Planned again when other parameters have a gradient than last time."""
        # `param.grad`, which is where a leaf's gradient is without asking the tensor.
        grads = [node.grad if type(node := p._node) is Leaf else p.grad for p in self.params]
        kinds = list(map(type, grads))  # Tensor or NoneType: the quickest way to see which there are
        if kinds != self._kinds:
            runs = []
            pattern = [None if g is None else slot.clock for slot, g in zip(self.slots, grads, strict=True)]
            for clock, positions in groupby(range(len(pattern)), key=pattern.__getitem__):
                if clock is not None:
                    first, *rest = positions
                    runs.append(self._run(range(first, first + len(rest) + 1)))
            self._runs = runs
            self._kinds = kinds  # last, so that what an exception leaves is planned again
        return self._runs, grads

    def set_steps(self, steps: list[int]) -> None:
        """Set the numbers of updates so far, parameter by parameter."""
        wanted = dict(zip(self.slots, steps, strict=True))
        for clock in {slot.clock for slot in self.slots}:
            for step in {wanted[slot] for slot in clock.slots}:
                clock.split([slot for slot in clock.slots if wanted[slot] == step]).value = step
        self._kinds = []


class Segment(Storage):
    """Parameters that lie behind each other in memory, and their state, which lies alike: for elementwise rules."""

    def __init__(self, slots: list[Slot], by: str, flat: Array) -> None:
        super().__init__(slots, by)
        self.flat = flat
        self.axes = [memory_order(p._data) for p in self.params]
        self.starts = [0]
        for p in self.params:
            self.starts.append(self.starts[-1] + p.size)
        self.block = max(1, BLOCK // flat.dtype.itemsize)
        self.scratch = aligned((min(self.block, flat.size),), flat.dtype)
        self.program: Program | None = None
        self._rule: Rule | None = None
        #: Whether the rule leaves an element with gradient 0 as it is.
        self._local = False
        self._states: State = {}
        #: The numbers of the update, and each by itself.
        self._numbers: Array = np.zeros(0)
        self._cells: list[Array] = []
        #: Machine code for the rule, and what it costs for each element.
        self._code: Callable[..., None] | None = None
        self._cost = 0
        #: Numbers of a chunk from which it is used.
        self._least = 0
        self._temporaries: list[Array] = []

    def configure(self, rule: Rule, states: dict[str, float], scalars: dict[str, float], local: bool) -> None:
        """Make ready for a rule with these states, given with their initial values, and these scalars; a local one leaves an
        element with gradient 0 as it is."""
        self._rule, self._local = rule, local
        fitting = program(rule, tuple(states), tuple(scalars))
        if fitting is not self.program:
            self.program, self.scalars = None, _UNSET  # what an exception leaves is laid out again
            self._numbers = np.zeros(max(1, len(scalars)), self.flat.dtype)
            self._cells = [self._numbers[i : i + 1].reshape(()) for i in range(len(scalars))]
            self._compile(fitting)
            self._temporaries = [aligned(self.scratch.shape, self.flat.dtype) for _ in range(fitting.temporaries)]
            self._lay_out(states)
            for run in self._runs:
                self._cut(run)
            self.program = fitting
        self.set(scalars)

    def _compile(self, fitting: Program) -> None:
        """Make machine code for a program, if it pays."""
        worth = fitting.formula is not None and self.flat.size >= WORTH and kernels.fit(self.flat)
        found = kernels.use("updates") if worth else None
        self._code = None
        self._least = FEW if fitting.formula is not None and len(fitting.formula.calls) <= SHORT else 0
        if found is not None and fitting.formula is not None:
            self._code = found.code(*fitting.formula, self.flat.dtype.char)
            self._cost = found.cost(fitting.formula.calls, len(fitting.formula.results))

    def _lay_out(self, states: dict[str, float]) -> None:
        """Make flat storage for the states, and take over the values that are there."""
        self._states = {name: aligned(self.flat.shape, self.flat.dtype) for name in states}
        for flat, value in zip(self._states.values(), states.values(), strict=True):
            flat[...] = value
        for k, slot in enumerate(self.slots):
            kept = {}
            for name, flat in self._states.items():
                place = shaped(flat[self.starts[k] : self.starts[k + 1]], slot.param.shape, self.axes[k])
                tensor = slot.state.get(name)
                if tensor is None:
                    tensor = Tensor._of(place)
                else:
                    place[...] = tensor._data
                    tensor._rebind(place)
                kept[name] = tensor
            slot.state = kept

    def set(self, scalars: dict[str, float]) -> None:
        for cell, value in zip(self._cells, scalars.values(), strict=True):
            cell[()] = value
        self.scalars = scalars  # last, so that what an exception leaves is set again

    def arguments(self, lo: int, hi: int) -> tuple[Array, ...]:
        """What the program works on beside the gradient, for the elements from `lo` to `hi`."""
        stored = (flat[lo:hi] for flat in (self.flat, *self._states.values()))
        return (*stored, *(t[: hi - lo] for t in self._temporaries), *self._cells)

    def stored(self, lo: int, hi: int) -> tuple[Array, ...]:
        """Parameters and states from `lo` to `hi`, and the numbers of the update."""
        return (*(flat[lo:hi] for flat in (self.flat, *self._states.values())), self._numbers)

    def update(self, run: Run, grads: Sequence[Tensor]) -> None:
        assert self.program is not None
        update, code = self.program.update, self._code
        for chunk in run.chunks:
            if chunk.table is not None and self._local and (rows := grads[chunk.table]._rows) is not None:
                self._update_rows(chunk.table, rows)
                continue
            g = chunk.gather(grads)
            if code is not None and g.size > self._least and kernels.fit(self.flat, g) and g.flags.c_contiguous:
                code(g.size, self._cost * g.size, g, *chunk.stored)
                continue
            for lo, hi, arguments in chunk.blocks:
                update(g[lo:hi], *arguments)

    def _update_rows(self, k: int, gradient: RowSparse) -> None:
        """Update the rows of a table that have a gradient, as many at a time as fit a cache."""
        assert self._rule is not None
        at = slice(self.starts[k], self.starts[k + 1])
        table, *states = (flat[at].reshape(gradient.shape[0], -1) for flat in (self.flat, *self._states.values()))
        scalars = dict(zip(self.scalars, self._cells, strict=True))
        step = max(1, BLOCK // (table.shape[1] * table.itemsize))
        for lo in range(0, len(gradient.rows), step):
            rows, g = gradient.rows[lo : lo + step], gradient.values[lo : lo + step]
            old = {name: state.take(rows, 0) for name, state in zip(self._states, states, strict=True)}
            table[rows], new = self._rule(table.take(rows, 0), g, old, scalars)
            for name, state in zip(self._states, states, strict=True):
                state[rows] = new[name]

    def _run(self, positions: range) -> Run:
        made = Run(self, positions, [self.flat[self.starts[positions.start] : self.starts[positions.stop]]])
        self._cut(made)
        return made

    def _cut(self, run: Run) -> None:
        """Cut a run into chunks."""
        run.chunks = []
        begin = run.positions.start
        for k in range(begin + 1, run.positions.stop):
            if self.starts[k + 1] - self.starts[begin] > self.block:
                run.chunks.append(Chunk(self, begin, k))
                begin = k
        run.chunks.append(Chunk(self, begin, run.positions.stop))


def segments(slots: list[Slot], by: str) -> list[Segment]:
    """Move parameters that only their tensor refers to into flat storage, then find what lies together.

    Args:
        slots: the parameters of a group.
        by: what will write them, for the note that they were written.

    Raises:
        ValueError: a parameter that stays where it is cannot be updated there.
    """
    for dtype in dict.fromkeys(slot.param.dtype for slot in slots):
        _pack([s.param for s in slots if s.param.dtype == dtype and _alone(s.param)], dtype)
    order: dict[int, int] = {}
    for slot in slots:
        order.setdefault(id(_owner(slot.param)), len(order))
    found: list[list[Slot]] = []
    for slot in sorted(slots, key=lambda s: (order[id(_owner(s.param))], _address(s.param._data))):
        if found and _adjacent(found[-1][-1].param, slot.param):
            found[-1].append(slot)
        else:
            found.append([slot])
    return [Segment(group, by, _flat(group)) for group in found]


def _pack(params: list[Tensor], dtype: DType) -> None:
    """Move parameters into one new flat array."""
    flat = aligned((sum(p.size for p in params),), dtype)
    start = 0
    for p in params:
        place = shaped(flat[start : start + p.size], p.shape, memory_order(p._data))
        place[...] = p._data
        p._rebind(place)
        start += p.size


def _flat(group: list[Slot]) -> Array:
    """The storage of parameters that lie together, as one flat array."""
    first = group[0].param._data
    if len(group) > 1:
        owner = _owner(group[0].param)
        start = (_address(first) - _address(owner)) // owner.itemsize
        together: Array = owner[start : start + sum(slot.param.size for slot in group)]
        return together
    dense = first.transpose(memory_order(first))
    if not dense.flags.c_contiguous or not first.flags.writeable:
        kind = "strided" if first.flags.writeable else "read-only"
        raise ValueError(
            f"{group[0].name} is a {kind} view of an array in use elsewhere, and cannot be updated there: give it "
            "storage of its own, tn.tensor(array, requires_grad=True)"
        )
    return dense.reshape(-1)


def _adjacent(a: Tensor, b: Tensor) -> bool:
    """Whether `b` follows `a` in one flat array."""
    owner = _owner(a)
    return (
        owner is _owner(b)
        and type(owner) is np.ndarray
        and owner.ndim == 1
        and owner.dtype == a.dtype == b.dtype
        and owner.flags.c_contiguous
        and all(p._data.flags.writeable and _dense(p._data) for p in (a, b))
        and _address(a._data) + a.nbytes == _address(b._data)
    )


def _dense(array: Array) -> bool:
    return array.transpose(memory_order(array)).flags.c_contiguous


def _owner(p: Tensor) -> Array:
    return p._data if p._data.base is None else p._data.base


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def memory_order(array: Array) -> tuple[int, ...]:
    """The axes from the slowest in memory to the fastest."""
    return tuple(sorted(range(array.ndim), key=lambda i: -abs(array.strides[i])))


def shaped(flat: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """A view of flat storage in this shape, laid out in this order of axes."""
    inverse = sorted(range(len(axes)), key=axes.__getitem__)
    return flat.reshape([shape[i] for i in axes]).transpose(inverse)


def _holders(p: Tensor) -> int:
    return sys.getrefcount(p._data)


#: What `_holders` counts where the tensor alone refers to its array. Measured, since interpreters differ.
_ALONE = _holders(Tensor._of(np.empty(1)))


def _alone(p: Tensor) -> bool:
    """Whether only the tensor refers to its memory."""
    if _holders(p) > _ALONE:
        return False
    base = type(p._data.base)
    return base is type(None) or (base is np.ndarray and sys.getrefcount(p._data.base) <= _ALONE)
