"""Runs a program's native form: binds memory, evaluates what the host computes, calls the code."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import NotImplementedType
from typing import TYPE_CHECKING

import numpy as np

from tapenet import locks
from tapenet.kernels import SMALL, aligned, keep_memory
from tapenet.llvm.addresses import address
from tapenet.llvm.blas import alone
from tapenet.llvm.toolchain import Library
from tapenet.llvm.toolchain import build as compile_text
from tapenet.program import generated, numpy_backend
from tapenet.program.called_ops import note_line
from tapenet.program.groups import Groups
from tapenet.program.index_errors import first_wrong
from tapenet.program.ir import Constant, Host, Program, Reference, Value
from tapenet.program.layout import alike, copied, memory_order
from tapenet.program.native import entry, kept
from tapenet.program.native.lines import Line, indented
from tapenet.program.native.outline import Call, Segment
from tapenet.program.native.scratch import Scratch
from tapenet.program.native.strided import WAYS, Way, way
from tapenet.program.passes import Simplified
from tapenet.program.primitives import OUT_OF_BOUNDS, out_of_bounds
from tapenet.program.quiet import QUIET, get, put
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.program.native.calls import Calls
    from tapenet.program.native.making import Making
    from tapenet.program.native.module import Module

#: Ranges of memory, at most, that are told apart when arguments are checked for sharing memory with what is written.
GUARDS = 16

#: Code that is tried, at most, before it is asked how arguments lie: to ask takes as long as three refusals.
EARLIER = 2

#: A call of a program: see `backend.Runner.call`. Behind the arrays it may be given `careful`. If that is False, it refuses all
#: that the native `bind` refuses, and does not look again in Python: `otherwise` finds what is for these arguments.
Calling = Callable[..., tuple[Array, ...] | NotImplementedType]


class Runner:
    """A compiled program: `runner(*arrays)` gives its results as new arrays.

    Attributes:
        call: the same as a plain function, which is quicker to call.
        checks: the call returns NotImplemented, having done nothing, for arguments of another type, shape, dtype or
            memory order, and for those that share memory with what the program writes.
        source: the Python around it.
    """

    checks = True
    inline = None

    def __init__(
        self, program: Simplified, lying: Way | None = None, lock: AbstractContextManager[object] | None = None
    ) -> None:
        """Compile.

        Args:
            program: what to compile.
            lying: how its arguments lie, where it is not how the program says.
            lock: the one that calls of the same program take.
        """
        self._program = program
        self._lying = lying
        key = kept.key(program.captured) if lying is None and program.by_passes else None
        found = None if key is None else kept.find(key)
        self._outline = outline = self._making.outline if found is None else found.outline
        inputs, outputs = outline.inputs, outline.outputs
        self._quick = entry.usable()
        self._guards = min(len(outline.written), GUARDS)
        self._end = end = 2 + len(outline.table)
        #: The results that are made ahead, by their positions: those that ops give are where these put them.
        self._ahead = [i for i, value in enumerate(outputs) if value not in outline.brought]
        self._bounds = end + len(entry.OBJECTS) + len(inputs) + len(outline.brought)
        self._library: Library = self._compiled(key) if found is None else found.library
        self._table: Array = np.zeros(self._bounds + 2 * self._guards, np.uint64)
        self._scratch = Scratch(outline.arena_bytes, self._table)
        objects: list[object] = [*entry.OBJECTS, *(value.dtype for value in (*inputs, *outline.brought))]
        self._table[end : self._bounds] = [id(o) for o in objects]
        self._kept: list[object] = [objects]
        #: The memory that the program writes.
        self._written: list[Array] = []
        #: The array behind each value that has a place in the table; those of arguments and results change by the call.
        self._arrays: dict[Value, Array] = {}
        for value in outline.table:
            if isinstance(value, Constant):
                self._arrays[value] = np.ascontiguousarray(value.array)
            elif isinstance(value, Host):
                self._arrays[value] = np.zeros(value.shape, value.dtype)
        #: One call at a time, since all use the same memory; a call from within a call gets a runner of its own.
        self._lock = lock or locks.lock()
        self._inner: Runner | None = None
        #: Whether NumPy runs the bodies of the loops and branches that call Python.
        self._numpy_bodies = True
        if not self._found():
            raise ValueError(
                "a tensor's memory is not aligned to its elements (is it a field of a structured array?), which compiled code "
                "cannot read: make the tensor of a copy of the array, or compile with backend='numpy'"
            )
        self.call = self._make()
        #: The code that ran last, alone in a list; and what is tried next.
        self.recent = [self.call]
        self._earlier: list[Calling] = []
        #: Code by how arguments lie that this one refuses; None where copies are as good.
        self._ways: dict[Way, Runner | None] = {(None,) * len(inputs): self}

    @functools.cached_property
    def _making(self) -> Making:
        """What is compiled. A program that is found in the cache does without, and without 25 ms to load what compiles."""
        made: Making = importlib.import_module("tapenet.program.native.making").Making(
            self._program.program, self._lying
        )
        return made

    @property
    def module(self) -> Module:
        """What is compiled."""
        return self._making.module

    def _compiled(self, key: kept.Key | None) -> Library:
        """The code of the module, which is kept by a key."""
        text = self.module.text
        if self._quick:
            guards = [self._bounds + 2 * g for g in range(self._guards)]
            entries = self._making.entries(self._ahead, self._end, self._end + len(entry.OBJECTS), guards)
            text += f"\n\n{entries}\n{entry.runs(self._outline.segments, self._end, text)}"
        library = compile_text(text)
        if key is not None and not self._making.draws:
            kept.keep(key, self._outline, library, text)
        return library

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """Run, on copies of arguments that lie in another order or share memory with what is written.

        Raises:
            TypeError: the arguments have other shapes or dtypes than the program's.
        """
        results = self.call(*arrays)
        if isinstance(results, NotImplementedType):
            arrays = tuple(map(np.asarray, arrays))
            given = zip(arrays, self._program.captured.inputs, strict=True)
            arrays = tuple(copied(a, v.order) if a.shape == v.shape else a for a, v in given)
            results = self.call(*arrays)
        if isinstance(results, NotImplementedType):
            found = ", ".join(f"{a.dtype} {a.shape}" for a in arrays)
            wanted = ", ".join(value.spec for value in self._outline.inputs)
            raise TypeError(f"a program for {wanted} was given {found}")
        return results

    @property
    def references(self) -> Sequence[Reference]:
        return self._outline.references

    @property
    def written(self) -> Sequence[Reference]:
        return self._outline.written

    def refresh(self) -> bool:
        """Find the references' memory anew. False if one lies in another way than when the program was compiled: then
        the program must not be run."""
        with self._lock:
            for lying, runner in list(self._ways.items()):
                if runner is not None and runner is not self and not runner.refresh():
                    del self._ways[lying]
                    self.recent[:], self._earlier = [self.call], []
            return self._found()

    def otherwise(self, *arrays: Array) -> tuple[Array, ...] | None:
        """What the program gives for arguments that the code which ran last refused: by code for how they lie, or on copies.
        None where another program is for them."""
        results: tuple[Array, ...] | NotImplementedType
        earlier = self._earlier
        for i, code in enumerate(earlier):  # where two ways take turns, a call takes 1.8 us so in place of 4.8
            results = code(*arrays, False)
            if not isinstance(results, NotImplementedType):
                earlier[i], self.recent[0] = self.recent[0], code
                return results
        lying = way(arrays, self._program.captured.inputs)
        if lying is None:
            return None
        with self._lock:  # so that two threads do not make the same code, nor forget it (`refresh`) meanwhile
            if lying not in self._ways and len(self._ways) < WAYS:
                self._ways[lying] = self._made_for(lying)
            runner = self._ways.get(lying)
        results = NotImplemented
        if runner is not None:
            results = runner.call(*arrays)
            if not isinstance(results, NotImplementedType):
                others = [code for code in (*self.recent, *earlier) if code is not runner.call]
                self._earlier, self.recent[0] = others[:EARLIER], runner.call
                return results
        if runner is not self:
            results = self.call(*(a if s is None else copied(a, None) for a, s in zip(arrays, lying, strict=True)))
        if isinstance(results, NotImplementedType):  # they share memory with what is written
            results = self.call(
                *(copied(a, v.order) for a, v in zip(arrays, self._program.captured.inputs, strict=True))
            )
        return None if isinstance(results, NotImplementedType) else results

    def _made_for(self, lying: Way) -> Runner | None:
        """Code for arguments that lie so; None where copies take little of the time, or the memory of tensors has changed."""
        return Runner(self._program, lying, self._lock) if self._making.worth(lying) else None

    def _found(self) -> bool:
        outline = self._outline
        found: dict[Value, Array] = {}
        for value in outline.table:
            if isinstance(value, Reference):
                data = value.tensor._data
                strides = outline.strides[value]
                if data.shape != value.shape or data.dtype != value.dtype or not _lies(data, strides):
                    return False
                found[value] = data
        self._arrays |= found  # only now: until the table is written, a call that is running needs the arrays before
        for i, value in enumerate(outline.table):
            if value in self._arrays:
                self._table[2 + i] = address(self._arrays[value])
        self._written = [self._arrays[target] for target in outline.written]
        for g, bounds in enumerate(_spans(self._written, self._guards)):
            self._table[self._bounds + 2 * g : self._bounds + 2 * g + 2] = bounds
        return True

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words."""
        return self._making.report(full)

    def groups(self) -> Groups:
        """What runs in one go: kernels, and all else by itself."""
        return self._making.groups()

    # -- the call ------------------------------------------------------------------------------------------------

    def _make(self) -> Calling:
        """Write the Python of one call."""
        outline = self._outline
        inputs, outputs = outline.inputs, outline.outputs
        namespace: dict[str, object] = {
            "empty": np.empty, "aligned": aligned, "lock": self._lock, "index_error": self._index_error,
            "lasts": [None] * len(outline.hosts), "bind": self._bind, "note": self._note,
            "get": get, "put": put, "QUIET": QUIET,
            "busy": [False], "within": self._within,  # which keeps the code in memory as long as somebody has the function
        }  # fmt: skip
        names = [f"x{i}" for i in range(len(inputs))]
        results = [f"y{i}" for i in range(len(outputs))]
        calls = None
        if any(isinstance(step, Call) for step in outline.steps):
            calls = self._making.calls(self._scratch, self._table, self._arrays, namespace, self._body)
        steps = self._steps(calls, namespace)
        ahead = []
        for i in self._ahead:
            value = outputs[i]
            namespace[f"d{i}"] = value.dtype
            order = memory_order(value.shape, outline.strides[value])
            axes = sorted(range(value.ndim), key=order.__getitem__)
            turned = (
                ""
                if axes == [*range(value.ndim)]
                else ".T"
                if axes[::-1] == [*range(value.ndim)]
                else f".transpose({axes})"
            )
            maker = "empty" if value.nbytes < SMALL else "aligned"
            ahead.append(f"y{i} = {maker}({tuple(value.shape[a] for a in order)!r}, d{i}){turned}")
        everything = ", ".join([*names, *(f"y{i}" for i in self._ahead)])
        refused = f"not bind({everything})"
        if self._quick:
            namespace["quick"] = self._builtin("bind")
            refused = f"quick({everything}) is not None and not (careful and bind({everything}))"
        body = [Line(f"if {refused}: return NotImplemented"), *steps]
        if outline.alone:
            namespace["alone"] = alone
            body = [body[0], Line("with alone():"), *indented(body[1:])]
        begin, end = [], []
        shared = self._scratch.shared
        shares = shared or bool(outline.segments or outline.hosts) or (calls is not None and calls.shares)
        elsewhere = Line(f"if busy[0]: return within({', '.join(names)})")  # an op or a host may call what runs it
        if (calls is not None and calls.quiet) or (outline.segments and outline.calls):
            begin.append(Line("before = get()"))
            body.insert(0, Line("put(QUIET)"))
            end.append("put(before)")
        if shared:
            namespace |= {"take": self._scratch.take, "give": self._scratch.give}
            begin.append(Line("take()"))
            end.append("give()")
        if shares:  # no interrupt comes between the last of these lines and the next
            begin = [elsewhere, *begin, Line("busy[0] = True")]
            end.insert(0, "busy[0] = False")
        said = f"except Exception as error: note({', '.join(['error', *names])}); raise"
        tried = [*begin, Line("try:"), *indented(body), Line(said)]
        if outline.c_effects:
            namespace["ended"] = self._ended
            tried.append(Line("except BaseException: ended(); raise"))  # Ctrl-C
        if end:
            tried.append(Line(f"finally: {'; '.join(end)}"))
        if shares:  # by `with`, behind which no interrupt comes before the block
            tried = [Line("with lock:"), *indented(tried)]
        if (
            shares
            and outline.calls
            and not (outline.written or outline.hosts or any(i.effect for i in self.module.program.body))
        ):
            # Ops may take long, and let other threads run meanwhile: these need not wait where nothing is changed.
            tried.insert(0, elsewhere)
        # An array too many would be taken for `careful`.
        given = f"call() takes {len(names)} positional arguments but {len(names) + 1} were given"
        ahead.insert(0, f"if careful is not True and careful is not False: raise TypeError({given!r})")
        inside = [*map(Line, ahead), *tried, Line(f"return ({', '.join(results)}{',' if results else ''})")]
        whole = [Line(f"def call({', '.join([*names, 'careful=True'])}):"), *indented(inside)]
        #: What runs by the line of the code.
        self._origins = [line.instruction for line in whole]
        self.source = "\n".join(line.text for line in whole) + "\n"
        return generated.function("call", self.source, namespace, "compiled program")

    def _steps(self, calls: Calls | None, namespace: dict[str, object]) -> list[Line]:
        """The Python of all that is done, in order."""
        outline = self._outline
        lines = []
        for i, (host, read) in enumerate(outline.hosts):
            namespace[f"e{i}"] = host.evaluate
            if not read:  # it is there for what it does: it counts a step
                lines.append(Line(f"e{i}()"))
                continue
            namespace[f"h{i}"] = self._arrays[host]
            lines += [
                Line(f"v = e{i}()"),
                Line(f"if v.__class__ is not tuple or v != lasts[{i}]:"),
                Line(f"    h{i}[...] = lasts[{i}] = v"),
            ]
        takes: dict[Value, str] = {}
        if self._quick:
            for i, value in enumerate(outline.brought):
                takes[value] = f"take{i}"
                namespace[f"take{i}"] = self._builtin(f"take{i}")
        dead = self._making.dead() if outline.brought else {}
        for at, step in enumerate(outline.steps):
            if not isinstance(step, Segment):
                assert calls is not None
                lines += calls.lines(step.instruction, takes)
            elif (name := f"segment{step.number}") in outline.segments:
                namespace[name] = self._builtin(f"run_{name}") if self._quick else self._foreign(name)
                run = [Line(f"if {name}(){' is not None' if self._quick else ''}:"), Line("    index_error()")]
                lending = self._making.lending(step) if step.entries else None
                if lending is not None:
                    namespace[f"lent{step.number}"] = lending
                    run = [Line(f"with lent{step.number}:"), *indented(run)]
                lines += run
            if at in dead and calls is not None:
                lines.append(Line(f"del {', '.join(calls.names[value] for value in dead[at])}"))
        return lines

    def _body(self, program: Program) -> Callable[..., tuple[Array, ...]]:
        """A body of a loop or branch that calls Python. Where that computes most of it, plain NumPy runs the rest too: what a
        segment costs beside its kernels is paid at each turn."""
        runner = build(program)
        if runner._numpy_bodies and runner._making.mostly_called:
            return numpy_backend.build(program).call
        self._numpy_bodies = False
        call = runner.call

        def body(*arrays: Array) -> tuple[Array, ...]:
            results = call(*arrays)
            return runner(*arrays) if isinstance(results, NotImplementedType) else results

        return body

    def _ended(self) -> None:
        """End what C functions have begun."""
        for effect in self._outline.c_effects:
            effect.failed()

    def _note(self, error: BaseException, *arrays: Array) -> None:
        """Say in an error which line of the user's code it comes from; of an index out of bounds, which one it is."""
        self._ended()
        assert error.__traceback__ is not None
        instruction = self._origins[error.__traceback__.tb_lineno - 1]
        if instruction is None and str(error.args[0] if error.args else "").startswith(OUT_OF_BOUNDS):
            program = self._program.captured
            given: dict[Value, Array] = {host: self._arrays[host] for host in program.hosts if host in self._arrays}
            wrong = first_wrong(program, given | dict(zip(program.inputs, arrays, strict=True)))
            if wrong is not None:
                instruction, error.args = wrong.instruction, (wrong.text,)
        if instruction is not None:
            instruction.note(error)
        elif text := str(error):  # set by native code; `Resized` says nothing
            note_line(error, self._making.raising(text))

    def _within(self, *arrays: Array) -> tuple[Array, ...] | NotImplementedType:
        """A call while another one is running, which called it or is a thread's, on memory of its own."""
        inner = self._inner
        if inner is None or not (inner._stands() or inner.refresh()):
            inner = self._inner = Runner(self._program)
        return inner.call(*arrays)

    def _stands(self) -> bool:
        """Whether all references are where they were found last."""
        return all(self._arrays[r] is r.tensor._data for r in self._outline.references if r in self._arrays)

    def _index_error(self) -> None:
        """Raise for an index that is out of bounds, and name the lines where it may be."""
        raise IndexError(out_of_bounds(self._making.indexing()))

    def _builtin(self, name: str) -> Calling:
        return entry.builtin(name, self._library.address(name), self._table)

    def _foreign(self, name: str) -> Callable[[], int]:
        """A segment by ctypes, without arguments of its own."""
        function = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self._library.address(name))
        at = self._table.ctypes.data
        return lambda: int(function(at))

    def _bind(self, *arrays: Array) -> bool:
        """Put arguments and results into the table, if the arguments are what the program takes. The native `bind`
        refuses a few that it does not look at closely enough: a dtype that is an object of its own, memory between two
        tensors that are written."""
        for array, value in zip(arrays, self._outline.inputs, strict=False):  # results come after these
            fits = type(array) is np.ndarray and (array.shape, array.dtype) == (value.shape, value.dtype)
            if not fits or not _lies(array, self._outline.strides[value]):
                return False
            if any(np.may_share_memory(array, written) for written in self._written):
                return False
        count = len(self._outline.inputs)
        for place, array in zip([*range(count), *(count + i for i in self._ahead)], arrays, strict=True):
            self._table[2 + place] = address(array)
        return True


def build(program: Program | Simplified) -> Runner:
    """Compile a program."""
    keep_memory()  # its results are made anew at each call
    return Runner(program if isinstance(program, Simplified) else Simplified(program, (program, [])))


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


def _lies(array: Array, strides: Shape) -> bool:
    """Whether an array lies in memory as `strides`, in elements, say."""
    size = array.itemsize
    steps = tuple([s * size for s in strides])
    same = array.strides == steps or (1 in array.shape and alike(array.shape, array.strides, steps))
    return array.size == 0 or (same and array.flags.aligned)


__all__ = ["Runner", "build"]
