"""Which kernels a captured step makes: those that its program calls too, as early as can be, and few others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from tapenet.llvm.rehearsal import rehearsing, state


def begun() -> int:
    """How many kernels this thread has begun to compile."""
    return state.begun


@contextlib.contextmanager
def captured() -> Iterator[None]:
    """Inside, what runs is run by a program from then on."""
    before, state.captures = state.captures, True
    try:
        yield
    finally:
        state.captures = before


def captures() -> bool:
    """Whether what this thread runs is run by a program from then on."""
    return state.captures


def spared(work: int) -> bool:
    """Whether so much work, in elements or in thousands of multiply-adds, is not worth a kernel of eager mode's alone, since it
    is captured but once. A kernel takes 15 ms to write and load and 100 to compile, NumPy a few ms more for the work."""
    return captures() and work <= 1 << 19


def rehearse(run: Callable[[], object]) -> None:
    """Call a function in which kernels do not run. Its values are arbitrary, and so are its errors and warnings."""
    with rehearsing(), np.errstate(all="ignore"), contextlib.suppress(Exception):
        run()
