"""Messages in which ranks agree that they make the same call, and that bring few numbers along to be combined.

A rank that makes another call may send another length: MPI's own collectives end the process where a message is longer than
asked for, without words of ours. So these are messages from rank to rank, received with room for the longest. Each begins
with a seal of the call. Who gets another seal than his own sends on that they differ: after the last turn all know.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from typing import Any, NoReturn, Protocol

import numpy as np

from tapenet import kernels
from tapenet.llvm import toolchain
from tapenet.parallel import by_address
from tapenet.typing import Array, Shape

#: Bytes of numbers that such a message brings, at most: with few ranks, and with more, where MPI's own sums send less.
_MOST, _FEW, _MOST_OF_MANY = 1 << 16, 2, 1 << 12
#: Bytes of a seal.
_SEAL = 16
#: What a call tells native code, in words of 64 bits; behind that for each turn the rank to send to, and that to receive from.
_WORDS = (
    "first", "second", "message", "received", "room", "bytes", "count", "kind", "dtype", "op", "byte", "comm", "status",
    "waits", "label", "rank", "turns", "differ",
)  # fmt: skip
_DIFFER = _WORDS.index("differ")
_HANDLES = ("dtype", "op", "byte", "comm")
#: Sums that native code adds up itself, in one pass from two arrays to a third: MPI's function has two.
_KINDS = {"f": "float", "d": "double"}
#: MPI's functions that are called.
_CALLED = ("MPI_Sendrecv", "MPI_Reduce_local")
#: What says that an array is not in one piece, before anything is sent.
_PIECES = 3
#: `tn_meet` is given where numbers are, and where they go to; `tn_meet_for_arrays` two arrays of NumPy's, and says meanwhile
#: what is waited for. Both give 0, or what is wrong. Of two ranks the numbers of the lower one come first on both: else a
#: maximum of nan and 1, or of 0.0 and -0.0, were the other one on each.
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
  %many = trunc i64 %count to i32
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
  %a = select i1 %lower, ptr %numbers, ptr %others
  %b = select i1 %lower, ptr %others, ptr %numbers
  switch i64 %kind, label %by_mpi [ i64 1, label %float  i64 2, label %double ]
float:
  call void @add_float(ptr %a, ptr %b, ptr %target, i64 %count)
  br label %turned
double:
  call void @add_double(ptr %a, ptr %b, ptr %target, i64 %count)
  br label %turned
by_mpi:
  %wrong2 = call i32 @MPI_Reduce_local(ptr %a, ptr %b, i32 %many, HANDLE %dtype, HANDLE %op)
  %failed2 = icmp ne i32 %wrong2, 0
  br i1 %failed2, label %failure, label %combined
combined:
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %b, i64 %bytes, i1 false)
  br label %turned
turned:
  %left = phi i64 [ 16, %different ], [ %length, %alike ], [ %length, %float ], [ %length, %double ], [ %length, %combined ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %turns
  br i1 %more, label %turn, label %end
end:
  %last = load i64, ptr %seal
  %differs = icmp eq i64 %last, 0
  %found = zext i1 %differs to i64
  store i64 %found, ptr %differ.at
  %answer = trunc i64 %found to i32
  ret i32 %answer
failure:
  ret i32 2
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
define internal void @add_TYPE(ptr noalias %a, ptr noalias %b, ptr %out, i64 %count) #0 {
  br label %turn
turn:
  %i = phi i64 [ 0, %0 ], [ %next, %turn ]
  %a.at = getelementptr TYPE, ptr %a, i64 %i
  %b.at = getelementptr TYPE, ptr %b, i64 %i
  %out.at = getelementptr TYPE, ptr %out, i64 %i
  %x = load TYPE, ptr %a.at
  %y = load TYPE, ptr %b.at
  %sum = fadd TYPE %x, %y
  store TYPE %sum, ptr %out.at
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %turn, label %end
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
    def waits(self, what: str) -> tuple[int, int]: ...
    def differ(self, what: str) -> NoReturn: ...


class Meeting:
    """How all ranks agree, by native code.

    Attributes:
        call: what all are about to do, by its words, dtype, shape and MPI's name of what combines it; each is made once.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        # In front of the numbers there is room for a seal.
        self.memory = kernels.aligned((2 * (_MOST + kernels.LINE),), np.uint8)
        self.status = np.zeros(by_address.STATUS, np.int64)
        rank, size = ranks.rank, ranks.size
        self.sums = size & (size - 1) == 0  # in pairs, so that each rank's numbers come to each other one once
        self.most = _MOST if size <= _FEW else _MOST_OF_MANY
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
        within: whether the arrays go with the message in which ranks agree.
        table: what native code is told.
    """

    __slots__ = ("_dtype", "_ranks", "_run", "_shape", "table", "what", "within")

    def __init__(self, meeting: Meeting, what: str, dtype: np.dtype, shape: Shape, how: str) -> None:
        ranks, MPI = meeting.ranks, meeting.ranks.MPI
        self.what, self._dtype, self._shape, self._ranks = what, dtype, shape, ranks
        count = math.prod(shape)
        size = count * dtype.itemsize
        known = MPI._typedict.get(dtype.char) if dtype.isnative and (how == "SUM" or dtype.kind in "iuf") else None
        self.within = within = known is not None and (not count or meeting.sums) and size <= meeting.most
        if not within:
            count = size = 0
        waits, label = ranks.waits(what)
        half = _MOST + kernels.LINE
        seal = np.frombuffer(hashlib.blake2b(what.encode(), digest_size=_SEAL).digest(), np.int64)
        at = meeting.memory.ctypes.data + kernels.LINE
        words = {
            "first": seal[0] | 1,  # 0 says that ranks differ
            "second": seal[1],
            "message": at,
            "received": at + half,
            "room": _SEAL + _MOST,
            "bytes": size,
            "count": count,
            "kind": 1 + list(_KINDS).index(dtype.char) if how == "SUM" and dtype.char in _KINDS else 0,
            "dtype": MPI._handleof(known if within else MPI.BYTE),
            "op": MPI._handleof(getattr(MPI, how)),
            "byte": MPI._handleof(MPI.BYTE),
            "comm": MPI._handleof(ranks.gradients),
            "status": meeting.status.ctypes.data,
            "waits": waits,
            "label": label,
            "rank": ranks.rank,
            "turns": len(meeting.partners) // 2,
            "differ": 0,
        }
        given = [*(words[name] for name in _WORDS), *meeting.partners]
        self.table = np.array([int(word) % (1 << 64) for word in given], np.uint64)
        self._run = partial(meeting.meet, self.table.ctypes.data)

    def combine(self, x: Array) -> Array:
        """Agree, and combine the arrays of all ranks.

        Args:
            x: of the shape and dtype that were said, any strides.

        Raises:
            RuntimeError: the ranks make different calls: on all of them. Or MPI failed.
        """
        out = np.empty(self._shape, self._dtype)
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


def _text(bits: int) -> str:
    """The functions, where MPI's handles have so many bits."""
    lines = [f"%partners = getelementptr i64, ptr %call, i64 {len(_WORDS)}"]
    for i, name in enumerate(_WORDS):
        wide = "64" if bits == 32 and name in _HANDLES else ""
        lines += [f"%{name}.at = getelementptr i64, ptr %call, i64 {i}", f"%{name}{wide} = load i64, ptr %{name}.at"]
        if wide:
            lines.append(f"%{name} = trunc i64 %{name}64 to i32")
    adding = "".join(_ADD.replace("TYPE", kind) for kind in _KINDS.values())
    return adding + _TEXT.replace("WORDS", "\n  ".join(lines)).replace("HANDLE", f"i{bits}")
