"""Cheap values computed again where they are read much later, rather than held in memory until then.

A gradient reads what the function computed: long after, when the caches have lost it. What is a few additions and products
of arrays that are held anyway costs less to compute again than to write, hold and read: the scaled argument of an erf, a
normalised row of a centred one, the mask of a rectifier. Steps of GPT (6 layers of 192) take 177 ms in place of 190, of
BERT (4 of 256) 216 in place of 250, one thread, and memory shrinks by a fifth. Of a large array so does a light function, as
GELU's: its kernels take 0.7 of the time. What the product of a weight's gradient reads, a result of a GELU or a normalisation,
is written once more right before it: that takes no less time (0.99 of GPT's, 1.02 of ViT's), but a quarter of the memory (GPT
76 MB in place of 102, ViT 282 in place of 389).
"""

from __future__ import annotations

from tapenet.llvm.scalar import COST
from tapenet.program.ir import (
    Answer,
    Builder,
    Constant,
    Host,
    Input,
    Instruction,
    Program,
    Reference,
    Result,
    Value,
    rewrite,
    shown,
)
from tapenet.program.native.kernels import fusible
from tapenet.program.passes import dead

#: Bytes from which a value is worth it, and by how many times smaller is what may be held longer for it.
LARGE, SMALLER = 1 << 16, 16
#: The same for a product, which reads what is computed again in memory: so it is worth it only where the second-level cache
#: has lost the value, and many stages lie between.
STORED, STAGES = 1 << 19, 4
#: What a value of that size costs at most, beside an addition of such: less than memory takes to be written and read.
LIGHT = 14
#: Instructions behind each other that are computed again, at most; arrays that they read.
DEEP, READ = 3, 2

#: Kinds of instructions behind which another stage begins.
_DIVIDE = frozenset({"product", "call", "control"})

#: Of a value that is computed again: those of its operands that are too, and how.
Plan = dict[Value, "Plan"]


def run(program: Program) -> Program:
    """Compute again, for each reader in a later stage, what can be computed from what is there at that time."""
    if not any(instruction.kind in _DIVIDE for instruction in program.body):
        return program  # there is one stage
    found = _Recomputed(program)
    if not found.again:
        return program

    copies: dict[Value, tuple[int, Value]] = {}

    def again(reader: Instruction, arg: Value, now: Value, builder: Builder, after: Value | None) -> Value:
        """What a reader reads in place of an argument. Products that follow each other share a copy."""
        if isinstance(arg, Result) and arg.instruction.kind == "view":
            assert isinstance(now, Result)
            shown = again(reader, arg.instruction.args[0], now.instruction.args[0], builder, after)
            return builder.emit(arg.instruction.name, shown, *now.instruction.args[1:], **arg.instruction.params)
        stage = found.stages[reader]
        made, copy = copies.get(arg, (-STAGES, now))
        if after is None or stage - made >= STAGES:
            copy = _copy(arg, now, found.again[arg], builder, after)
        if after is not None:
            copies[arg] = stage, copy
        return copy

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        chosen = [found.reads_again(instruction, a) for a in instruction.args]
        if not any(chosen):
            return None
        kept = [a for a, c in zip(args, chosen, strict=True) if not c] if instruction.kind == "product" else []
        after = kept[0] if kept else None
        new = (
            again(instruction, old, now, builder, after) if c else now
            for old, now, c in zip(instruction.args, args, chosen, strict=True)
        )
        return builder.several(instruction.name, *new, **instruction.params)

    return dead.run(rewrite(program, change))


class _Recomputed:
    """What is computed again.

    Attributes:
        again: such values, and how.
    """

    def __init__(self, program: Program) -> None:
        self.stages: dict[Instruction, int] = {}
        self.readers: dict[Value, list[Instruction]] = {}
        self.last: dict[Value, int] = {}
        self.again: Plan = {}
        stage = 0
        for instruction in program.body:
            self.stages[instruction] = stage
            stage += instruction.kind in _DIVIDE
            if instruction.kind == "view":
                continue
            for value in dict.fromkeys(map(shown, instruction.args)):
                self.readers.setdefault(value, []).append(instruction)
                self.last[value] = stage
        end = stage + 1
        for root in program.roots():
            self.last[shown(root)] = end
        for instruction in filter(_cheap, program.body):
            for value in instruction.results:
                far = [r for r in self.readers.get(value, ()) if self._far(r, value)]
                if far and self.last[value] < end and all(_takes(r, value) for r in far):
                    plan = self._plan(value, self.stages[far[-1]])
                    if plan is not None:
                        self.again[value] = plan
                        self.last[value] = self.stages[instruction]

    def _far(self, reader: Instruction, value: Result) -> bool:
        """Whether products or calls lie between, so that the two are in different kernels; for a product many."""
        between = self.stages[reader] - self.stages[value.instruction]
        return between > (STAGES if reader.kind == "product" else 0)

    def reads_again(self, reader: Instruction, arg: Value) -> bool:
        """Whether a reader is given a copy of an argument."""
        value = shown(arg)
        return value in self.again and isinstance(value, Result) and reader.kind != "view" and self._far(reader, value)

    def _plan(self, value: Result, until: int, depth: int = 1) -> Plan | None:
        """How a value is computed again then; None if it cannot be, or should not."""
        found: Plan = {}
        for arg in value.instruction.args:
            if self._there(arg, until, value.nbytes):
                continue
            known = isinstance(arg, Result) and depth < DEEP and _cheap(arg.instruction)
            inner = self._plan(arg, until, depth + 1) if known else None  # type: ignore[arg-type]
            if inner is None:
                return None
            found[arg] = inner
        large = {a for a in _read(value, found) if a.nbytes * SMALLER > value.nbytes}
        return found if len(large) <= READ else None

    def _there(self, arg: Value, until: int, size: int) -> bool:
        """Whether an operand is there until then anyway, or is so small that it may be."""
        if isinstance(arg, (Constant, Host, Input)):
            return True
        return self.last[shown(arg)] >= until or (not isinstance(arg, Reference) and arg.nbytes * SMALLER <= size)


def _copy(old: Value, new: Value, plan: Plan, builder: Builder, after: Value | None) -> Value:
    """A value computed again: `new` is what it has become. It is not computed before `after` is there: else it would be where
    it was computed first."""
    assert isinstance(old, Result)
    assert isinstance(new, Result)
    args = []
    for o, n in zip(old.instruction.args, new.instruction.args, strict=True):
        if o in plan:
            n = _copy(o, n, plan[o], builder, after)
        elif after is not None and not isinstance(n, Constant):
            n = builder.emit("barrier", n, after)
        args.append(n)
    return builder.emit(new.instruction.name, *args, **new.instruction.params)


def _takes(reader: Instruction, value: Result) -> bool:
    """Whether a reader can have a value computed again: in its own kernel, or for a product right before."""
    if reader.kind == "product":
        return value.nbytes >= STORED
    fused = reader.kind in ("elementwise", "reduction") and fusible(reader)
    return fused and value.nbytes >= LARGE and all(a is value or shown(a) is not value for a in reader.args)


def _cheap(instruction: Instruction) -> bool:
    if instruction.kind != "elementwise" or instruction.name == "copy" or not fusible(instruction):
        return False
    (result,) = instruction.results
    return COST.get(instruction.name, 0) <= (LIGHT if result.nbytes >= STORED else 0)


def _read(value: Result, plan: Plan) -> set[Value]:
    """The arrays that computing a value again reads."""
    found: set[Value] = set()
    for arg in value.instruction.args:
        inner = plan.get(arg)
        found |= {shown(arg)} if inner is None or not isinstance(arg, Result) else _read(arg, inner)
    return found
