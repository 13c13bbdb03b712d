"""MPI's functions by their addresses, and what they are given."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from tapenet.program.c_effects import Word

#: A status of MPI's has room in so many words; it takes five or so.
STATUS = 16


@cache
def address(MPI: Any, name: str) -> int:
    """Where a function of MPI's is: in the library that mpi4py has loaded. 0 where that is not told."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(MPI.__file__), name), ctypes.c_void_p).value or 0
    except (OSError, AttributeError):
        return 0


def handle(MPI: Any, thing: object) -> Word:
    """One of MPI's objects, as its functions take it."""
    return Word(8 * MPI._sizeof(thing), MPI._handleof(thing))


def pointer(value: int) -> Word:
    """An address."""
    return Word(64, value)
