"""The NumPy plan: the code as it is written, what is said of memory, and how arrays and views of it are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Place, Strides, c_strides, ordered_strides
from tapenet.program.primitives import PRIMITIVES, numpy_slices

SCRATCH, FRESH, REFERENCE, GIVEN, CONSTANT = "scratch", "fresh", "reference", "given", "constant"


class Memory:
    """The memory of one array and its views."""

    __slots__ = ("end", "kind", "names", "nbytes", "offset")

    def __init__(self, kind: str, end: int, offset: int = 0, nbytes: int = 0) -> None:
        self.kind = kind
        #: Position of the last instruction that needs it.
        self.end = end
        #: Variables that hold it, where it is made at each call.
        self.names: list[str] = []
        #: Where in the arena it is, and how long.
        self.offset = offset
        self.nbytes = nbytes


class Spot:
    """Where a value is.

    Attributes:
        memory: whose part it is.
        name: the variable that holds the array; "" for a view that nobody has asked for yet.
        base, instruction: what it is a view of and how, until it has a name.
        place: offset and strides in elements; None where they are known only when the code runs.
        whole: whether it shows each element of the memory once, so that writing it replaces all.
        static: whether the variable is set once, not at each call.
    """

    __slots__ = ("base", "instruction", "memory", "name", "place", "static", "whole")

    def __init__(
        self, memory: Memory, name: str, place: Place | None, *, whole: bool = True, static: bool = False,
        base: Value | None = None, instruction: Instruction | None = None,
    ) -> None:  # fmt: skip
        self.memory = memory
        self.name = name
        self.place = place
        self.whole = whole
        self.static = static
        self.base = base
        self.instruction = instruction

    @property
    def strides(self) -> Strides | None:
        return None if self.place is None else self.place.strides


class Scratch(NamedTuple):
    """How to make an array in the arena; offset and strides in bytes."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: Strides


class Derived(NamedTuple):
    """How to make an array from another one that is made once."""

    base: str
    make: Callable[[Any], Any]


class Code:
    """Python as it is written: its statements, and what their names stand for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: What the code refers to and that is the same for all calls: functions, dtypes, constants.
        self.globals: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._ones: dict[tuple[int, str], str] = {}

    def name(self, letter: str) -> str:
        """A new name for a variable."""
        count = self._counts.get(letter, 0)
        self._counts[letter] = count + 1
        return f"{letter}{count}"

    def line(self, text: str) -> None:
        """Add a statement."""
        self.lines.append(text)

    def shared(self, name: str, thing: Any) -> str:
        """A name of a thing that the code refers to."""
        self.globals[name] = thing
        return name

    def constant(self, array: Any) -> str:
        """The name of a constant array."""
        return self.shared(self.name("c"), array)

    def dtype(self, dtype: np.dtype[Any]) -> str:
        return self.shared(f"d{dtype.kind}{dtype.itemsize}", dtype)

    def ones(self, length: int, dtype: np.dtype[Any]) -> str:
        """The name of a vector of ones."""
        key = (length, dtype.str)
        if key not in self._ones:
            self._ones[key] = self.constant(np.ones(length, dtype))
        return self._ones[key]


def is_large(host: Value) -> bool:
    """Whether an array that the host computes is used where it is, rather than copied."""
    return host.nbytes > 1024


def dense_strides(shape: tuple[int, ...], dense: str) -> tuple[Strides, ...]:
    """The strides that an array of which it is asked to be `dense` may have."""
    rows = c_strides(shape)
    if dense == "rows" or len(shape) < 2:
        return (rows,)
    exchanged = c_strides((*shape[:-2], shape[-1], shape[-2]))
    return rows, (*exchanged[:-2], exchanged[-1], exchanged[-2])


def is_dense(shape: tuple[int, ...], strides: Strides | None, order: tuple[int, ...]) -> bool:
    """Whether an array lies in memory without gaps, its axes in this order; those of length one do not matter."""
    dense = ordered_strides(shape, order)
    return strides is not None and all(n == 1 or s == d for n, s, d in zip(shape, strides, dense, strict=True))


def view_maker(instruction: Instruction) -> Callable[[Any], Any]:
    """A view as a function of what it is a view of."""
    evaluate, params = PRIMITIVES[instruction.name].evaluate, instruction.params
    return lambda base: evaluate(base, **params)


def view_text(instruction: Instruction, base: str) -> str:
    """A view as an expression."""
    params = instruction.params
    if instruction.name == "transpose":
        axes = params["axes"]
        return f"{base}.T" if axes == tuple(range(len(axes)))[::-1] else f"{base}.transpose({axes!r})"
    if instruction.name == "reshape":
        return f"{base}.reshape({params['shape']!r})"
    if instruction.name == "broadcast":
        return f"broadcast_to({base}, {params['shape']!r})"
    return f"{base}[{slices_text(params['slices'])}]"


def slices_text(slices: Any) -> str:
    """Normalised slices as they stand in an index; "..." for none."""
    parts = []
    for s in numpy_slices(slices):
        stop = "" if s.stop is None else s.stop
        parts.append(f"{s.start}:{stop}" + (f":{s.step}" if s.step != 1 else ""))
    return ", ".join(parts) or "..."


def overlapping(arrays: list[Any]) -> frozenset[int]:
    """The positions of the arrays whose memory may overlap that of another one."""
    found: set[int] = set()
    ranges = sorted((*np.lib.array_utils.byte_bounds(a), k) for k, a in enumerate(arrays) if a.size)
    end, owner = 0, -1
    for first, last, k in ranges:
        if first < end:
            found |= {k, owner}
        if last > end:
            end, owner = last, k
    return frozenset(found)
