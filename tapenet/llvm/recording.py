"""What shared code (`sharing`) is called with, recorded in a rehearsal, so that a program can call it by itself from then on.

What is recorded runs on other memory later. So all memory that such code is given must be known: that of arguments and
results, what is made in between (`kernels.aligned`), and what stays (`kernels.constants.kept`). None of it can be written by
NumPy meanwhile: who tries to gets an error, as does who reads it into memory of NumPy's own and gives that to the code.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.llvm import rehearsal
from tapenet.llvm.addresses import address

if TYPE_CHECKING:
    from tapenet.llvm.sharing import Shared


class Place(NamedTuple):
    """Where an argument is: in which known memory, by its kind and number, and after how many of its bytes."""

    memory: tuple[str, int]
    bytes: int


class Launch(NamedTuple):
    """One call of shared code: the length of its range, in how many parts it is done (None: as many as there are threads for,
    `most` at most, and the second number where each thread has one), its cost in multiply-adds, and its arguments; where
    memory has a part for each, how far these are apart."""

    code: Shared
    length: int
    parts: int | None
    most: tuple[int, int]
    cost: int
    arguments: tuple[Place | int, ...]
    apart: tuple[int, ...]


class Recording:
    """Calls of shared code, in order.

    Attributes:
        launches: the calls.
        made: the bytes of what is made in between.
        constants: what stays as it is.
    """

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.made: list[int] = []
        self.constants: list[np.ndarray] = []
        self._known: list[tuple[int, int, tuple[str, int], np.ndarray]] = []

    def know(self, memory: tuple[str, int], array: np.ndarray) -> None:
        """Say what an array's memory is called."""
        low, high = np.lib.array_utils.byte_bounds(array)
        high = max(high, low + 1)  # of nothing too
        self._known.append((low, high, memory, array))

    def make(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array that nobody can write."""
        array = np.empty(shape, dtype)
        array.flags.writeable = False
        self.know(("made", len(self.made)), array)
        self.made.append(math.prod(shape) * dtype.itemsize)
        return array

    def keep(self, array: np.ndarray) -> None:
        """Say that an array stays as it is."""
        if not any(array is a for a in self.constants):
            self.know(("constant", len(self.constants)), array)
            self.constants.append(array)

    def launch(
        self,
        code: Shared,
        length: int,
        parts: int | None,
        most: tuple[int, int],
        cost: int,
        arguments: tuple[np.ndarray | int, ...],
    ) -> None:
        """Record a call.

        Raises:
            Unrecorded: the memory of an argument is not known.
        """
        places = tuple(a if isinstance(a, int) else self.place(a) for a in arguments)
        apart = tuple(0 if isinstance(a, int) or not a.ndim else a.strides[0] for a in arguments)
        self.launches.append(Launch(code, length, parts, most, cost, places, apart))

    def place(self, array: np.ndarray) -> Place:
        """Where an array is."""
        at = address(array)
        for low, high, memory, _ in self._known:
            if low <= at < high:
                return Place(memory, at - low)
        raise rehearsal.Unrecorded


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Inside, shared code does not run: its calls are recorded."""
    with rehearsal.rehearsing():
        made = Recording()
        before, rehearsal.state.record = rehearsal.state.record, made
        try:
            yield made
        finally:
            rehearsal.state.record = before


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Inside, code runs, also in a rehearsal."""
    state = rehearsal.state
    before, (state.on, state.record) = (state.on, state.record), (False, None)
    try:
        yield
    finally:
        state.on, state.record = before
