"""What can be read of a tensor: its values and facts, for NumPy, as Python's numbers and as text.

While a step is captured a replay could not follow a value that leaves the tensors, so whatever gives one away asks
`_value` for it, which refuses then and says what to write instead.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.capture import capturing
from tapenet.autodiff.operand import Operand
from tapenet.autodiff.sites import library_caller, user_line, user_site, warn_once
from tapenet.autodiff.tape import CaptureError, Leaf, Node, local

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_STORE = opcode.opmap["STORE_SUBSCR"]
_TO_PRINT = "Return it from the captured function and print it there. repr(t) can be printed: it shows shape and dtype"


class Readable(Operand):
    """The part of `Tensor` that reads it and changes nothing."""

    __slots__ = ()

    # The slots are those of `Tensor`.
    _data: NDArray[Any]
    _node: Node | None
    #: The node that made it on a tape that records everything.
    _trace: Node | None

    def _value(self, what: str, mend: str = "") -> NDArray[Any]:
        """The array, unless a capture is running that could not follow where it goes."""
        tape = local.state.tape
        if tape is not None and tape.captures:
            raise self._not_captured(what, mend)
        return self._data

    def _not_captured(self, what: str, mend: str) -> CaptureError:
        if self._trace is not None:
            whose = "a tensor that is being captured; a replay could not follow it"
            usual = (
                "Return the tensor from the captured function and read it there, or compute with np.where in place of a "
                "Python branch"
            )
        else:
            whose = "a tensor from outside while a step is being captured; a replay would go on with it as it is now"
            usual = (
                "Compute with the tensor itself, or with np.where in place of a Python branch; to write it assign to its "
                ".data as a whole; if it never changes, read it before"
            )
        return CaptureError(f"{user_line()} asks for {what}, the value of {whose}. {mend or usual}")

    def numpy(self) -> NDArray[Any]:
        """The values as an ndarray, shared with the tensor; the way out of the graph."""
        return self._value(".numpy()")

    def item(self, *place: Any) -> Any:
        """An element as a Python number: the only one, or that at a place, `t.item(3)` in the flattened tensor or
        `t.item(1, 2)`.

        Raises:
            ValueError: the tensor has more than one element, and no place is given.
            IndexError: there is no such place.
        """
        if not place and self._data.size != 1:
            raise ValueError(
                f".item() needs a tensor of one element, this one has shape {self._data.shape}: give a place, as in .item(0)"
            )
        return self._value(".item()").item(*place)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._value(".tolist()").tolist()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        data = self._value("an ndarray (np.asarray)")
        if self._node is not None:
            raise _not_in_silence()
        return np.array(data, dtype=dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._data.nbytes

    @property
    def device(self) -> str:
        """Where the values are, by the standard for arrays: "cpu", as NumPy's."""
        return self._data.device

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("a tensor of no axes has no length")
        return int(self._data.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self._data.ndim:
            raise TypeError("a tensor of no axes cannot be iterated over; use .item() for its value")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        data = self._value("a bool()")
        if data.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {data.shape} is ambiguous: write (...).any() or (...).all(); to choose "
                "element by element np.where(condition, a, b); for whether there is one `t is not None`, and for whether it "
                "has elements t.size"
            )
        return bool(data)

    def __float__(self) -> float:
        return float(self._number("a float()"))

    def __int__(self) -> int:
        return int(self._number("an int()"))

    def __complex__(self) -> complex:
        return complex(self._number("a complex()"))

    def _number(self, what: str) -> Any:
        """The only element, for `float(t)` and its kin; but not for `array[i] = t`, where NumPy calls these too."""
        data = self._value(what)
        node = self._node
        if node is not None:
            frame = sys._getframe(2)
            if frame.f_code.co_code[frame.f_lasti] == _STORE:
                raise _not_in_silence()
            if local.state.grad and node.released is None and data.size == 1:
                _leaves_graph(node)
        return data.item()

    def __index__(self) -> int:
        return int(self._value("an integer index").__index__())

    def __contains__(self, value: Any) -> bool:
        return bool((self._value("`in`") == value).any())

    def __repr__(self) -> str:
        tape = local.state.tape
        if tape is not None and tape.captures and self._trace is not None:
            return f"<captured Tensor {self.dtype} {self.shape}>"
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=200)
        extra = "" if self.dtype == np.float64 or self.dtype.kind in "b" else f", dtype={self.dtype}"
        if type(self._node) is Leaf:
            extra += ", requires_grad=True"
        elif self._node is not None:
            extra += f", op={self._node.name}"
        return f"Tensor({text}{extra})"

    def __str__(self) -> str:
        self._value("its text (by print, str or format)", _TO_PRINT)
        return repr(self)

    def __format__(self, spec: str) -> str:
        self._value("its text (by print, str or format)", _TO_PRINT)
        if spec and self._data.ndim == 0:
            return format(self.item(), spec)
        try:
            return format(str(self), spec)
        except ValueError:
            raise TypeError(
                f"the format {spec!r} is for a number, and this tensor has shape {self._data.shape}: format an element "
                f"(t[0]), t.item() of the only one, or write np.array2string(t, precision=2)"
            ) from None

    def _unsupported(self, name: str) -> Exception:
        if capturing() is None:
            return super()._unsupported(name)
        return CaptureError(
            f"{user_line()} gives {name} a tensor while a step is being captured. {name} is not supported on tensors, and "
            "a replay could not follow the value alone: define an op for it with tn.op(..., numpy=...), or call it "
            "outside of the captured function"
        )


def _leaves_graph(node: Node) -> None:
    """Note that a number leaves a graph that is still being recorded: a function that is being differentiated tells of it in
    the end, when it is known whether anything depends on it."""
    left = local.state.left
    if left is None:
        warn_of_number(user_site())
    else:
        left.setdefault(user_site(), set()).add(node)


def warn_of_number(site: tuple[str, int]) -> None:
    """Warn that a line makes a Python number of a tensor through which a gradient would flow."""
    warn_once(
        "number",
        "a Python number is made of a tensor that needs a gradient, by float(t) or a function that asks for one, as math.exp "
        "does: no gradient flows through what is computed from it. Compute with the tensor itself (np.exp, tn.exp); where the "
        "number is all you want write t.item()",
        site,
    )


def _not_in_silence() -> TypeError:
    """The error for a tensor that would become an array, with what to write in place of the function that asks."""
    mend = ops.refused.instead(*library_caller())
    return TypeError(
        "a tensor that needs a gradient is not turned into an ndarray in silence: write t.numpy() to leave the graph, or "
        "tn.array or tn.stack([...]) to join tensors and stay in it (np.f(..., like=t) is tn.f)"
        + (f". {mend}" if mend else "")
    )
