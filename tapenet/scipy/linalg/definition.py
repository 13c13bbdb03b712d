"""How the ops of `scipy.linalg` are defined: SciPy computes the values, and rules are in terms of these ops themselves, so that
there are derivatives of every order.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.batched_calls import aligned
from tapenet.ops.linalg.matrices import in_triangle, transposed
from tapenet.ops.linalg.norms import vector_norm
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.program import symbols
from tapenet.program.symbols import Operand
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import Shape


def magnitude(x: Array) -> Array:
    """The absolute value. Of complex numbers it is the norm of each, since programs know no second derivative of an absolute
    value."""
    return cast("Array", vector_norm(x[..., None], axis=-1) if x.dtype.kind == "c" else np.abs(x))


@functools.cache
def library() -> ModuleType:
    """The module `scipy.linalg`."""
    import scipy.linalg

    return scipy.linalg


def _version() -> tuple[int, ...]:
    import scipy

    return tuple(map(int, scipy.__version__.split(".")[:2]))


#: How functions are computed over lanes: SciPy takes stacks of matrices, since 1.17 in all of them.
LEADING = "leading" if _version() >= (1, 17) else None


Gradients = Callable[..., dict[str, Array]]


def over_stacks(rule: Gradients, *names: str) -> Gradients:
    """A joint rule that may give the gradients by these inputs for each place of a stack, though an input has fewer: they are
    summed over the axes along which it was repeated."""
    asked = [*inspect.signature(rule).parameters.values()]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    @functools.wraps(rule)
    def summed(*args: Array) -> dict[str, Array]:
        found = rule(*args[: len(asked)])
        shapes = dict(zip(names, args[len(asked) :], strict=True))
        return {n: unbroadcast(g, cast("Shape", shapes[n])) for n, g in found.items()}

    summed.__signature__ = inspect.Signature([*asked, *(inspect.Parameter(f"{n}_shape", kind) for n in names)])  # type: ignore[attr-defined]
    return summed


class OverColumns:
    """The rule for lanes of an op that solves systems, whose right side `b` may be a vector.

    A vector is a column there: beside a stack of matrices SciPy takes vectors with lanes for one matrix.
    """

    def __init__(self, module: str, op: str, *names: str, vectors: tuple[str, ...] = ()) -> None:
        """Args:
        module, op: where the op is, and its name there.
        names: its arguments: first the arrays, of which `b` is the last, then the options.
        vectors: which of the other arrays are vectors.
        """
        self.module, self.op, self.names = module, op, names
        self.axes = {n: 1 if n in vectors else 2 for n in names[: names.index("b") + 1]}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in ("batched", *names)])

    def __call__(self, batched: frozenset[str], *args: Array) -> object:
        if LEADING is None:
            return NotImplemented
        known = dict(zip(self.names, args, strict=True))
        vector = np.ndim(known["b"]) - ("b" in batched) == 1
        if vector:
            known["b"] = known["b"][..., None]
        most = max(np.ndim(known[n]) - (n in batched) - own for n, own in self.axes.items())
        for n in batched & self.axes.keys():
            known[n] = aligned(known[n], most + self.axes[n])
        found = getattr(sys.modules[self.module], self.op)(*known.values())
        return found[..., 0] if vector else found


def column(x: Array, vector: bool) -> Array:
    """`x` as matrices: a vector, or a stack of them, as one column each."""
    return x[..., None] if vector else x


def back_through(solve: Callable[[Array], Array], g: Array, vector: bool) -> Array:
    """What `solve` gives for a right side `g`, which is a vector, or a stack of vectors, if `vector`."""
    return solve(g[..., None])[..., 0] if vector and g.ndim > 1 else solve(g)


def outer(back: Array, out: Array, vector: bool) -> Array:
    """The gradient by the matrix A of the solution `out` of A @ x = b, from `back`, that by b."""
    back, out = column(back, vector), column(out, vector)
    made: Array = -np.matmul(back, transposed(out))
    return made


def transposed_system(
    solve: Callable[[Array, int], Array], g: Array, out: Array, trans: int, vector: bool
) -> tuple[Array, Array]:
    """The gradients by the right side and by the matrix A of a system, from that by its solution `out`.

    Args:
        solve: gives the solution for a right side and `trans`.
        g: the gradient by `out`.
        trans: 0 if the system is A @ x = b, 1 for Aᵀ @ x = b, 2 for Aᴴ @ x = b.
        vector: whether b is a vector.
    """
    if trans == 0:
        back = back_through(lambda x: solve(x, 1), g, vector)
        return back, outer(back, out, vector)
    if trans == 1:
        back = back_through(lambda x: solve(x, 0), g, vector)
        return back, outer(out, back, vector)
    back = np.conj(back_through(lambda x: solve(x, 0), np.conj(g), vector))
    return back, np.conj(outer(out, back, vector))


def of_hermitian(g: Array, lower: bool, conjugated: bool = True) -> Array:
    """The gradient by a matrix of which one triangle is read and mirrored, from `g`, that by all its elements."""
    mirrored = transposed(np.conj(g) if conjugated else g)
    return in_triangle(0.5 * (g + mirrored), lower)


def finite(x: Operand, check_finite: bool) -> Operand:
    """An argument in a program, which refuses what SciPy does."""
    if not check_finite or (not isinstance(x, symbols.Symbol) and np.isfinite(x).all()):
        return x
    return symbols.provided(x, ~np.isfinite(x), ValueError, "array must not contain infs or NaNs")


def triangle(g: Array, lower: bool, diagonal: bool = True) -> Array:
    """The lower or upper triangle of matrices, with or without the diagonal."""
    k = 0 if diagonal else (-1 if lower else 1)
    made: Array = np.tril(g, k) if lower else np.triu(g, k)
    return made
