"""Ops that a program calls as they stand: templates of their arguments, and the function of arrays that calls one."""

from __future__ import annotations

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
    if line and not any(_NOTE in note for note in getattr(error, "__notes__", ())):
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
    def arguments(self) -> Sequence[Argument]: ...
    def checked(self) -> Callable[..., object]: ...


def caller(
    op: Called,
    template: Mapping[str, object],
    specs: Sequence[tuple[Shape, np.dtype] | None],
    sized: bool = False,
    line: str = "",
) -> Callable[[Sequence[Array]], Array | tuple[Array, ...]]:
    """The call of an op as a function of the arrays that its template has holes for.

    Args:
        op, template, specs: what is called, on what, and the shape and dtype of what it gave.
        sized: whether the values of its inputs may say how many elements it gives: then it raises `Resized` where they
            say another number.
        line: the line of the user's code, for errors.
    """
    names = [a.name for a in op.arguments if not a.keyword_only]
    holes = [t.position if isinstance(t := template[n], Hole) else None for n in names]
    trees = {i: template[n] for i, n in enumerate(names) if holes[i] is None}
    fixed = [trees.get(i) for i in range(len(names))]
    nested = [i for i, t in trees.items() if _has_holes(t)]
    options = {a.name: template[a.name] for a in op.arguments if a.keyword_only}
    forward = op.checked()

    def call(args: Sequence[Array]) -> Array | tuple[Array, ...]:
        given = [t if i is None else args[i] for i, t in zip(holes, fixed, strict=True)]
        for i in nested:
            given[i] = filled(fixed[i], args)
        try:
            out = forward(*given, **{name: filled(t, args) for name, t in options.items()})
        except Exception as error:
            note_line(error, line, f"raised by op {op.name!r}")
            raise
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

    return call
