"""What layers compute, in machine code made for the shapes at hand: the same results as their NumPy, in less time.

Ops ask for the kernels of a topic (`use`) where the work is worth one; where there is none they do it in NumPy: without
llvmlite (the extra `tapenet[jit]`), for other dtypes than float32 and float64, or with the environment variable
`TAPENET_KERNELS=0`. A kernel is compiled at the first call with new shapes, in a tenth of a second or so, and kept on disk.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from tapenet.llvm import rehearsal
from tapenet.llvm.addresses import LINE, address
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

P = ParamSpec("P")
R = TypeVar("R")

#: Bytes of a page, on most processors, and of an array from which it begins with one.
PAGE, LARGE = 4096, 1 << 18
#: Bytes below which an array is where NumPy puts it.
SMALL = 4096
_on = os.environ.get("TAPENET_KERNELS", "1") != "0"


def on() -> bool:
    """Whether ops may use kernels."""
    return _on and _available()


def use(name: str) -> ModuleType | None:
    """The kernels of this topic, loaded at first use; None if ops have to do without."""
    return _topic(name) if on() else None


@functools.cache
def _topic(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def fit(first: Array, *others: Array | None) -> bool:
    """Whether kernels read these arrays: all float32 or all float64, in the machine's byte order, aligned to their elements.
    Those that are None are left out."""
    dtype = first.dtype
    if dtype.char not in "fd" or not dtype.isnative:
        return False
    for a in others:
        if a is not None and not (a.dtype == dtype and a.flags.aligned):
            return False
    return bool(first.flags.aligned)


@functools.cache
def _available() -> bool:
    found = importlib.import_module("tapenet.llvm.toolchain").available()
    if found:
        keep_memory()
    return bool(found)


@functools.cache
def keep_memory() -> None:
    """Have the C library keep freed memory, up to 256 MB. A training step asks for the same large arrays again and again;
    glibc would give them back to the system in between, and fetch them anew page by page, which takes as long as a kernel.
    Who sets glibc's own environment variables keeps what they say."""
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, 1 << 28)  # M_TRIM_THRESHOLD
        mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD: the most that glibc takes


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


# -- where results go --------------------------------------------------------------------------------------------


class _Offers(threading.local):
    """The places of results that a compiled program offers to the op it calls, and which results it asks for."""

    places: Sequence[Array] = ()
    asked: Sequence[bool] = ()


_offers = _Offers()


@contextlib.contextmanager
def offering(places: Sequence[Array], asked: Sequence[bool] = ()) -> Iterator[None]:
    """Inside, `empty` gives these arrays where one fits, so that a result is computed where it belongs.

    Args:
        places: arrays that share no memory with what the op reads.
        asked: whether anybody asks for each of the op's results; by default for all.
    """
    before = _offers.places, _offers.asked
    _offers.places, _offers.asked = places, asked
    try:
        yield
    finally:
        _offers.places, _offers.asked = before


def asking(function: Callable[P, R], asked: Sequence[bool]) -> Callable[P, R]:
    """A function that computes results, called by somebody who asks for these of them alone."""

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        before, _offers.asked = _offers.asked, asked
        try:
            return function(*args, **options)
        finally:
            _offers.asked = before

    return call


def asks(first: int) -> bool:
    """Whether anybody asks for a result of the op from this one on."""
    return not _offers.asked or any(_offers.asked[first:])


def empty(shape: Shape, dtype: DTypeLike, axes: Shape | None = None) -> Array:
    """A new array for a result, or one that is offered, its memory in C order.

    Args:
        shape: in the order of memory.
        dtype: of the array.
        axes: which axis of the op's result each of these is; by default in order.
    """
    for i, place in enumerate(_offers.places):  # of results of one shape the first is to ask first
        found = place if axes is None else place.transpose(axes) if place.ndim == len(axes) else None
        if found is not None and found.shape == shape and found.dtype == dtype and found.flags.c_contiguous:
            _offers.places = [*_offers.places[:i], *_offers.places[i + 1 :]]
            return found
    return aligned(shape, dtype)


def vectors_like(a: Array, width: int, dtype: DTypeLike) -> Array:
    """A new array for a result, or one that is offered: dense vectors of this width, as many as `a` has along its last axis,
    their axes in the same order of memory. Axes that are broadcast stay where they are."""
    if a.flags.c_contiguous:
        return empty((*a.shape[:-1], width), dtype)
    lead = range(a.ndim - 1)
    ranked = iter(sorted((i for i in lead if a.strides[i]), key=lambda i: -a.strides[i]))
    axes = (*(next(ranked) if a.strides[i] else i for i in lead), a.ndim - 1)
    shape = (*a.shape[:-1], width)
    made = empty(tuple(shape[i] for i in axes), np.dtype(dtype), axes)
    return made.transpose(sorted(range(a.ndim), key=axes.__getitem__))


def like(a: Array) -> Array:
    """A new array of the shape, dtype and memory order of one that is dense."""
    if a.flags.c_contiguous:
        return aligned(a.shape, a.dtype)
    return aligned(a.shape, a.dtype, tuple(sorted(range(a.ndim), key=lambda i: -a.strides[i])))


def aligned(shape: Shape, dtype: DTypeLike, order: Shape | None = None) -> Array:
    """A new array, as `np.empty` gives it, that begins with a cache line, unless it is small: what NumPy allocates begins
    within one, and then every vector of 64 bytes lies across two. Adam takes an eighth longer on such, convolution more.

    A large one begins with a page. Where a result lies up to 128 bytes behind an operand, but for a multiple of 1 MB, a
    processor takes what it reads for what it has just written, and waits: exp of 4 million numbers took 9.5 ms in place of
    4.0, and 50 instructions on them 13.5 in place of 4.2. Arrays of 4 MB that NumPy allocates one after the other lie so.

    `order` are its axes from the slowest in memory to the fastest."""
    if order is not None:
        made = aligned(tuple(shape[i] for i in order), dtype)
        return made.transpose(sorted(range(len(order)), key=order.__getitem__))
    dtype, size = np.dtype(dtype), math.prod(shape)
    if rehearsal.state.record is not None:
        return rehearsal.state.record.make(shape, dtype)
    if size * dtype.itemsize < SMALL:
        return np.empty(shape, dtype)
    to = PAGE if size * dtype.itemsize >= LARGE else LINE
    room = np.empty(size + to // dtype.itemsize, dtype)
    first = -address(room) % to // dtype.itemsize
    return room[first : first + size].reshape(shape)


def copied(a: Array) -> Array:
    """A copy of an array in C order, which is a result."""
    made = empty(a.shape, a.dtype)
    write(a, made)
    return made


def write(source: Array, target: Array) -> None:
    """Copy an array to one of its shape. Where what an op does is recorded for a program, a kernel does it (`moves.copied`)."""
    if rehearsal.state.record is None:
        target[...] = source
    else:
        _topic("moves").copied(source, target)


def dense(a: Array) -> Array:
    """An array in C order: itself, or a copy; by a kernel where what an op does is recorded."""
    if a.flags.c_contiguous or rehearsal.state.record is None:
        return np.ascontiguousarray(a)
    return _topic("moves").dense(a)  # type: ignore[no-any-return]


def clear(array: Array) -> None:
    """Write zeros to an array of floats without gaps in memory; by a kernel where what an op does is recorded."""
    if rehearsal.state.record is None:
        array.fill(0)
    else:
        _topic("moves").clear(array)


# -- beside BLAS -------------------------------------------------------------------------------------------------


def alone() -> contextlib.AbstractContextManager[None]:
    """Inside, where kernels are used, BLAS computes on the thread that calls it (`native/blas.py`)."""
    return _blas().alone() if on() else contextlib.nullcontext()


@functools.cache
def _blas() -> ModuleType:
    return importlib.import_module("tapenet.llvm.blas")
