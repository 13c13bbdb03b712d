"""What a picture says of an op: the label that a person would write for it, the call in full for a tooltip, and what it
computes and its gradient rules as mathematics.

The ops of the package state their mathematics (`formula=` and `gradients=` of `tn.op`). An op that does not is shown by the
source of its forward and of its rules, as Python; one whose source cannot be had, by the names of its arguments.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np

from tapenet.autodiff.node import Constant, Node, Traced
from tapenet.drawing.model import Value
from tapenet.drawing.text import clean
from tapenet.ops.formula import Derived
from tapenet.ops.op import Op
from tapenet.ops.shapes.reshaping import axis_words
from tapenet.typing import Shape

_UNKNOWN = "·"
#: How many elements of a list or tuple a label shows.
_SHOWN = 6
#: Longer texts are cut. The texts of the package are at most a third of that; a rule of one line fits.
LIMIT = 200

_DERIVED = "g through the derivative of the formula"

Definition: TypeAlias = "ast.FunctionDef | ast.Lambda"


def label(node: Node, inputs: dict[str, object] | None = None) -> str:
    """What a person would write for an op: its label or name, with the plain values it was given in place.

    Args:
        node: the op.
        inputs: `node.inputs`, where that is at hand.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> [label(t.node) for t in (-x, x * 2, 1 - x, x[0], tn.maximum(x, 0), tn.where(x > 1, x, 0))]
    ['negative', '× 2', '1 −', '[0]', 'max(·, 0)', 'where(·, ·, 0)']
    """
    op = node.op
    inputs = dict(node.inputs if inputs is None else inputs)
    if callable(op.label):
        return called(op, op.label, node.options, inputs)
    text = pattern = str(op.name if op.label is None else op.label)
    if "[ ]" in pattern and "index" in inputs:
        index = inputs.pop("index")
        listed = index if (isinstance(index, tuple) and type(index) is tuple) or holds_arrays(index) else [index]
        text = pattern.replace("[ ]", f"[{', '.join(map(words, listed))}]")
    values = list(inputs.values())
    while values and values[-1] is None:  # left out
        values.pop()
    written = [words(v) for v in values]
    if len(written) == 2 and not any(character.isalnum() for character in pattern):
        left, right = ("" if word == _UNKNOWN else word for word in written)
        return f"{left} {text} {right}".strip()
    # Other plain values are settings rather than data, such as the shape that layer_norm takes.
    numbers = [v for value in values for v in (value if holds_arrays(value) else [value])]
    if any(isinstance(v, (int, float, complex, np.number, np.bool)) for v in numbers):
        text += f"({', '.join(written)})"
    return text + _along(op, node.options)


def _along(op: Op, options: dict[str, object]) -> str:
    """The axis of an op, if it is not its default."""
    defaults = [a.default for a in op.arguments if a.name == "axis"]
    if "axis" not in options or options["axis"] is None or options["axis"] in defaults:
        return ""
    return f" along {axis_words(options['axis'])}"


def called(op: Op, pattern: Callable[..., str], options: dict[str, object], inputs: dict[str, object]) -> str:
    """The label that the op's own function gives, from the options and the shapes of the inputs."""
    known = {**options, **{f"{name}_shape": getattr(value, "shape", None) for name, value in inputs.items()}}
    for name, value in inputs.items():
        if isinstance(value, Traced):
            known[f"{name}_shape"] = value.data.shape
    wanted, others = _wanted(pattern)
    try:
        return str(pattern(**{n: v for n, v in known.items() if n in wanted or (others and n in options)}))
    except Exception as error:
        error.add_note(f"raised by the label= function of op {op.name!r}, called with the op's options")
        raise


@functools.lru_cache(maxsize=1024)
def _wanted(function: Callable[..., str]) -> tuple[frozenset[str], bool]:
    """The arguments that a label function names, and whether it takes all options."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters), any(p.kind is p.VAR_KEYWORD for p in parameters)


class Shaped(Protocol):
    """A node, an array or a tensor, or what stands for one."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


def value_of(x: Shaped | Traced) -> Value:
    """Shape and dtype of a node or of what stands for an array in a recorded call."""
    array = x.data if isinstance(x, Traced) else x
    return Value(tuple(array.shape), short_dtype(array.dtype))


@functools.lru_cache(maxsize=64)
def short_dtype(dtype: np.dtype[np.generic]) -> str:
    """A dtype in few letters: f32, i64, bool."""
    return f"{dtype.kind}{8 * dtype.itemsize}" if dtype.kind in "fiuc" else str(dtype)


def details(node: Node, place: str, inputs: dict[str, object]) -> tuple[str, ...]:
    """The call in full, where it was made, and by which line if that is known."""
    arguments = []
    for name, value in inputs.items():
        if value is not None:
            arguments.append(f"{name} {_specs(value)}")
    options = node.options if node.option_names else {}
    for argument in node.op.arguments if options else ():
        if argument.name in options:
            word = words(options[argument.name])
            if argument.required or word != words(argument.default):
                arguments.append(f"{argument.name}={word}")
    call = f"{node.name}({', '.join(arguments)})"
    line = node.line
    return tuple(part for part in (call, place, line) if part)


def holds_arrays(value: object) -> TypeGuard[Sequence[object]]:
    """Whether an argument is a sequence with arrays in it."""
    # Constant and Traced are tuples too, hence the exact types.
    return (
        isinstance(value, (list, tuple))
        and type(value) in (list, tuple)
        and any(isinstance(v, (Node, Traced, Constant)) for v in value)
    )


def is_number(value: object) -> TypeGuard[Traced]:
    """Whether an argument is a single number whose value is known, as on a tape: it is written in the label."""
    return type(value) is Traced and value.node is None and value.data.ndim == 0 and value.tensor._node is None


def _specs(value: object) -> str:
    """An argument in a tooltip: shape and dtype of an array, else the value."""
    if isinstance(value, (Node, Traced, Constant)):
        return str(value_of(value))
    return f"[{', '.join(map(_specs, value))}]" if holds_arrays(value) else words(value)


def words(value: object) -> str:
    """A plain value in short, the same in every process; a dot for an array, which has an edge."""
    if is_number(value):
        value = value.data[()]
    if isinstance(value, (Node, Traced, Constant, np.ndarray)):
        return _UNKNOWN
    if isinstance(value, (bool, np.bool)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, complex, np.inexact)):
        return f"{value:.6g}"
    if isinstance(value, slice):
        parts = ["" if part is None else words(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts if value.step is not None else parts[:2])
    if isinstance(value, (tuple, list)):
        shown = [words(v) for v in value[:_SHOWN]] + ["…"] * (len(value) > _SHOWN)
        if isinstance(value, list):
            return f"[{', '.join(shown)}]"
        return f"({', '.join(shown)}{',' * (len(value) == 1)})"
    if value is Ellipsis:
        return "..."
    if value is None or isinstance(value, (str, np.dtype)):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))


# -- mathematics ------------------------------------------------------------------------------------------------


def formula(op: Op) -> str:
    """What an op computes, in one line: its `formula`, or else the expression that its forward returns.

    Example:
        >>> import numpy as np, tapenet as tn
        >>> formula(tn.matmul)
        'x @ y'
        >>> formula(tn.op(np.logaddexp, name="soft_maximum"))
        'logaddexp(x, y)'
    """
    if op.formula is not None:
        return clean(op.formula, LIMIT)
    if isinstance(op.forward, np.ufunc):
        return clean(_call(op.forward.__name__, op.arguments), LIMIT)
    value = _returned(op.forward)
    if op.residuals and isinstance(value, ast.Tuple):
        outputs = value.elts[: len(value.elts) - len(op.residuals)]
        value = outputs[0] if op.outputs == 1 and outputs else ast.Tuple(outputs, ast.Load())
    return clean(_unparsed(value) or _call(op.name, op.arguments), LIMIT)


def gradient_rules(op: Op) -> dict[str, str]:
    """The rule of each differentiable input of an op, in one line, by the input's name: from its `gradients`, or else
    the expression that the rule returns.

    Example:
        >>> import numpy as np, tapenet as tn
        >>> gradient_rules(tn.multiply)
        {'x': 'g · y', 'y': 'g · x'}
        >>> softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus", x=lambda g, out: g * (1 - np.exp(-out)))
        >>> gradient_rules(softplus)
        {'x': 'g * (1 - np.exp(-out))'}
    """
    texts = _given(op)
    sources = {} if texts.keys() >= set(op.differentiable) else _sources(op)
    return {name: clean(texts.get(name) or sources[name], LIMIT) for name in op.differentiable}


def _given(op: Op) -> dict[str, str]:
    """What `gradients` says of each input that it names; of the only input, whether it names it or not."""
    text = op.gradients or ""
    names = "|".join(op.differentiable)
    _, *parts = re.split(rf"(?:^|;)\s*({names})\s*:", text) if names else [text]
    if not parts and text and len(op.differentiable) == 1:
        return {op.differentiable[0]: text.strip()}
    return {name: said.strip() for name, said in zip(parts[::2], parts[1::2], strict=True) if said.strip()}


def _sources(op: Op) -> dict[str, str]:
    """The rule of each input as Python; of one that was derived, that it was."""
    if op.joint is None:
        return {
            name: _DERIVED
            if isinstance(rule, Derived)
            else _unparsed(_returned(rule)) or _call(_name(rule), op.needs[name])
            for name, rule in op.rules.items()
        }
    if isinstance(op.joint, Derived):
        return dict.fromkeys(op.differentiable, _DERIVED)
    name = _name(op.joint)
    shared = ("joint " if name == "rule" else "joint rule ") + _call(name, op.needs[""])
    value = _returned(op.joint)
    entries = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
    found = {key.value: _unparsed(entry) for key, entry in entries if isinstance(key, ast.Constant)}
    return {name: found.get(name) or shared for name in op.differentiable}


def _name(rule: object) -> str:
    name = getattr(rule, "__name__", type(rule).__name__)
    return "rule" if name == "<lambda>" else name


def _call(name: str, arguments: Iterable[object]) -> str:
    return f"{name}({', '.join(str(getattr(a, 'name', a)) for a in arguments)})"


# -- source ------------------------------------------------------------------------------------------------------


def _unparsed(node: ast.expr | None) -> str:
    try:
        return "" if node is None else ast.unparse(node)
    except RecursionError:
        return ""


def _returned(function: Callable[..., object]) -> ast.expr | None:
    """The expression that a function returns, if its source can be had and that is all it does."""
    try:
        lines, _ = inspect.findsource(inspect.unwrap(function))
        definition = _definition(inspect.unwrap(function).__code__, _definitions("".join(lines)))
    except Exception:  # whatever is wrong with the source of a function, its op can be drawn
        return None
    if isinstance(definition, ast.Lambda):
        return definition.body
    body = definition.body if definition is not None else []
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None


@functools.lru_cache(maxsize=16)
def _definitions(source: str) -> dict[int, list[Definition]]:
    """The functions of a file by the line in which they begin, decorators included."""
    found: dict[int, list[Definition]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", ())
            found.setdefault(decorators[0].lineno if decorators else node.lineno, []).append(node)
    return found


def _definition(code: CodeType, definitions: dict[int, list[Definition]]) -> Definition | None:
    """The definition that was compiled to `code`. Several lambdas may begin in one line: the innermost one whose body holds
    every position of the code."""
    names = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    found: list[Any] = [  # functions and lambdas, whose bodies have different types
        node
        for node in definitions.get(code.co_firstlineno, [])
        if getattr(node, "name", "<lambda>") == code.co_name
        and [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)] == names
    ]
    if len(found) < 2:
        return found[0] if found else None
    # Of no width are the places of what every function begins and ends with.
    places = [((top, left), (end, right)) for top, end, left, right in code.co_positions() if left is not None]
    places = [(first, last) for first, last in places if first != last]
    bodies = [((b.lineno, b.col_offset), (b.end_lineno, b.end_col_offset)) for b in (node.body for node in found)]
    inside = [
        (start, node)
        for node, (start, stop) in zip(found, bodies, strict=True)
        if all(start <= first and last <= stop for first, last in places)
    ]
    return max(inside, key=lambda pair: pair[0])[1] if places and inside else None
