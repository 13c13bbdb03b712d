"""Worker threads that stay: started at the first work that is worth them, woken in microseconds, asleep when there is none.

Work is a function in machine code that is called for each item of a range: `f(context, item, thread)`. The thread that has
the work takes items from the front, the workers from the back, so that with two threads each comes to the same part of an
array again in the next kernel, where its own cache may still have it. Which thread does an item is left to chance; so items
write to places of their own. Where items add up sums, the cut depends on the work alone, never on the number of threads.

There is one piece of work at a time. Who comes while there is one (another thread of Python, an item that has work to share)
does its own alone: the processors are busy. After its last item a worker looks out for more for some microseconds (`SPIN`)
before it sleeps, since the kernels of a program follow each other closely. One whose last sleep was short looks out longer
(`LONG`): work that comes again and again, with Python between, is not worth a sleep, out of which it takes 30 to 50 µs.

The pool is a module of machine code: `tn_share` is called by address from other code, and from Python through `share`. It
uses the threads of POSIX; where there are none, and where the system gives no more, whoever has the work does it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import time

import numpy as np

from tapenet.llvm import toolchain
from tapenet.llvm.parts import OWN_VECTORS
from tapenet.llvm.processor import processors

#: How often a worker looks for work before it sleeps, some 20 µs, and how often where it had slept for less than `BRIEF`
#: nanoseconds: so often looks too who waits until its work is done. Each time the processor is told, which leaves a hardware
#: thread beside it all units. Two items of 50 µs that come every 100 µs take 50 µs on two threads; 87 without `LONG`.
SPIN, LONG = 400, 4000
BRIEF = 200_000
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
#: Items at most of work that is shared: as many as 24 bits of `@range` hold. Who has more of them does all alone.
ITEMS = (1 << 24) - 1

_TEXT = """
@fn = internal global ptr null
@context = internal global ptr null
@range = internal global i64 0, align 64
@pending = internal global i64 0, align 64
@taken = internal global i64 0, align 64
@asleep = internal global i64 0
@waiting = internal global i64 0
@started = internal global i64 0
@limit = internal global i64 0
@even = internal global i64 0
@mutex = internal global [128 x i8] zeroinitializer, align 64
@work = internal global [128 x i8] zeroinitializer, align 64
@done = internal global [128 x i8] zeroinitializer, align 64

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @clock_gettime(i32, ptr)

; Nanoseconds since some time.
define internal i64 @now() noinline {
  %time = alloca [2 x i64]
  %1 = call i32 @clock_gettime(i32 CLOCK, ptr %time)
  %seconds = load i64, ptr %time
  %at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %at
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}

; Forget all threads and work: at the beginning, and in the child of a fork.
define void @reset() {
  store i64 0, ptr @range
  store i64 0, ptr @pending
  store i64 0, ptr @taken
  store i64 0, ptr @asleep
  store i64 0, ptr @waiting
  store i64 0, ptr @started
  %1 = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %2 = call i32 @pthread_cond_init(ptr @work, ptr null)
  %3 = call i32 @pthread_cond_init(ptr @done, ptr null)
  ret void
}

; How many workers there may be. Those beyond it end when they are woken.
define void @limit_to(i64 %n) {
  store atomic i64 %n, ptr @limit seq_cst, align 8
  %1 = call i32 @pthread_mutex_lock(ptr @mutex)
  %2 = call i32 @pthread_cond_broadcast(ptr @work)
  %3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; How many blocks a work is cut into that is quickest in one piece, at most: one for each thread, and one where there is one
; thread or all are busy. Where results are to be the same for any number of threads, EVEN.
define i64 @tn_blocks(i64 %most) {
  %limit = load atomic i64, ptr @limit monotonic, align 8
  %taken = load atomic i64, ptr @taken monotonic, align 8
  %busy = icmp ne i64 %taken, 0
  %threads = add i64 %limit, 1
  %free = select i1 %busy, i64 1, i64 %threads
  %few = call i64 @llvm.smin.i64(i64 %free, i64 %most)
  %even = load atomic i64, ptr @even monotonic, align 8
  %same = icmp ne i64 %even, 0
  %always = call i64 @llvm.smin.i64(i64 EVEN, i64 %most)
  %blocks = select i1 %same, i64 %always, i64 %few
  ret i64 %blocks
}

define void @set_even(i64 %even) {
  store atomic i64 %even, ptr @even seq_cst, align 8
  ret void
}

define i64 @count() {
  %n = load atomic i64, ptr @started seq_cst, align 8
  ret i64 %n
}

; Whether a thread may take an item of what @range holds: the first item that is left, the end, how many workers may help.
define internal i1 @there(i64 %r, i64 %thread) alwaysinline {
  %low = and i64 %r, ITEMS
  %h = lshr i64 %r, 24
  %high = and i64 %h, ITEMS
  %helpers = lshr i64 %r, 48
  %some = icmp ult i64 %low, %high
  %may = icmp ule i64 %thread, %helpers
  %both = and i1 %some, %may
  ret i1 %both
}

; An item for a thread, from the front of what is left for thread 0, from the back for the workers; -1 if there is none.
define internal i64 @claim(i64 %thread) alwaysinline {
entry:
  %front = icmp eq i64 %thread, 0
  br label %look
look:
  %r = load atomic i64, ptr @range acquire, align 8
  %some = call i1 @there(i64 %r, i64 %thread)
  br i1 %some, label %try, label %none
try:
  %low = and i64 %r, ITEMS
  %h = lshr i64 %r, 24
  %high = and i64 %h, ITEMS
  %first = add i64 %r, 1
  %last = sub i64 %r, 16777216
  %next = select i1 %front, i64 %first, i64 %last
  %swap = cmpxchg weak ptr @range, i64 %r, i64 %next acq_rel acquire
  %ok = extractvalue { i64, i1 } %swap, 1
  br i1 %ok, label %got, label %look
got:
  %before = sub i64 %high, 1
  %item = select i1 %front, i64 %low, i64 %before
  ret i64 %item
none:
  ret i64 -1
}

; Do an item. Gives how many are not done yet; what belongs to the work must not be touched once it is 0.
define internal i64 @perform(i64 %item, i64 %thread) alwaysinline {
  %f = load ptr, ptr @fn
  %c = load ptr, ptr @context
  call void %f(ptr %c, i64 %item, i64 %thread)
  %before = atomicrmw sub ptr @pending, i64 1 seq_cst
  %left = sub i64 %before, 1
  ret i64 %left
}

; The life of a worker.
define internal ptr @live(ptr %argument) {
entry:
  %self = ptrtoint ptr %argument to i64
  br label %awake
awake:
  %patience = phi i64 [ SPIN, %entry ], [ %patience, %run ], [ %patience, %tell ], [ %patience, %signal ], [ %next, %wake ]
  br label %look
look:
  %spun = phi i64 [ 0, %awake ], [ %more, %pause ]
  %item = call i64 @claim(i64 %self)
  %some = icmp sge i64 %item, 0
  br i1 %some, label %run, label %idle
run:
  %left = call i64 @perform(i64 %item, i64 %self)
  %last = icmp eq i64 %left, 0
  br i1 %last, label %tell, label %awake
tell:
  %waits = load atomic i64, ptr @waiting seq_cst, align 8
  %sleeps = icmp ne i64 %waits, 0
  br i1 %sleeps, label %signal, label %awake
signal:
  %l1 = call i32 @pthread_mutex_lock(ptr @mutex)
  %s1 = call i32 @pthread_cond_signal(ptr @done)
  %u1 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %awake
idle:
  %enough = icmp uge i64 %spun, %patience
  br i1 %enough, label %sleep, label %pause
pause:
  PAUSE
  %more = add i64 %spun, 1
  br label %look
sleep:
  %begins = call i64 @now()
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  %a = atomicrmw add ptr @asleep, i64 1 seq_cst
  br label %check
check:
  %r = load atomic i64, ptr @range seq_cst, align 8
  %wakes = call i1 @there(i64 %r, i64 %self)
  %limit = load atomic i64, ptr @limit seq_cst, align 8
  %beyond = icmp ugt i64 %self, %limit
  %n = load i64, ptr @started
  %newest = icmp eq i64 %self, %n
  %ends = and i1 %beyond, %newest
  br i1 %ends, label %end, label %stay
stay:
  br i1 %wakes, label %wake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr @work, ptr @mutex)
  br label %check
wake:
  %b = atomicrmw sub ptr @asleep, i64 1 seq_cst
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  %ended = call i64 @now()
  %slept = sub i64 %ended, %begins
  %brief = icmp ult i64 %slept, BRIEF
  %next = select i1 %brief, i64 LONG, i64 SPIN
  br label %awake
end:
  %c = atomicrmw sub ptr @asleep, i64 1 seq_cst
  %d = sub i64 %n, 1
  store atomic i64 %d, ptr @started seq_cst, align 8
  %s2 = call i32 @pthread_cond_broadcast(ptr @work)
  %u3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret ptr null
}

; Start workers until there are so many. A system that gives none lowers the limit to those that there are.
define internal void @start(i64 %wanted) noinline {
entry:
  %thread = alloca i64
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %n = load i64, ptr @started
  %fewer = icmp ult i64 %n, %wanted
  br i1 %fewer, label %one, label %end
one:
  %id = add i64 %n, 1
  %argument = inttoptr i64 %id to ptr
  store atomic i64 %id, ptr @started seq_cst, align 8
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @live, ptr %argument)
  %bad = icmp ne i32 %failed, 0
  br i1 %bad, label %back, label %fine
fine:
  %t = load i64, ptr %thread
  %d = call i32 @pthread_detach(i64 %t)
  br label %look
back:
  store atomic i64 %n, ptr @started seq_cst, align 8
  store atomic i64 %n, ptr @limit seq_cst, align 8
  br label %end
end:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; Call f(context, item, thread) for each item below %count, on %most threads at most, and come back when all are done.
define void @tn_share(ptr %f, ptr %c, i64 %count, i64 %most) {
  call void @share(ptr %f, ptr %c, i64 %count, i64 %most, i1 true)
  ret void
}

; The same on threads that are awake.
define void @tn_share_awake(ptr %f, ptr %c, i64 %count, i64 %most) {
  call void @share(ptr %f, ptr %c, i64 %count, i64 %most, i1 false)
  ret void
}

define internal void @share(ptr %f, ptr %c, i64 %count, i64 %most, i1 %wakes) {
entry:
  %limit = load atomic i64, ptr @limit monotonic, align 8
  %smaller = call i64 @llvm.smin.i64(i64 %count, i64 %most)
  %others = sub i64 %smaller, 1
  %helpers = call i64 @llvm.smin.i64(i64 %others, i64 %limit)
  %none = icmp slt i64 %helpers, 1
  %many = icmp sgt i64 %count, ITEMS
  %alone = or i1 %none, %many
  br i1 %alone, label %serial, label %free
free:
  %swap = cmpxchg ptr @taken, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %post, label %serial
post:
  %n = load atomic i64, ptr @started monotonic, align 8
  %fewer = icmp ult i64 %n, %helpers
  %lacks = and i1 %fewer, %wakes
  br i1 %lacks, label %more, label %publish
more:
  call void @start(i64 %helpers)
  br label %publish
publish:
  store ptr %f, ptr @fn
  store ptr %c, ptr @context
  store atomic i64 %count, ptr @pending seq_cst, align 8
  %ends = shl i64 %count, 24
  %may = shl i64 %helpers, 48
  %range = or i64 %ends, %may
  store atomic i64 %range, ptr @range seq_cst, align 8
  %asleep = load atomic i64, ptr @asleep seq_cst, align 8
  %some_sleep = icmp ne i64 %asleep, 0
  %any = and i1 %some_sleep, %wakes
  br i1 %any, label %rouse, label %own
rouse:
  %l1 = call i32 @pthread_mutex_lock(ptr @mutex)
  %s = load i64, ptr @asleep
  %all = icmp ule i64 %s, %helpers
  br i1 %all, label %everyone, label %some
everyone:
  %b = call i32 @pthread_cond_broadcast(ptr @work)
  br label %roused
some:
  %i = phi i64 [ 0, %rouse ], [ %i1, %some ]
  %s1 = call i32 @pthread_cond_signal(ptr @work)
  %i1 = add i64 %i, 1
  %go = icmp ult i64 %i1, %helpers
  br i1 %go, label %some, label %roused
roused:
  %u1 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %own
own:
  %item = call i64 @claim(i64 0)
  %got = icmp sge i64 %item, 0
  br i1 %got, label %run, label %look
run:
  %left = call i64 @perform(i64 %item, i64 0)
  br label %own
look:
  %spun = phi i64 [ 0, %own ], [ %spun1, %pause ]
  %p = load atomic i64, ptr @pending acquire, align 8
  %finished = icmp eq i64 %p, 0
  br i1 %finished, label %give, label %wait
wait:
  %enough = icmp uge i64 %spun, LONG
  br i1 %enough, label %sleep, label %pause
pause:
  PAUSE
  %spun1 = add i64 %spun, 1
  br label %look
sleep:
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  store atomic i64 1, ptr @waiting seq_cst, align 8
  br label %check
check:
  %p2 = load atomic i64, ptr @pending seq_cst, align 8
  %over = icmp eq i64 %p2, 0
  br i1 %over, label %woken, label %doze
doze:
  %w = call i32 @pthread_cond_wait(ptr @done, ptr @mutex)
  br label %check
woken:
  store atomic i64 0, ptr @waiting seq_cst, align 8
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %give
give:
  store atomic i64 0, ptr @taken seq_cst, align 8
  ret void
serial:
  %j = phi i64 [ 0, %entry ], [ 0, %free ], [ %j1, %turn ]
  %below = icmp slt i64 %j, %count
  br i1 %below, label %turn, label %end
turn:
  call void %f(ptr %c, i64 %j, i64 0)
  %j1 = add i64 %j, 1
  br label %serial
end:
  ret void
}
"""

#: The same where threads cannot be started.
_ALONE = """
@even = internal global i64 0

define i64 @tn_blocks(i64 %most) {
  %even = load i64, ptr @even
  %same = icmp ne i64 %even, 0
  %always = call i64 @llvm.smin.i64(i64 EVEN, i64 %most)
  %blocks = select i1 %same, i64 %always, i64 1
  ret i64 %blocks
}

define void @set_even(i64 %even) {
  store i64 %even, ptr @even
  ret void
}

define void @tn_share(ptr %f, ptr %c, i64 %count, i64 %most) {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %more, %turn ]
  %below = icmp slt i64 %i, %count
  br i1 %below, label %turn, label %end
turn:
  call void %f(ptr %c, i64 %i, i64 0)
  %more = add i64 %i, 1
  br label %look
end:
  ret void
}

define void @tn_share_awake(ptr %f, ptr %c, i64 %count, i64 %most) {
  call void @tn_share(ptr %f, ptr %c, i64 %count, i64 %most)
  ret void
}
"""
#: What a processor is told by one who looks again and again.
_PAUSES = {
    "x86_64": "void @llvm.x86.sse2.pause()", "amd64": "void @llvm.x86.sse2.pause()",
    "aarch64": "void @llvm.aarch64.hint(i32 1)", "arm64": "void @llvm.aarch64.hint(i32 1)",
}  # fmt: skip

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
        self.library = toolchain.build(OWN_VECTORS + _text(_TEXT if threads else _ALONE))
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


def _text(text: str) -> str:
    """The code, with its numbers, and what tells the processor that a thread waits."""
    pause = _PAUSES.get(platform.machine().lower())
    told = f"call {pause}" if pause else ""
    numbers = {"SPIN": SPIN, "LONG": LONG, "BRIEF": BRIEF, "EVEN": EVEN, "ITEMS": ITEMS}
    words = numbers | {"CLOCK": time.CLOCK_MONOTONIC, "PAUSE": told}
    return functools.reduce(lambda text, name: text.replace(name, str(words[name])), words, text)


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
