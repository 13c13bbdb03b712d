"""What debug mode looks for: ops and gradient rules that fail, and where nan and infinity are born.

It says so in words, and has a picture of the neighbourhood drawn by whoever has set `illustrate`: this folder knows
nothing of drawings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from tapenet.autodiff.node import Node, Parents
from tapenet.autodiff.state import Switch, enter
from tapenet.ops.stack_frames import user_site
from tapenet.program.low import is_inexact


class Anomaly(NamedTuple):
    """Where something went wrong.

    Attributes:
        node: the op. One that failed, or whose result nobody keeps, has a node that only this knows.
        reason: what went wrong, in a line.
        roots: what a backward pass began from, if one was under way: the ops that use this one lead there.
    """

    node: Node
    reason: str
    roots: tuple[Node, ...] = ()


#: Draws an anomaly and returns the path of the file, None if it leaves it be. Set by `tapenet.drawing`.
illustrate: Callable[[Anomaly], str | None] | None = None


def drawn(find: Callable[[], Anomaly]) -> str:
    """A sentence that names the picture of an anomaly, "" if there is none. Raises nothing: there is an error to tell of
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


def report(nan: str, what: str, find: Callable[[], Anomaly]) -> None:
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


class lines(Switch):
    """Keep the line of user code that made each node, for drawings."""

    name, value = "debug", True


class debug(Switch):
    """Find mistakes: know lines, stop at nan and infinity, draw where things fail. Slower.

    Every node keeps the line of user code that made it (`node.line`), and errors show it. Results that hold a nan or
    an infinity are errors where these are born: in an op whose inputs, or in a gradient rule whose incoming gradient
    and saved arrays, held none; and a nan where it comes in with the data, a leaf, a constant or an array, of the
    first op whose result it goes into (functions such as `np.nanmean` may be given it). Where an op or a rule fails,
    or gives one of these, the ops around it are drawn, with the shapes that came in, and the error (or a note on it)
    names the file: `tapenet-debug-1-log.svg`, in the folder that the variable `TAPENET_DEBUG_DIR` of the environment
    names, else in the current one. At most 20 are drawn by a process. For gradients, call `backward()` inside the
    block. A compiled step is looked at only as it is recorded.

    Args:
        nan: what to do where nan or infinity is born: "raise" an error, "warn" and go on, or "ignore" it, where they
            are meant, as the logarithm of 0 may be.

    Raises:
        ValueError: `nan` is none of these.
        FloatingPointError: from an op or a backward pass inside the block: nan or infinity was born there.

    >>> import tapenet as tn
    >>> with tn.debug():
    ...     y = tn.tensor([1.0], requires_grad=True) * 2
    >>> y.node.line is not None
    True
    """

    def __init__(self, nan: Literal["raise", "warn", "ignore"] = "raise") -> None:
        if nan not in ("raise", "warn", "ignore"):
            raise ValueError(f"debug: nan={nan!r}; give 'raise', 'warn' or 'ignore'")
        self.nan = nan

    def __enter__(self) -> None:
        enter(self, debug=True, nan=self.nan)
