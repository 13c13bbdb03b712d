"""Kernels are compiled beside before they are needed: what calls them is rehearsed, and in a rehearsal they do not run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np


class Recorder(Protocol):
    """What records: `recording.Recording`."""

    def make(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray: ...
    def keep(self, array: np.ndarray) -> None: ...
    def launch(
        self,
        code: Any,
        length: int,
        parts: int | None,
        most: tuple[int, int],
        cost: int,
        arguments: tuple[np.ndarray | int, ...],
    ) -> None: ...


class _State(threading.local):
    """Of a thread: whether it rehearses, and what records meanwhile; whether it captures what a program runs from then on; how
    many kernels it has begun to compile."""

    on = False
    captures = False
    record: Recorder | None = None
    begun = 0


state = _State()


class Unrecorded(Exception):
    """What is recorded calls code, or gives it memory, that no recording knows."""


@contextlib.contextmanager
def rehearsing() -> Iterator[None]:
    """Inside, kernels begin to be compiled and do nothing: what they should have written is arbitrary."""
    before, state.on = state.on, True
    try:
        yield
    finally:
        state.on = before
