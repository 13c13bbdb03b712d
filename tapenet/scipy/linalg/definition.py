"""How the ops of `scipy.linalg` are defined: SciPy computes the values, and rules are in terms of these ops themselves, so that
there are derivatives of every order.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType

import numpy as np

from tapenet.ops.batched_calls import aligned
from tapenet.ops.linalg.matrices import in_triangle, transposed
from tapenet.typing import Array


@functools.cache
def scipys() -> ModuleType:
    """The module `scipy.linalg`."""
    import scipy.linalg

    return scipy.linalg


def _version() -> tuple[int, ...]:
    import scipy

    return tuple(map(int, scipy.__version__.split(".")[:2]))


#: How functions are computed over lanes: SciPy takes stacks of matrices, since 1.17 in all of them.
LEADING = "leading" if _version() >= (1, 17) else None


def over_columns(solve: Callable[[], Callable[..., Array]], *names: str) -> Callable[..., object] | None:
    """The rule for lanes of an op that solves systems, whose right side `b` may be a vector.

    A vector is a column there: beside a stack of matrices SciPy takes vectors with lanes for one matrix.

    Args:
        solve: gives the op.
        names: its arguments: first the arrays, and last of these `b`, then the options.
    """
    if LEADING is None:
        return None
    arrays = names[: names.index("b") + 1]

    def rule(batched: frozenset[str], *args: Array) -> object:
        known = dict(zip(names, args, strict=True))
        vector = np.ndim(known["b"]) - ("b" in batched) == 1
        if vector:
            known["b"] = known["b"][..., None]
        most = max(np.ndim(known[n]) - (n in batched) for n in arrays)
        for n in batched & set(arrays):
            known[n] = aligned(known[n], most)
        found = solve()(*known.values())
        return found[..., 0] if vector else found

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    rule.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in ("batched", *names)])  # type: ignore[attr-defined]
    return rule


def column(x: Array, vector: bool) -> Array:
    """`x` as matrices: a vector, or a stack of them, as one column each."""
    return x[..., None] if vector else x


def outer(back: Array, out: Array, vector: bool) -> Array:
    """The gradient by the matrix A of the solution `out` of A @ x = b, from `back`, that by b."""
    back, out = column(back, vector), column(out, vector)
    made: Array = -np.matmul(back, transposed(out))
    return made


def of_hermitian(g: Array, lower: bool, conjugated: bool = True) -> Array:
    """The gradient by a matrix of which one triangle is read and mirrored, from `g`, that by all its elements."""
    mirrored = transposed(np.conj(g) if conjugated else g)
    return in_triangle(0.5 * (g + mirrored), lower)


def triangle(g: Array, lower: bool, diagonal: bool = True) -> Array:
    """The lower or upper triangle of matrices, with or without the diagonal."""
    k = 0 if diagonal else (-1 if lower else 1)
    made: Array = np.tril(g, k) if lower else np.triu(g, k)
    return made
