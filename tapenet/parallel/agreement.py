"""Messages in which ranks agree that they make the same call, and combine their arrays.

A rank that makes another call may send another length: MPI's own collectives end the process where a message is longer than
asked for, without words of ours. So these are messages from rank to rank, received with room for the longest. Each begins
with a seal of the call. Who gets another seal than his own sends on that they differ: after the last turn all know.

Few numbers come with the seals. More go from array to array once all agree, in each turn half of what is left (Rabenseifner).
MPI's function takes 1.4 to 2.4 times as long from 16 KB on, by 2 ranks of one machine: it begins with a copy, and adds up one
number at a time.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NoReturn, Protocol

import numpy as np

from tapenet import kernels
from tapenet.llvm import toolchain
from tapenet.llvm.addresses import LINE
from tapenet.parallel import by_address
from tapenet.typing import Array, Shape

#: Bytes of numbers that come with a seal, at most.
_MOST = 1 << 13
#: Bytes that the last two ranks send each other whole, at most. Both add up all, in place of one half that each sends back:
#: 256 KB take 0.75 of the time, 1 MB 1.2.
_WHOLE = 1 << 18
#: Bytes of a seal.
_SEAL = 16
#: What a call tells native code, in words of 64 bits; behind that for each turn the rank to send to, and that to receive from,
#: and then what goes from array to array.
_WORDS = (
    "first", "second", "message", "received", "room", "bytes", "count", "kind", "dtype", "op", "byte", "comm", "status",
    "waits", "label", "rank", "turns", "steps", "differ",
)  # fmt: skip
_DIFFER = _WORDS.index("differ")
_HANDLES = ("dtype", "op", "byte", "comm")
#: A step of that: the other rank; what is sent, and its count; where what it sends goes to, and its count; a and b, which are
#: combined where there are any, where to, and their count.
_STEP = ("peer", "send", "given", "receive", "taken", "a", "b", "into", "combined")
#: Of these places in memory: the bytes from the beginning, doubled, and 1 more in the result than in the rank's array.
_PLACES = ("send", "receive", "a", "b", "into")
#: Sums that native code adds up itself, in one pass from two arrays to a third: MPI's function has two.
_KINDS = {"f": "float", "d": "double"}
#: MPI's functions that are called.
_CALLED = ("MPI_Sendrecv", "MPI_Reduce_local")
#: What says that an array is not in one piece, before anything is sent.
_PIECES = 3
#: `tn_meet` is given where numbers are, and where they go to: the same place, or another one for what goes from array to array;
#: `tn_meet_for_arrays` two arrays of NumPy's, and says meanwhile what is waited for. Both give 0, or what is wrong. Where two
#: ranks combine the same numbers those of the lower one come first on both: else a maximum of nan and 1, or of 0.0 and -0.0,
#: were the other one on each.
_TEXT = """
declare i32 @MPI_Sendrecv(ptr, i32, HANDLE, i32, i32, ptr, i32, HANDLE, i32, i32, HANDLE, ptr)
declare i32 @MPI_Reduce_local(ptr, ptr, i32, HANDLE, HANDLE)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i32 @tn_meet(ptr %call, ptr %x, ptr %out) #0 {
  WORDS
  %numbers = inttoptr i64 %message to ptr
  %seal = getelementptr i8, ptr %numbers, i64 -16
  %seal2 = getelementptr i8, ptr %numbers, i64 -8
  %others = inttoptr i64 %received to ptr
  %other = getelementptr i8, ptr %others, i64 -16
  %other2 = getelementptr i8, ptr %others, i64 -8
  %about = inttoptr i64 %status to ptr
  %most = trunc i64 %room to i32
  %whole = add i64 %bytes, 16
  %final = sub i64 %turns, 1
  store i64 %first, ptr %seal
  store i64 %second, ptr %seal2
  call void @llvm.memcpy.p0.p0.i64(ptr %numbers, ptr %x, i64 %bytes, i1 false)
  br label %turn
turn:
  %i = phi i64 [ 0, %0 ], [ %next, %turned ]
  %length = phi i64 [ %whole, %0 ], [ %left, %turned ]
  %at = mul i64 %i, 2
  %pair = getelementptr i64, ptr %partners, i64 %at
  %pair2 = getelementptr i64, ptr %pair, i64 1
  %to64 = load i64, ptr %pair
  %from64 = load i64, ptr %pair2
  %to = trunc i64 %to64 to i32
  %from = trunc i64 %from64 to i32
  %sent = trunc i64 %length to i32
  %wrong = call i32 @MPI_Sendrecv(
    ptr %seal, i32 %sent, HANDLE %byte, i32 %to, i32 0,
    ptr %other, i32 %most, HANDLE %byte, i32 %from, i32 0, HANDLE %comm, ptr %about)
  %failed = icmp ne i32 %wrong, 0
  br i1 %failed, label %failure, label %compare
compare:
  %mine = load i64, ptr %seal
  %mine2 = load i64, ptr %seal2
  %theirs = load i64, ptr %other
  %theirs2 = load i64, ptr %other2
  %same1 = icmp eq i64 %mine, %theirs
  %same2 = icmp eq i64 %mine2, %theirs2
  %same = and i1 %same1, %same2
  br i1 %same, label %alike, label %different
different:
  store i64 0, ptr %seal
  store i64 0, ptr %seal2
  br label %turned
alike:
  %numbered = icmp ugt i64 %length, 16
  br i1 %numbered, label %combine, label %turned
combine:
  %ends = icmp eq i64 %i, %final
  %target = select i1 %ends, ptr %out, ptr %numbers
  %lower = icmp ult i64 %rank, %to64
  %one = select i1 %lower, ptr %numbers, ptr %others
  %two = select i1 %lower, ptr %others, ptr %numbers
  %wrong2 = call i32 @combine(ptr %call, ptr %one, ptr %two, ptr %target, i64 %count)
  %failed2 = icmp ne i32 %wrong2, 0
  br i1 %failed2, label %failure, label %turned
turned:
  %left = phi i64 [ 16, %different ], [ %length, %alike ], [ %length, %combine ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %turns
  br i1 %more, label %turn, label %end
end:
  %last = load i64, ptr %seal
  %differs = icmp eq i64 %last, 0
  %found = zext i1 %differs to i64
  store i64 %found, ptr %differ.at
  %behind = mul i64 %turns, 2
  %begin = getelementptr i64, ptr %partners, i64 %behind
  br i1 %differs, label %no, label %exchange
no:
  ret i32 1
exchange:
  %s = phi i64 [ 0, %end ], [ %s.next, %step ], [ %s.next, %add ]
  %through = icmp eq i64 %s, %steps
  br i1 %through, label %yes, label %go.on
yes:
  ret i32 0
go.on:
  STEP
  %wrong3 = call i32 @MPI_Sendrecv(
    ptr %send.at, i32 %given32, HANDLE %dtype, i32 %peer32, i32 1,
    ptr %receive.at, i32 %taken32, HANDLE %dtype, i32 %peer32, i32 1, HANDLE %comm, ptr %about)
  %s.next = add i64 %s, 1
  %failed3 = icmp ne i32 %wrong3, 0
  br i1 %failed3, label %failure, label %step
step:
  %moved = icmp eq i64 %combined, 0
  br i1 %moved, label %exchange, label %add
add:
  %wrong4 = call i32 @combine(ptr %call, ptr %a.at, ptr %b.at, ptr %into.at, i64 %combined)
  %failed4 = icmp ne i32 %wrong4, 0
  br i1 %failed4, label %failure, label %exchange
failure:
  ret i32 2
}

define internal i32 @combine(ptr %call, ptr %one, ptr %two, ptr %out, i64 %numbers) #0 {
  WORDS
  switch i64 %kind, label %by_mpi [ i64 1, label %float  i64 2, label %double ]
float:
  call void @add_float(ptr %one, ptr %two, ptr %out, i64 %numbers)
  ret i32 0
double:
  call void @add_double(ptr %one, ptr %two, ptr %out, i64 %numbers)
  ret i32 0
by_mpi:
  %many = trunc i64 %numbers to i32
  %wrong = call i32 @MPI_Reduce_local(ptr %one, ptr %two, i32 %many, HANDLE %dtype, HANDLE %op)
  %there = icmp eq ptr %two, %out
  br i1 %there, label %done, label %copy
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %two, i64 %bytes, i1 false)
  br label %done
done:
  ret i32 %wrong
}

define i32 @tn_meet_for_arrays(ptr %call, ptr %x, ptr %out) #0 {
  WORDS
  %x.flags.at = getelementptr i8, ptr %x, i64 64
  %x.flags = load i32, ptr %x.flags.at
  %x.whole = trunc i32 %x.flags to i1
  br i1 %x.whole, label %go, label %pieces
pieces:
  ret i32 3
go:
  %x.at = getelementptr i8, ptr %x, i64 16
  %x.data = load ptr, ptr %x.at
  %out.at = getelementptr i8, ptr %out, i64 16
  %out.data = load ptr, ptr %out.at
  %state = inttoptr i64 %waits to ptr
  %now = getelementptr i64, ptr %state, i64 1
  %before = load i64, ptr %state
  %after = add i64 %before, 1
  store i64 %after, ptr %state
  store volatile i64 %label, ptr %now
  %answer = call i32 @tn_meet(ptr %call, ptr %x.data, ptr %out.data)
  store volatile i64 0, ptr %now
  ret i32 %answer
}
"""
_ADD = """
define internal void @add_TYPE(ptr %a, ptr %b, ptr %out, i64 %count) #0 {
  br label %turn
turn:
  %i = phi i64 [ 0, %0 ], [ %next, %turn ]
  %a.at = getelementptr TYPE, ptr %a, i64 %i
  %b.at = getelementptr TYPE, ptr %b, i64 %i
  %out.at = getelementptr TYPE, ptr %out, i64 %i
  %x = load TYPE, ptr %a.at, !llvm.access.group !turns
  %y = load TYPE, ptr %b.at, !llvm.access.group !turns
  %sum = fadd TYPE %x, %y
  store TYPE %sum, ptr %out.at, !llvm.access.group !turns
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %turn, label %end, !llvm.loop !loop.parallel
end:
  ret void
}
"""


class Ranks(Protocol):
    """All ranks, as far as agreeing knows them (`ranks.World`)."""

    MPI: Any
    gradients: Any
    control: Any
    rank: int
    size: int

    def waiting(self, what: str) -> AbstractContextManager[None]: ...
    def label(self, what: str) -> Any: ...
    def new(self, shape: Shape, dtype: np.dtype) -> Array: ...
    def differ(self, what: str) -> NoReturn: ...


class Meeting:
    """How all ranks agree, by native code.

    Attributes:
        call: what all are about to do, by its words, dtype, shape and MPI's name of what combines it; each is made once.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        # In front of the numbers there is room for a seal.
        self.memory = kernels.aligned((2 * (_MOST + LINE),), np.uint8)
        self.status = np.zeros(by_address.STATUS, np.int64)
        rank, size = ranks.rank, ranks.size
        self.sums = size & (size - 1) == 0  # in pairs, so that each rank's numbers come to each other one once
        turns = [1 << i for i in range((size - 1).bit_length())]
        if self.sums:
            self.partners = [rank ^ turn for turn in turns for _ in range(2)]
        else:
            self.partners = [(rank + sign * turn) % size for turn in turns for sign in (1, -1)]
        for name in _CALLED:
            toolchain.symbols[name] = by_address.address(ranks.MPI, name)
        self.library = toolchain.build(_text(8 * ranks.MPI._sizeof(ranks.gradients)))
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self.meet = kind(self.library.address("tn_meet_for_arrays"))
        self.call: Callable[[str, np.dtype, Shape, str], Call] = lru_cache(1000)(partial(Call, self))

    @classmethod
    def of(cls, ranks: Ranks) -> Meeting | None:
        """None where one of the ranks has no llvmlite, or does not find MPI's functions."""
        found = toolchain.available() and all(by_address.address(ranks.MPI, name) for name in _CALLED)
        can = np.array([found], np.int32)
        with ranks.waiting("the first call that all ranks make together"):
            ranks.control.Allreduce(ranks.MPI.IN_PLACE, can, ranks.MPI.MIN)
        return cls(ranks) if can.all() else None


class Call:
    """What all ranks are about to do.

    Attributes:
        what: in words.
        combines: whether it combines the arrays; else ranks agree, and call MPI then.
        apart: whether the result needs memory of its own.
        label: what says that it waits.
        table: what native code is told.
    """

    __slots__ = ("_dtype", "_new", "_ranks", "_run", "_shape", "apart", "combines", "label", "table", "what")

    def __init__(self, meeting: Meeting, what: str, dtype: np.dtype, shape: Shape, how: str) -> None:
        ranks, MPI = meeting.ranks, meeting.ranks.MPI
        self.what, self._dtype, self._shape, self._ranks = what, dtype, shape, ranks
        count = math.prod(shape)
        size = count * dtype.itemsize
        known = MPI._typedict.get(dtype.char) if dtype.isnative and (how == "SUM" or dtype.kind in "iuf") else None
        # MPI's counts are ints.
        self.combines = known is not None and (not count or meeting.sums) and not count >> 31
        self.apart = self.combines and size > _MOST
        self._new = ranks.new if self.apart else np.empty
        adds = how == "SUM" and dtype.char in _KINDS
        steps: list[Sequence[int]] = []
        if self.apart:
            # By MPI only the second of two arrays becomes the sum; and what comes of more ranks than two has room in half of
            # the result.
            whole = adds and size <= _WHOLE * ranks.size // 2 and (ranks.size == 2 or count % 2 == 0)
            steps = list(_steps(ranks.rank, ranks.size, count, dtype.itemsize, whole))
        if self.apart or not self.combines:
            count = size = 0
        self.label = ranks.label(what)
        waits, label = self.label.words
        half = _MOST + LINE
        seal = np.frombuffer(hashlib.blake2b(what.encode(), digest_size=_SEAL).digest(), np.int64)
        at = meeting.memory.ctypes.data + LINE
        words = {
            "first": seal[0] | 1,  # 0 says that ranks differ
            "second": seal[1],
            "message": at,
            "received": at + half,
            "room": _SEAL + _MOST,
            "bytes": size,
            "count": count,
            "kind": 1 + list(_KINDS).index(dtype.char) if adds else 0,
            "dtype": MPI._handleof(known if self.combines else MPI.BYTE),
            "op": MPI._handleof(getattr(MPI, how)),
            "byte": MPI._handleof(MPI.BYTE),
            "comm": MPI._handleof(ranks.gradients),
            "status": meeting.status.ctypes.data,
            "waits": waits,
            "label": label,
            "rank": ranks.rank,
            "turns": len(meeting.partners) // 2,
            "steps": len(steps),
            "differ": 0,
        }
        given = [*(words[name] for name in _WORDS), *meeting.partners, *chain(*steps)]
        self.table = np.array([int(word) % (1 << 64) for word in given], np.uint64)
        self._run = partial(meeting.meet, self.table.ctypes.data)

    def combine(self, x: Array) -> Array:
        """Agree, and combine the arrays of all ranks.

        Args:
            x: of the shape and dtype that were said, any strides.

        Raises:
            RuntimeError: the ranks make different calls: on all of them. Or MPI failed.
        """
        out = self._new(self._shape, self._dtype)
        if not self._shape:
            x = np.asarray(x)  # numbers come as scalars too
        wrong = self._run(id(x), id(out))
        if wrong == _PIECES:
            x = np.asarray(x, order="C")
            wrong = self._run(id(x), id(out))
        if wrong:
            self.check()
            raise RuntimeError(f"{self.what}: MPI failed")
        return out

    def check(self) -> None:
        """Raise if the ranks made different calls when it ran.

        Raises:
            RuntimeError: they did, on all of them.
        """
        if self.table[_DIFFER]:
            self.table[_DIFFER] = 0
            self._ranks.differ(self.what)


def _steps(rank: int, size: int, count: int, each: int, whole: bool) -> Iterator[Sequence[int]]:
    """How one of 2, 4, 8, ... ranks combines so many numbers with the others: in each turn it sends another one half of what it
    has, and combines the other half; then they send each other the halves back. The last two may send each other all."""

    def place(at: int, result: bool = True) -> int:
        return 2 * at * each + result

    begin, end, free = 0, count, 0
    back: list[Sequence[int]] = []
    for turn in [size >> i for i in range(1, size.bit_length())]:
        peer, later = rank ^ turn, bool(back)
        if turn == 1 and whole:
            mine, others, kept = place(begin, later), place(free), end - begin
            pair = (mine, others)[:: 1 if rank < peer else -1]
            yield peer, mine, kept, others, kept, *pair, place(begin), kept
            break
        middle = (begin + end) // 2
        (begin, end), (gone, last) = ((begin, middle), (middle, end))[:: 1 if rank < peer else -1]
        kept, given = end - begin, last - gone
        if later:  # what comes goes to where that will be which the first rank has
            pair = place(free), place(begin)
        else:  # what comes goes to the place of the result
            pair = place(begin, False), place(begin)
            free = gone
        yield peer, place(gone, later), given, pair[0] if later else pair[1], kept, *pair, place(begin), kept
        back.append((peer, place(begin), kept, place(gone), given, 0, 0, 0, 0))
    yield from reversed(back)


def _text(bits: int) -> str:
    """The functions, where MPI's handles have so many bits."""
    lines = [f"%partners = getelementptr i64, ptr %call, i64 {len(_WORDS)}"]
    for i, name in enumerate(_WORDS):
        wide = "64" if bits == 32 and name in _HANDLES else ""
        lines += [f"%{name}.at = getelementptr i64, ptr %call, i64 {i}", f"%{name}{wide} = load i64, ptr %{name}.at"]
        if wide:
            lines.append(f"%{name} = trunc i64 %{name}64 to i32")
    step = [f"%step.at = mul i64 %s, {len(_STEP)}", "%step.words = getelementptr i64, ptr %begin, i64 %step.at"]
    for i, name in enumerate(_STEP):
        step += [f"%{name}.word = getelementptr i64, ptr %step.words, i64 {i}", f"%{name} = load i64, ptr %{name}.word"]
        if name in _PLACES:
            step += [
                f"%{name}.of = trunc i64 %{name} to i1",
                f"%{name}.base = select i1 %{name}.of, ptr %out, ptr %x",
                f"%{name}.bytes = lshr i64 %{name}, 1",
                f"%{name}.at = getelementptr i8, ptr %{name}.base, i64 %{name}.bytes",
            ]
        else:
            step.append(f"%{name}32 = trunc i64 %{name} to i32")
    adding = "".join(_ADD.replace("TYPE", kind) for kind in _KINDS.values())
    text = _TEXT.replace("WORDS", "\n  ".join(lines)).replace("STEP", "\n  ".join(step))
    return adding + text.replace("HANDLE", f"i{bits}")
