"""What debug mode looks for: ops and gradient rules that fail, and where nan and infinity are born.

It says so in words, and has a picture of the neighbourhood drawn by whoever has set `illustrate`: this folder knows
nothing of drawings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.sites import user_site
from tapenet.autodiff.tape import Node, Parents
from tapenet.program.low import is_inexact


class Trouble(NamedTuple):
    """Where something went wrong.

    Attributes:
        node: the op. One that failed, or whose result nobody keeps, has a node that only this knows.
        reason: what went wrong, in a line.
        roots: what a backward pass began from, if one was under way: the ops that use this one lead there.
    """

    node: Node
    reason: str
    roots: tuple[Node, ...] = ()


#: Draws a trouble and returns the path of the file, None if it leaves it be. Set by `tapenet.drawing`.
illustrate: Callable[[Trouble], str | None] | None = None


def drawn(find: Callable[[], Trouble]) -> str:
    """A sentence that names the picture of a trouble, "" if there is none. Raises nothing: there is an error to tell of
    already, which this one must not hide."""
    if illustrate is None:
        return ""
    try:
        path = illustrate(find())
    except Exception as error:
        return f"the graph around it could not be drawn: {type(error).__name__}: {error}"
    return "" if path is None else f"the graph around it is drawn in {path}"


def born(before: Iterable[Any], after: Iterable[Any]) -> str | None:
    """What of nan and infinity arrays hold that does not come from others, in words; None if nothing.

    A nan is born where there was none; an infinity where all was finite.

    >>> born([np.array([1.0, 0.0])], [np.array([0.0, -np.inf])])
    '-inf in 1 of 2 elements, the first at [1]'
    >>> born([np.array([1.0, np.inf])], [np.array([0.0, np.inf])])
    """
    for array in after:
        if not is_inexact(array.dtype) or np.isfinite(array).all():
            continue
        known = [part for value in before for part in _floats(value)]
        wrong = np.isnan(array)
        if not wrong.any():
            if not all(np.isfinite(k).all() for k in known):
                continue
            wrong = np.isinf(array)
        elif any(np.isnan(k).any() for k in known):
            continue
        place = np.unravel_index(int(wrong.argmax()), array.shape)
        value = array[place]
        name = "nan" if np.isnan(value) else "inf" if value.real > 0 else "-inf"
        if not place:
            return name
        where = ", ".join(str(int(i)) for i in place)
        return f"{name} in {int(wrong.sum()):,} of {array.size:,} elements, the first at [{where}]"
    return None


def has_nan(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds a nan."""
    return is_inexact(array.dtype) and bool(np.isnan(array).any())


def _floats(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _floats(part)
    elif isinstance(value, (float, complex, np.inexact)) or (isinstance(value, np.ndarray) and is_inexact(value.dtype)):
        yield np.asarray(value)


def report(nan: str, what: str, find: Callable[[], Trouble]) -> None:
    """Raise or warn, as `tn.debug(nan=...)` was told, that nan or infinity was born."""
    picture = drawn(find)
    text = f"{what}{'; ' + picture if picture else ''}"
    if nan == "warn":
        file, line = user_site()
        warnings.warn_explicit(text, RuntimeWarning, file, line)
    else:
        raise FloatingPointError(f"{text}. With tn.debug(nan='warn') the program goes on")


def argument(node: Node, parent: Node) -> str:
    """The name of the argument through which an op knows a parent."""
    for name in node.input_names:
        found = getattr(node, f"{name}_node", None)
        if found is parent or (type(found) is Parents and any(p is parent for p in found)):
            return name
    return node.input_names[0]
