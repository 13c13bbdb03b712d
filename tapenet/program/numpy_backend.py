"""The backend that needs nothing but NumPy: a program as straight-line Python, one statement per instruction.

A statement calls the NumPy function of its primitive; a primitive without one calls its own `evaluate`. Each result is
a new array, deleted after the last statement that needs it. Tensors from outside are written when all is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from sys import getrefcount
from types import MappingProxyType

import numpy as np

from tapenet.kernels import keep_memory
from tapenet.program import generated
from tapenet.program.backend import Inline
from tapenet.program.called_ops import ALONE, expression, filled_text, is_users, settling
from tapenet.program.groups import Group, Groups
from tapenet.program.ir import Host, Instruction, Program, Reference, Result, Value
from tapenet.program.primitives import PRIMITIVES, REDUCTIONS, function, numpy_slices, put_at, repeats, turns
from tapenet.program.quiet import QUIET, get, put
from tapenet.program.runs import LONG, column_sums, ones, row_sums
from tapenet.typing import Array, Shape

#: Kinds of primitives that give new arrays.
_NEW = frozenset({"elementwise", "reduction", "product", "movement", "control"})


class Runner:
    """A program that can be called: `runner(*arrays)` gives its outputs as new arrays, after the tensors from outside
    that it writes have been written.

    The arrays are one for each of the program's inputs, of its shape and dtype, with any strides. Calls may overlap, in
    threads or by a call from within a call.

    Attributes:
        program: what is run.
        call: the same as a plain function, which is quicker, but counts on `refresh` being called when a tensor from
            outside has been given another array.
        source: the generated code.
    """

    checks = False
    recent = ()
    otherwise = None

    def __init__(self, program: Program) -> None:
        self.program = program
        self._bodies: dict[Instruction, tuple[Runner, ...]] = {}
        code = _Code(program, self._bodies)
        self.source = code.text()
        self.inline = code.inline()
        self.call: Callable[..., tuple[Array, ...]] = generated.function(
            "run", self.source, code.globals, "tapenet program"
        )

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        if not self.refresh():
            raise ValueError("a tensor that a program refers to has been given another shape or dtype")
        return self.call(*arrays)

    @property
    def references(self) -> Sequence[Reference]:
        return self.program.references

    @property
    def written(self) -> Sequence[Reference]:
        return [write.target for write in self.program.writes]

    def refresh(self) -> bool:
        """Whether the tensors from outside still have the shapes and dtypes for which the program was made. Where not,
        it must not be run."""
        arrays = [(r, r.tensor._data) for r in self.program.references]
        return all(data.shape == r.shape and data.dtype == r.dtype for r, data in arrays)

    def groups(self) -> Groups:
        """What runs in one go: each instruction by itself."""
        found = tuple(Group((i,), False, "") for i in self.program.body if i.kind != "view")
        return Groups(
            self.program, found, {i: tuple(r.groups() for r in runners) for i, runners in self._bodies.items()}
        )

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words and, in full, as code."""
        words = f"{self.source.count(chr(10)) - 1} statements of NumPy"
        return f"{words}\n\n{self.source}" if full else words


def build(program: Program) -> Runner:
    """Make a program callable, with NumPy alone."""
    keep_memory()  # the same arrays are made anew at each call
    return Runner(program)


class _Code:
    """The statements of a program, and what their names stand for.

    Names: `xN` arguments, `hN` what the host computes, `pN` arrays of tensors from outside, `cN` constants, `bN`
    results.
    """

    def __init__(self, program: Program, bodies: dict[Instruction, tuple[Runner, ...]]) -> None:
        self._bodies = bodies
        self.globals: dict[str, object] = {
            "asarray": np.asarray, "array": np.array, "fetch": _fetch, "ndarray": np.ndarray, "getrefcount": getrefcount,
            "note": self._note, "get": get, "put": put, "QUIET": QUIET,
        }  # fmt: skip
        self._names: dict[Value, str] = {}
        self._fortran = _orders(program)
        self._lines: list[str] = []
        #: What each statement computes.
        self._origins: list[Instruction | None] = []
        self._inputs = [self._name("x", v) for v in program.inputs]
        self._head = f"def run({', '.join(self._inputs)}):"
        #: What the results are called.
        self.outputs: list[str] = []
        for reference in program.references:
            tensor = self._global("T", reference.tensor)
            self._line(f"{self._name('p', reference)} = {tensor}._data")
        for constant in program.constants:
            self._names[constant] = self._global("C", constant.array)
        for host in program.hosts:
            evaluate, dtype = self._global("E", host.evaluate), self._global("D", host.dtype)
            self._line(f"{self._name('h', host)} = fetch({evaluate}(), {host.shape!r}, {dtype})")
        #: Whether NumPy's warnings are off. Where the user's ops are all there is they warn, as they do in eager.
        self._quiet = False
        for instruction, args, last in steps(program):
            self._quiet |= instruction.name != "call" or not is_users(instruction.params["op"])
            names = [self._name("b", result) for result in instruction.results]
            # A tuple of results may be empty: a branch that is there for its effects alone.
            into = names[0] if len(names) == 1 else f"({''.join(f'{name}, ' for name in names)})"
            if instruction.name == "call":
                self._call(instruction, into)
            else:
                self._line(f"{into} = {self._expression(instruction, args)}", instruction)
            if last:
                self._line(f"del {', '.join(self._names[v] for v in last)}", instruction)
        self._finish(program)

    def text(self) -> str:
        returned = f"return ({''.join(f'{name}, ' for name in self.outputs)})"
        lines = [self._head, "    try:", *(f"        {line}" for line in (*self._lines, returned))]
        end = []
        if self._quiet:
            lines[1:2] = ["    before = get()", "    try:", "        put(QUIET)"]
            end.append("    finally: put(before)")
        return "\n".join([*lines, "    except Exception as error: note(error); raise", *end]) + "\n"

    def inline(self) -> Inline | None:
        """The statements, where all that they do is to call ops of the user's."""
        if self._quiet:
            return None
        return Inline(self._inputs, self.outputs, self._lines, self.globals, self._note_at)

    def _note(self, error: BaseException) -> None:
        assert error.__traceback__ is not None
        self._note_at(error, error.__traceback__.tb_lineno - (5 if self._quiet else 3))  # what begins the function

    def _note_at(self, error: BaseException, position: int) -> None:
        """Say in an error of a statement which line of the user's code it comes from."""
        if position < len(self._origins):  # else it is raised by the interpreter, at the end
            instruction = self._origins[position]
            if instruction is not None:
                instruction.note(error)

    # -- names -----------------------------------------------------------------------------------------------------

    def _line(self, text: str, instruction: Instruction | None = None) -> None:
        self._lines.append(text)
        self._origins.append(instruction)

    def _name(self, letter: str, value: Value) -> str:
        return self._names.setdefault(value, f"{letter}{len(self._names)}")

    def _global(self, letter: str, thing: object) -> str:
        name = f"{letter}{len(self.globals)}"
        self.globals[name] = thing
        return name

    # -- statements ------------------------------------------------------------------------------------------------

    def _expression(self, instruction: Instruction, args: Sequence[Value]) -> str:
        """The Python that computes an instruction."""
        name, params = instruction.name, instruction.params
        names = [self._names[a] for a in args]
        text = statement(instruction, args, names, self.globals, self._fortran)
        if text:
            return text
        if name == "loop":
            called = self._global("F", turns(self._body(instruction, "body"), params))
        elif name == "while":
            test = self._body(instruction, "test")
            called = self._global("F", repeats(test, self._body(instruction, "body"), params))
        elif name == "branch":
            true, false = self._body(instruction, "true"), self._body(instruction, "false")
            called = self._global("F", lambda condition, *given: (true if condition else false)(*given))
        else:
            called = self._global("F", partial(PRIMITIVES[name].evaluate, **params))
        text = f"{called}({', '.join(names)})"
        return f"{text}[0]" if instruction.kind == "control" and len(instruction.results) == 1 else text

    def _call(self, instruction: Instruction, into: str) -> None:
        """Have an op called as it stands."""
        params, op, specs = instruction.params, instruction.params["op"], instruction.params["specs"]
        names = []
        for value in instruction.args:
            name = self._names[value]
            if not value.ndim and isinstance(value, Result) and value.instruction.name != "call":
                name = f"asarray({name})"  # NumPy gives a number
            if op.effect and not isinstance(
                value, Reference
            ):  # it may keep what it is given; into a tensor it may write
                name += ".copy()"
            names.append(name)
        text = expression(op, params["template"], names, self.globals)
        settled = self._global("S", settling(op, specs, bool(params.get("sized")), instruction.line))
        if len(specs) > 1 or specs[0] is None:
            self._line(f"{into} = {settled}({text})", instruction)
            return
        shape, dtype = specs[0]
        wanted = f"type({into}) is ndarray and {into}.dtype is {self._global('D', dtype)} and {into}.shape == {shape!r}"
        self._line(f"{into} = {text}", instruction)
        self._line(f"if not ({wanted}): {into} = {settled}({into})", instruction)

    def _body(self, instruction: Instruction, name: str) -> Callable[..., tuple[Array, ...]]:
        """The function of a body of a loop or a branch."""
        runner = build(instruction.params[name])
        self._bodies[instruction] = (*self._bodies.get(instruction, ()), runner)
        return runner.call

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, program: Program) -> None:
        """Return each output in an array of its own, and write to the tensors from outside."""
        results: list[str] = []
        claimed: set[Value | None] = {None}
        for value in program.outputs:
            name = self._names[value]
            if isinstance(value, Result) and value.instruction.name == "call" and value not in claimed:
                # It may be an argument, or what the op keeps; it is nobody else's if nothing refers to it but its name.
                alone = f"getrefcount({name}) == {ALONE} and {name}.base is None"
                self._line(f"if not ({alone}): {name} = array({name}, order='C')")
                results.append(name)
                claimed.add(value)
                continue
            new = _new(value)
            results.append(name if value.ndim and new not in claimed else self._copy(value))
            claimed.add(new)
        written = [(write.target, unspread(write.value)) for write in program.writes]
        # One write may change what another one reads.
        sources = [
            self._names[value] if len(written) == 1 or _new(value) else self._copy(value) for _, value in written
        ]
        for (target, _), source in zip(written, sources, strict=True):
            self._line(f"{self._names[target]}[...] = {source}")
        self.outputs = results

    def _copy(self, value: Value) -> str:
        name = f"r{len(self._lines)}"
        self._line(f"{name} = array({self._names[value]}, order='C')")
        return name


def statement(
    instruction: Instruction,
    args: Sequence[Value],
    names: Sequence[str],
    space: dict[str, object],
    fortran: Mapping[Value, bool] = MappingProxyType({}),
) -> str:
    """The Python that computes an instruction by one call of NumPy; "" if there is none.

    Args:
        instruction, args: what is computed, of what.
        names: what the arguments are called.
        space: gets what else the text names.
        fortran: whether a matrix should lie in Fortran order.
    """

    def shared(name: str, thing: object) -> str:
        space[name] = thing
        return name

    if not args or not instruction.results:
        return ""
    name, params, first, arg, result = instruction.name, instruction.params, names[0], args[0], instruction.results[0]
    match name:
        case "cast":
            part = ".real" if arg.dtype.kind == "c" and result.dtype.kind not in "bc" else ""
            return f"{first}{part}.astype({shared(f'dtype_{result.dtype.name}', result.dtype)})"
        case "copy":
            return f"{shared('array', np.array)}({first})"
        case "reshape":
            return f"{first}.reshape({result.shape!r})"
        case "transpose":
            return f"{first}.transpose({params['axes']!r})"
        case "slice":
            return f"{first}[{_slices(params['slices'])}]"
        case "barrier":
            return first
        case "broadcast":
            return f"{shared('broadcast_to', np.broadcast_to)}({first}, {result.shape!r})"
        case "concatenate":
            return f"{shared('concatenate', np.concatenate)}(({', '.join(names)},), {params['axis']})"
        case "index":
            return f"{first}[{filled_text(params['template'], names[1:], space)}]"
        case "put":
            index = filled_text(params["template"], names[2:], space)
            return f"{shared('put_at', put_at)}({first}, {names[1]}, {index})"
        case "take":
            return f"{first}.take({names[1]}, {params['axis']})"
        case "dot" if arg.ndim == 2:
            left, right = (f"{n}.T" if params.get(t) else n for n, t in zip(names, ("ta", "tb"), strict=True))
            return f"{right}.T.dot({left}.T).T" if fortran.get(result) else f"{left}.dot({right})"
        case "argmax" | "argmin":
            return f"{first}.{name}({params['axis']})"
    if instruction.kind == "elementwise":
        alone = isinstance(function(name), np.ufunc) and not any(a.shape == result.shape for a in args)
        order = ", order='F'" if alone and fortran.get(result) else ""
        return f"{shared(name, function(name))}({', '.join(names)}{order})"
    if name in REDUCTIONS and arg.dtype.kind == "f":  # whole numbers add up in another type
        axes: Shape = params["axes"]
        if name == "reduce_add" and arg.ndim == 2 and len(axes) == 1 and arg.dtype.char in "fd" and arg.size:
            n = arg.shape[axes[0]]
            if n >= LONG:
                quick = column_sums if axes == (0,) else row_sums
                return f"{shared(quick.__name__, quick)}({first})"
            vector = shared(f"ones_{n}_{arg.dtype.name}", ones(n, arg.dtype))
            return f"{vector}.dot({first})" if axes == (0,) else f"{first}.dot({vector})"
        axis = None if len(axes) == arg.ndim else axes[0] if len(axes) == 1 else axes
        return f"{shared(name, REDUCTIONS[name].reduce)}({first}, {axis})"
    return ""


def steps(program: Program) -> list[tuple[Instruction, Sequence[Value], list[Result | Host]]]:
    """The instructions that something needs, each with what it is called on and what nobody needs after it."""
    needed: set[Value] = {*program.outputs, *(unspread(write.value) for write in program.writes)}
    found = []
    for instruction in reversed(program.body):
        if not instruction.must_run and needed.isdisjoint(instruction.results):
            continue
        args = _operands(instruction)
        values = dict.fromkeys([*args, *instruction.results])
        last = [v for v in values if v not in needed and isinstance(v, (Result, Host))]
        needed.update(args)
        found.append((instruction, args, last))
    return found[::-1]


def _operands(instruction: Instruction) -> Sequence[Value]:
    """What an instruction is called on: NumPy broadcasts by itself where the shape of the result does not hang on it."""
    args = instruction.args
    if instruction.kind != "elementwise":
        return args
    sources = tuple(map(unspread, args))
    same = sources == args or np.broadcast_shapes(*(s.shape for s in sources)) == instruction.results[0].shape
    return sources if same else args


def _orders(program: Program) -> dict[Value, bool]:
    """Whether a matrix should lie in Fortran order, being written to, or combined with, a tensor that does: NumPy takes five
    times as long where orders are mixed."""
    found: dict[Value, bool] = {}
    for target, value in program.writes:
        data = target.tensor._data
        if data.ndim == 2 and data.flags.forc:
            found[value] = data.flags.fnc
    for instruction in reversed(program.body):
        for result in found.keys() & instruction.results:
            for arg in instruction.args:
                if instruction.kind == "elementwise" and arg.shape == result.shape:
                    found.setdefault(arg, found[result])
                elif instruction.name == "transpose" and instruction.params["axes"] == (1, 0):
                    found.setdefault(arg, not found[result])
    return found


def unspread(value: Value) -> Value:
    """What a value is a broadcast of."""
    while isinstance(value, Result) and value.instruction.name == "broadcast":
        value = value.instruction.args[0]
    return value


def _new(value: Value) -> Value | None:
    """The result whose new array a value shows all of; None where that array may be somebody else's."""
    while isinstance(value, Result) and value.instruction.name in ("reshape", "transpose"):
        value = value.instruction.args[0]
    if not isinstance(value, Result) or value.instruction.kind not in _NEW:
        return None
    return None if value.instruction.name == "index" else value  # an index of numbers gives a view


def _slices(slices: tuple[tuple[int, int, int], ...]) -> str:
    """Normalised slices as they stand in an index."""
    return ", ".join(f"{s.start}:{'' if s.stop is None else s.stop}:{s.step}" for s in numpy_slices(slices)) or "..."


def _fetch(given: object, shape: Shape, dtype: np.dtype) -> Array:
    """What the host computed, as the array that the program expects."""
    array = np.asarray(given, dtype)
    if array.shape != shape:
        raise ValueError(
            f"the host computed an array of shape {array.shape} for a compiled program, and {shape} when it was captured"
        )
    return array


__all__ = ["Runner", "build"]
