"""What a program says while it runs: what it prints, and the checks that raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.typing import Array


def _tell(values: Sequence[Array], act: Callable[..., object]) -> Array:
    """`act(*values)` whenever the program comes there.

    What it says is no part of a derivative: it is said once, and not by what pulls gradients back.
    """
    capture = capturing()
    if capture is None or not (capture.runs_next or capture.sketches):
        act(*values)
    return np.asarray(True)


tell = Op(
    _tell, name="tell", nondiff=frozenset({"values"}), sequences=frozenset({"values"}), rules={},
    opaque="it tells the user of values", module=__name__,
)  # fmt: skip


def debug_print(text: str, *values: object, **named: object) -> None:
    """Print values whenever a program comes here, compiled or not: `print(text.format(*values, **named))`.

    In a compiled function the text is printed at each run, with the values of that run; in a loop of the program turn by
    turn. What pulls gradients back prints nothing. Under `tn.vmap` values have an axis of lanes in front.

    Args:
        text: as for `str.format`.
        *values, **named: what stands in it; tensors are printed as NumPy's arrays.

    >>> import tapenet as tn
    >>> @tn.compile
    ... def f(x):
    ...     tn.debug_print("x = {:.2f}, its square {square}", x, square=x * x)
    ...     return x + 1
    >>> _ = f(tn.tensor(2.0))
    x = 2.00, its square 4.0
    >>> _ = f(tn.tensor(3.0))
    x = 3.00, its square 9.0
    """
    names = list(named)
    say([*values, *named.values()], lambda *v: print(_formatted(text, v, names)))


def _formatted(text: str, values: Sequence[object], names: Sequence[str]) -> str:
    count = len(values) - len(names)
    return text.format(*values[:count], **dict(zip(names, values[count:], strict=True)))


def say(values: Sequence[object], act: Callable[..., object]) -> None:
    """Call `act` with these values, tensors among them as arrays or numbers, now and whenever a program that is being recorded
    comes here."""
    places = [k for k, value in enumerate(values) if type(value) is Tensor]
    others = [None if type(value) is Tensor else value for value in values]  # a program is not to keep tensors

    def filled(*arrays: Array) -> None:
        found = list(others)
        for k, array in zip(places, arrays[: len(places)], strict=True):
            found[k] = array[()]
        act(*found)

    tensors = [value for value in values if type(value) is Tensor]
    if capturing() is None:
        filled(*(t._data for t in tensors))
    else:  # what is given no tensor is no part of a program
        tell(tensors or [Tensor._of(np.asarray(True))], filled)
