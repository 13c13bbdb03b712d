"""Random numbers in loops and branches, drawn in their turn without Python: by NumPy's functions that fill memory with numbers
from a generator, called by their addresses.

They draw from the generator of the process, whatever that is when a program runs: it is lent to the program, so that no other
thread draws meanwhile.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from tapenet.llvm import toolchain
from tapenet.program.ir import Builder, Constant, Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.kernels import Function
from tapenet.program.native.writer import Writer
from tapenet.typing import Array

#: NumPy's functions, by the method that they compute.
_FILLS = {
    "random": "random_standard_uniform_fill",
    "standard_normal": "random_standard_normal_fill",
    "standard_exponential": "random_standard_exponential_fill",
}


class Place(NamedTuple):
    """Where the generator is: an array that native code reads it in, and what gives the generator."""

    array: Array
    generator: Callable[[], np.random.Generator]


@functools.cache
def _addresses() -> dict[str, int]:
    """The functions that are found, by name. None where a generator's lock cannot be taken twice by a thread: what a program
    calls may draw too."""
    module = importlib.import_module("numpy.random._generator")
    if not isinstance(np.random.default_rng(0).bit_generator.lock, type(threading.RLock())):
        return {}
    try:
        library = ctypes.CDLL(module.__file__)
        names = [name + end for name in _FILLS.values() for end in ("", "_f")]
        found = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names}
    except (OSError, AttributeError):  # it is not told to others where they are
        return {}
    return {name: address for name, address in found.items() if address}


def _fill(instruction: Instruction) -> str | None:
    """The function that draws what an instruction asks for; None where there is none."""
    op = instruction.params["op"]
    if (op.name, op.module) != ("random_draw", "tapenet.ops.random") or instruction.args:
        return None
    template = instruction.params["template"]
    name = _FILLS.get(getattr(template["sample"], "kind", ""))
    if name is None or template["rng"] is not None:
        return None
    name += "" if instruction.results[0].dtype == np.float64 else "_f"
    return name if name in _addresses() else None


def prepared(instruction: Instruction, builder: Builder) -> tuple[Value, ...] | None:
    """A draw in a body as native code draws it; None for what is none."""
    name = _fill(instruction)
    if name is None or not instruction.results[0].size:
        return None
    place = Place(np.zeros(1, np.int64), instruction.params["template"]["sample"].generator)
    return builder.several("call", Constant(place.array), **instruction.params, fill=name, place=place)


def draws(instruction: Instruction) -> bool:
    """Whether native code draws an instruction's numbers."""
    return "fill" in instruction.params


class Lending:
    """Says where the generator of the process is, for native code that draws from it."""

    def __init__(self, places: Sequence[Place]) -> None:
        """Args:
        places: what the code reads.
        """
        self._places = places
        self._lent: np.random.BitGenerator | None = None

    def lock(self) -> AbstractContextManager[object]:
        """What others wait for who draw from it."""
        lock: AbstractContextManager[object] = self.tell().lock
        return lock

    def tell(self) -> np.random.BitGenerator:
        """Note where it is: it may be another one than before, also after an op that the code calls back (`tn.random.seed`). It
        stays in memory when another thread makes the process's generator another one meanwhile."""
        bits = self._lent = self._places[0].generator().bit_generator
        for place in self._places:
            place.array[0] = bits.ctypes.bit_generator.value
        return bits


def write(instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable]) -> Function:
    """The function of one draw."""
    name = instruction.params["fill"]
    (result,) = instruction.results
    toolchain.symbols[name] = _addresses()[name]
    writer = Writer(instruction, layouts, buffer, None)
    place, out = writer.parameter(buffer(instruction.args[0])), writer.access(result).pointer
    code = writer.code
    code.declares.add(f"declare void @{name}(ptr, i64, ptr)")
    code.line(f"  call void @{name}(ptr {code.emit(f'load ptr, ptr {place}')}, i64 {result.size}, ptr {out})")
    return writer.done()
