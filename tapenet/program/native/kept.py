"""Whole programs in the cache of code: what one process has made of a long program, the next one that captures it takes from
there, and needs no passes, no fusion and no plan of memory.

A program is found by a key of all that decides what becomes of it: the program as it was captured (`_Told`), and what is around
it (`_around`). Kept is what running it takes (`Outline`), not how it was made: whoever asks for that has it made. A program
that calls Python is not kept, nor one with a part that no key tells (`Untold`), or whose code calls what only this process
knows the address of.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import marshal
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet import kernels
from tapenet.kernels.constants import is_constant
from tapenet.llvm import blas, sharing, toolchain, workers
from tapenet.llvm.addresses import address
from tapenet.llvm.inner_loops import home
from tapenet.llvm.processor import processor, processors
from tapenet.llvm.sources import sources
from tapenet.llvm.toolchain import Library, Piece
from tapenet.program.ir import Constant, Host, Input, Program, Reference, Value
from tapenet.program.native import entry, raising
from tapenet.program.native.outline import Outline, Segment
from tapenet.program.primitives import ADDED
from tapenet.program.ufunc_rows import UFUNCS
from tapenet.typing import Array

#: Instructions of a program at least that is kept: a shorter one is made as quickly.
LEAST = 300
#: Bytes at most of the constants of a program that is kept, and of those that passes have made of them.
MOST, MADE = 1 << 24, 1 << 20
#: What code calls of the pool's.
_POOL = ("tn_share", "tn_share_awake", "tn_blocks")
_NAME = re.compile(r"@([\w.]+)")
#: The variables of the environment begin so that the libraries read with which tapenet computes.
_READ = ("NPY_", "NUMPY_", "OMP_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "VECLIB_", "LLVM_")


class Untold(Exception):
    """No key tells what a part of a program is."""


class Key(NamedTuple):
    """What a captured program is kept by.

    Attributes:
        text: the key.
        program: the program.
        outside: its values that no instruction computes, by their numbers in the key.
    """

    text: str
    program: Program
    outside: Sequence[Value]


class Kept(NamedTuple):
    """A program that was kept."""

    outline: Outline
    library: Library


def key(program: Program) -> Key | None:
    """The key of a captured program; None for one that is not kept."""
    if len(program.body) < LEAST or toolchain.folder() is None or sources() is None:
        return None
    told = _Told()
    try:
        told.program(program)
    except Untold:
        return None
    found = hashlib.sha256(repr(_around()).encode())
    found.update(marshal.dumps(told.rows, 2))  # of version 2, in which what is equal looks the same
    return Key(found.hexdigest(), program, told.outside)


def find(key: Key) -> Kept | None:
    """What was kept by a key, if it can run in this process."""
    data = toolchain.cached(f"{key.text}.json")
    if data is None:
        return None
    said = json.loads(data)
    workers.declaration()
    if not all(sharing.named(name, _pieces(pieces)) for name, pieces in said["calls"]):
        return None
    for symbol, (module, function, *arguments) in said["outside"].items():
        if symbol not in toolchain.symbols:
            try:
                getattr(importlib.import_module(module), function)(*arguments)
            except (ImportError, AttributeError):  # another version of NumPy or SciPy
                return None
        if symbol not in toolchain.symbols:
            return None
    library = toolchain.load(_pieces(said["pieces"]))
    if library is None:
        return None
    outputs = [Value(v.shape, v.dtype) for v in key.program.outputs]
    table: list[Value] = []
    for kind, *which in said["table"]:
        if kind == "constant":
            dtype, shape, text = which
            table.append(Constant(np.frombuffer(bytes.fromhex(text), dtype).reshape(shape)))
        else:
            table.append((outputs if kind == "output" else key.outside)[which[0]])
    outside: Any = key.outside
    hosts = [(outside[i], read) for i, read in said["hosts"]]
    references, written = ([outside[i] for i in said[name]] for name in ("references", "written"))
    strides = {v: tuple(s) for v, s in zip(table, said["strides"], strict=True)}
    segments = {f"segment{number}": released for number, released in said["segments"]}
    steps = [Segment(number, []) for number, _ in said["segments"]]
    inputs = key.program.inputs
    outline = Outline(
        inputs, outputs, hosts, references, written, table, strides, [], steps, segments, said["arena"], said["alone"],
        False, [],
    )  # fmt: skip
    return Kept(outline, library)


def keep(key: Key, outline: Outline, library: Library, text: str) -> None:
    """Keep what was made of a program that draws nothing, if another process can run it."""
    if outline.calls or outline.brought or outline.c_effects:
        return
    calls = [n for n in sorted(set(_NAME.findall(text)) & toolchain.symbols.keys()) if n not in _POOL]
    outside = {n: toolchain.origins[n] for n in calls if n in toolchain.origins}
    calls = [n for n in calls if n not in outside]
    if not all(map(sharing.named, calls)):
        return
    numbers = {value: i for i, value in enumerate(key.outside)}
    outputs = {value: i for i, value in enumerate(outline.outputs)}
    table: list[object] = []
    room = MADE
    for value in outline.table:
        if value in numbers:
            table.append(("outside", numbers[value]))
        elif value in outputs:
            table.append(("output", outputs[value]))
        elif isinstance(value, Constant) and value.nbytes <= room and value.dtype.kind in "biufc":
            room -= value.nbytes
            table.append(("constant", value.dtype.str, value.shape, value.array.tobytes().hex()))
        else:
            return
    said = {
        "table": table,
        "hosts": [(numbers[host], read) for host, read in outline.hosts],
        "references": [numbers[v] for v in outline.references],
        "written": [numbers[v] for v in outline.written],
        "strides": [outline.strides[v] for v in outline.table],
        "segments": [(int(name.removeprefix("segment")), released) for name, released in outline.segments.items()],
        "arena": outline.arena_bytes,
        "alone": outline.alone,
        "pieces": library.pieces,
        "calls": [(name, sharing.pieces(name)) for name in calls],
        "outside": outside,
    }
    toolchain.keep(f"{key.text}.json", json.dumps(said).encode())


def _pieces(said: list[Any]) -> list[Piece]:
    return [Piece(*piece) for piece in said]


def _around() -> dict[str, object]:
    """What passes, fusion, the plan of memory and the code depend on besides the program. `tests/program/native/test_kept.py`
    looks for more."""
    found = blas.find()
    return {
        "sources": sources(), "python": (sys.version, sys.flags, sys.executable), "code": toolchain.target().key,
        "processor": processor(), "processors": processors(), "threads": workers.threads(), "pool": workers.able(),
        "blocks": workers.blocks(workers.MOST), "kernels": kernels.on(), "arrays": entry.usable(),
        "blas": found and (sorted(found.addresses), found.integer), "numpy": _features(),
        "environment": sorted(v for v in os.environ.items() if v[0].startswith(_READ)),
    }  # fmt: skip


def _features() -> object:
    """The processor as NumPy sees it, which computes what depends on constants alone."""
    umath = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    return sorted(getattr(umath, "__cpu_features__", {}).items())


@functools.lru_cache(256)
def _dtype(dtype: np.dtype) -> str:
    if dtype.hasobject or dtype.fields is not None:
        raise Untold
    return f"{dtype.str} {dtype.name}"


class _Told:
    """Tells a program in rows of numbers and texts. Values are numbers, in the order in which they are met."""

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.outside: list[Value] = []
        self._numbers: dict[Value, int] = {}
        self._arrays: dict[object, int] = {}
        self._objects: dict[int, int] = {}
        self._room = MOST

    def program(self, program: Program) -> None:
        """A program, or the body of a loop or branch."""
        rows, numbers, number = self.rows, self._numbers, self._number
        rows.append(("begin", [*map(number, program.inputs)], [*map(number, program.hosts)]))
        for i in program.body:
            if i.name in ADDED:  # it may be another one the next time
                ufunc = UFUNCS.get(i.name)
                module = "" if ufunc is None else home(ufunc)
                if ufunc is None or not module:
                    raise Untold
                rows.append((module, ufunc.__name__))
            args = [*map(number, i.args)]
            params = {name: self._param(p) for name, p in i.params.items()} if i.params else None
            rows.append((i.name, args, params, [(r.shape, _dtype(r.dtype)) for r in i.results]))
            for r in i.results:
                numbers[r] = len(numbers)
        writes = [(number(w.target), number(w.value)) for w in program.writes]
        rows.append(("end", [*map(number, program.outputs)], writes))

    def _number(self, value: Value) -> int:
        found = self._numbers.get(value)
        if found is not None:
            return found
        more: object = None
        if isinstance(value, Constant):
            more = self._array(value.array)
        elif isinstance(value, Reference):
            more = value.tensor._data.strides
        elif isinstance(value, Input):
            more = value.order
        elif not isinstance(value, Host):
            raise Untold
        self.rows.append((type(value).__name__, value.shape, _dtype(value.dtype), more))
        self.outside.append(value)
        self._numbers[value] = len(self._numbers)
        return self._numbers[value]

    def _array(self, array: Array) -> object:
        """What is in an array, how it lies, and which one it is: of large ones a pass asks for that."""
        self._room -= array.nbytes
        if self._room < 0:
            raise Untold
        at = address(array), array.strides, array.shape
        which = self._arrays.setdefault(at, len(self._arrays))
        text = hashlib.sha256(array.tobytes()).hexdigest()
        return which, _dtype(array.dtype), array.shape, array.strides, array.flags.writeable, is_constant(array), text

    def _param(self, value: Any) -> object:
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind in (tuple, list):
            return kind.__name__, [*map(self._param, value)]
        if kind is dict:
            return "dict", [(self._param(k), self._param(v)) for k, v in value.items()]
        if isinstance(value, type):  # what is raised
            if not raising.is_known(value):
                raise Untold
            return "type", value.__module__, value.__name__
        if kind is slice:
            return "slice", [*map(self._param, (value.start, value.stop, value.step))]
        if isinstance(value, np.dtype):
            return "dtype", _dtype(value)
        if isinstance(value, (np.generic, complex)):
            text = value.tobytes() if isinstance(value, np.generic) else repr(value)  # NumPy's depends on print options
            return kind.__name__, text, self._objects.setdefault(id(value), len(self._objects))
        if kind is np.ndarray:
            return self._array(value)
        if kind is Program:  # two loops that have one are taken for one
            self.program(value)
            return self._objects.setdefault(id(value), len(self._objects))
        if isinstance(value, tuple) and kind.__module__.startswith("tapenet."):
            return kind.__module__, kind.__qualname__, [*map(self._param, value)]
        module, name = (str(getattr(value, n, "")) for n in ("module", "name"))
        if module.startswith("tapenet.") and getattr(sys.modules.get(module), name, None) is value:
            return "op", module, name  # its code is among the sources
        raise Untold
