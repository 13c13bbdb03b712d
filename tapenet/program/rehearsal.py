"""Rehearsals of what calls kernels, so that these are compiled beside before they are needed (`llvm.rehearsal`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from tapenet.llvm.rehearsal import rehearsing, state


def begun() -> int:
    """How many kernels this thread has begun to compile."""
    return state.begun


def rehearse(run: Callable[[], object]) -> None:
    """Call a function in which kernels do not run. Its values are arbitrary, and so are its errors and warnings."""
    with rehearsing(), np.errstate(all="ignore"), contextlib.suppress(Exception):
        run()
