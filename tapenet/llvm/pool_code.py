"""The code of the pool of threads (`workers`), as LLVM IR."""

from __future__ import annotations

import functools
import platform
import time

#: How often a worker looks for work before it sleeps, some 20 µs, and how often where it had slept for less than `BRIEF`
#: nanoseconds: so often looks too who waits until its work is done. Each time the processor is told, which leaves a hardware
#: thread beside it all units. Two items of 50 µs that come every 100 µs take 50 µs on two threads; 87 without `LONG`.
SPIN, LONG = 400, 4000
BRIEF = 200_000
#: Items at most of work that is shared: as many as 24 bits of `@range` hold. Who has more of them does all alone.
ITEMS = (1 << 24) - 1

_THREADS = """
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


def text(threads: bool, even: int) -> str:
    """The code, with its numbers, and what tells the processor that a thread waits.

    Args:
        threads: whether threads can be started.
        even: the blocks of a work where results are to be the same for any number of threads.
    """
    pause = _PAUSES.get(platform.machine().lower())
    told = f"call {pause}" if pause else ""
    numbers = {"SPIN": SPIN, "LONG": LONG, "BRIEF": BRIEF, "EVEN": even, "ITEMS": ITEMS}
    words = numbers | {"CLOCK": time.CLOCK_MONOTONIC, "PAUSE": told}
    return functools.reduce(
        lambda text, name: text.replace(name, str(words[name])), words, _THREADS if threads else _ALONE
    )
