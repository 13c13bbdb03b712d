"""Weights that are orthogonal matrices."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer
from tapenet.nn.utils.parametrize import register_parametrization
from tapenet.ops.derived import known
from tapenet.ops.random import generator
from tapenet.typing import Array

M = TypeVar("M", bound=Module)

_MAPS = ("matrix_exp", "cayley", "householder")
#: The coefficients of the Padé approximant of degree 7 to exp, and the norm up to which it is exact to rounding (Higham
#: 2005, "The scaling and squaring method for the matrix exponential revisited").
_PADE = (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0)
_REACH = 0.95
#: How often a captured step, whose matrices may be any, halves and squares: exact up to a norm of 60.
_HALVINGS = 6


class _Orthogonal(Module):
    """An orthogonal matrix, made of the lower triangle of another one."""

    def __init__(self, weight: Tensor, kind: str, trivial: bool, rng: np.random.Generator | int | None) -> None:
        self.kind = kind
        self._rng = generator(rng)
        if trivial:
            self.base = Buffer(np.zeros((), weight.dtype))  # `right_inverse` says which

    def forward(self, x: Array) -> Array:
        wide = x.shape[-2] < x.shape[-1]
        x = np.swapaxes(x, -1, -2) if wide else x
        n, k = x.shape[-2:]
        q = _reflections(x) if self.kind == "householder" else self._of_skew(np.tril(x), n, k)
        if "base" in vars(self):
            q = ops.matmul(self.base, q)
        return np.swapaxes(q, -1, -2) if wide else q

    def _of_skew(self, x: Array, n: int, k: int) -> Array:
        """What a map makes of the skew-symmetric matrix with this lower triangle, its first k columns."""
        if n != k:
            x = np.concatenate([x, np.zeros((*x.shape[:-1], n - k), x.dtype)], axis=-1)
        a = x - np.swapaxes(x, -1, -2)
        eye = np.eye(n, dtype=x.dtype)
        q = _exponential(a, eye) if self.kind == "matrix_exp" else np.linalg.solve(eye - 0.5 * a, eye + 0.5 * a)
        return q[..., :k]

    def right_inverse(self, weight: ArrayLike) -> Array:
        q = weight.numpy().copy() if isinstance(weight, Tensor) else np.array(weight)
        wide = q.shape[-2] < q.shape[-1]
        tall = np.swapaxes(q, -1, -2) if wide else q
        n, k = tall.shape[-2:]
        if "base" not in vars(self):
            if self.kind != "householder":
                raise NotImplementedError(
                    f"orthogonal: with orthogonal_map={self.kind!r} and use_trivialization=False no matrix can be assigned: it "
                    "has no inverse; leave use_trivialization=True"
                )
            h, tau = _factored(tall)
            diagonal = np.einsum("...ii->...i", h[..., :k, :])
            diagonal[...] = np.sign(diagonal) * np.where(tau == 0, -1, 1)
            return np.swapaxes(h, -1, -2) if wide else h
        if n != k:
            noise = self._rng.standard_normal((*tall.shape[:-1], n - k)).astype(q.dtype)
            tall = np.concatenate([tall, noise], axis=-1)
        if n != k or not _is_orthogonal(tall):
            tall = _nearest(tall)
        self.base = Buffer(tall)
        # What every map makes the identity of.
        start = np.zeros_like(q)
        np.einsum("...ii->...i", start[..., : min(n, k), : min(n, k)])[...] = -1
        return start

    def extra_repr(self) -> str:
        return self.kind


def _exponential(a: Array, eye: Array) -> Array:
    """exp of a skew-symmetric matrix, by halving, Padé's approximant, which is orthogonal itself, and squaring."""
    values, halvings = known(a), _HALVINGS
    if values is not None:
        norm = float(np.abs(values).sum(axis=-1).max(initial=0.0))
        halvings = max(0, math.ceil(math.log2(norm / _REACH))) if norm > 0 else 0
    a = a * 0.5**halvings
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a2 @ a4
    b = _PADE
    odd = a @ (b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    q = np.linalg.solve(even - odd, even + odd)
    for _ in range(halvings):
        q = q @ q
    return q


def _reflections(x: Array) -> Array:
    """The product of the reflections by the columns below the diagonal, each with a 1 there, times the signs on the diagonal.

    Together they are I - V T⁻¹ Vᵀ, where T is the upper triangle of VᵀV with half of its diagonal (Joffrain et al. 2006,
    "Accumulating Householder transformations, revisited").
    """
    n, k = x.shape[-2:]
    eye = np.eye(n, k, dtype=x.dtype)
    v = np.tril(x, -1) + eye
    gram = np.swapaxes(v, -1, -2) @ v
    t = np.triu(gram) - 0.5 * gram * np.eye(k, dtype=x.dtype)
    q = eye - v @ np.linalg.solve(t, np.swapaxes(v[..., :k, :], -1, -2))
    signs = np.trunc(np.diagonal(x, axis1=-2, axis2=-1))  # of which there is no gradient
    signed: Array = q * np.expand_dims(signs, -2)
    return signed


def _factored(a: Array) -> tuple[Array, Array]:
    """The reflections of a QR factorisation, below the diagonal, and their factors."""
    h, tau = np.linalg.qr(a, mode="raw")
    return np.ascontiguousarray(np.swapaxes(h, -1, -2)), tau


def _nearest(a: Array) -> Array:
    """The orthogonal factor of a square matrix whose other factor has a diagonal of no negative numbers."""
    q, r = np.linalg.qr(a)
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    q *= np.where(diagonal < 0, -1, 1)[..., None, :].astype(a.dtype)
    return q


def _is_orthogonal(q: Array) -> bool:
    product = np.swapaxes(q, -1, -2) @ q
    return np.allclose(product, np.eye(q.shape[-1]), atol=10 * q.shape[-1] * np.finfo(q.dtype).eps)


def orthogonal(
    module: M,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
    rng: np.random.Generator | int | None = None,
) -> M:
    """Keep a weight an orthogonal matrix Q: QᵀQ = I, or QQᵀ = I where it has fewer rows than columns. A weight of more axes
    is a batch of matrices.

    The weight is computed from `parametrizations.weight.original`, whose lower triangle is what is learned, so that it stays
    orthogonal to rounding whatever an optimizer does. With `use_trivialization` it is B times what the map makes, and B, the
    buffer `parametrizations.weight.0.base`, is what the weight was (or what was assigned to it), made orthogonal.
    Lezcano-Casado, arXiv:1909.09501.

    Args:
        module: a layer.
        name: of its parameter.
        orthogonal_map: what makes an orthogonal matrix of S = A - Aᵀ: "matrix_exp", exp(S); "cayley", (I - S/2)⁻¹(I + S/2);
            or of A "householder", a product of reflections. None: matrix_exp for square weights, else householder.
        use_trivialization: see above.
        rng: a generator for what completes B where the weight is not square.

    Returns:
        the module.

    Raises:
        ValueError: the module has no such parameter, it has fewer than two axes, or there is no such map.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 4, rng=0), rng=0)
    >>> bool(np.allclose(layer.weight.T @ layer.weight, np.eye(3), atol=1e-6))
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"orthogonal: this {type(module).__name__} has no parameter {name!r}")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: a weight of shape {weight.shape} is no matrix")
    kind = orthogonal_map or ("matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder")
    if kind not in _MAPS:
        raise ValueError(f"orthogonal: orthogonal_map={kind!r} must be {', '.join(map(repr, _MAPS))} or None")
    register_parametrization(module, name, _Orthogonal(weight, kind, use_trivialization, rng))
    return module
