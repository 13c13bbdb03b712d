"""Worker threads that stay: started at the first work that is worth them, woken in microseconds, asleep when there is none.

Work is a function in machine code that is called for each item of a range: `f(context, item, thread)`. The thread that has
the work takes items from the front, the workers from the back, so that with two threads each comes to the same part of an
array again in the next kernel, where its own cache may still have it. Which thread does an item is left to chance; so items
write to places of their own. Where items add up sums, the cut depends on the work alone, never on the number of threads.

There is one piece of work at a time. Who comes while there is one (another thread of Python, an item that has work to share)
does its own alone: the processors are busy. After its last item a worker looks out for more for some microseconds (`SPIN`)
before it sleeps, since the kernels of a program follow each other closely. One whose last sleep was short looks out longer
(`LONG`): work that comes again and again, with Python between, is not worth a sleep, out of which it takes 30 to 50 µs.

The pool is a module of machine code (`pool_code`): `tn_share` is called by address from other code, and from Python through
`share`. It uses the threads of POSIX; where there are none, and where the system gives no more, whoever has the work does it.
"""

from __future__ import annotations

import ctypes
import functools
import os

import numpy as np

from tapenet.llvm import pool_code, toolchain
from tapenet.llvm.parts import OWN_VECTORS
from tapenet.llvm.processor import processors

#: Threads at most.
MOST = 1024
#: Cycles of a part at least, some 10 µs, as they are estimated: a worker that looks out for work takes a part within one, one
#: that sleeps is there within ten. Work of 20 µs takes 20 instead of 33 µs on two threads right behind other work, 28 after
#: a pause.
PART = 30_000
#: The same of work that wakes nobody: only threads that look out for work just then take part, as between larger kernels of
#: a program. There 4 µs are worth sharing: six such kernels of a small convolutional network take 119 µs so, 149 without.
AWAKE = 6_000
#: Parts at most that a work is cut into.
PARTS = 64
#: Blocks of a work that is quickest in one piece, where results are to be the same for any number of threads.
EVEN = 8

_number = 0
_even = False


def get_num_threads() -> int:
    """How many threads share the work of a kernel, of an optimizer's update, of a matrix product: the one that has it, and
    workers.

    It is what `set_num_threads` said last; else as many as there are processors that this process may use (the affinity
    mask and the limits of control groups count), `OMP_NUM_THREADS` at most.

    >>> import tapenet as tn
    >>> tn.set_num_threads(1)
    >>> tn.get_num_threads()
    1
    >>> tn.set_num_threads(None)
    """
    return _number or processors()


def set_num_threads(count: int | None) -> None:
    """Let so many threads share work, the one that has it included; None: as many as there are processors.

    It holds for the whole process, from the next kernel on. Results do not depend on it, but for matrix products by BLAS, whose
    last digits may (`deterministic`). Without llvmlite, work is not shared, and NumPy's own products have threads of
    their own.

    Raises:
        TypeError: not an integer or None.
        ValueError: it is below 1 or above 1,024.

    >>> import tapenet as tn
    >>> tn.set_num_threads(2)
    >>> tn.get_num_threads()
    2
    >>> tn.set_num_threads(None)
    """
    global _number
    if count is not None:
        if not isinstance(count, (int, np.integer)) or isinstance(count, bool):
            raise TypeError(
                f"set_num_threads: {count!r} is no number of threads: give an integer, or None for all processors"
            )
        if not 1 <= count <= MOST:
            raise ValueError(
                f"set_num_threads: {count} threads cannot be: give 1 to {MOST:,}, or None for all processors"
            )
    _number = 0 if count is None else int(count)
    _processors.cache_clear()
    if _pool.cache_info().currsize:
        _pool().limit_to(get_num_threads() - 1)


def threads() -> int:
    """`get_num_threads`, with the processors as they were when they were first asked for, or last by `set_num_threads(None)`:
    asking takes 5 µs and more."""
    return _number or _processors()


_processors = functools.cache(processors)


def blocks(most: int) -> int:
    """How many blocks a work is cut into that is quickest in one piece, at most."""
    return min(EVEN if _even else threads(), most)


def share(function: int, context: int, count: int, most: int = MOST) -> None:
    """Call a function in machine code, by its address, for each item below `count`: `f(context, item, thread)`, where `thread`
    is below `most`, and a number that only one thread has at a time. The interpreter's lock is released meanwhile."""
    _pool().share(function, context, count, most)


def declaration() -> str:
    """The declarations of `tn_share(f, context, count, most)`, of `tn_share_awake`, which wakes nobody, and of
    `tn_blocks(most)`, for code that shares work itself. Such code may be loaded from now on."""
    _pool()
    shares = (f"declare void @{name}(ptr, ptr, i64, i64)" for name in ("tn_share", "tn_share_awake"))
    return "\n".join([*shares, "declare i64 @tn_blocks(i64)"])


class deterministic:  # it is called, or entered
    """Let results be the same for any number of threads, bit by bit; `deterministic(False)` ends it. As a context manager it is
    in force inside.

    All but large products of matrices are so anyway: those by BLAS, and compiled ones that sum up far more than they give,
    are cut into as many blocks as there are threads, and a block may be rounded otherwise than the whole. While this is on
    they are cut into eight for any number of threads: one of 2,048 by 2,048 takes 1.2 times as long on one. It holds for
    the whole process, from the next call on; without llvmlite products are NumPy's, whose BLAS has threads of its own.

    >>> import tapenet as tn
    >>> with tn.deterministic():
    ...     pass
    """

    def __init__(self, on: bool = True) -> None:
        global _even
        self._before = _even
        _even = bool(on)
        _say_even()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        global _even
        _even = self._before
        _say_even()


def _say_even() -> None:
    if _pool.cache_info().currsize:
        _pool().set_even(_even)


class _Pool:
    """The pool's functions."""

    def __init__(self) -> None:
        threads = able()
        # Its loops compute nothing: a search for vectors in them takes LLVM 60 ms, for which first calls wait.
        self.library = toolchain.build(OWN_VECTORS + pool_code.text(threads, EVEN))
        at = self.library.address
        self.share = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(at("tn_share"))
        for name in ("tn_share", "tn_share_awake", "tn_blocks"):
            toolchain.symbols[name] = at(name)
        self.set_even = ctypes.CFUNCTYPE(None, ctypes.c_int64)(at("set_even"))
        self.set_even(_even)
        self.limit_to = ctypes.CFUNCTYPE(None, ctypes.c_int64)(at("limit_to")) if threads else _nothing
        # The code stays when the interpreter ends: a worker may be looking for work then.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.library))
        if threads:
            self.count = ctypes.CFUNCTYPE(ctypes.c_int64)(at("count"))
            reset = ctypes.CFUNCTYPE(None)(at("reset"))
            reset()
            self.limit_to(get_num_threads() - 1)
            os.register_at_fork(after_in_child=reset)


def _nothing(count: int) -> None:
    pass


@functools.cache
def able() -> bool:
    """Whether this process has the functions of POSIX that threads are started with."""
    try:
        return hasattr(ctypes.CDLL(None), "pthread_create")
    except (OSError, TypeError):  # Windows
        return False


@functools.cache
def _pool() -> _Pool:
    return _Pool()
