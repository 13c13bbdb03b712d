"""Roots of polynomials, and polynomials with given roots."""

from __future__ import annotations

import numpy as np

from tapenet.ops.calculus.polynomials.evaluation import polyder, polyval, powers
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array


def _roots_p(g: Array, out: Array, p: Array) -> Array:
    # Along p(r) = 0 a change dp of the coefficients moves r by -dp(r) / p'(r).
    row = np.reshape(p, (-1,))
    n = row.shape[0]
    moved = -safe_mul(g, 1 / polyval(polyder(row), out))  # these, since NumPy's own widen float32
    return np.reshape(np.sum(safe_mul(np.expand_dims(moved, -1), powers(out, n)), axis=0), p.shape)


@op(
    numpy=np.roots,
    p=_roots_p,
    gradients="p: −Σ g · rⁿ⁻ⁱ / p′(r) over the roots r",
    samples=lambda r: [
        sample(np.array([2.0, -1.0, -4.0, 0.5])),
        sample(np.array([1.0, 0.3, 2.0])),
        sample(np.array([1.5, -0.7, 0.0])),
        sample(np.array([3.0])),
    ],
    hint=lambda p: f"p must have one axis, not shape {np.shape(p)}",
)
def roots(p: Array) -> Array:
    """The roots of a polynomial, from the eigenvalues of its companion matrix.

    Complex, unless all of them are real. Zeros in front of `p` lower the degree. The gradient by a coefficient is that of
    where the roots are; at a multiple root it is infinite.

    Args:
        p: coefficients, the highest power first.

    Returns:
        the roots, as many as the degree of the polynomial.

    Raises:
        ValueError: `p` has several axes.

    >>> import tapenet as tn
    >>> tn.roots(tn.tensor([1.0, 0.0, -4.0]))
    Tensor([-2.,  2.])
    """
    found = np.roots(p)
    # NumPy gives float64 where all are 0 or there are none.
    return found.astype(np.float32) if getattr(p, "dtype", None) == np.float32 and found.dtype.kind == "f" else found


def _poly_rule(g: Array, out: Array, seq_of_zeros: Array) -> Array:
    if isinstance(seq_of_zeros, (list, tuple)):
        return tuple(_poly_rule(g, out, np.stack(seq_of_zeros)))
    zeros = seq_of_zeros
    n = zeros.shape[0]
    if zeros.ndim == 2:
        return _characteristic_rule(g, out, zeros)
    if not n:
        return np.zeros_like(zeros)
    before = [np.ones(1, zeros.dtype)]  # before[k]: the product of the first k factors
    nothing = np.zeros(1, zeros.dtype)
    for k in range(n - 1):
        c = before[-1]
        before.append(np.concatenate([c, nothing]) - zeros[k] * np.concatenate([nothing, c]))
    found = []
    for k in range(n - 1, -1, -1):
        found.append(-np.sum(g[1:] * before[k]))
        g = g[:-1] - zeros[k] * g[1:]
    return np.stack(found[::-1])


def _characteristic_rule(g: Array, out: Array, a: Array) -> Array:
    # The derivative of det(λ - a) is -tr(adj(λ - a) da), where adj(λ - a) is a polynomial in λ with coefficients b,
    # a matrix each: b[0] = 1, b[k] = a b[k-1] + out[k]. Eigenvalues that coincide are no exception.
    n = a.shape[0]
    one = np.eye(n, dtype=a.dtype)
    b = one
    found: Array = g[1] * b
    for k in range(1, n):
        b = np.matmul(a, b) + out[k] * one
        found = found + g[k + 1] * np.transpose(b)
    return -found


@op(
    numpy=np.poly,
    seq_of_zeros=_poly_rule,
    gradients="seq_of_zeros: −Σ g · coefficients without that factor",
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=3) + 1j * r.normal(size=3)),
    ],
    hint=lambda seq_of_zeros: f"give roots (n,) or a square matrix, not shape {np.shape(seq_of_zeros)}",
)
def poly(seq_of_zeros: Array) -> Array:
    """The polynomial with given roots, or the characteristic polynomial of a square matrix; its first coefficient is 1.

    Real where the roots are real or in conjugate pairs, as NumPy does it. The gradient by a matrix is right also where
    eigenvalues coincide.

    Args:
        seq_of_zeros: (n,) the roots, or a matrix (n, n).

    Returns:
        (n + 1,) the coefficients, the highest power first.

    Raises:
        ValueError: neither one axis nor a square matrix.

    >>> import tapenet as tn
    >>> tn.poly(tn.tensor([2.0, 3.0]))
    Tensor([ 1., -5.,  6.])
    """
    return np.asarray(np.poly(seq_of_zeros))
