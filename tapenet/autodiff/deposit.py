"""How gradients come to the leaves, without copies where nobody else has them."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.autodiff.capture import capturing
from tapenet.autodiff.gradients import turned
from tapenet.autodiff.rows import Rows
from tapenet.autodiff.switches import enable_grad
from tapenet.autodiff.tape import local
from tapenet.ops.shapes.basic import copy

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor

ndarray = np.ndarray
#: Two threads may reach the same leaf at once.
_deposit_lock = threading.Lock()


def deposit(leaves: list[tuple[Any, Any]], tensor: type[Tensor]) -> None:
    """Add gradients to the leaves' `.grad`, all of them or, if the pass raised before, none.

    A leaf keeps an array that belongs to nobody else, and copies any other: nothing may change behind its gradient.
    References are counted for that, as NumPy does to reuse temporaries.
    """
    count = sys.getrefcount
    tape = local.state.tape
    with _deposit_lock:
        while leaves:
            leaf, g = leaves.pop()
            if tape is not None and not tape.captures:
                tape.sets_grad(leaf, adds=True)
            before = leaf.grad
            if type(g) is Rows:
                found = g.total()
                if before is not None and before._rows is None and before._node is None and before._trace is None:
                    found.add_to(before._data)
                elif before is None or before._rows is not None:
                    kept = leaf.grad = tensor()
                    kept._rows = found if before is None else before._rows.joined(found)
                    kept._node = None
                else:
                    leaf.grad = before + found.dense()
                continue
            if leaf.dtype.kind == "c":
                g = turned(g)
            if type(g) is tensor:
                capture = capturing()
                if capture is not None:
                    capture.sets_grad(leaf, adds=True)
                with enable_grad():
                    if before is not None:
                        kept = before + g
                    else:
                        data = g._data
                        own = count(g) <= _ONE_OWNER and count(data) <= _ONE_OWNER + 1 and _whole(data)
                        kept = g if own else copy(g)
            elif before is None:
                kept = tensor()
                kept._data = g if count(g) <= _ONE_OWNER and _whole(g) else np.array(g)
                kept._node = None
            elif before._node is None and before._trace is None:
                before._data += g
                continue
            else:
                kept = before + g
            leaf.grad = kept


def _whole(g: Any) -> bool:
    """Whether an array with one owner is all there is of its memory: no view, or one whose base is nobody else's."""
    if type(g) is not ndarray or not g.flags.writeable:
        return False
    base = g.base
    return base is None or (type(base) is ndarray and base.base is None and sys.getrefcount(base) <= _ONE_OWNER + 1)


def _count_one() -> int:
    fresh = np.ones(1) + 1
    return sys.getrefcount(fresh)


#: What a function counts for an array that only its own variable holds. Measured, since interpreters differ.
_ONE_OWNER = _count_one()
