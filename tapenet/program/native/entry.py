"""How Python gets into native code: a builtin function that reads its array arguments by itself.

Passing an array through ctypes costs more than the whole of a small program. So the module defines a function of
CPython's fast calling convention and finds type, shape, dtype and memory of each argument in NumPy's array structure,
whose layout is part of NumPy's stable interface. Where the layout is not as expected (another Python, a build without
the global lock) `usable` says so, and ctypes does it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from types import NotImplementedType
from typing import NamedTuple

import numpy as np

from tapenet.program.called_ops import ALONE
from tapenet.program.ir import Value
from tapenet.program.layout import Strides
from tapenet.typing import Array

#: Bytes from the beginning of an array object to its fields.
DATA, _NDIM, _DIMENSIONS, _STRIDES, _BASE, _DESCR, _FLAGS = 16, 24, 32, 40, 48, 56, 64
#: NumPy's flags for row-major and aligned.
_ROWS, _ALIGNED = 0x0001, 0x0100
_WANTED = _ROWS | _ALIGNED
_METH_FASTCALL = 0x0080
#: What the table holds at its end, beyond pointers to memory: the addresses of these objects.
OBJECTS = (np.ndarray, None, NotImplemented, True)


@functools.cache
def usable() -> bool:
    """Whether array objects are laid out as expected in this interpreter."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or tuple.__itemsize__ != 8 or object.__basicsize__ != 16:
        return False
    array = np.zeros((3, 5), np.float32)
    at = id(array)

    def word(offset: int) -> int:
        return ctypes.c_uint64.from_address(at + offset).value

    return (
        word(DATA) == array.ctypes.data
        and ctypes.c_int32.from_address(at + _NDIM).value == 2
        and [ctypes.c_int64.from_address(word(_DIMENSIONS) + 8 * i).value for i in range(2)] == [3, 5]
        and [ctypes.c_int64.from_address(word(_STRIDES) + 8 * i).value for i in range(2)] == [20, 4]
        and word(_DESCR) == id(array.dtype)
        and word(_BASE) == 0
        and 0 < ctypes.c_int32.from_address(at).value < ALONE + 1
        and ctypes.c_int32.from_address(at + _FLAGS).value & _WANTED == _WANTED
        and word(8) == id(np.ndarray)
    )


class Bound(NamedTuple):
    """An array that native code is given: its specification, what its pointer is for, and where its dtype is.

    Attributes:
        value: has shape and dtype.
        strides: how it lies in memory, in elements; None for row-major order.
        place: the position of its pointer in the table.
        dtype: the position of the address of its dtype.
        guards: positions of pairs of bounds of memory that it may not reach into.
        alone: whether nothing may refer to it but the local name that it is given by, nor to its memory.
    """

    value: Value
    strides: Strides | None
    place: int
    dtype: int
    guards: Sequence[int] = ()
    alone: bool = False


def text(inputs: Sequence[Bound], outputs: Sequence[int], brought: Sequence[Bound], end: int) -> str:
    """IR of `bind(*inputs, *outputs)`, which checks the inputs and puts all pointers into the table; of `run`, which runs the
    first segment, and `runN` for the others; and of `takeN(array)` for what is brought, which does for one array what `bind`
    does.

    Args:
        inputs: the program's arguments.
        outputs: positions in the table of its results that are new arrays, which need no check.
        brought: what ops give.
        end: position in the table of the addresses of `OBJECTS`.
    """
    lines = _binder("bind", inputs, outputs, end)
    for i, bound in enumerate(brought):
        lines += _binder(f"take{i}", [bound], [], end)
    return "\n".join(lines)


def _binder(name: str, given: Sequence[Bound], more: Sequence[int], end: int) -> list[str]:
    """A function that checks arrays and puts their pointers into the table, and those of more arrays; it gives None, or
    NotImplemented where one does not fit."""
    lines = [f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{", "entry:", *_table()]
    for i in (0, 1, 2):
        lines += _entry(f"object{i}", end + i, "i64")
    for g in sorted({g for bound in given for g in bound.guards}):
        lines += [*_entry(f"low{g}", g, "i64"), *_entry(f"high{g}", g + 1, "i64")]
    lines += [f"  %enough = icmp eq i64 %n, {len(given) + len(more)}", "  br i1 %enough, label %a0, label %no"]
    for i, bound in enumerate(given):
        lines += [f"a{i}:", *_checked(i, bound), f"  br i1 %fits{i}, label %a{i + 1}, label %no"]
    lines += [f"a{len(given)}:"]
    for i, place in enumerate(more, len(given)):
        lines += [*_argument(i), *_data(i, "i64"), *_keep(i, f"%data{i}", place)]
    return [*lines, *_answer("object1"), "no:", *_answer("object2"), "}"]


def _checked(i: int, bound: Bound) -> list[str]:
    """Whether an array is what is wanted, as %fits; its pointer is in the table then."""
    value = bound.value
    lines = [*_argument(i), *_array(i), *_data(i, "i64")]
    # Strides are compared one by one where no flag tells the order.
    strides = bound.strides or ()
    wanted = _ALIGNED if strides else _WANTED
    lines += [f"  %dense{i} = and i32 %flags{i}, {wanted}"]
    lines += _entry(f"wanted{i}", bound.dtype, "i64")
    checks = [
        f"icmp eq i32 %nd{i}, {value.ndim}",
        f"icmp eq i64 %descr{i}, %wanted{i}",
        f"icmp eq i32 %dense{i}, {wanted}",
    ]
    below, above = extent(value, strides)
    if bound.guards:
        lines += [f"  %start{i} = add i64 %data{i}, {below}", f"  %stop{i} = add i64 %data{i}, {above}"]
    if bound.alone:
        lines += [
            f"  %count{i} = load i32, ptr %o{i}",
            f"  %bp{i} = getelementptr i8, ptr %o{i}, i64 {_BASE}",
            f"  %base{i} = load i64, ptr %bp{i}",
        ]
        checks += [f"icmp eq i32 %count{i}, {ALONE}", f"icmp eq i64 %base{i}, 0"]
    for g in bound.guards:
        at = f"{i}_{g}"
        lines += [
            f"  %below{at} = icmp ule i64 %stop{i}, %low{g}", f"  %above{at} = icmp uge i64 %start{i}, %high{g}",
        ]  # fmt: skip
        checks += [f"or i1 %below{at}, %above{at}"]
    last = "true"
    for k, check in enumerate(checks, 1):
        lines += [f"  %ok{i}_{k} = {check}", f"  %and{i}_{k} = and i1 {last}, %ok{i}_{k}"]
        last = f"%and{i}_{k}"
    lines += [f"  br i1 {last}, label %c{i}, label %no", f"c{i}:"]
    condition = "true"
    for axis, length in enumerate(value.shape):
        lines += [
            f"  %d{i}_{axis} = getelementptr i64, ptr %dims{i}, i64 {axis}",
            f"  %n{i}_{axis} = load i64, ptr %d{i}_{axis}",
            f"  %e{i}_{axis} = icmp eq i64 %n{i}_{axis}, {length}",
            f"  %f{i}_{axis} = and i1 {condition}, %e{i}_{axis}",
        ]
        condition = f"%f{i}_{axis}"
    for axis, stride in enumerate(strides):
        if value.shape[axis] == 1:
            continue
        lines += [
            f"  %s{i}_{axis} = getelementptr i64, ptr %strides{i}, i64 {axis}",
            f"  %m{i}_{axis} = load i64, ptr %s{i}_{axis}",
            f"  %g{i}_{axis} = icmp eq i64 %m{i}_{axis}, {stride * value.dtype.itemsize}",
            f"  %h{i}_{axis} = and i1 {condition}, %g{i}_{axis}",
        ]
        condition = f"%h{i}_{axis}"
    return [*lines, *_keep(i, f"%data{i}", bound.place), f"  %fits{i} = and i1 {condition}, true"]


def extent(value: Value, strides: Strides) -> tuple[int, int]:
    """Where the memory of an array begins and ends, in bytes from its first element; without strides in row-major order."""
    if not strides or value.size == 0:
        return 0, value.nbytes
    steps = [(n - 1) * s * value.dtype.itemsize for n, s in zip(value.shape, strides, strict=True)]
    return sum(s for s in steps if s < 0), sum(s for s in steps if s > 0) + value.dtype.itemsize


def runs(segments: Mapping[str, bool], end: int, text: str) -> str:
    """IR of a function without arguments for each segment, named "run_" and the segment: it gives None; True where the
    segment failed. The interpreter's lock is released meanwhile where that is said. `text` is what it is added to."""
    functions = ("ptr @PyErr_Occurred()", "ptr @PyEval_SaveThread()", "void @PyEval_RestoreThread(ptr)")
    return "\n".join(
        [*(_run(*s, end) for s in segments.items()), *(d for f in functions if (d := f"declare {f}") not in text)]
    )


def _run(segment: str, long: bool, end: int) -> str:
    lines = [f"define ptr @run_{segment}(ptr %self, ptr %args, i64 %n) {{", "entry:", *_table()]
    lines += ["  %thread = call ptr @PyEval_SaveThread()"] * long
    lines += [f"  %status = call i64 @{segment}(ptr %table)"]
    lines += ["  call void @PyEval_RestoreThread(ptr %thread)"] * long
    lines += [
        "  %error = call ptr @PyErr_Occurred()",  # an interrupt's handler has set one, or a function of SciPy's
        "  %raised = icmp ne ptr %error, null",
        "  %zero = icmp eq i64 %status, 0",
        "  %fine = select i1 %raised, i1 false, i1 %zero",
    ]
    for i in (1, 3):
        lines += _entry(f"object{i}", end + i, "i64")
    lines += [
        "  br i1 %fine, label %yes, label %no",
        "yes:",
        *_answer("object1"),
        "no:",
        "  br i1 %raised, label %interrupted, label %failed",
        "interrupted:",
        "  ret ptr null",
        "failed:",
        *_answer("object3"),
    ]
    return "\n".join([*lines, "}"])


def direct(outputs: int, sums: int, inputs: int, kept: int) -> str:
    """IR of `direct(*outputs, *sums, *inputs, *kept)`, which calls @rows on the memory of arrays. It gives True; None, having
    done nothing, unless the inputs are arrays of the dtypes in the table, dense in row-major order. The table holds the
    addresses of `OBJECTS`, then that of the numbers, the number of turns, three lengths, into how many parts the turns are cut
    one after another, how many numbers each part has of each of the sums, whether the interpreter's lock is released
    meanwhile, and the dtypes."""
    total = outputs + sums + inputs + kept
    lines = ["declare ptr @PyEval_SaveThread()", "declare void @PyEval_RestoreThread(ptr)"]
    lines += ["define ptr @direct(ptr %self, ptr %args, i64 %n) {", "entry:", *_table()]
    for i in range(len(OBJECTS)):
        lines += _entry(f"object{i}", i, "i64")
    at = len(OBJECTS)
    lines += _entry("numbers", at, "ptr")
    words = ["end", "length", "segments", "rows", "parts", *(f"sum{i}" for i in range(outputs, outputs + sums)), "long"]
    for i, name in enumerate(words, at + 1):
        lines += _entry(name, i, "i64")
    at += 1 + len(words)
    lines += [f"  %enough = icmp eq i64 %n, {total}", "  br i1 %enough, label %a0, label %no"]
    for i in range(total):
        lines += [f"a{i}:", *_argument(i)]
        if outputs + sums <= i < outputs + sums + inputs:
            lines += [
                *_array(i),
                *_data(i, "ptr"),
                f"  %dense{i} = and i32 %flags{i}, {_WANTED}",
                *_entry(f"wanted{i}", at + i - outputs - sums, "i64"),
                f"  %same{i} = icmp eq i64 %descr{i}, %wanted{i}",
                f"  %rows{i} = icmp eq i32 %dense{i}, {_WANTED}",
                f"  %both{i} = and i1 %same{i}, %rows{i}",
                f"  br i1 %both{i}, label %a{i + 1}, label %no",
            ]
        else:
            lines += [*_data(i, "ptr"), f"  br label %a{i + 1}"]
    lines += [
        f"a{total}:",
        "  %held = icmp eq i64 %long, 0",
        "  br i1 %held, label %begun, label %release",
        "release:",
        "  %released = call ptr @PyEval_SaveThread()",
        "  br label %begun",
        "begun:",
        f"  %thread = phi ptr [ null, %a{total} ], [ %released, %release ]",
        "  br label %part",
        "part:",
        "  %item = phi i64 [ 0, %begun ], [ %later, %part ]",
        "  %later = add i64 %item, 1",
    ]
    for name, item in (("begin", "%item"), ("stop", "%later")):
        lines += [f"  %{name}0 = mul i64 %end, {item}", f"  %{name} = udiv i64 %{name}0, %parts"]
    for i in range(outputs, outputs + sums):
        lines += [f"  %off{i} = mul i64 %item, %sum{i}", f"  %own{i} = getelementptr double, ptr %data{i}, i64 %off{i}"]
    pointers = ", ".join(f"ptr %{'own' if outputs <= i < outputs + sums else 'data'}{i}" for i in range(total))
    lines += [
        f"  call void @rows({pointers}, ptr %numbers, i64 %begin, i64 %stop, i64 %length, i64 %segments, i64 %rows)",
        "  %last = icmp eq i64 %later, %parts",
        "  br i1 %last, label %done, label %part",
        "done:",
        "  br i1 %held, label %yes, label %take",
        "take:",
        "  call void @PyEval_RestoreThread(ptr %thread)",
        "  br label %yes",
        "yes:",
    ]
    return "\n".join([*lines, *_answer("object3"), "no:", *_answer("object1"), "}"])


_INCREF = """  %count_# = load i64, ptr %p_#
  %more_# = add i64 %count_#, 1
  store i64 %more_#, ptr %p_#"""
#: What returning one of `OBJECTS` takes: later Pythons do not count references to None and the like.
_KEPT = "" if sys.version_info >= (3, 12) else _INCREF

#: Of what is an array; nothing more of an object is read before its type is known.
_FIELDS = [
    "  %type# = load i64, ptr %t#",
    "  %ok#_0 = icmp eq i64 %type#, %object0",
    "  br i1 %ok#_0, label %b#, label %no",
    "b#:",
    f"  %np# = getelementptr i8, ptr %o#, i64 {_NDIM}",
    "  %nd# = load i32, ptr %np#",
    f"  %sp# = getelementptr i8, ptr %o#, i64 {_DIMENSIONS}",
    "  %dims# = load ptr, ptr %sp#",
    f"  %tp# = getelementptr i8, ptr %o#, i64 {_STRIDES}",
    "  %strides# = load ptr, ptr %tp#",
    f"  %cp# = getelementptr i8, ptr %o#, i64 {_DESCR}",
    "  %descr# = load i64, ptr %cp#",
    f"  %fp# = getelementptr i8, ptr %o#, i64 {_FLAGS}",
    "  %flags# = load i32, ptr %fp#",
]


def _table() -> list[str]:
    """The memory of the table, an array that is the function's `self`."""
    return [f"  %tp = getelementptr i8, ptr %self, i64 {DATA}", "  %table = load ptr, ptr %tp"]


def _entry(name: str, position: int, type: str) -> list[str]:
    return [
        f"  %at_{name} = getelementptr i64, ptr %table, i64 {position}",
        f"  %{name} = load {type}, ptr %at_{name}",
    ]


def _argument(i: int) -> list[str]:
    return [
        f"  %ap{i} = getelementptr ptr, ptr %args, i64 {i}",
        f"  %o{i} = load ptr, ptr %ap{i}",
        f"  %t{i} = getelementptr i8, ptr %o{i}, i64 8",
    ]


def _array(i: int) -> list[str]:
    """The fields of an argument, which has to be an array."""
    return [line.replace("#", str(i)) for line in _FIELDS]


def _data(i: int, type: str) -> list[str]:
    """Where the memory of an array begins."""
    return [f"  %dp{i} = getelementptr i8, ptr %o{i}, i64 {DATA}", f"  %data{i} = load {type}, ptr %dp{i}"]


def _keep(i: int, register: str, position: int) -> list[str]:
    return [f"  %kp{i} = getelementptr i64, ptr %table, i64 {position}", f"  store i64 {register}, ptr %kp{i}"]


def _answer(name: str) -> list[str]:
    """Return an object that the caller then owns a reference to."""
    return [
        f"  %p_{name} = inttoptr i64 %{name} to ptr",
        *_KEPT.replace("#", name).splitlines(),
        f"  ret ptr %p_{name}",
    ]


class _Method(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtin(name: str, address: int, table: object) -> Callable[..., tuple[Array, ...] | NotImplementedType]:
    """A builtin function around native code, with the table as its `self`.

    The function reads its description when it goes, so it holds that itself, as its module, in objects that the search for
    cycles never clears.
    """
    encoded = name.encode()
    method = bytes(_Method(encoded, address, _METH_FASTCALL, None))
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_char_p, ctypes.py_object, ctypes.py_object]
    function: Callable[..., tuple[Array, ...] | NotImplementedType] = make(method, table, (method, encoded))
    return function
