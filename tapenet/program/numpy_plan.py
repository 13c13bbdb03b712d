"""The backend that needs nothing but NumPy: a program as straight-line Python, one statement per primitive, which
writes into arrays planned ahead.

`build(program)` gives a `Runner`. Which array a value is in is planned by `numpy_plan_places`, what a primitive becomes
is said in `numpy_plan_statements`.
"""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.program.groups import Group, Groups
from tapenet.program.ir import Array, Instruction, Program
from tapenet.program.numpy_plan_blocks import Block, Run, run_at
from tapenet.program.numpy_plan_memory import Scratch, is_large, overlapping
from tapenet.program.numpy_plan_places import Places
from tapenet.program.numpy_plan_statements import STATEMENTS, emit
from tapenet.program.primitives import note_line

_number = itertools.count(1)


class Stats(NamedTuple):
    """What a plan costs, for `explain()`."""

    #: Statements of the generated code.
    statements: int
    #: Arrays that the scratch memory is used as.
    buffers: int
    #: Bytes of all results, each in memory of its own.
    result_bytes: int
    #: Bytes of the scratch memory, where they share it.
    scratch_bytes: int


class _Plan:
    """The code of a program for one memory layout of the tensors from outside."""

    def __init__(self, program: Program, layout: Any) -> None:
        self.layout = layout
        places = Places(program)
        arguments = [places.array(v) for v in program.inputs]
        _hosts(places)
        #: Where each run of instructions that are worked through block by block is in the body.
        self.runs: list[Run] = []
        #: The line of the user's code that each statement comes from; of a run: of its last instruction.
        self._lines: list[str] = [""] * len(places.lines)
        position = 0
        while position < len(program.body):
            run = run_at(places, position)
            if run:
                block = Block(places, run)
                block.write(emit)
                position = block.end
                self.runs.append(run)
            else:
                emit(places, program.body[position], position)
                position += 1
            self._lines += [program.body[position - 1].line] * (len(places.lines) - len(self._lines))
        places.finish()
        self.bodies = places.bodies
        body = "".join(f"    {line}\n" for line in places.lines)
        self.source = f"def run({', '.join(arguments)}):\n{body}"
        self.globals = places.globals
        self.statics = places.statics
        self.arena = places.arena.size
        self.tensors = {name: reference.tensor for name, reference in places.references.items()}
        buffers = sum(isinstance(recipe, Scratch) and name[0] == "b" for name, recipe in self.statics.items())
        self.stats = Stats(len(places.lines), buffers, places.result_bytes, self.arena)
        self.filename = f"<tapenet plan {next(_number)}>"
        self.code = compile(self.source, self.filename, "exec")
        # So that a traceback, and a debugger, shows the statement.
        linecache.cache[self.filename] = (len(self.source), None, self.source.splitlines(True), self.filename)
        weakref.finalize(self, linecache.cache.pop, self.filename, None)

    def note(self, error: BaseException) -> None:
        """Say in an error which line of the user's code it comes from."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self.filename:
            trace = trace.tb_next
        statement = -1 if trace is None else trace.tb_lineno - 2  # behind the line that begins the function
        if 0 <= statement < len(self._lines):
            note_line(error, self._lines[statement])


def _hosts(places: Places) -> None:
    """Begin with what the host computes. Numbers are copied into arrays made once, large arrays used as they are."""
    for host in places.program.hosts:
        evaluate = places.shared(places.name("e"), host.evaluate)
        if host not in places.last:
            places.line(f"{evaluate}()")
        elif is_large(host):
            name = places.array(host)
            dtype, fetch = places.dtype(host.dtype), places.shared("fetch", _fetch)
            places.line(f"{name} = {fetch}({evaluate}(), {host.shape!r}, {dtype})")
        else:
            spot = places.scratch(host, places.last[host], letter="h")
            places.put(host, spot)
            places.line(f"{spot.name}[{'...' if host.shape else '()'}] = {evaluate}()")


def _fetch(given: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """What the host computed, as the array that the program expects."""
    array = np.asarray(given, dtype)
    if array.shape != shape:
        raise ValueError(
            f"the host computed an array of shape {array.shape} for a compiled program, and {shape} when it was captured"
        )
    return array


def _layout(arrays: list[Any]) -> Any:
    """What of the tensors from outside the code was made for."""
    return [a.strides for a in arrays], overlapping(arrays)


class _Frame:
    """A plan with scratch memory of its own, for one call at a time."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._names = dict(plan.globals)
        arena = aligned((plan.arena,), np.uint8)
        for name, recipe in plan.statics.items():
            if isinstance(recipe, Scratch):
                at: Any = (arena, recipe.offset, recipe.strides)
                if 0 in recipe.shape:  # it has no need of memory, of which there may be none where it would lie
                    at = None, 0, None
                self._names[name] = np.ndarray(recipe.shape, recipe.dtype, *at)
        self.bind()
        exec(plan.code, self._names)
        self.run: Callable[..., tuple[Array, ...]] = np.errstate(all="ignore")(self._names["run"])

    def bind(self) -> None:
        """Take the tensors' arrays as they are now, and make the views of all arrays."""
        self._names.update((name, tensor._data) for name, tensor in self.plan.tensors.items())
        for name, recipe in self.plan.statics.items():
            if not isinstance(recipe, Scratch):
                self._names[name] = recipe.make(self._names[recipe.base])


class Runner:
    """A program that can be called: `runner(*arrays)` gives its outputs as new arrays, after the tensors from outside
    that it writes have been written.

    The arrays are one for each of the program's inputs, of its shape and dtype, with any strides. Calls may overlap, in
    threads or by a call from within a call: each has scratch memory of its own.

    Attributes:
        call: the same as a plain function, which is quicker, but counts on `refresh` being called when a tensor from
            outside has been given another array.
        program: what is run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.call = self._caller()
        self._idle: list[_Frame] = []
        self._prepare()

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        for tensor, data in self._bound:
            if tensor._data is not data:
                if not self.refresh():
                    raise ValueError("a tensor that a program refers to has been given another shape or dtype")
                break
        return self.call(*arrays)

    def refresh(self) -> bool:
        """Find the arrays of the tensors from outside anew. False if one has another shape or dtype than when the
        program was made: then it must not be run."""
        for reference in self.program.references:
            data = reference.tensor._data
            if data.shape != reference.shape or data.dtype != reference.dtype:
                return False
        self._prepare()
        return True

    def _prepare(self) -> None:
        """Make code for the arrays that the tensors have now, or take them up in the code that there is."""
        tensors = [r.tensor for r in self.program.references]
        #: Each tensor from outside with its array.
        self._bound = [(t, t._data) for t in tensors]
        layout = _layout([data for _, data in self._bound])
        plan = getattr(self, "_plan", None)
        if plan is None or plan.layout != layout:
            self._plan = _Plan(self.program, layout)
            self._idle = [_Frame(self._plan)]
            return
        # A new list: a frame that is in use now does not come back into it.
        before, self._idle = self._idle, []
        while before:
            frame = before.pop()
            frame.bind()
            self._idle.append(frame)

    def _caller(self) -> Callable[..., tuple[Array, ...]]:
        def call(*arrays: Array) -> tuple[Array, ...]:
            idle = self._idle
            try:
                frame = idle.pop()  # atomic, as appending is
            except IndexError:
                frame = _Frame(self._plan)
            try:
                return frame.run(*arrays)
            except Exception as error:
                frame.plan.note(error)
                raise
            finally:
                idle.append(frame)

        return call

    @property
    def source(self) -> str:
        """The generated code."""
        return self._plan.source

    @property
    def stats(self) -> Stats:
        """What the plan costs."""
        return self._plan.stats

    def groups(self) -> Groups:
        """What runs in one go: runs of instructions block by block, all else by itself."""
        inside = {i for run in self._plan.runs for i in run.values()}
        found: dict[int, Group] = {
            min(run): Group(tuple(run.values()), True, "block by block") for run in self._plan.runs
        }
        for position, instruction in enumerate(self.program.body):
            if instruction.kind != "view" and instruction not in inside:
                found[position] = Group((instruction,), False, "")
        bodies = {i: tuple(runner.groups() for runner in runners) for i, runners in self._plan.bodies.items()}
        return Groups(self.program, tuple(found[position] for position in sorted(found)), bodies)

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words and, in full, as code."""
        found = self.stats
        words = (
            f"{found.statements} statements of NumPy; {found.buffers} buffers in {found.scratch_bytes:,} bytes of "
            f"scratch memory, for {found.result_bytes:,} bytes of results"
        )
        return f"{words}\n\n{self.source}" if full else words


def build(program: Program) -> Runner:
    """Make a program callable, with NumPy alone."""
    return Runner(program)


# -- loops and branches ------------------------------------------------------------------------------------------


def _loop(places: Places, instruction: Instruction, position: int) -> None:
    params = instruction.params
    runner = build(params["body"])
    places.bodies[instruction] = (runner,)
    body = runner.call
    carries, slices, length = params["carries"], params["slices"], params["length"]
    order = range(length)[:: -1 if params.get("reverse") else 1]
    stacked = [((length, *v.shape), v.dtype) for v in params["body"].outputs[carries:]]

    def run(*args: Array) -> tuple[Array, ...]:
        carried = args[:carries]
        xs, rest = args[carries : carries + slices], args[carries + slices :]
        columns = [np.empty(shape, dtype) for shape, dtype in stacked]
        for i in order:
            outs = body(*carried, *[x[i, ...] for x in xs], *rest)
            carried = outs[:carries]
            for column, y in zip(columns, outs[carries:], strict=True):
                column[i] = y
        return (*(carried if length else map(np.copy, carried)), *columns)

    _control(places, instruction, position, run)


def _branch(places: Places, instruction: Instruction, position: int) -> None:
    runners = build(instruction.params["true"]), build(instruction.params["false"])
    places.bodies[instruction] = runners
    true, false = (runner.call for runner in runners)
    _control(places, instruction, position, lambda condition, *args: (true if condition else false)(*args))


def _control(places: Places, instruction: Instruction, position: int, run: Callable[..., Any]) -> None:
    """Call a function whose results are new arrays."""
    called = places.shared(places.name("f"), run)
    places.allocated(instruction, position, f"{called}({', '.join(map(places.array, instruction.args))})")


STATEMENTS.update(loop=_loop, branch=_branch)
