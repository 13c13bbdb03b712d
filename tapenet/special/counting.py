"""Factorials, and numbers of combinations and permutations, of numbers that need not be whole."""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.op import Op, derive, op
from tapenet.special.definition import scipys
from tapenet.special.gamma_functions import binom, poch
from tapenet.special.zeta_functions import psi
from tapenet.typing import Array


def _approximate(name: str, exact: bool) -> None:
    if exact:
        raise TypeError(f"tn.special.{name} has derivatives for floats, not exact integers: leave exact=True out")


def _chosen(f: Op, first: Array, N: Array, k: Array) -> Array:
    """f(first, k) where there is anything to choose, and 0 elsewhere."""
    some = np.logical_and(np.logical_and(k <= N, N >= 0), k >= 0)
    return np.where(some, f(np.where(some, first, 1), np.where(some, k, 0)), 0.0)


@op(
    lower=lambda N, k: _chosen(binom, N, N, k),
    N=derive,
    k=derive,
    fuse=False,
    broadcasts=True,
    name="comb",
    doc="N over k.",
)
def _comb(N: Array, k: Array) -> Array:
    return np.asarray(scipys("comb")(N, k))


@op(
    lower=lambda N, k: _chosen(poch, N - k + 1, N, k), N=derive, k=derive, fuse=False, broadcasts=True, name="perm",
    doc="The number of permutations.",
)  # fmt: skip
def _perm(N: Array, k: Array) -> Array:
    return np.asarray(scipys("perm")(N, k))


def comb(N: Array, k: Array, *, exact: bool = False, repetition: bool = False) -> Array:
    """`scipy.special.comb`: how often k of N things can be chosen, element by element.

    Args:
        N, k: arrays; the result is 0 where k > N, or one of them is below 0.
        exact: is refused; SciPy's own function computes with Python's integers.
        repetition: a thing may be chosen more than once.

    >>> import tapenet as tn
    >>> tn.special.comb(tn.tensor([5.0]), 2)
    Tensor([10.])
    """
    _approximate("comb", exact)
    N, k = array_like(N), array_like(k)
    return _comb(N + k - 1, k) if repetition else _comb(N, k)


def perm(N: Array, k: Array, exact: bool = False) -> Array:
    """`scipy.special.perm`: in how many orders k of N things can be taken, element by element.

    >>> import tapenet as tn
    >>> tn.special.perm(tn.tensor([5.0]), 2)
    Tensor([20.])
    """
    _approximate("perm", exact)
    return _perm(array_like(N), array_like(k))


@op(
    vmap="leading",
    n=lambda g, out, n: g * np.where(n < 0, 0, out * psi(np.where(n < 0, 1, n + 1))),
    doc="Γ(n + 1), and 0 below n = 0.",
)
def _factorial(n: Array) -> Array:
    return cast("Array", scipys("factorial")(n))


def factorial(n: Array, exact: bool = False) -> Array:
    """`scipy.special.factorial`: Γ(n + 1), and 0 below n = 0, element by element.

    >>> import tapenet as tn
    >>> tn.special.factorial(tn.tensor([3.0, 0.5]))
    Tensor([6.        , 0.88622693])
    """
    _approximate("factorial", exact)
    return _factorial(n)
