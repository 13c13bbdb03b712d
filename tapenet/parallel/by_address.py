"""MPI's functions by their addresses: compiled programs add up gradients without the interpreter."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tapenet.parallel.ranks import World
from tapenet.program.c_effects import CEffect, Word

#: MPI's names for the numbers that gradients are sent as.
_TYPES = {"f": "FLOAT", "d": "DOUBLE"}
#: A status of MPI's has room in so many words; it takes five or so.
_STATUS = 16


class Sum(NamedTuple):
    """The sum of all ranks' arrays, in place: what begins it, and what waits for it."""

    begin: CEffect
    end: CEffect


@cache
def _address(MPI: Any, name: str) -> int:
    """Where a function of MPI's is: in the library that mpi4py has loaded. 0 where that is not told."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(MPI.__file__), name), ctypes.c_void_p).value or 0
    except (OSError, AttributeError):
        return 0


def summed(ranks: World, count: int, dtype: np.dtype, what: str) -> Sum | None:
    """The sum over all ranks of so many gradients.

    Args:
        what: is waited for, in words.

    Returns:
        None where the functions are not found, or MPI has no such numbers.
    """
    MPI = ranks.MPI
    begin, wait = _address(MPI, "MPI_Iallreduce"), _address(MPI, "MPI_Wait")
    if not (begin and wait and dtype.char in _TYPES):
        return None
    cells = np.zeros(1 + _STATUS, np.int64)
    kind: type[Any] = ctypes.c_uint32 if MPI._sizeof(MPI.REQUEST_NULL) == 4 else ctypes.c_uint64
    request, none = kind.from_buffer(cells), kind(MPI._handleof(MPI.REQUEST_NULL)).value
    request.value = none
    at = cells.ctypes.data

    def handle(thing: object) -> Word:
        return Word(8 * MPI._sizeof(thing), MPI._handleof(thing))

    def pointer(value: int) -> Word:
        return Word(64, value)

    def failed() -> None:
        if request.value != none:  # MPI writes into memory of the program, which others are to use
            with ranks.waiting(what):
                ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(wait)(at, at + 8)

    error = "parallel.optimizer: MPI could not add up gradients"
    numbers = handle(getattr(MPI, _TYPES[dtype.char]))
    given = [
        pointer(int(MPI.IN_PLACE)),
        None,
        Word(32, count),
        numbers,
        handle(MPI.SUM),
        handle(ranks.gradients),
        pointer(at),
    ]
    ranks.labels.append(what)
    waits = ranks.inside.ctypes.data, len(ranks.labels) - 1
    return Sum(
        CEffect("MPI_Iallreduce", begin, given, None, error, failed, cells),
        CEffect("MPI_Wait", wait, [pointer(at), pointer(at + 8)], waits, error, failed, (cells, ranks)),
    )
