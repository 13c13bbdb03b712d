"""What a module consists of, in words (its part of `compiled.explain()`) and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tapenet.program.c_rows import CALLS
from tapenet.program.fusion import Entry, Kernel
from tapenet.program.groups import BY_C, LAUNCHED, Group, Groups
from tapenet.program.ir import Instruction, Program, Reference, Value
from tapenet.program.native import c_effects, launches, products
from tapenet.program.native.callbacks import CallBack
from tapenet.program.native.draws import Draw
from tapenet.program.native.memory import Arena, Cell, members
from tapenet.program.native.module import Module
from tapenet.program.native.outline import Call
from tapenet.program.text import names, statement
from tapenet.program.ufunc_rows import UFUNCS


def report(module: Module, full: bool) -> str:
    """How many kernels there are, and how much memory; in full what runs in which order, grouped into kernels, and which
    memory each result is computed into."""
    memory = module.memory
    segments = sum(not isinstance(step, Call) for step in module.steps)
    calls = len(module.steps) - segments + len(module.called_back)
    kernels = sum(isinstance(entry, Kernel) for entry in module.entries)
    written = memory.program.writes
    in_place = sum(memory.buffer(w.value) == memory.buffer(w.target) for w in written)
    lines = [
        f"{kernels} kernels and {len(module.entries) - kernels} others, different functions: "
        f"{len(module.functions.by_name)}; native calls each time: {segments}, calls of Python: {calls}",
        f"{memory.arena_bytes:,} bytes of scratch memory ({memory.unshared_bytes:,} if none were used twice); "
        f"tensors written where they are: {in_place} of {len(written)}",
        *(_entries(module) if full else ()),
    ]
    return "\n".join(lines)


def groups(module: Module) -> Groups:
    """What runs in one go, in order. What is copied into a tensor at the end is part of the program."""
    program, memory = module.program, module.memory
    known = set(program.body)
    copies = [m for entry in module.entries for m in members(entry) if m not in known]
    copied = {memory.buffer(copy.results[0]): copy.results[0] for copy in copies}
    writes = [w._replace(value=copied.get(memory.buffer(w.target), w.value)) for w in program.writes]
    return Groups(
        Program(program.inputs, program.hosts, (*program.body, *copies), program.outputs, writes),
        tuple(Group(tuple(members(e)), isinstance(e, Kernel), _heading(module, e)) for e in module.entries),
        {i: tuple(map(groups, bodies)) for i, bodies in module.bodies.items()},
    )


def _entries(module: Module) -> Iterator[str]:
    name = _names(module)
    for entry in module.entries:
        found = module.written.get(entry)
        by = "" if found is None else f"{found[0]}: "
        yield by + _heading(module, entry)
        for member in members(entry):
            place = ", ".join(_place(module, r, name) for r in member.results)
            yield f"  {statement(member, name)} -> {place}"
        for body in module.bodies.get(entry, ()) if isinstance(entry, Instruction) else ():
            yield "  body:"
            yield from (f"    {line}" for line in _entries(body))


def _names(module: Module) -> dict[Value, str]:
    """Names of all values; what is only there for a copy at the end has that of the tensor it is for."""
    name = names(module.program)
    for entry in module.entries:
        for member in members(entry):
            for result in member.results:
                name.setdefault(result, "(end)")
    return name


def _heading(module: Module, entry: Entry) -> str:
    if isinstance(entry, Kernel):
        taken = module.cut(entry)
        parts = f", in {taken.parts} parts" if taken else ""
        if entry.split is None:
            return f"kernel over {entry.domain}{parts}"
        loops = max(entry.phases().values()) + 1
        return f"kernel over rows {entry.row_shape} of {entry.domain[entry.split :]}, loops: {loops}{parts}"
    found = module.written.get(entry)
    if found is None:
        return "called from Python"
    if Draw.takes(entry):
        return "random numbers by NumPy's function"
    if CallBack.takes(entry):
        return "called back from native code"
    if launches.find(entry):
        return LAUNCHED
    if c_effects.find(entry):
        return BY_C
    if entry.kind == "product":
        return "product by BLAS" if products.uses_blas(found[1]) else "product by loops of its own"
    if entry.kind == "control":
        return f"loop of {entry.params['length']} turns" if entry.name == "loop" else entry.name
    if entry.kind == "linear algebra":
        return "system of a triangle by BLAS" if entry.name == "solve_triangular" else "LAPACK by NumPy's loops"
    if entry.kind == "order":
        return entry.name
    if entry.kind == "transform":
        return "Fourier transform by NumPy's loop"
    if entry.kind == "convolution":
        return "convolution"
    if entry.name in UFUNCS:
        return "a ufunc's loop"
    return "C function" if entry.name in CALLS else "move"


def _place(module: Module, value: Value, name: Mapping[Value, str]) -> str:
    """Where a result is computed into."""
    if value not in module.memory.stored:
        return "register"
    buffer = module.memory.buffer(value)
    if isinstance(buffer, Cell):
        return "stack"
    if isinstance(buffer, Arena):
        return f"scratch {buffer.offset:,}"
    owner = module.memory.owner(buffer)
    return "result" if owner in module.program.outputs else f"{'tensor ' * isinstance(owner, Reference)}{name[owner]}"


__all__ = ["groups", "report"]
