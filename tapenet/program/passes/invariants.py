"""What is the same at each turn of a loop is neither carried nor cut into slices, and numbers are part of its body."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.program.ir import Answer, Builder, Constant, Input, Instruction, Program, Value, rewrite, substitute
from tapenet.program.passes.patterns import made_by, number


def run(program: Program) -> Program:
    """Give loops once what does not change from turn to turn."""
    if program.names.isdisjoint(_LOOPS):
        return program
    return rewrite(program, _changed, _LOOPS)


_LOOPS = ("loop", "while")


def _changed(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
    params = instruction.params
    body: Program = params["body"]
    carries, slices = params["carries"], params.get("slices", 0)
    carried: list[tuple[Value, Value]] = []  # arguments, with the inputs of the body that they are
    cut: list[tuple[Value, Value]] = []
    others: list[tuple[Value, Value]] = []
    prelude = Builder()
    replaced: dict[Value, Value] = {}
    same: dict[int, Value] = {}  # results that are what came in
    for i, (arg, inner) in enumerate(zip(args, body.inputs, strict=True)):
        once: Value | None = None
        if i < carries:
            once = arg if body.outputs[i] is inner else None
        elif i < carries + slices:
            once = _repeated(builder, arg)
        elif number(arg) is not None:
            once = arg
        if once is None:
            (carried if i < carries else cut if i < carries + slices else others).append((arg, inner))
            continue
        if i < carries:
            same[i] = arg
        known = number(once)
        if known is None:
            others.append((once, Input(once.shape, once.dtype)))
        replaced[inner] = prelude.broadcast(others[-1][1] if known is None else Constant(known), inner.shape)
    kept = [v for i, v in enumerate(body.outputs) if i not in same]
    if not replaced or (instruction.must_run and not kept):
        return None
    every = [*carried, *cut, *others]
    inputs = [inner for _, inner in every if isinstance(inner, Input)]

    def made_of(program: Program, outputs: Sequence[Value]) -> Program:
        changed = substitute(Program(body.inputs, [], program.body, outputs, []), replaced)
        return Program(inputs, [], [*prelude.body, *changed.body], changed.outputs, [])

    new = dict(params, carries=len(carried), body=made_of(body, kept))
    if instruction.name == "loop":
        new["slices"] = len(cut)
    else:
        test: Program = params["test"]
        tested = substitute(test, dict(zip(test.inputs, body.inputs, strict=True)))
        tested = made_of(tested, tested.outputs)
        own: dict[Value, Input] = {v: Input(v.shape, v.dtype) for v in inputs}
        tested = substitute(tested, dict(own))
        new["test"] = Program([own[v] for v in inputs], [], tested.body, tested.outputs, [])
    made = iter(builder.several(instruction.name, *(arg for arg, _ in every), **new) if kept else ())
    return tuple(same[i] if i in same else next(made) for i in range(len(instruction.results)))


def _repeated(builder: Builder, arg: Value) -> Value | None:
    """What every slice of an argument is, if they are all the same."""
    known = number(arg)
    if known is not None:
        return Constant(known)
    inner = made_by(arg, "broadcast")
    if inner is None:
        return None
    (source,) = inner.args
    if source.ndim < arg.ndim:
        return source
    return builder.reshape(source, source.shape[1:]) if source.shape[0] == 1 != arg.shape[0] else None
