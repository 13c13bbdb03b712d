"""Random numbers in loops and branches, drawn in their turn without Python: by NumPy's functions that fill memory with numbers
from a generator, called by their addresses.

They draw from the generator of the process, whatever that is when a program runs, or from one that is given. It is lent to the
program, so that no other thread draws meanwhile, but while the program calls Python back: what runs there may wait for one.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import itertools
import math
import operator
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm import toolchain
from tapenet.llvm.code import Code, offset
from tapenet.llvm.emitter import literal, load, store
from tapenet.program.ir import Builder, Constant, Instruction, Value
from tapenet.program.native.functions import Function
from tapenet.program.native.writer import Family
from tapenet.typing import Array

_BYTE, _TRUTH, _WORD, _DOUBLE = np.dtype(np.uint8), np.dtype(bool), np.dtype(np.uint64), np.dtype(np.float64)
_UNIFORM = "random_standard_uniform_fill"
_ACQUIRE, _RELEASE = operator.methodcaller("acquire"), operator.methodcaller("release")
#: NumPy's functions of floats, by the method that they compute; with "_f" they draw float32.
_FLOATS = {
    "random": _UNIFORM,
    "standard_normal": "random_standard_normal_fill",
    "standard_exponential": "random_standard_exponential_fill",
}
#: Those of whole numbers, by the bits of these.
_WHOLE = {bits: f"random_bounded_uint{bits}_fill" for bits in (8, 16, 32, 64)}


class Place(NamedTuple):
    """Where a generator is: an array that native code reads it in, and what gives the generator."""

    array: Array
    generator: Callable[[], np.random.Generator]


@functools.cache
def _addresses() -> dict[str, int]:
    """The functions that are found, by name. None where a generator's lock cannot be taken twice by a thread: what handles a
    signal may draw too."""
    module = importlib.import_module("numpy.random._generator")
    if not isinstance(np.random.default_rng(0).bit_generator.lock, type(threading.RLock())):
        return {}
    try:
        library = ctypes.CDLL(module.__file__)
        names = [*(name + end for name in _FLOATS.values() for end in ("", "_f")), *_WHOLE.values()]
        found = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names}
    except (OSError, AttributeError):  # it is not told to others where they are
        return {}
    return {name: address for name, address in found.items() if address}


#: Writes the code of a draw: it is given the pointers to the generator, to the numbers and to memory for itself.
Drawing = Callable[[Code, str, str, str], None]


class _Fill(NamedTuple):
    """How native code draws what a sample is: what writes that, the functions that it calls, and bytes that it needs for
    itself."""

    write: Drawing
    names: tuple[str, ...]
    workspace: int = 0


def _floats(name: str, count: int) -> _Fill:
    def write(code: Code, generator: str, out: str, space: str) -> None:
        code.line(f"  call void @{name}(ptr {generator}, i64 {count}, ptr {out})")

    return _Fill(write, (name,))


def _whole(bits: int, low: int, reach: int, count: int) -> _Fill:
    """From `low` on, `reach` further at most."""
    name, half = _WHOLE[bits], 2 ** (bits - 1)

    def write(code: Code, generator: str, out: str, space: str) -> None:
        begin, most = (f"{_passed(bits)} {(n + half) % (2 * half) - half}" for n in (low, reach))
        code.line(f"  call void @{name}(ptr {generator}, {begin}, {most}, i64 {count}, i1 zeroext false, ptr {out})")

    return _Fill(write, (name,))


def _truths(p: float, value: bool, count: int) -> _Fill:
    """As `ops.random.chances` draws them: eight random bits for each, and where these do not decide a number."""
    words = -(-count // 8)
    part, below = math.modf(p * 256)
    bits = _whole(64, 0, 2**64 - 1, words)

    def write(code: Code, generator: str, out: str, space: str) -> None:
        bits.write(code, generator, space, space)
        yes, no = ("true", "false") if value else ("false", "true")

        def choose(i: str, inside: str) -> None:
            chosen = code.emit(f"select i1 {inside}, i1 {yes}, i1 {no}")
            store(code, chosen, offset(code, out, i, 1, _TRUTH), _TRUTH)

        def decide_most(i: str) -> None:
            byte = load(code, offset(code, space, i, 1, _BYTE), _BYTE)
            choose(i, "true" if below > 255 else code.emit(f"icmp ult i8 {byte}, {int(below)}"))

        code.loop(count, decide_most)
        if not part:
            return
        number = code.cell(_DOUBLE)

        def decide_ties(i: str) -> None:
            byte = load(code, offset(code, space, i, 1, _BYTE), _BYTE)

            def decide() -> None:
                code.line(f"  call void @{_UNIFORM}(ptr {generator}, i64 1, ptr {number})")
                choose(i, code.emit(f"fcmp olt double {load(code, number, _DOUBLE)}, {literal(part, _DOUBLE)}"))

            code.where(code.emit(f"icmp eq i8 {byte}, {int(below)}"), decide)

        code.loop(count, decide_ties)

    return _Fill(write, (*bits.names, *[_UNIFORM] * bool(part)), 8 * words)


def _fill(instruction: Instruction) -> _Fill | None:
    """How what an instruction asks for is drawn; None where there is no native code for it."""
    op = instruction.params["op"]
    if (op.name, op.module) != ("random_draw", "tapenet.ops.random") or instruction.args:
        return None
    template = instruction.params["template"]
    if not (template["rng"] is None or isinstance(template["rng"], np.random.Generator)):
        return None  # one that begins anew at each draw
    sample, (result,) = template["sample"], instruction.results
    kind = getattr(sample, "kind", "")
    found = None
    if kind == "floats":
        found = _floats(_FLOATS[sample.method] + ("" if result.dtype == np.float64 else "_f"), result.size)
    elif kind == "integers" and sample.ends is not None:
        low, high = sample.ends
        found = _whole(8 * result.dtype.itemsize, low, high - low, result.size)
    elif kind == "chances":
        found = _truths(sample.p, sample.value, result.size)
    return found if found is not None and _addresses().keys() >= set(found.names) else None


def prepared(instruction: Instruction, builder: Builder) -> tuple[Value, ...] | None:
    """A draw in a body as native code draws it; None for what is none."""
    fill = _fill(instruction)
    if fill is None or not instruction.results[0].size:
        return None
    rng, sample = instruction.params["template"]["rng"], instruction.params["template"]["sample"]
    place = Place(np.zeros(1, np.int64), sample.generator if rng is None else lambda: rng)
    return builder.several("call", Constant(place.array), **instruction.params, fill=fill, place=place)


class Lending:
    """Inside of it generators are lent to native code that draws from them: others wait who draw from these."""

    def __init__(self, places: Sequence[Place]) -> None:
        """Args:
        places: what the code reads.
        """
        self._places = places
        self._lent: dict[int, np.random.BitGenerator] = {}
        self._taken: list[object] = []

    def __enter__(self) -> None:
        """Note where they are: that of the process may be another one than before, also after an op that the code calls back
        (`tn.random.seed`). It stays in memory when another thread makes it another one meanwhile."""
        self._lent = {}
        for place in self._places:
            bits = place.generator().bit_generator
            place.array[0] = bits.ctypes.bit_generator.value
            self._lent[id(bits)] = bits
        # In one order, so that no two threads wait for each other.
        locks = [self._lent[key].lock for key in sorted(self._lent)]
        try:  # between a lock and the note that it is taken no interrupt comes, since no Python runs
            self._taken.extend(itertools.compress(locks, map(_ACQUIRE, locks)))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        try:
            self._give_back()
        finally:  # an interrupt came meanwhile
            self._give_back()

    def _give_back(self) -> None:
        while self._taken:
            next(map(_RELEASE, iter(self._taken.pop, None)))

    def outside(self, function: Callable[[], object]) -> Callable[[], None]:
        """A function that the code calls back, which runs outside."""

        def call() -> None:
            self.__exit__()
            try:
                function()
            finally:
                self.__enter__()

        return call


class Draw(Family):
    """Numbers that native code draws."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return "fill" in instruction.params

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        fill: _Fill = instruction.params["fill"]
        return fill.workspace

    def write(self) -> Function:
        """A call of NumPy's function."""
        fill: _Fill = self.instruction.params["fill"]
        place, out = (
            self.parameter(self.buffer(self.instruction.args[0])),
            self.access(self.instruction.results[0]).pointer,
        )
        space = out if self.workspace is None else self.parameter(self.workspace)
        code = self.code
        for name in fill.names:
            toolchain.symbols[name] = _addresses()[name]
            code.declares.add(_declaration(name))
        fill.write(code, code.emit(f"load ptr, ptr {place}"), out, space)
        return self.done()


def _declaration(name: str) -> str:
    bits = next((bits for bits, other in _WHOLE.items() if other == name), None)
    if bits is None:
        return f"declare void @{name}(ptr, i64, ptr)"
    return f"declare void @{name}(ptr, {_passed(bits)}, {_passed(bits)}, i64, i1 zeroext, ptr)"


def _passed(bits: int) -> str:
    """The type of a whole number as an argument."""
    return f"i{bits} zeroext" if bits < 32 else f"i{bits}"
