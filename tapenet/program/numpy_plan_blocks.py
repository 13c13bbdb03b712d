"""The NumPy plan: runs of elementwise instructions over large arrays, worked through block by block.

Instruction by instruction, each one reads its operands from memory and writes its result there. In blocks that fit a
cache, what one computes is still there for the next, and what nobody outside the run needs is never in memory as a
whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import memory_order
from tapenet.program.numpy_plan_memory import GIVEN, SCRATCH, Memory, Spot, is_dense
from tapenet.program.numpy_plan_places import Places

#: Bytes of one array in a block; measured with Adam, which works on five at once (`optim.storage.BLOCK`).
BLOCK = 128 * 1024
#: Arrays of fewer bytes are worked on whole.
LARGE = 4 * BLOCK

Order = tuple[int, ...]
#: Instructions by their position in the body.
Run = dict[int, Instruction]


def run_at(places: Places, position: int) -> Run:
    """The run of instructions that begins at a position of the body, empty if there is none worth blocks."""
    body = places.program.body
    if not _is_large(places, body[position]):
        return {}
    shape = body[position].results[0].shape
    inside: set[Value] = set()
    order: Order | None = None
    found: Run = {}
    for at in range(position, len(body)):
        instruction = body[at]
        if instruction.kind == "view" and instruction.args[0] not in inside and places.view(instruction):
            continue
        if not _is_large(places, instruction) or instruction.results[0].shape != shape:
            break
        outside = [a for a in instruction.args if a not in inside and places.unspread(a).size > 1]
        orders = {_order(places, a) if a.shape == shape else None for a in outside} | ({order} if order else set())
        if None in orders or len(orders) > 1:
            break
        order = orders.pop() if orders else None
        inside.update(instruction.results)
        found[at] = instruction
    return found if len(found) > 1 else {}


def _is_large(places: Places, instruction: Instruction) -> bool:
    """Whether an instruction may be part of a run."""
    return (
        instruction.kind == "elementwise"
        and instruction not in places.summed
        and instruction.results[0].nbytes >= LARGE
    )


def _order(places: Places, value: Value) -> Order | None:
    """The order in which the elements of an operand lie in memory, without gaps; None if it is another or unknown."""
    usual = tuple(range(value.ndim))
    spot = places.spot(value)
    if spot.strides is None:
        return usual if spot.whole else None  # what is given is most likely so, and is copied if it is not
    order = memory_order(value.shape, spot.strides)
    return order if is_dense(value.shape, spot.strides, order) else None


class Block:
    """Takes the place of `Places` while the statements of a run are written: what has the run's shape is, inside the
    loop, a variable that holds one block."""

    def __init__(self, places: Places, run: Run) -> None:
        self.places = places
        self.run = run
        self.end = max(run) + 1
        #: As of `Places`: none of these is in a run.
        self.summed: frozenset[Instruction] = frozenset()
        first = run[min(run)].results[0]
        self.shape = first.shape
        self._inside = {result for i in run.values() for result in i.results}
        arguments = [a for i in run.values() for a in i.args if a not in self._inside]
        outside = [a for a in arguments if places.unspread(a).size > 1]
        orders = (_order(places, a) for a in outside)
        #: The axes from the slowest in memory to the fastest, of all arrays.
        self.order: Order = next((o for o in orders if o is not None), tuple(range(len(self.shape))))
        #: Whether an argument is read: it may be the storage of a tensor, which is then not to be written here.
        self._given = any(places.spot(a).memory.kind == GIVEN for a in outside)
        #: Within the run: the position of the last instruction that reads each value.
        self._last = {a: at for at, i in run.items() for a in i.args}
        #: The variable of each value, and those of temporaries that are free again, by dtype.
        self._names: dict[Value, str] = {}
        self._free: dict[np.dtype[Any], list[str]] = {}
        self._temporaries: dict[str, np.dtype[Any]] = {}
        self._dying: list[str] = []
        itemsize = max(v.dtype.itemsize for i in run.values() for v in (*i.args, *i.results))
        self._length = BLOCK // itemsize
        #: By the name of an array: the variable of its block, and the slice that cuts it out.
        self._cuts: dict[str, tuple[str, str]] = {}
        self._lines: list[str] = []

    def write(self, emit: Callable[[Any, Instruction, int], None]) -> None:
        """Add the loop to the code; `emit` adds the statements of one instruction."""
        for position, instruction in self.run.items():
            emit(self, instruction, position)
        size = math.prod(self.shape)
        cuts = [
            (slice(i, min(i + self._length, size)), slice(0, min(self._length, size - i)))
            for i in range(0, size, self._length)
        ]
        loop = [f"for s, t in {self.places.shared(self.places.name('s'), cuts)}:"]
        loop += [f"    {name} = {flat}[{by}]" for flat, (name, by) in self._cuts.items()]
        self.places.lines += loop + [f"    {line}" for line in self._lines]
        for position in range(min(self.run), self.end):
            self.places.release(position)

    # -- what statements ask for ---------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self._lines.append(text)

    def shared(self, name: str, thing: Any) -> str:
        return self.places.shared(name, thing)

    def constant(self, array: Any) -> str:
        return self.places.constant(array)

    def dtype(self, dtype: np.dtype[Any]) -> str:
        return self.places.dtype(dtype)

    def array(self, value: Value) -> str:
        if value not in self._names:
            self._names[value] = self._cut(self.places.flat(value, self.order), "s")
            self.places.spot(value).memory.names.append(self._names[value])
        return self._names[value]

    def _cut(self, flat: str, by: str) -> str:
        if flat not in self._cuts:
            self._cuts[flat] = (self.places.name("w"), by)
        return self._cuts[flat][0]

    def unspread(self, value: Value) -> Value:
        number = value if value in self._inside else self.places.unspread(value)
        return number if number.size == 1 else value

    def operand(self, value: Value, shape: tuple[int, ...] | None = None) -> str:
        value = self.unspread(value)
        if value.shape == self.shape:
            return self.array(value)
        return self.places.reshaped(value, ()) or self.places.array(value)

    def derived(self, value: Value, text: str, make: Callable[[Any], Any]) -> str:
        if value.shape == self.shape:
            return self.array(value) + text
        return self.places.derived(value, f".reshape(()){text}", lambda a: make(a.reshape(())))

    def temporary(self, shape: tuple[int, ...], dtype: np.dtype[Any], position: int) -> str:
        if shape != self.shape:
            return self.places.temporary((), dtype, position)  # of a number
        name = self._temporary(dtype)
        self._dying.append(name)
        return name

    def target(
        self, instruction: Instruction, position: int, *, over: Iterable[Value] = (), strict: bool = False
    ) -> Spot:
        (result,) = instruction.results
        if self._escapes(result):
            whole = (
                () if strict else [a for a in over if a not in self._names or self._names[a] not in self._temporaries]
            )
            whole = [a for a in whole if a.shape == self.shape and self.places.spot(a).strides is not None]
            spot = self.places.target(instruction, position, over=whole, order=self.order, update=not self._given)
            self._names[result] = self._cut(self.places.flat(result, self.order), "s")
            return Spot(spot.memory, self._names[result], None)
        self.places.result_bytes += result.nbytes
        self._names[result] = self._taken(instruction, position, over, strict) or self._temporary(result.dtype)
        return Spot(Memory(SCRATCH, position), self._names[result], None)

    def release(self, position: int) -> None:
        """Temporaries that no later instruction reads are free again."""
        made = self._names[self.run[position].results[0]]
        for value in dict.fromkeys(self.run[position].args):
            name = self._names.get(value)
            if self._last[value] == position and name in self._temporaries and name != made:
                self._dying.append(name)
        for name in self._dying:
            self._free.setdefault(self._temporaries[name], []).append(name)
        self._dying.clear()

    def _escapes(self, value: Value) -> bool:
        """Whether a result is needed after the run."""
        return self.places.last.get(value, -1) >= self.end

    def _temporary(self, dtype: np.dtype[Any]) -> str:
        free = self._free.get(dtype)
        if free:
            return free.pop()
        name = self._cut(self.places.temporary((self._length,), dtype, self.end - 1), "t")
        self._temporaries[name] = dtype
        return name

    def _taken(self, instruction: Instruction, position: int, over: Iterable[Value], strict: bool) -> str | None:
        """The variable of a temporary operand that is not read again."""
        (result,) = instruction.results
        for arg in over:
            name = self._names.get(arg)
            if name in self._temporaries and arg.dtype == result.dtype and self._last[arg] == position:
                others = [a for a in instruction.args if a is not arg]
                if not (strict and any(self._names.get(a) == name for a in others)):
                    return name
        return None
