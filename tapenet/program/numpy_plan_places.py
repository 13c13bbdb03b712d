"""The NumPy plan: room for the results of a program, taken and given back as its instructions run.

A result is computed in the storage of the tensor it is written to, over an operand that nobody needs any more if it is
elementwise, in a new array if it is returned, else in scratch (one arena, planned ahead).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from tapenet.program.buffers import Arena, last_uses
from tapenet.program.ir import Instruction, Program, Reference, Result, Value
from tapenet.program.layout import (
    Place,
    Strides,
    c_strides,
    ordered_strides,
    reshape_strides,
    result_order,
    unusual_order,
)
from tapenet.program.numpy_plan_arrays import Arrays
from tapenet.program.numpy_plan_memory import (
    FRESH,
    GIVEN,
    REFERENCE,
    SCRATCH,
    Derived,
    Memory,
    Spot,
    dense_strides,
    is_dense,
    is_large,
    overlapping,
)

#: Arrays made at each call, from so many bytes on, are let go of where they are not needed any more.
FREED = 64 * 1024
#: Primitives whose results never lie in the memory of their arguments.
_SEPARATE = frozenset({"elementwise", "reduction", "product", "movement", "control"})


class Places(Arrays):
    """The arrays of one program, with room for each result, and the code that works on them, as it grows."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._users: dict[Value, list[Instruction]] = {}
        for instruction in program.body:
            for arg in instruction.args:
                self._users.setdefault(arg, []).append(instruction)
        roots = set(program.roots())
        #: Products whose only use is to be summed up: the two are a dot product.
        self.summed = {i for i in program.body if _is_summed(i, self._users) and i.results[0] not in roots}
        self.last = last_uses(program, lambda i: i.kind not in _SEPARATE or i in self.summed)
        #: The same without what a called op may return of its arguments: the array lives on as long as that does.
        self._named = last_uses(program, lambda i: i.kind == "view" or i in self.summed)
        self.arena = Arena()
        #: Bytes of all results, each in memory of its own.
        self.result_bytes = 0
        #: What runs the bodies of each loop and branch.
        self.bodies: dict[Instruction, tuple[Any, ...]] = {}
        #: Memory that may end after each instruction.
        self._ends: dict[int, list[Memory]] = {}
        self._returned = {_root(v)[0] for v in program.outputs}
        self._prepare_updates()

    def _prepare_updates(self) -> None:
        """Find which results may be computed in the storage of the tensor they are written to."""
        #: The tensor whose storage a result may be computed in, and the views of the result that are written to it.
        self._updates: dict[Value, tuple[Reference, list[Instruction]]] = {}
        #: Position of the last instruction that may find other sizes; before it nothing is written; -1 if there is none.
        self._sized_end = max((at for at, i in enumerate(self.program.body) if i.params.get("sized")), default=-1)
        #: Position of the last instruction that reads an argument, which may be a tensor's storage.
        self._given_end = -1
        #: Tensors whose memory another one's overlaps: never written before the end.
        references = self.program.references
        shared = overlapping([r.tensor._data for r in references])
        self.overlapping = {references[k] for k in shared}
        for value in (*self.program.inputs, *filter(is_large, self.program.hosts)):
            self._given_end = max(self._given_end, self.last.get(value, -1))
        for target, value in self.program.writes:
            root, views = _root(value)
            computed = isinstance(root, Result) and root.instruction.kind in _SEPARATE
            if computed and target not in self.overlapping:
                self._updates.setdefault(root, (target, views))

    # -- room for results ----------------------------------------------------------------------------------------

    def ending(self, memory: Memory, end: int) -> None:
        """Note when memory ends."""
        memory.end = end
        self._ends.setdefault(end, []).append(memory)

    def release(self, position: int) -> None:
        """Give back what ends after an instruction."""
        for memory in dict.fromkeys(self._ends.pop(position, ())):  # taken over here, it is there twice
            if memory.end != position:
                continue
            if memory.kind == SCRATCH:
                self.arena.give(memory.offset, memory.nbytes)
            elif memory.names and memory.nbytes >= FREED:
                self.line(f"del {', '.join(memory.names)}")

    def scratch(self, value: Value, end: int, order: tuple[int, ...] | None = None, letter: str = "b") -> Spot:
        """New room in the arena for a value, dense in memory."""
        memory = Memory(SCRATCH, end, self.arena.take(value.nbytes), value.nbytes)
        self.ending(memory, end)
        strides = c_strides(value.shape) if order is None else ordered_strides(value.shape, order)
        spot = Spot(memory, self.name(letter), Place(value, 0, strides), static=True)
        recipe = self.recipe(value, spot)
        assert recipe is not None
        self.statics[spot.name] = recipe
        return spot

    def temporary(self, shape: tuple[int, ...], dtype: np.dtype[Any], position: int) -> str:
        """The name of an array in scratch that only the instruction at a position needs."""
        return self.scratch(Value(shape, dtype), position).name

    def target(self, instruction: Instruction, position: int, *, over: Iterable[Value] = (), strict: bool = False,
               dense: str = "", order: tuple[int, ...] | None = None, update: bool = True) -> Spot:  # fmt: skip
        """Where an instruction's result goes: into the tensor it is written to, over an operand that nobody needs any
        more, into a new array if it is returned, else into scratch.

        Args:
            instruction: with one result.
            position: its position in the body.
            over: the arguments whose memory it may take over, being elementwise.
            strict: it may only if no other argument lies there too (a ufunc sees that, and copies).
            dense: "rows" if it must be in row-major order, "matrix" if its last two axes may be exchanged.
            order: in which its axes must lie in memory, without gaps.
            update: whether it may be computed in the storage of the tensor it is written to.
        """
        (result,) = instruction.results
        self.result_bytes += result.nbytes
        end = self.last.get(result, position)
        over = tuple(over)
        if result.size == 1:  # writing over an operand, NumPy takes four times as long with one element
            over = ()
        spot = self._update(instruction, position, over, strict, dense) if update else None
        if spot is not None and order is not None and not is_dense(result.shape, spot.strides, order):
            spot = None
        if spot is None:
            spot = self._taken(instruction, position, over, strict, end)
        if spot is None and result in self._returned:
            spot = self._fresh(result, order or self._order(instruction, dense))
        if spot is None:
            spot = self.scratch(result, end, order or self._order(instruction, dense))
        self._spots[result] = spot
        return spot

    def _update(
        self, instruction: Instruction, position: int, over: tuple[Value, ...], strict: bool, dense: str
    ) -> Spot | None:
        """The storage of the tensor that the result is written to, if nobody needs the old value any more."""
        (result,) = instruction.results
        if result not in self._updates or result.size == 1 or position < self._sized_end:
            return None
        target, views = self._updates[result]
        memory = self.spot(target).memory
        last_read = max(self.last.get(target, -1), self._given_end)
        if last_read > position or (last_read == position and not over):
            return None
        if strict and last_read == position:
            others = [a for a in instruction.args if a not in over]
            if any(self.spot(a).memory.kind == GIVEN or self.spot(a).memory is memory for a in others):
                return None
        spot = self._behind(target, views)
        return None if spot is None or (dense and spot.strides not in dense_strides(result.shape, dense)) else spot

    def _behind(self, target: Reference, views: list[Instruction]) -> Spot | None:
        """A tensor's storage as what a chain of views makes that tensor of, if strides can show it so."""
        spot = self.spot(target)
        name, place = spot.name, spot.place
        assert place is not None
        for instruction in views:
            before, shape = instruction.results[0].shape, instruction.args[0].shape
            if instruction.name == "transpose":
                axes = tuple(sorted(range(len(shape)), key=instruction.params["axes"].__getitem__))
                strides: Strides | None = tuple(place.strides[i] for i in axes)
                make = partial(np.transpose, axes=axes)
            else:
                strides = reshape_strides(before, place.strides, shape)
                make = partial(np.reshape, shape=shape)
            if strides is None:
                return None
            place = Place(target, 0, strides)
            base, name = name, self.name("v")
            self.statics[name] = Derived(base, make)
        return Spot(spot.memory, name, place, static=True)

    def _taken(
        self, instruction: Instruction, position: int, over: tuple[Value, ...], strict: bool, end: int
    ) -> Spot | None:
        (result,) = instruction.results
        for arg in over:
            if arg.shape != result.shape or arg.dtype != result.dtype:
                continue
            spot = self.spot(arg)
            memory = spot.memory
            if not spot.whole or memory.end != position or memory.kind not in (SCRATCH, FRESH):
                continue
            if memory.kind == SCRATCH and result in self._returned:
                continue
            others = [a for a in instruction.args if a is not arg]
            if strict and any(self.spot(a).memory is memory for a in others):
                continue
            name = self.array(arg)
            self.ending(memory, end)
            return Spot(memory, name, spot.place, static=spot.static)
        return None

    def _fresh(self, result: Value, order: tuple[int, ...]) -> Spot | None:
        """A new array at each call."""
        usual = tuple(range(result.ndim))
        if order not in (usual, usual[::-1]):
            return None
        spot = Spot(
            Memory(FRESH, len(self.program.body)), self.name("b"),
            Place(result, 0, ordered_strides(result.shape, order)),
        )  # fmt: skip
        flag = "" if order == usual else ", 'F'"
        self.shared("empty", np.empty)
        self.line(f"{spot.name} = empty({result.shape!r}, {self.dtype(result.dtype)}{flag})")
        return spot

    def allocated(self, instruction: Instruction, position: int, text: str) -> None:
        """A statement whose value is a new array that NumPy allocates, or a tuple of them."""
        names = []
        for result in instruction.results:
            self.result_bytes += result.nbytes
            names.append(self._made(result, FRESH, position))
        if instruction.kind == "control":  # a tuple, empty if it is there for its effects alone
            self.line(f"({''.join(f'{name}, ' for name in names)}) = {text}")
        else:
            self.line(f"{', '.join(names)} = {text}")

    def given(self, result: Value, position: int) -> str:
        """The variable for a result in an array that somebody else makes."""
        return self._made(result, GIVEN, position)

    def _made(self, result: Value, kind: str, position: int) -> str:
        memory = Memory(kind, 0, nbytes=result.nbytes)
        last = self._named if kind == GIVEN else self.last
        self.ending(memory, last.get(result, position))
        name = self.name("b")
        memory.names.append(name)
        self._spots[result] = Spot(memory, name, None)
        return name

    # -- memory order --------------------------------------------------------------------------------------------

    def _order(self, instruction: Instruction, dense: str) -> tuple[int, ...]:
        """The axes of a result from the slowest in memory to the fastest. What belongs to a Fortran-ordered weight
        is Fortran-ordered too: an elementwise result follows its operands, a product those it is combined with."""
        (result,) = instruction.results
        usual = tuple(range(result.ndim))
        order = usual if instruction.kind == "reduction" else result_order(result, self._order_of)
        if (
            order == usual
            and dense != "rows"
            and result.ndim == 2
            and all(a.shape != result.shape for a in instruction.args)
        ):
            order = self._wanted(result) or order
        return order

    def _order_of(self, value: Value) -> tuple[int, ...] | None:
        """The unusual order in which a value lies in memory, where it is known already or likely."""
        if isinstance(value, Result) and value not in self._spots:
            return None
        strides = self.spot(value).strides
        if strides is not None:
            return unusual_order(value.shape, strides)
        if isinstance(value, Result) and value.instruction.name == "call":
            order = result_order(value, self._order_of)
            return None if order == tuple(range(value.ndim)) else order
        return None

    def _wanted(self, result: Value) -> tuple[int, ...] | None:
        """The memory order of what the result will meet in elementwise instructions."""
        seen = 0
        queue = [result]
        while queue and seen < 8:
            value = queue.pop()
            for user in self._users.get(value, ()):
                if user.kind == "elementwise" and user.results[0].shape == result.shape:
                    seen += 1
                    order = result_order(user.results[0], self._order_of)
                    if order != tuple(range(result.ndim)):
                        return order
                    queue.append(user.results[0])
        return None

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Copy what is returned and not in an array of its own, write to tensors, return."""
        names = []
        claimed: set[Memory] = set()
        for value in self.program.outputs:
            spot = self.spot(value)
            if spot.memory.kind == FRESH and spot.whole and spot.memory not in claimed:
                claimed.add(spot.memory)
                names.append(self.array(value))
                continue
            name = self.name("o")
            self.line(f"{name} = {self.array(value)}.copy()")
            names.append(name)
        self._write()
        self.line(f"return ({', '.join(names)}{',' if len(names) == 1 else ''})")

    def _write(self) -> None:
        writes = [(target, value) for target, value in self.program.writes if not self._is_there(target, value)]
        statements = []
        for target, value in writes:
            source = self.operand(value)
            if len(writes) > 1 and self.spot(value).memory.kind in (REFERENCE, GIVEN):
                name = self.name("o")  # another write may change it
                self.line(f"{name} = {source}.copy()")
                source = name
            statements.append(f"{self.array(target)}[...] = {source}")
        self.lines += statements

    def _is_there(self, target: Reference, value: Value) -> bool:
        """Whether a value was computed in the storage it is written to."""
        update = self._updates.get(_root(value)[0])
        return update is not None and update[0] is target and self.spot(value).memory is self.spot(target).memory


def _is_summed(instruction: Instruction, users: dict[Value, list[Instruction]]) -> bool:
    """Whether an instruction is a product whose only use is the sum of all its elements."""
    if instruction.name != "multiply":
        return False
    (result,) = instruction.results
    found = users.get(result, [])
    return (
        result.dtype.char in "fd"
        and all(a.shape == result.shape for a in instruction.args)
        and len(found) == 1
        and found[0].name == "reduce_add"
        and len(found[0].params["axes"]) == result.ndim
    )


def _root(value: Value) -> tuple[Value, list[Instruction]]:
    """What a value shows all of, and the views that lead from it there."""
    views = []
    while isinstance(value, Result) and value.instruction.name in ("reshape", "transpose"):
        views.append(value.instruction)
        value = value.instruction.args[0]
    return value, views
