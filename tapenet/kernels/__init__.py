"""What layers compute, in machine code made for the shapes at hand: the same results as their NumPy, in less time.

Ops ask `on()`, and whether the work is worth a kernel; where there is none they do it in NumPy: without llvmlite (the extra
`tapenet[jit]`), for other dtypes than float32 and float64, or with the environment variable `TAPENET_KERNELS=0`. A kernel is
compiled at the first call with new shapes, in a tenth of a second or so, and kept on disk.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

_on = os.environ.get("TAPENET_KERNELS", "1") != "0"


def on() -> bool:
    """Whether ops may use kernels."""
    return _on and _installed()


@functools.cache
def _installed() -> bool:
    from tapenet.native.toolchain import available

    return available()


@contextlib.contextmanager
def switched(to: bool) -> Iterator[None]:
    """Inside, ops use kernels, if `to` and llvmlite is installed, or do without them.

    >>> with switched(False):
    ...     on()
    False
    """
    global _on
    before, _on = _on, to
    try:
        yield
    finally:
        _on = before
