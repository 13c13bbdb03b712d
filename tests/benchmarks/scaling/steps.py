"""What a compiled step consists of: what each entry of its program computes, moves, and can be cut into.

The figures are those by which the compiler itself decides (`program/native/{kernels,products,parallel,costs}.py`), and what
ops say of their multiply-adds.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tapenet.llvm import sharing, workers
from tapenet.program.called_ops import Hole
from tapenet.program.fusion import Entry, Kernel
from tapenet.program.ir import Instruction, Value
from tapenet.program.native import costs, kernels, parallel, products
from tapenet.program.native.memory import INDEXING, members
from tapenet.program.native.module import Module

#: What a gradient takes that does not say how much: times what the op before it takes.
GRADIENT = 2


class Step(NamedTuple):
    """One entry of a program.

    Attributes:
        kind: "kernel", "product", or of ops that are called "convolution" or "layer"; "other" for the rest.
        operations: for each element of 4 bytes, additions and what costs as much, or multiply-adds of a product.
        moved: bytes that are read and written.
        parts: into how many it is cut, at most.
        called: whether Python calls it.
    """

    kind: str
    operations: float
    moved: int
    parts: int
    called: bool


def of_compiled(call: Any) -> list[list[Any]]:
    """The steps of a compiled call with what goes in, each as a list, with how often it runs."""
    compiled = call.func if isinstance(call, functools.partial) else call
    module: Module = compiled.explain().variants[-1].runner.module
    found: Counter[Step] = Counter()
    for step, times in _of_module(module, 1):
        found[step] += times
    return [[*step, times] for step, times in found.items()]


def _of_module(module: Module, times: int) -> Iterator[tuple[Step, int]]:
    for entry in module.entries:
        bodies = module.bodies.get(entry, ()) if isinstance(entry, Instruction) else ()
        turns = times
        if bodies and isinstance(entry, Instruction) and entry.name != "branch":
            turns *= entry.params["length"] if entry.name == "loop" else costs.TURNS
        for body in bodies:
            yield from _of_module(body, turns)
        if not bodies:
            yield _of(module, entry), times


def _of(module: Module, entry: Entry) -> Step:
    moved = _moved(module, entry)
    if isinstance(entry, Kernel):
        size = max((r.dtype.itemsize for r in entry.results()), default=4)
        cut = parallel.cut(entry, module.layouts)
        operations = math.prod(entry.domain) * kernels.per_element(entry) * size / 4
        return Step("kernel", operations, moved, cut.parts if cut else 1, False)
    if entry.kind == "product":
        size = entry.results[0].dtype.itemsize
        parts = max(products.pieces_of(entry), 1)
        return Step("product", products.multiply_adds(entry) * size / 4, moved, parts, False)
    if entry.kind == "call":
        operations = _multiply_adds(module, entry)
        parts = sharing.parts(workers.PARTS, int(operations))
        kind = "convolution" if "conv" in entry.params["op"].name else "layer"
        return Step(kind, operations, moved, parts, entry not in module.written)
    return Step("other", sum(v.size for v in entry.results), moved, 1, entry not in module.written)


def _moved(module: Module, entry: Entry) -> int:
    """Bytes that an entry reads and writes, what it broadcasts once; of what it looks up in a table, what it finds."""
    inside = set(members(entry))
    touched: dict[Value, int] = {}
    for member in inside:
        written = [r for r in member.results if r in module.memory.stored]
        for value in (*(a for a in member.args if a.source not in inside), *written):
            root = module.layouts[value].root
            touched[root] = min(root.nbytes, max(touched.get(root, 0), value.nbytes))
    found = [touched.pop(module.layouts[m.args[0]].root) for m in inside if m.name in INDEXING]
    return sum(touched.values()) + sum(min(size, *touched.values(), size) for size in found)


def _multiply_adds(module: Module, call: Instruction) -> float:
    """Those of an op that is called; of a gradient that does not say, by the call that has most of its arguments."""
    op, template = call.params["op"], call.params["template"]
    count = getattr(op, "multiply_adds", None)
    if count is not None:
        return float(count(*(_asked(call, template, name) for name in op.count_needs)))
    best, most = 0.0, 1
    for other in module.entries:
        shared = len({*call.args} & {*other.args}) if isinstance(other, Instruction) and other is not call else 0
        if shared > most and getattr(other.params.get("op"), "multiply_adds", None) is not None:
            assert isinstance(other, Instruction)
            best, most = GRADIENT * _multiply_adds(module, other), shared
    return best


def _asked(call: Instruction, template: Any, name: str) -> Any:
    """What an op's count asks for: the shape of an argument or of the result, or an option."""
    if name == "out_shape":
        return call.results[0].shape
    of = template.get(name) if name in template else template.get(name.removesuffix("_shape"))
    if isinstance(of, Hole):
        return call.args[of.position].shape
    return of
