"""The NumPy plan: in which array each value of a program is, and under which name the generated code knows it.

A value is in scratch, in an array made at each call (`FRESH`: results, and what NumPy allocates by itself), in a
tensor's storage, in an array that somebody else made (`GIVEN`: arguments, the host's, what a called op returned), or it
is constant. Arrays of scratch, tensors' storage and constants are made once, views of them too; all other views are
statements, written where they are first needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.program.ir import Constant, Host, Input, Instruction, Program, Reference, Value
from tapenet.program.layout import Place, reshape_strides, view
from tapenet.program.numpy_plan_memory import (
    CONSTANT,
    GIVEN,
    REFERENCE,
    SCRATCH,
    Code,
    Derived,
    Memory,
    Scratch,
    Spot,
    view_maker,
    view_text,
)


class Arrays(Code):
    """The arrays of one program, and the code that makes views of them where they are asked for."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        #: The arrays that are made once, in order.
        self.statics: dict[str, Scratch | Derived] = {}
        #: Tensors from outside, by the name of their storage.
        self.references: dict[str, Reference] = {}
        self._spots: dict[Value, Spot] = {}
        self._derived: dict[str, str] = {}

    def spot(self, value: Value) -> Spot:
        """Where a value is."""
        found = self._spots.get(value)
        if found is None:
            found = self._spots[value] = self._outside(value)
        return found

    def put(self, value: Value, spot: Spot) -> None:
        """Say where a value is."""
        self._spots[value] = spot

    def _outside(self, value: Value) -> Spot:
        """Where a value is that no instruction computes."""
        end = len(self.program.body)
        if isinstance(value, Reference):
            data = value.tensor._data
            strides = tuple(s // data.itemsize for s in data.strides)
            name = self.name("p")
            self.references[name] = value
            return Spot(Memory(REFERENCE, end), name, Place(value, 0, strides), static=True)
        if isinstance(value, Constant):
            name = self.constant(value.array)
            strides = tuple(s // value.dtype.itemsize for s in value.array.strides)
            return Spot(Memory(CONSTANT, end), name, Place(value, 0, strides), static=True)
        if isinstance(value, (Input, Host)):
            return Spot(Memory(GIVEN, end), self.name("x" if isinstance(value, Input) else "h"), None)
        raise KeyError(f"{value.spec} has not been computed")

    def view(self, instruction: Instruction) -> bool:
        """Note a view of its argument; False if its memory order makes that impossible."""
        (arg,), (result,) = instruction.args, instruction.results
        base = self.spot(arg)
        place = None if base.place is None else view(base.place, instruction)
        if base.place is not None and place is None:
            return False
        whole = base.whole and arg.size == result.size and instruction.name != "broadcast"
        self._spots[result] = Spot(
            base.memory, "", place, whole=whole, static=base.static, base=arg, instruction=instruction
        )
        return True

    def array(self, value: Value) -> str:
        """The name of the array that holds a value, made now if it is a view without one."""
        chain = []
        spot = self.spot(value)
        while not spot.name:
            chain.append((value, spot))
            assert spot.base is not None
            value = spot.base
            spot = self.spot(value)
        for made, found in reversed(chain):
            found.name = self._view(made, found, spot.name)
            spot = found
        return spot.name

    def _view(self, value: Value, spot: Spot, base: str) -> str:
        instruction = spot.instruction
        assert instruction is not None
        name = self.name("v")
        if spot.static:
            self.statics[name] = self.recipe(value, spot) or Derived(base, view_maker(instruction))
        else:
            if instruction.name == "broadcast":
                self.shared("broadcast_to", np.broadcast_to)
            self.line(f"{name} = {view_text(instruction, base)}")
            spot.memory.names.append(name)
        return name

    def recipe(self, value: Value, spot: Spot) -> Scratch | None:
        """How to make the array of a value in scratch."""
        if spot.memory.kind != SCRATCH:
            return None
        assert spot.place is not None
        size = value.dtype.itemsize
        strides = tuple(s * size for s in spot.place.strides)
        return Scratch(spot.memory.offset + spot.place.offset * size, value.shape, value.dtype, strides)

    def derived(self, value: Value, text: str, make: Callable[[Any], Any]) -> str:
        """A view of a value's array that is no instruction's result. `text` says how it is made, behind the name of
        that array."""
        base = self.array(value)
        if not self.spot(value).static:
            return base + text
        key = base + text
        if key not in self._derived:
            self._derived[key] = self.name("v")
            self.statics[self._derived[key]] = Derived(base, make)
        return self._derived[key]

    def swapped(self, value: Value) -> str:
        """The array of a value with its last two axes exchanged."""
        if value.ndim == 2:
            return self.derived(value, ".T", lambda a: a.T)
        return self.derived(value, ".swapaxes(-1, -2)", lambda a: a.swapaxes(-1, -2))

    def reshaped(self, value: Value, shape: tuple[int, ...]) -> str | None:
        """The array of a value in another shape, or None where that takes a copy."""
        if value.shape == shape:
            return self.array(value)
        place = self.spot(value).place
        if place is not None and reshape_strides(value.shape, place.strides, shape) is None:
            return None
        return self.derived(value, f".reshape({shape!r})", lambda a: a.reshape(shape))

    def flat(self, value: Value, order: tuple[int, ...]) -> str:
        """The array of a value as a vector, with its axes in this order."""
        usual = order == tuple(range(value.ndim))
        text = ".reshape(-1)" if usual else f".transpose({order!r}).reshape(-1)"
        name = self.derived(value, text, lambda a: a.transpose(order).reshape(-1))
        if self.spot(value).static:
            return name
        flat = self.name("v")
        self.line(f"{flat} = {name}")
        self.spot(value).memory.names.append(flat)
        return flat

    def unspread(self, value: Value) -> Value:
        """What an operand is a broadcast of: NumPy broadcasts by itself."""
        spot = self.spot(value)
        while spot.instruction is not None and spot.instruction.name == "broadcast":
            assert spot.base is not None
            value = spot.base
            spot = self.spot(value)
        return value

    def operand(self, value: Value, shape: tuple[int, ...] | None = None) -> str:
        """The array of an operand, not broadcast; where it is easily done, in the very shape of the result, or of no
        axes if it is a number: then NumPy does not have to broadcast, which takes twice as long."""
        value = self.unspread(value)
        if shape is not None and value.shape != shape and self.spot(value).static:
            size = math.prod(shape)
            fitting = shape if value.size == size else () if value.size == 1 else value.shape
            name = self.reshaped(value, fitting)
            if name is not None:
                return name
        return self.array(value)
