"""What compiled programs exchange without the interpreter: by MPI's functions, after the ranks have agreed."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet.parallel.agreement import Call, Meeting
from tapenet.parallel.by_address import STATUS, address, handle, pointer
from tapenet.parallel.ranks import World
from tapenet.program.c_effects import CCall, CEffect, Where, Word
from tapenet.typing import Shape

#: MPI's names for the numbers that gradients are sent as.
_TYPES = {"f": "FLOAT", "d": "DOUBLE"}
_NOTHING = np.dtype(np.int64)


class Sum(NamedTuple):
    """The sum of all ranks' arrays, in place: what begins it, and what waits for it."""

    begin: CEffect
    end: CEffect


def summed(ranks: World, count: int, dtype: np.dtype, what: str) -> Sum | None:
    """The sum over all ranks of so many gradients.

    Args:
        what: is waited for, in words.

    Returns:
        None where the functions are not found, MPI has no such numbers, or they are more than it counts.
    """
    MPI = ranks.MPI
    begin, wait = address(MPI, "MPI_Iallreduce"), address(MPI, "MPI_Wait")
    if not (begin and wait and dtype.char in _TYPES) or count >> 31:
        return None
    cells = np.zeros(1 + STATUS, np.int64)
    kind: type[Any] = ctypes.c_uint32 if MPI._sizeof(MPI.REQUEST_NULL) == 4 else ctypes.c_uint64
    request, none = kind.from_buffer(cells), kind(MPI._handleof(MPI.REQUEST_NULL)).value
    request.value = none
    at = cells.ctypes.data

    def failed() -> None:
        if request.value != none:  # MPI writes into memory of the program, which others are to use
            with ranks.waiting(what):
                ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(wait)(at, at + 8)

    label = ranks.label(what)
    error = "parallel.optimizer: MPI could not add up gradients"
    given: list[Word | Where] = [
        pointer(int(MPI.IN_PLACE)),
        Where.RESULT,
        Word(32, count),
        handle(MPI, getattr(MPI, _TYPES[dtype.char])),
        handle(MPI, MPI.SUM),
        handle(MPI, ranks.gradients),
        pointer(at),
    ]
    ended = [pointer(at), pointer(at + 8)]
    return Sum(
        CEffect([CCall("MPI_Iallreduce", begin, given)], None, error, failed, cells),
        CEffect([CCall("MPI_Wait", wait, ended)], label.words, error, failed, (cells, label)),
    )


def allreduce(ranks: World, what: str, shape: Shape, dtype: np.dtype, how: str, divisor: int) -> CEffect | None:
    """The arrays of all ranks, combined and divided by a number; None as `exchange` says."""
    MPI = ranks.MPI
    if ranks.meeting is None:
        return None
    call = ranks.meeting.call(what, dtype, shape, how)
    if call.combines:
        return _effect(call, [_meet(ranks.meeting, call)], divisor)
    kind = MPI._typedict.get(dtype.char)
    if kind is None or not dtype.isnative:
        return None
    given: list[Word | Where] = [Where.RESULT, _count(shape), handle(MPI, kind), handle(MPI, getattr(MPI, how))]
    return exchange(ranks, what, "Allreduce", [pointer(int(MPI.IN_PLACE)), *given], divisor)


def allgather(ranks: World, what: str, shape: Shape, dtype: np.dtype) -> CEffect | None:
    """The arrays of all ranks behind each other."""
    size = [_count(shape, dtype.itemsize), handle(ranks.MPI, ranks.MPI.BYTE)]
    return exchange(ranks, what, "Allgather", [Where.ARGUMENT, *size, Where.RESULT, *size])


def reduce_scatter(ranks: World, what: str, shape: Shape, dtype: np.dtype) -> CEffect | None:
    """This rank's part of the sum of all."""
    MPI = ranks.MPI
    kind = MPI._typedict.get(dtype.char)
    if kind is None or not dtype.isnative:
        return None
    part = _count((shape[0] // ranks.size, *shape[1:]))
    given: list[Word | Where] = [Where.ARGUMENT, Where.RESULT, part, handle(MPI, kind), handle(MPI, MPI.SUM)]
    return exchange(ranks, what, "Reduce_scatter_block", given)


def broadcast(ranks: World, what: str, shape: Shape, dtype: np.dtype, root: int) -> CEffect | None:
    """The array of one rank."""
    size = [_count(shape, dtype.itemsize), handle(ranks.MPI, ranks.MPI.BYTE)]
    return exchange(ranks, what, "Bcast", [Where.RESULT, *size, Word(32, root)])


def exchange(ranks: World, what: str, name: str, given: Sequence[Word | Where], divisor: int = 1) -> CEffect | None:
    """A function of MPI's that takes the communicator last, after the ranks have agreed that all call it. None where they have
    no native code for that, MPI's function is not found, or its numbers are more than it counts."""
    there = address(ranks.MPI, f"MPI_{name}")
    if ranks.meeting is None or not there or any(isinstance(g, Word) and g.bits == 32 and g.value >> 31 for g in given):
        return None
    call = ranks.meeting.call(what, _NOTHING, (0,), "SUM")
    meet = _meet(ranks.meeting, call)
    return _effect(call, [meet, CCall(f"MPI_{name}", there, [*given, handle(ranks.MPI, ranks.comm)])], divisor)


def _meet(meeting: Meeting, call: Call) -> CCall:
    where = Where.ARGUMENT if call.apart else Where.RESULT
    given: list[Word | Where] = [pointer(call.table.ctypes.data), where, Where.RESULT]
    return CCall("tn_meet", meeting.library.address("tn_meet"), given)


def _effect(call: Call, calls: Sequence[CCall], divisor: int) -> CEffect:
    error = f"{call.what}: MPI failed"
    return CEffect(calls, call.label.words, error, call.check, call, divisor)


def _count(shape: Shape, each: int = 1) -> Word:
    return Word(32, math.prod(shape) * each)
