"""Runs a module or a function to draw what it computes, and leaves everything as it was."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tape import Tape, lines
from tapenet.autodiff.tensor import Tensor, asarray, tensor
from tapenet.drawing.build import Name
from tapenet.drawing.known import Array, gradients_on, values_on
from tapenet.drawing.names import note
from tapenet.ops import random

profile: Any = None  # waits for tapenet.profiling


class Run(NamedTuple):
    """What came of a call.

    Attributes:
        results: the tensors that it returned, one or several by name.
        names: what the arguments are called.
        values: all arrays that occurred, by node or by `id`.
        gradients: the gradients of the sum of the results, by node.
        profile: how long each op took, if that was asked for.
    """

    results: Any
    names: dict[Any, Name]
    values: dict[Any, Array]
    gradients: dict[Any, Array]
    profile: Any


def run(
    function: Callable[..., Any], inputs: Sequence[Any], *, differentiate: bool = False, profiled: bool = False
) -> Run:
    """Call a module or function and record all it computes, with the lines that did.

    Arrays among the arguments become tensors; a function's float arguments are made to need a gradient, as nothing else
    in it would. Buffers (such as running means) and the random generator are put back afterwards.

    Args:
        function: what to call.
        inputs: its arguments.
        differentiate: also compute gradients; no `.grad` is changed.
        profiled: also measure how long each op takes, forward and, if differentiated, backward.

    Raises:
        TypeError: the arguments do not fit, or the result holds no tensor.
    """
    titles = _titles(function, len(inputs))
    learns = not hasattr(function, "named_parameters")
    names: dict[Any, Name] = {}
    given = [_given(value, title, learns, names) for title, value in zip(titles, inputs, strict=True)]
    tape = _Watching()
    clock: Any = profile() if profiled else nullcontext()
    with _unchanged(function, tape), lines(), clock:
        with tape:
            results = _results(function(*given), function)
        all_results = list(results.values()) if isinstance(results, dict) else [results]
        gradients = gradients_on(tape, all_results) if differentiate else {}
    return Run(results, names, values_on(tape, all_results), gradients, clock if profiled else None)


# -- what a function is called with ----------------------------------------------------------------------------------


def _titles(function: Any, count: int) -> list[str]:
    """The names of the positional arguments."""
    title = _title(function)
    if isinstance(function, type):
        raise TypeError(f"draw: {title} is a class; give an object of it, with its arguments: tn.draw({title}(...), x)")
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return [f"argument {i}" for i in range(count)]
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    needed = [p.name for p in by_position if p.default is p.empty]
    titles = [p.name for p in by_position]
    example = title if title.isidentifier() and learns_nothing(function) else "net" if hasattr(function, "forward") else "f"
    listed = ", ".join([*titles, *([f"*{rest}"] if rest else [])])
    if count < len(needed) or (count > len(titles) and rest is None):
        raise TypeError(
            f"draw: {title} takes {listed or 'no arguments'}; {count} given. Pass its arguments after it: "
            f"tn.draw({', '.join([example, *needed])})"
        )
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if named:
        options = ", ".join(f"{name}=..." for name in named)
        takes = ", ".join(needed)
        raise TypeError(
            f"draw: {title} needs {', '.join(named)} by name, which it cannot be given here; wrap it: "
            f"tn.draw(lambda {takes}: {example}({', '.join(filter(None, (takes, options)))}){', ' * bool(takes)}{takes})"
        )
    return [*titles, *(f"{rest}[{i}]" for i in range(count - len(titles)))][:count]


def _title(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _given(value: Any, title: str, learns: bool, names: dict[Any, Name]) -> Any:
    """An argument with tensors in place of its arrays, which are entered under their names."""
    if isinstance(value, dict):
        parts = {key: _given(part, f"{title}[{key!r}]", learns, names) for key, part in value.items()}
        return parts if type(value) is dict else value
    if type(value) in (list, tuple) and any(isinstance(part, _ARRAYS) for part in value):
        return type(value)(_given(part, f"{title}[{i}]", learns, names) for i, part in enumerate(value))
    if isinstance(value, (np.ndarray, np.generic, list)):
        array = np.asarray(value)
        value = tensor(array, requires_grad=True) if learns and array.dtype.kind == "f" else asarray(array)
    note(names, title, value, input=True)
    return value


#: What makes of a list or tuple one of several arguments, rather than an array or a setting.
_ARRAYS = (np.ndarray, Tensor, dict)

def _tensors(results: Any, function: Any) -> Any:
    """The tensors among the results: one, or several in a dict or list."""
    found: dict[str, Tensor] = {}

    def walk(value: Any, path: str) -> None:
        if type(value) is Tensor:
            found[path] = value
        elif isinstance(value, dict):
            for key, part in value.items():
                walk(part, f"{path}[{key!r}]" if path else str(key))
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                walk(part, f"{path}[{i}]" if path else f"output {i}")

    walk(results, "")
    if not found:
        title = getattr(function, "__name__", type(function).__name__)
        raise TypeError(f"draw: {title} returned {type(results).__name__}, which holds no tensor")
    return found[""] if list(found) == [""] else found


@contextmanager
def _unchanged(function: Any) -> Iterator[None]:
    """Puts back buffers and the random generator."""
    put_back = random.saved()
    buffers = [(b, b.numpy().copy()) for _, b in function.named_buffers()] if hasattr(function, "named_buffers") else []
    try:
        yield
    finally:
        put_back()
        for buffer, before in buffers:
            if not np.array_equal(buffer.numpy(), before, equal_nan=True):
                buffer.data = before
