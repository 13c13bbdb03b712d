"""Equations for matrices: Sylvester's, Lyapunov's, Riccati's.

The gradient by the right side solves the same equation with the transposed matrices.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet.ops.linalg.matrices import adjoint, transposed
from tapenet.ops.op import op
from tapenet.scipy.linalg.definition import LEADING, library, over_stacks
from tapenet.typing import Array


def _sylvester_rule(g: Array, out: Array, a: Array, b: Array) -> dict[str, Array]:
    back = solve_sylvester(transposed(a), transposed(b), g)
    turned = transposed(out)
    return {"q": back, "a": -np.matmul(back, turned), "b": -np.matmul(turned, back)}


@op(
    joint=over_stacks(_sylvester_rule, "a", "b", "q"),
    broadcasts=True,
    vmap=LEADING,
    formula="the X of a @ X + X @ b = q",
    gradients="q: the Y of aᵀ @ Y + Y @ bᵀ = g; a: −Y @ outᵀ; b: −outᵀ @ Y",
)
def solve_sylvester(a: Array, b: Array, q: Array) -> Array:
    """The X of a @ X + X @ b = q, as `scipy.linalg.solve_sylvester`.

    Args:
        a: (..., m, m).
        b: (..., n, n).
        q: (..., m, n).

    Raises:
        LinAlgError: no solution was found.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_sylvester(tn.tensor([[2.0]]), tn.tensor([[1.0]]), tn.tensor([[6.0]]))
    Tensor([[2.]])
    """
    if np.iscomplexobj(a) != np.iscomplexobj(b):  # SciPy 1.17 then takes 2 x 2 blocks of the real one for triangles
        a, b = (x.astype(np.result_type(a, b), copy=False) for x in (a, b))
    return cast("Array", library().solve_sylvester(a, b, q))


def _continuous_rule(g: Array, out: Array, a: Array) -> dict[str, Array]:
    back = solve_continuous_lyapunov(transposed(a), g)
    by_a = np.matmul(back, transposed(out)) + np.conj(np.matmul(transposed(back), out))
    return {"q": back, "a": -by_a}


@op(
    joint=over_stacks(_continuous_rule, "a", "q"),
    broadcasts=True,
    vmap=LEADING,
    formula="the X of a @ X + X @ aᴴ = q",
    gradients="q: the Y of aᵀ @ Y + Y @ conj(a) = g; a: −Y @ outᵀ − conj(Yᵀ @ out)",
)
def solve_continuous_lyapunov(a: Array, q: Array) -> Array:
    """The X of a @ X + X @ aᴴ = q, as `scipy.linalg.solve_continuous_lyapunov`, which is also called `solve_lyapunov`.

    Args:
        a, q: (..., n, n).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_continuous_lyapunov(tn.tensor([[2.0]]), tn.tensor([[8.0]]))
    Tensor([[2.]])
    """
    return cast("Array", library().solve_continuous_lyapunov(a, q))


solve_lyapunov = solve_continuous_lyapunov


def _discrete_rule(g: Array, out: Array, a: Array, method: str | None) -> dict[str, Array]:
    back = solve_discrete_lyapunov(transposed(a), g, method)
    by_a = np.matmul(back, transposed(np.matmul(out, adjoint(a))))
    return {"q": back, "a": by_a + np.conj(np.matmul(transposed(back), np.matmul(a, out)))}


@op(
    joint=over_stacks(_discrete_rule, "a", "q"),
    broadcasts=True,
    vmap=LEADING,
    formula="the X of a @ X @ aᴴ − X + q = 0",
    gradients="q: the Y of aᵀ @ Y @ conj(a) − Y + g = 0; a: Y @ conj(a) @ outᵀ + conj(Yᵀ @ a @ out)",
)
def solve_discrete_lyapunov(a: Array, q: Array, method: str | None = None) -> Array:
    """The X of a @ X @ aᴴ - X + q = 0, as `scipy.linalg.solve_discrete_lyapunov`.

    Args:
        a, q: (..., n, n).
        method: "direct" or "bilinear"; by default the first for less than ten rows.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.solve_discrete_lyapunov(tn.tensor([[0.5]]), tn.tensor([[3.0]]))
    Tensor([[4.]])
    """
    return cast("Array", library().solve_discrete_lyapunov(a, q, method))


# -- Riccati's equations -----------------------------------------------------------------------------------------


def _riccati_gradients(y: Array, gain: Array, by_a: Array, by_e: Array | None, s: Array | None) -> dict[str, Array]:
    """The gradients by the matrices of a Riccati equation.

    The differential of the equation is, with the gain K and matrices H and F,

        H dA - H dB K + F dE + their adjoints + dQ + Kᴴ dR K - dS K - Kᴴ dSᴴ + (terms in dX) = 0.

    Args:
        y: the gradient by Q.
        gain, by_a, by_e: K, H and F.
        s: that of the equation.
    """
    both, turned = y + adjoint(y), transposed(gain)
    found = {"a": np.matmul(transposed(by_a), both), "q": y, "r": np.matmul(np.conj(gain), np.matmul(y, turned))}
    found["b"] = -np.matmul(found["a"], turned)
    if by_e is not None:
        found["e"] = np.matmul(transposed(by_e), both)
    if s is not None:
        found["s"] = -np.matmul(both, turned)
    return found


def _without_e(e: Array | None, closed: Array, g: Array) -> tuple[Array, Array]:
    """E⁻¹ @ closed, and the g of the equation without E."""
    if e is None:
        return closed, g
    inverse = np.linalg.inv(e)
    return np.matmul(inverse, closed), np.matmul(np.conj(inverse), np.matmul(g, transposed(inverse)))


def _care_rule(
    g: Array, out: Array, a: Array, b: Array, r: Array, e: Array | None, s: Array | None
) -> dict[str, Array]:
    weight = out if e is None else np.matmul(out, e)  # X E
    cross = np.matmul(adjoint(b), weight)
    gain = np.linalg.solve(r, cross if s is None else cross + adjoint(s))
    closed = a - np.matmul(b, gain)
    stable, g = _without_e(e, closed, g)
    y = -solve_sylvester(np.conj(stable), transposed(stable), g)
    return _riccati_gradients(y, gain, adjoint(weight), None if e is None else np.matmul(adjoint(closed), out), s)


@op(
    joint=over_stacks(_care_rule, "a", "b", "q", "r", "e", "s"),
    broadcasts=True,
    vmap=LEADING,
    formula="the X of aᴴXe + eᴴXa − (eᴴXb + s) r⁻¹ (bᴴXe + sᴴ) + q = 0",
    gradients="a, b, q, r, e, s: by the implicit function theorem, from one Sylvester equation",
)
def solve_continuous_are(
    a: Array, b: Array, q: Array, r: Array, e: Array | None = None, s: Array | None = None, balanced: bool = True
) -> Array:
    """The solution of the continuous-time algebraic Riccati equation, as `scipy.linalg.solve_continuous_are`.

    It is the stabilizing one: the eigenvalues of a - b @ K with the gain K = r⁻¹ @ bᴴ @ X have negative real parts.

    Args:
        a, q: (..., m, m), the latter Hermitian.
        b: (..., m, n).
        r: (..., n, n), Hermitian.
        e: (..., m, m); the identity by default.
        s: (..., m, n); zeros by default.
        balanced: whether the data are balanced first.

    Raises:
        LinAlgError: there is no such solution.
        ValueError: shapes that do not fit, or `q` or `r` that are not Hermitian.

    >>> import tapenet as tn
    >>> one = tn.tensor([[1.0]])
    >>> tn.scipy.linalg.solve_continuous_are(0 * one, one, one, one).numpy().round(9)
    array([[1.]])
    """
    return cast("Array", library().solve_continuous_are(a, b, q, r, e, s, balanced))


def _dare_rule(
    g: Array, out: Array, a: Array, b: Array, r: Array, e: Array | None, s: Array | None
) -> dict[str, Array]:
    cross = np.matmul(adjoint(b), np.matmul(out, a))
    weighted = r + np.matmul(adjoint(b), np.matmul(out, b))
    gain = np.linalg.solve(weighted, cross if s is None else cross + adjoint(s))
    closed = a - np.matmul(b, gain)
    stable, g = _without_e(e, closed, g)
    y = solve_discrete_lyapunov(np.conj(stable), g)
    by_e = None if e is None else -np.matmul(adjoint(e), out)
    return _riccati_gradients(y, gain, np.matmul(adjoint(closed), out), by_e, s)


@op(
    joint=over_stacks(_dare_rule, "a", "b", "q", "r", "e", "s"),
    broadcasts=True,
    vmap=LEADING,
    formula="the X of aᴴXa − eᴴXe − (aᴴXb + s) (r + bᴴXb)⁻¹ (bᴴXa + sᴴ) + q = 0",
    gradients="a, b, q, r, e, s: by the implicit function theorem, from one discrete Lyapunov equation",
)
def solve_discrete_are(
    a: Array, b: Array, q: Array, r: Array, e: Array | None = None, s: Array | None = None, balanced: bool = True
) -> Array:
    """The solution of the discrete-time algebraic Riccati equation, as `scipy.linalg.solve_discrete_are`.

    It is the stabilizing one: the eigenvalues of a - b @ K with the gain K = (r + bᴴXb)⁻¹ @ bᴴ @ X @ a lie in the unit circle.

    Args:
        a, q: (..., m, m), the latter Hermitian.
        b: (..., m, n).
        r: (..., n, n), Hermitian.
        e: (..., m, m); the identity by default.
        s: (..., m, n); zeros by default.
        balanced: whether the data are balanced first.

    Raises:
        LinAlgError: there is no such solution.
        ValueError: shapes that do not fit, or `q` or `r` that are not Hermitian.

    >>> import tapenet as tn
    >>> one = tn.tensor([[1.0]])
    >>> tn.scipy.linalg.solve_discrete_are(0 * one, one, one, one).numpy().round(9)
    array([[1.]])
    """
    return cast("Array", library().solve_discrete_are(a, b, q, r, e, s, balanced))
