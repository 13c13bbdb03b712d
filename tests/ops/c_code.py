"""C functions for the tests, which have no C compiler: those of the C library, and such as are written in LLVM's language."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tapenet.llvm.toolchain import build


def library() -> Any:
    """The C library's mathematics."""
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else ctypes.util.find_library("m"))


def of_c(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the C library, declared."""
    found = library()[name]
    found.restype, found.argtypes = result, arguments
    return found


def double_function(name: str, count: int = 1) -> Any:
    """A function of doubles."""
    return of_c(name, ctypes.c_double, *[ctypes.c_double] * count)


#: By name. `scale` writes 3 times its input, `product` is that of a matrix and a vector, `turn` gives the conjugates of complex
#: numbers, `mix` is number * whole - small where `flag` is set and small elsewhere.
_CODE = """
define void @scale(ptr %x, ptr %out, i64 %n) {
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %turn, label %end
turn:
  %i = phi i64 [ 0, %entry ], [ %next, %turn ]
  %from = getelementptr double, ptr %x, i64 %i
  %to = getelementptr double, ptr %out, i64 %i
  %v = load double, ptr %from
  %w = fmul double %v, 3.0
  store double %w, ptr %to
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %turn
end:
  ret void
}
define void @product(ptr %a, ptr %x, ptr %out, i64 %m, i64 %n) {
entry:
  br label %row
row:
  %i = phi i64 [ 0, %entry ], [ %below, %store ]
  %start = mul i64 %i, %n
  br label %turn
turn:
  %j = phi i64 [ 0, %row ], [ %next, %turn ]
  %sum = phi double [ 0.0, %row ], [ %more, %turn ]
  %at = add i64 %start, %j
  %pa = getelementptr double, ptr %a, i64 %at
  %px = getelementptr double, ptr %x, i64 %j
  %va = load double, ptr %pa
  %vx = load double, ptr %px
  %term = fmul double %va, %vx
  %more = fadd double %sum, %term
  %next = add i64 %j, 1
  %last = icmp eq i64 %next, %n
  br i1 %last, label %store, label %turn
store:
  %to = getelementptr double, ptr %out, i64 %i
  store double %more, ptr %to
  %below = add i64 %i, 1
  %done = icmp eq i64 %below, %m
  br i1 %done, label %end, label %row
end:
  ret void
}
define void @turn(ptr %x, ptr %out, i64 %n) {
entry:
  br label %turn
turn:
  %i = phi i64 [ 0, %entry ], [ %next, %turn ]
  %from = getelementptr { double, double }, ptr %x, i64 %i
  %to = getelementptr { double, double }, ptr %out, i64 %i
  %v = load { double, double }, ptr %from
  %im = extractvalue { double, double } %v, 1
  %minus = fneg double %im
  %w = insertvalue { double, double } %v, double %minus, 1
  store { double, double } %w, ptr %to
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %turn
end:
  ret void
}
define double @mix(double %number, i64 %whole, i8 signext %small, i1 zeroext %flag) {
  %f = sitofp i64 %whole to double
  %p = fmul double %number, %f
  %s = sext i8 %small to i32
  %d = sitofp i32 %s to double
  %q = fsub double %p, %d
  %r = select i1 %flag, double %q, double %d
  ret double %r
}
"""
_loaded: list[Any] = []


def made(name: str) -> int:
    """The address of a function of the above."""
    pytest.importorskip("llvmlite")
    if not _loaded:
        _loaded.append(build(_CODE))
    found: int = _loaded[0].address(name)
    return found


def python_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where llvmlite is not installed."""
    no: Callable[[], bool] = lambda: False
    monkeypatch.setattr("tapenet.llvm.ufuncs.toolchain.available", no)
