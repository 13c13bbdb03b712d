"""What a picture says of an op: the label that a person would write for it, and the call in full for a tooltip."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Protocol, TypeGuard

import numpy as np

from tapenet.autodiff.node import Constant, Node, Traced
from tapenet.drawing.model import Value
from tapenet.ops.op import Op
from tapenet.ops.shapes.reshaping import axis_words
from tapenet.typing import Shape

_UNKNOWN = "·"
#: How many elements of a list or tuple a label shows.
_SHOWN = 6
#: How many options of an op of somebody's own.
_OPTIONS = 3
#: What has an edge.
_ARRAYS = (Node, Traced, Constant, np.ndarray)


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
    elif len(values) == 1 and is_number(values[0]):
        text += f" {written[0]}"
    if op.label is None and not op.module.startswith("tapenet."):
        return ", ".join([text, *settings(op, node.options)])
    return text + _along(op, node.options)


def settings(op: Op, options: dict[str, object]) -> list[str]:
    """The options of an op that somebody defined and gave no label: nobody else knows them."""
    given = [(a.name, options[a.name]) for a in op.arguments if a.name in options]
    shown = [f"{name}={_exactly(value)}" for name, value in given if not isinstance(value, _ARRAYS)]
    return [*shown[:_OPTIONS], *["…"] * (len(shown) > _OPTIONS)]


def _exactly(value: object) -> str:
    """A plain value in short, a float as one."""
    text = words(value)
    return f"{text}.0" if isinstance(value, float) and text.lstrip("-").isdigit() else text


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
    def dtype(self) -> np.dtype[np.generic]: ...


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
    if isinstance(value, _ARRAYS):
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
