"""Runs a program's native form: binds memory, evaluates what the host computes, calls the code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from types import NotImplementedType

import numpy as np

from tapenet.kernels import SMALL, aligned
from tapenet.llvm.blas import alone
from tapenet.llvm.locks import reentrant_lock
from tapenet.llvm.toolchain import Library
from tapenet.llvm.toolchain import build as compile_text
from tapenet.program import generated
from tapenet.program.groups import Groups
from tapenet.program.ir import Constant, Host, Program, Reference, Value
from tapenet.program.layout import alike, copied, unusual_order
from tapenet.program.native import entry
from tapenet.program.native.calls import Calls
from tapenet.program.native.module import Module, Segment
from tapenet.program.native.parallel import threads
from tapenet.program.native.report import groups, report
from tapenet.typing import Array, Shape

#: Ranges of memory, at most, that are told apart when arguments are checked for sharing memory with what is written.
GUARDS = 16


#: A call of a program: see `backend.Runner.call`.
Call = Callable[..., tuple[Array, ...] | NotImplementedType]


class Runner:
    """A compiled program: `runner(*arrays)` gives its results as new arrays.

    Attributes:
        call: the same as a plain function, which is quicker to call.
        checks: the call returns NotImplemented, having done nothing, for arguments of another type, shape, dtype or
            memory order, and for those that share memory with what the program writes.
        module: what was compiled.
        source: the Python around it.
    """

    checks = True

    def __init__(self, program: Program) -> None:
        self._program = program
        self.module = Module(program, threads())
        module = self.module
        inputs, outputs = module.program.inputs, module.program.outputs
        self._quick = entry.usable()
        self._guards = min(len(module.program.writes), GUARDS)
        end = 2 + len(module.memory.table)
        text = module.text
        if self._quick:
            text += "\n\n" + entry.text(inputs, len(outputs), end, self._guards)
        self._library: Library = compile_text(text)
        self._arena = np.empty(module.memory.arena_bytes + 64, np.uint8)
        extra = len(entry.OBJECTS) + len(inputs) + 2 * self._guards
        self._table: Array = np.zeros(end + extra, np.uint64)
        start = -self._arena.ctypes.data % 64
        self._table[0] = self._arena.ctypes.data + start
        self._memory = self._arena[start:]
        objects: list[object] = [*entry.OBJECTS, *(value.dtype for value in inputs)]
        self._table[end : end + len(objects)] = [id(o) for o in objects]
        self._kept: list[object] = [objects]
        self._bounds = end + len(objects)
        #: The memory that the program writes.
        self._written: list[Array] = []
        #: The array behind each value that has a place in the table; those of arguments and results change by the call.
        self._arrays: dict[Value, Array] = {}
        for value in module.memory.table:
            if isinstance(value, Constant):
                self._arrays[value] = np.ascontiguousarray(value.array)
            elif isinstance(value, Host):
                self._arrays[value] = np.zeros(value.shape, value.dtype)
        #: One call at a time, since all use the same memory; a call from within a call gets a runner of its own.
        self._lock = reentrant_lock()
        self._inner: Runner | None = None
        if not self.refresh():
            raise ValueError(
                "a tensor's memory is not aligned to its elements (is it a field of a structured array?), which compiled code "
                "cannot read: make the tensor of a copy of the array, or compile with backend='numpy'"
            )
        self.call = self._make()

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """Run, on copies of arguments that lie in another order or share memory with what is written.

        Raises:
            TypeError: the arguments have other shapes or dtypes than the program's.
        """
        results = self.call(*arrays)
        if isinstance(results, NotImplementedType):
            arrays = tuple(map(np.asarray, arrays))
            given = zip(arrays, self._program.inputs, strict=True)
            arrays = tuple(copied(a, v.order) if a.shape == v.shape else a for a, v in given)
            results = self.call(*arrays)
        if isinstance(results, NotImplementedType):
            found = ", ".join(f"{a.dtype} {a.shape}" for a in arrays)
            wanted = ", ".join(value.spec for value in self.module.program.inputs)
            raise TypeError(f"a program for {wanted} was given {found}")
        return results

    def refresh(self) -> bool:
        """Find the references' memory anew. False if one lies in another way than when the program was compiled: then
        the program must not be run."""
        with self._lock:
            return self._found()

    def _found(self) -> bool:
        module = self.module
        found: dict[Value, Array] = {}
        for value in module.memory.table:
            if isinstance(value, Reference):
                data = value.tensor._data
                strides = module.layouts[value].strides
                if data.shape != value.shape or data.dtype != value.dtype or not _lies(data, strides):
                    return False
                found[value] = data
        self._arrays |= found  # only now: until the table is written, a call that is running needs the arrays before
        for i, value in enumerate(module.memory.table):
            if value in self._arrays:
                self._table[2 + i] = _address(self._arrays[value])
        self._written = [self._arrays[write.target] for write in module.program.writes]
        for g, bounds in enumerate(_spans(self._written, self._guards)):
            self._table[self._bounds + 2 * g : self._bounds + 2 * g + 2] = bounds
        return True

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words."""
        return report(self.module, full)

    def groups(self) -> Groups:
        """What runs in one go: kernels, and all else by itself."""
        return groups(self.module)

    # -- the call ------------------------------------------------------------------------------------------------

    def _make(self) -> Call:
        """Write the Python of one call."""
        module = self.module
        inputs, outputs = module.program.inputs, module.program.outputs
        namespace: dict[str, object] = {
            "empty": np.empty, "aligned": aligned, "lock": self._lock, "index_error": partial(_index_error, module.program),
            "lasts": [None] * len(module.program.hosts), "bind": self._bind,
            "busy": [False], "within": self._within,  # which keeps the code in memory as long as somebody has the function
        }  # fmt: skip
        names = [f"x{i}" for i in range(len(inputs))]
        results = [f"y{i}" for i in range(len(outputs))]
        lines = []
        for i, value in enumerate(outputs):
            namespace[f"d{i}"] = value.dtype
            order = unusual_order(value.shape, module.layouts[value].strides)
            if order is None and value.nbytes < SMALL:
                lines.append(f"y{i} = empty({value.shape!r}, d{i})")
            else:
                lines.append(f"y{i} = aligned({value.shape!r}, d{i}, {order})")
        # By `with`, behind which no interrupt comes before the block. An op or a host may call the function that runs it.
        lines += ["with lock:", f"    if busy[0]: return within({', '.join(names)})", "    busy[0] = True", "    try:"]
        everything = ", ".join([*names, *results])
        refused = f"not bind({everything})"
        if self._quick:
            namespace["quick"] = self._builtin("bind")
            refused = f"quick({everything}) is not None and {refused}"
        indent = " " * 8
        lines.append(f"{indent}if {refused}: return NotImplemented")
        used = {module.layouts[arg].root for instruction in module.program.body for arg in instruction.args}
        for i, host in enumerate(module.program.hosts):
            namespace[f"e{i}"] = host.evaluate
            if host not in used:  # it is there for what it does: it counts a step
                lines.append(f"{indent}e{i}()")
                continue
            namespace[f"h{i}"] = self._arrays[host]
            lines += [
                f"{indent}v = e{i}()",
                f"{indent}if v.__class__ is not tuple or v != lasts[{i}]:",
                f"{indent}    h{i}[...] = lasts[{i}] = v",
            ]
        calls = Calls(module, self._memory, self._arrays)
        if module.alone:
            namespace["alone"] = alone
            lines.append(f"{indent}with alone():")
            indent += "    "
        for step in module.steps:
            if isinstance(step, Segment):
                name = f"segment{step.number}"
                if step.number == 0 and self._quick:
                    namespace[name] = self._builtin("run")
                    lines += [f"{indent}if {name}() is not None:", f"{indent}    index_error()"]
                else:
                    namespace[name] = self._foreign(name)
                    lines += [f"{indent}if {name}():", f"{indent}    index_error()"]
            else:
                name = f"call{len(namespace)}"
                namespace[name] = calls.function(step.instruction)
                lines.append(f"{indent}{name}(({everything}{',' if everything else ''}))")
        lines += ["    finally:", "        busy[0] = False"]
        lines.append(f"return ({', '.join(results)}{',' if results else ''})")
        self.source = f"def call({', '.join(names)}):\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        return generated.function("call", self.source, namespace, "compiled program")

    def _within(self, *arrays: Array) -> tuple[Array, ...] | NotImplementedType:
        """A call from within a call, on memory of its own."""
        if self._inner is None or not self._inner.refresh():
            self._inner = Runner(self._program)
        return self._inner.call(*arrays)

    def _builtin(self, name: str) -> Call:
        function, kept = entry.builtin(name, self._library.address(name), self._table)
        self._kept.append(kept)
        return function

    def _foreign(self, name: str) -> Callable[[], int]:
        """A segment by ctypes, without arguments of its own."""
        function = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self._library.address(name))
        at = self._table.ctypes.data
        return lambda: int(function(at))

    def _bind(self, *arrays: Array) -> bool:
        """Put arguments and results into the table, if the arguments are what the program takes. The native `bind`
        refuses a few that it does not look at closely enough: a dtype that is an object of its own, memory between two
        tensors that are written."""
        for array, value in zip(arrays, self.module.program.inputs, strict=False):  # results come after these
            fits = type(array) is np.ndarray and (array.shape, array.dtype) == (value.shape, value.dtype)
            if not fits or not _lies(array, self.module.layouts[value].strides):
                return False
            if any(np.may_share_memory(array, written) for written in self._written):
                return False
        for i, array in enumerate(arrays):
            self._table[2 + i] = _address(array)
        return True


def build(program: Program) -> Runner:
    """Compile a program."""
    return Runner(program)


def _spans(arrays: list[Array], count: int) -> list[tuple[int, int]]:
    """The memory of arrays as so many ranges, neighbours merged; empty ranges where there are fewer."""
    spans: list[tuple[int, int]] = []
    for low, high in sorted(np.lib.array_utils.byte_bounds(a) for a in arrays):
        if spans and low <= spans[-1][1] + 64:
            spans[-1] = spans[-1][0], max(high, spans[-1][1])
        else:
            spans.append((low, high))
    while len(spans) > count:
        i = min(range(len(spans) - 1), key=lambda i: spans[i + 1][0] - spans[i][1])
        spans[i : i + 2] = [(spans[i][0], spans[i + 1][1])]
    return spans + [(0, 0)] * (count - len(spans))


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _lies(array: Array, strides: Shape) -> bool:
    """Whether an array lies in memory as `strides`, in elements, say."""
    steps = (s * array.itemsize for s in strides)
    return array.size == 0 or (array.flags.aligned and alike(array.shape, array.strides, tuple(steps)))


def _index_error(program: Program) -> None:
    """Raise for an index of a program's that is out of bounds, and name the lines where it may be."""
    lines = list(dict.fromkeys(line for line in _indexing(program) if line))
    where = f"{'' if len(lines) == 1 else 'one of '}{', '.join(lines[:_LINES])}{', ...' if len(lines) > _LINES else ''}"
    raise IndexError(
        "an index is out of bounds in a compiled program (class indices of a loss, rows of an embedding, t[index])"
        + (f", at {where}" if lines else "")
        + ": call the function without tn.compile to see more"
    )


#: How many lines an error names at most.
_LINES = 5


def _indexing(program: Program) -> Iterator[str]:
    """The lines of the user's code of all that indexes, also in bodies."""
    for instruction in program.body:
        if instruction.name in ("take", "index", "put", "scatter_add", "add_rows"):
            yield instruction.line
        for value in instruction.params.values():
            if isinstance(value, Program):
                yield from _indexing(value)


__all__ = ["Runner", "build"]
