"""Runs a module or function to draw what it computes, and restores all state afterwards."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.creation import asarray, tensor
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe.anomaly import lines
from tapenet.autodiff.observe.tape import Tape
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.sources.known import gradients_on, values_on
from tapenet.drawing.sources.names import Key, Module, Name, note, note_all, variable_of
from tapenet.ops import random
from tapenet.profiling.profile import Profile, profile
from tapenet.typing import Array


class Run(NamedTuple):
    """The outcome of a call.

    Attributes:
        results: the tensors that it returned, one or several by name.
        names: what the arguments are called.
        values: all arrays that occurred.
        gradients: the gradients of the sum of the results, by node.
        profile: how long each op took, if that was asked for.
    """

    results: Tensor | dict[str, Tensor]
    names: dict[Key, Name]
    values: dict[Key, Array]
    gradients: dict[Key, Array]
    profile: Profile | None


def run(
    function: Callable[..., object],
    inputs: Sequence[object],
    *,
    differentiate: bool = False,
    profiled: bool = False,
    warm: bool = False,
) -> Run:
    """Call a module or function and record all it computes, with the lines that did.

    Arrays among the arguments become tensors; a function's float arguments are made to need a gradient, in another call, if
    nothing else in it does. What it writes (buffers such as running means), gradients and the random generator are put back
    afterwards, and an optimizer in it takes no step.

    Args:
        function: what to call.
        inputs: its arguments.
        differentiate: also compute gradients; no `.grad` is changed.
        profiled: also measure how long each op takes, forward and, if differentiated, backward.
        warm: it ran before. Else it is called twice where it is measured: what is done once, such as finding room
            for large arrays, is no cost of any op.

    Raises:
        TypeError: the arguments do not fit, or the result holds no tensor.
    """
    titles = _titles(function, len(inputs))
    for learns in (False, True):
        names: dict[Key, Name] = {}
        given = [_given(value, title, learns, names) for title, value in zip(titles, inputs, strict=True)]
        measured = profile() if profiled else None
        try:
            if profiled and not warm:
                _once(function, given, differentiate, nullcontext())
            tape, results, gradients = _once(function, given, differentiate, measured or nullcontext())
        except _NothingRecorded:  # a derivative by arguments that need no gradient
            if learns or hasattr(function, "named_parameters"):
                raise
            continue
        if hasattr(function, "named_parameters") or any(t.requires_grad for t in _listed(results)):
            break
    holder = getattr(function, "__self__", None) if inspect.ismethod(function) else function
    if not hasattr(holder, "named_parameters"):  # modules' tensors have longer names
        for title, value in vars(holder).items() if hasattr(holder, "__dict__") else ():
            note_all(names, title, value)
    return Run(results, names, values_on(tape, _listed(results)), gradients, measured)


class _NothingRecorded(ValueError):
    """No op led to what a function returned."""


def _once(
    function: Callable[..., object],
    given: Sequence[object],
    differentiate: bool,
    around: AbstractContextManager[object],
) -> tuple[Tape, Tensor | dict[str, Tensor], dict[Key, Array]]:
    """Call the function: the tape of it, its results, and the gradients if they are wanted."""
    tape = _Watching()
    with _unchanged(function, tape), lines(), around:
        with tape:
            results = _results(function(*given), function)
        return tape, results, gradients_on(tape, _listed(results)) if differentiate else {}


def _listed(results: Tensor | dict[str, Tensor]) -> list[Tensor]:
    return list(results.values()) if isinstance(results, dict) else [results]


# -- what a function is called with ----------------------------------------------------------------------------------


def _titles(function: Callable[..., object], count: int) -> list[str]:
    """The names of the positional arguments."""
    title, variable = _title(function), variable_of(function)
    learned = hasattr(function, "forward")
    own = variable or (title if hasattr(function, "__name__") and title.isidentifier() else "net" if learned else "f")
    if variable not in ("", title):
        title = f"{variable} ({title})"
    if isinstance(function, type):
        raise TypeError(f"draw: {title} is a class; give an object of it, with its arguments: tn.draw({title}(...), x)")
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return [f"argument {i}" for i in range(count)]
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    titles = [p.name for p in by_position]
    needed = ", ".join(p.name for p in by_position if p.default is p.empty)
    if not sum(p.default is p.empty for p in by_position) <= count <= (len(titles) if rest is None else count):
        takes = ", ".join(titles if rest is None else [*titles, f"*{rest}"])
        raise TypeError(
            f"draw: {title} takes {takes or 'no arguments'}; {count} given. Pass its arguments after it: "
            f"tn.draw({', '.join(filter(None, (own, needed)))})"
        )
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if named:
        call = ", ".join(filter(None, (needed, *(f"{name}=..." for name in named))))
        raise TypeError(
            f"draw: {title} needs {', '.join(named)} by name. Write it out: "
            f"tn.draw({', '.join(filter(None, (f'lambda {needed}'.strip() + f': {own}({call})', needed)))})"
        )
    return [*titles, *(f"{rest}[{i}]" for i in range(count - len(titles)))][:count]


def takes_arguments(module: Module) -> bool:
    """Whether a module has to be given something."""
    parameters = inspect.signature(module.forward).parameters.values()
    return any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters)


def _title(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _given(value: object, title: str, learns: bool, names: dict[Key, Name]) -> object:
    """An argument with tensors in place of its arrays, entered under their names."""
    if type(value) is dict:
        return {key: _given(part, f"{title}[{key!r}]", learns, names) for key, part in value.items()}
    if (
        isinstance(value, (list, tuple))
        and type(value) in (list, tuple)
        and any(isinstance(part, _PARTS) for part in value)
    ):
        return type(value)(_given(part, f"{title}[{i}]", learns, names) for i, part in enumerate(value))
    if isinstance(value, (np.ndarray, np.generic, list)):
        array = np.asarray(value)
        value = tensor(array, requires_grad=True) if learns and array.dtype.kind == "f" else asarray(array)
    elif type(value) is Tensor and type(value._node) is not Leaf:
        # Drawn is what happens in the function, not where its arguments came from.
        needs = value._node is not None or (learns and value.dtype.kind == "f")
        value = asarray(value.numpy()).requires_grad_(needs)
    note(names, title, value, input=True)
    return value


#: What makes a list or tuple one of several arguments. Others are arrays (lists) or settings (tuples).
_PARTS = (np.ndarray, Tensor, dict)


# -- what comes of it ------------------------------------------------------------------------------------------------


def _results(results: object, function: object) -> Tensor | dict[str, Tensor]:
    """The tensors computed that are among the results: one, or several in a dict."""
    found: dict[str, Tensor] = {}
    _find(results, "", found)
    if not found:
        raise TypeError(
            f"draw: {_title(function)} returned {type(results).__name__}, which holds no tensor. Ops on tensors are drawn: "
            "give it arrays or tensors as arguments, such as np.array(3.0), and return what it computes"
        )
    made = {path: t for path, t in found.items() if t.node is not None and type(t.node) is not Leaf}
    if not made:
        raise _NothingRecorded(f"draw: {_title(function)} applies no op: it returns what it was given")
    return made[""] if list(made) == [""] else made


def _find(value: object, path: str, found: dict[str, Tensor]) -> None:
    """Enter the tensors that a result holds, by where they are."""
    if type(value) is Tensor:
        found[path] = value
    elif isinstance(value, dict):
        for key, part in value.items():
            _find(part, f"{path}[{key!r}]" if path else str(key), found)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            _find(part, f"{path}[{i}]" if path else f"output {i}", found)


# -- leaving all as it was ---------------------------------------------------------------------------------------------


class _Watching(Tape):
    """A tape that keeps what was before: what tensors from outside held before they were written, such as running means,
    and gradients."""

    rehearses = True

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[int, tuple[Tensor, Array]] = {}
        self.grads: dict[Leaf, tuple[Tensor | None, Array | None]] = {}

    def writes(self, tensor: Tensor, value: object, by: str) -> bool:
        self.before.setdefault(id(tensor), (tensor, tensor.numpy().copy()))
        return False

    def sets_grad(self, leaf: Leaf, *, adds: bool = False, clears: bool = False) -> None:
        if leaf not in self.grads:
            grad = leaf.grad
            in_place = grad is not None and grad.node is None  # what is added may be added so
            self.grads[leaf] = grad, grad.numpy().copy() if grad is not None and in_place else None

    def put_back(self) -> None:
        """Restore all of it."""
        for leaf, (grad, array) in self.grads.items():
            leaf.grad = grad
            if grad is not None and array is not None:
                grad.data = array
        for written, array in self.before.values():
            written.data = array


@contextmanager
def _unchanged(function: object, tape: _Watching) -> Iterator[None]:
    """Restores written tensors and the state of random generators: the process's own and those of modules."""
    modules = function.modules() if hasattr(function, "modules") else ()
    own = [v for module in modules for v in vars(module).values() if isinstance(v, np.random.Generator)]
    rewind = [random.Saved(), *map(random.Saved, own)]
    try:
        yield
    finally:
        for restore in rewind:
            restore()
        tape.put_back()
