"""What a person would write for an instruction of a compiled program, and for several that run in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tapenet import ops
from tapenet.drawing.sources.labels import called, settings, short_dtype, words
from tapenet.ops.functions import OpFunction
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own
from tapenet.ops.shapes.reshaping import axis_words
from tapenet.program.called_ops import filled
from tapenet.program.ir import Constant, Instruction, Value
from tapenet.program.primitives import ADDED, numpy_slices

#: Stands in a label for an array, which has an edge.
ARRAY = "·"
#: How many different words tell what a kernel does.
_WORDS = 4
#: By primitive: the op of the same meaning, where that has another name.
_OPS = {
    "broadcast": "broadcast_to", "cast": "astype", "dot": "matmul", "index": "getitem", "slice": "getitem",
    "reduce_add": "sum", "reduce_multiply": "prod", "reduce_maximum": "max", "reduce_minimum": "min",
    "reduce_logical_and": "all", "reduce_logical_or": "any",
}  # fmt: skip
#: By primitive: the words for it that are not those of an op.
_OWN = {
    "dot_add": "+ @", "cast": "cast", "broadcast": "broadcast", "slice": "slice", "index": "[ ]", "update": "[ ]=",
    "put": "[ ]=", "scatter_add": "scatter add", "add_at": "[ ]+=", "add_rows": "add rows", "safe_mul": "×",
    "loop": "scan", "branch": "cond",
}  # fmt: skip


def op_name(instruction: Instruction) -> str:
    """The name of the op that an instruction calls, or whose meaning it has; else that of the primitive."""
    if instruction.name in ("call", "apply"):
        op = _called(instruction)
        return str(instruction.params["function"].name if op is None else op.name)
    return _OPS.get(instruction.name, instruction.name)


def op_of(instruction: Instruction) -> Op | None:
    """That op, if there is one."""
    if instruction.name in ("call", "apply"):
        return _called(instruction)
    found = getattr(ops, op_name(instruction), None)
    return found if isinstance(found, Op) else None


def _called(instruction: Instruction) -> Op | None:
    """The op of which an instruction is a call."""
    if instruction.name == "call":
        op: Op = instruction.params["op"]
        return op
    function = instruction.params["function"]
    return function.op if isinstance(function, OpFunction) else None


def option(instruction: Instruction, name: str) -> object:
    """What the op that an instruction calls is given by this name."""
    params = instruction.params
    template = params["template"] if instruction.name == "call" else params["function"].template
    return filled(template[name], instruction.args)


def word(instruction: Instruction) -> str:
    """An instruction in one word or sign, without what it is applied to."""
    if instruction.name in _OWN:
        return _OWN[instruction.name]
    if instruction.name in ADDED:
        return ADDED[instruction.name]
    op = op_of(instruction)
    return op.label if op is not None and isinstance(op.label, str) else op_name(instruction)


def title(instruction: Instruction, written: Callable[[Value], str]) -> str:
    """What a person would write for an instruction.

    Args:
        instruction: any.
        written: the text of an argument: of a number its value, of an array a dot.
    """
    made = _BY_NAME.get(instruction.name)
    if made is not None:
        return made(instruction)
    op = op_of(instruction)
    if instruction.name in ("call", "apply") and op is not None and callable(op.label):
        given = {n: option(instruction, n) for n in (*op.options, *op.inputs)}
        return called(op, op.label, {n: given[n] for n in op.options}, {n: given[n] for n in op.inputs})
    text = word(instruction)
    if instruction.name == "call" and op is not None and op.label is None and not is_own(op):
        template = instruction.params["template"]
        return ", ".join([text, *settings(op, {n: filled(template[n], instruction.args) for n in op.options})])
    if instruction.name == "apply":
        return _applied(instruction, text)
    if instruction.kind == "reduction":
        axes = instruction.params.get("axes", (instruction.params.get("axis"),))
        return text if len(axes) == instruction.args[0].ndim else f"{text} along {axis_words(axes)}"
    if instruction.kind != "elementwise":
        axis = instruction.params.get("axis")
        return text if axis is None else f"{text} along {axis_words(axis)}"
    arguments = [written(a) for a in instruction.args]
    if len(arguments) == 2 and not text.isalnum():
        left, right = ("" if a == ARRAY else a for a in arguments)
        return f"{left} {text} {right}".strip()
    if len(arguments) == 1 or all(a == ARRAY for a in arguments):
        return text
    return f"{text}({', '.join(arguments)})"


def _applied(instruction: Instruction, text: str) -> str:
    """A function that is applied, with the plain values that it is given where these are operands or an index."""
    function = instruction.params["function"]
    if not isinstance(function, OpFunction):
        return text
    template = function.template
    if "[ ]" in text and "index" in template:
        index = filled(template["index"], [ARRAY] * len(instruction.args))
        parts = index if isinstance(index, tuple) else (index,)
        return text.replace("[ ]", f"[{', '.join(map(words, parts))}]")
    operands = [filled(template[n], [ARRAY] * len(instruction.args)) for n in function.op.inputs]
    told = [o if o == ARRAY else words(o) for o in operands if not isinstance(o, (list, tuple))]
    if len(told) == 2 and not text.isalnum():
        left, right = ("" if o == ARRAY else o for o in told)
        return f"{left} {text} {right}".strip()
    return text


def _product(instruction: Instruction) -> str:
    left, right = ("·ᵀ" if instruction.params.get(flag) else "" for flag in ("ta", "tb"))
    text = f"{left} @ {right}".strip()
    return f"+ {text}" if instruction.name == "dot_add" else text


def _reshape(instruction: Instruction) -> str:
    return f"reshape {'×'.join(map(str, instruction.params['shape'])) or 'to a number'}"


def _transpose(instruction: Instruction) -> str:
    axes = instruction.params["axes"]
    return "ᵀ" if axes == (1, 0) else f"transpose {words(axes)}"


def _sliced(instruction: Instruction) -> str:
    parts = []
    for n, part in zip(instruction.args[0].shape, numpy_slices(instruction.params["slices"]), strict=True):
        start, stop = part.start or None, None if part.stop == n else part.stop
        parts.append(words(part if part.step != 1 else slice(start, stop)).replace("None", ""))
    return f"[{', '.join(parts)}]" + (" =" if instruction.name == "update" else "")


def _indexed(instruction: Instruction) -> str:
    first = 1 if instruction.name == "index" else 2
    template = filled(instruction.params["template"], [ARRAY] * (len(instruction.args) - first))
    parts = template if isinstance(template, (tuple, list)) else (template,)
    return f"[{', '.join(map(words, parts))}]" + (" =" if instruction.name == "put" else "")


_BY_NAME: dict[str, Callable[[Instruction], str]] = {
    "dot": _product,
    "dot_add": _product,
    "cast": lambda i: f"to {short_dtype(i.params['dtype'])}",
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast": lambda i: "broadcast",
    "slice": _sliced,
    "update": _sliced,
    "index": _indexed,
    "put": _indexed,
}


def number(value: Value) -> str | None:
    """The text of a constant that is a single number; None for all else."""
    return words(value.array.reshape(())[()]) if isinstance(value, Constant) and value.size == 1 else None


def gist(instructions: Sequence[Instruction]) -> str:
    """What several instructions do, in few words: the different ones in order, and how many there are."""
    told = [i for i in instructions if i.kind != "view"]
    found = list(dict.fromkeys(map(word, told)))
    more = ", …" if len(found) > _WORDS else ""
    return f"{', '.join(found[:_WORDS])}{more} ({len(told)} {'op' if len(told) == 1 else 'ops'})"


def arguments(instruction: Instruction) -> Iterable[str]:
    """What the arguments of an instruction are called, where that says something."""
    count = len(instruction.args)
    names = {
        "where": ("condition", "x", "y"),
        "dot_add": ("to", "x", "y"),
        "update": ("", "value"),
        "put": ("", "value"),
    }
    plain = ("x", "y") if count == 2 and instruction.kind in ("elementwise", "product") else ()
    found = names.get(instruction.name, plain)
    return (*found, *[""] * (count - len(found)))
