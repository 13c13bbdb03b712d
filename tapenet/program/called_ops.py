"""Ops that a program calls as they stand: templates of their arguments, the Python of a call, and what it has to give."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tapenet.program.arguments import refilled
from tapenet.typing import Array, Shape


class Hole(NamedTuple):
    """Stands in a template for the primitive's argument at a position."""

    position: int


def filled(template: object, args: Sequence[object]) -> Any:
    """A template with its holes filled."""
    if isinstance(template, Hole):
        return args[template.position]
    if isinstance(template, (list, tuple)):
        return refilled(template, (filled(t, args) for t in template))
    return template


def _has_holes(template: object) -> bool:
    return isinstance(template, Hole) or (isinstance(template, (list, tuple)) and any(map(_has_holes, template)))


def note_line(error: BaseException, line: str, what: str = "raised") -> None:
    """Say in an error of a compiled program which line of the user's code it comes from, unless it is said already."""
    # Not `str(error)`, which is the user's code, and may raise.
    said = (*error.args, *getattr(error, "__notes__", ()))
    if line and not any(isinstance(words, str) and _NOTE in words for words in said):
        error.add_note(f"{what} {_NOTE}, at {line}")


_NOTE = "in a compiled program"


class Resized(Exception):
    """Values decide on another number of elements than at the capture."""


class Argument(Protocol):
    """An argument of an op."""

    @property
    def name(self) -> str: ...
    @property
    def keyword_only(self) -> bool: ...


class Called(Protocol):
    """An op, as far as programs know it."""

    @property
    def name(self) -> str: ...
    @property
    def module(self) -> str: ...
    @property
    def arguments(self) -> Sequence[Argument]: ...
    def checked(self) -> Callable[..., object]: ...


class _Argument(NamedTuple):
    name: str
    keyword_only: bool = False


class PlainFunction:
    """A function of arrays that a program calls as it calls an op."""

    module = __name__
    effect = random = False
    memory = ordered = None

    def __init__(self, name: str, run: Callable[..., object], arguments: Sequence[str]) -> None:
        """With its name, and those of its arguments."""
        self.name = name
        self.arguments = tuple(map(_Argument, arguments))
        self._run = run

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def checked(self) -> Callable[..., object]:
        """The function."""
        return self._run


def is_users(op: Called) -> bool:
    """Whether an op is the user's own, not one of tapenet's."""
    return not op.module.startswith("tapenet.")


def expression(op: Called, template: Mapping[str, object], names: Sequence[str], space: dict[str, object]) -> str:
    """The Python that calls an op: a loop over its arguments at each call costs more than many an op.

    Args:
        op, template: what is called, on what.
        names: what the arrays are called that the template has holes for.
        space: gets what else the text names.
    """

    written = [(a, filled_text(template[a.name], names, space)) for a in op.arguments]
    given = (f"{a.name}={t}" if a.keyword_only else t for a, t in written)
    return f"{_shared(op.checked(), space)}({', '.join(given)})"


def filled_text(template: object, names: Sequence[str], space: dict[str, object]) -> str:
    """The Python of a template whose holes are filled with what `names` name; `space` gets what else the text names."""
    if isinstance(template, Hole):
        return names[template.position]
    if not _has_holes(template):
        return _shared(template, space)
    assert isinstance(template, (list, tuple))
    parts = "".join(f"{filled_text(t, names, space)}, " for t in template)
    if type(template) is list:
        return f"[{parts}]"
    if type(template) is tuple:
        return f"({parts})"
    return f"{_shared(refilled, space)}({_shared(template, space)}, ({parts}))"


def _shared(thing: object, space: dict[str, object]) -> str:
    name = f"G{len(space)}"
    space[name] = thing
    return name


def settling(
    op: Called, specs: Sequence[tuple[Shape, np.dtype] | None], sized: bool = False, line: str = ""
) -> Callable[[object], Array | tuple[Array, ...]]:
    """A function that makes arrays of what a call of an op gave.

    Args:
        op, specs: what is called, and the shape and dtype of each of its results; None where nobody asks.
        sized: whether the values of its inputs may say how many elements it gives: then it raises `Resized` where they
            say another number.
        line: the line of the user's code, for errors.
    """

    def settled(out: object) -> Array | tuple[Array, ...]:
        outs = tuple(map(np.asarray, out)) if isinstance(out, (tuple, list)) else (np.asarray(out),)
        for found, spec in zip(outs, specs, strict=True):
            if spec is not None and (found.shape, found.dtype) != spec:
                if sized:
                    raise Resized
                shape, dtype = spec
                raise ValueError(
                    f"{line and f'{line}: '}op {op.name!r} gave {found.dtype} {found.shape} in a program that was made for "
                    f"{dtype} {shape}: of a call that is compiled, or made for each lane of tn.vmap, shape and dtype must not "
                    "depend on the values of its inputs. np.where(mask, x, 0) in place of x[mask] keeps the shape"
                )
        return outs[0] if len(outs) == 1 else outs

    return settled


def call(
    op: Called, template: Mapping[str, object], specs: Sequence[tuple[Shape, np.dtype] | None], sized: bool,
    args: Sequence[Array],
) -> Array | tuple[Array, ...]:  # fmt: skip
    """Call an op on arrays; or on tensors, where a derivative that was made of a formula is differentiated again."""
    given = {a.name: filled(template[a.name], args) for a in op.arguments}
    options = {a.name: given.pop(a.name) for a in op.arguments if a.keyword_only}
    if callable(op) and any(_records(type(a)) for a in args):  # it goes on by its rules
        recorded: Array = op(*given.values(), **options)
        return recorded
    return settling(op, specs, sized)(op.checked()(*given.values(), **options))


def _records(kind: type) -> bool:
    """Whether calls on values of a type are recorded."""
    return hasattr(kind, "__array_function__") and not issubclass(kind, np.ndarray)


def _count() -> int:
    made = np.empty(1)
    return sys.getrefcount(made)


#: What `sys.getrefcount` says of an array that one local name of a function refers to, and nothing else. Pythons differ.
ALONE = _count()
