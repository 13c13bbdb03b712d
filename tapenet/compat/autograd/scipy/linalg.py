"""`scipy.linalg`: its functions, those that are here with gradients."""

from __future__ import annotations

import importlib

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.extend import defvjp, primitive
from tapenet.compat.autograd.values import Function, Value, functions_of

__getattr__ = functions_of("scipy.linalg", __name__)


@primitive
def sqrtm(A: Value) -> Value:
    """The square root of a matrix with one: sqrtm(A) sqrtm(A) = A."""
    return importlib.import_module("scipy.linalg").sqrtm(A)


@primitive
def solve_sylvester(a: Value, b: Value, q: Value) -> Value:
    """The solution x of a x + x b = q."""
    return importlib.import_module("scipy.linalg").solve_sylvester(a, b, q)


@primitive
def solve_triangular(a: Value, b: Value, trans: int | str = 0, lower: bool = False, **kwargs: Value) -> Value:
    """The solution x of a x = b, or with `trans` of aᵀ x = b, of which a triangle of `a` is looked at."""
    return importlib.import_module("scipy.linalg").solve_triangular(a, b, trans=trans, lower=lower, **kwargs)


def _transpose(a: Value) -> Value:
    return np.swapaxes(a, -1, -2)


def _sylvester_gradients(ans: Value, a: Value, b: Value, q: Value) -> Function:
    return lambda g: solve_sylvester(_transpose(a), _transpose(b), g)


defvjp(sqrtm, lambda ans, A: lambda g: solve_sylvester(_transpose(ans), _transpose(ans), g))
defvjp(
    solve_sylvester,
    lambda ans, a, b, q: lambda g: -_sylvester_gradients(ans, a, b, q)(g) @ _transpose(ans),
    lambda ans, a, b, q: lambda g: -_transpose(ans) @ _sylvester_gradients(ans, a, b, q)(g),
    _sylvester_gradients,
)


def _triangular(ans: Value, a: Value, b: Value, trans: int | str = 0, lower: bool = False, **kwargs: Value) -> Function:
    """The gradient by b, which solves with the transpose."""
    if np.iscomplexobj(a) or trans in (2, "C"):
        raise NotImplementedError("solve_triangular: only real matrices have gradients here")
    return lambda g: solve_triangular(a, g, 1 if trans in (0, "N") else 0, lower, **kwargs)


def _triangular_matrix(
    ans: Value, a: Value, b: Value, trans: int | str = 0, lower: bool = False, **kwargs: Value
) -> Function:
    def gradient(g: Value) -> Value:
        columns = [
            x if np.ndim(x) > 1 else x[:, None] for x in (_triangular(ans, a, b, trans, lower, **kwargs)(g), ans)
        ]
        by_matrix = -columns[0] @ columns[1].T
        by_a = by_matrix if trans in (0, "N") else by_matrix.T
        triangle = (ops.tril if lower else ops.triu)(by_a, (-1 if lower else 1) if kwargs.get("unit_diagonal") else 0)
        return triangle

    return gradient


defvjp(solve_triangular, _triangular_matrix, _triangular)


# -- banded matrices: ab[u + i - j, j] is a[i, j], where u diagonals lie above the main one -----------------------


@primitive
def solve_banded(l_and_u: tuple[int, int], ab: Value, b: Value) -> Value:
    """The solution x of a x = b, for a matrix of so many diagonals below and above the main one, the rows of `ab`."""
    return importlib.import_module("scipy.linalg").solve_banded(l_and_u, ab, b)


def _shifted(x: Value, steps: int) -> Value:
    """x[j + steps] at j, along the first axis, and 0 where there is none."""
    fill = np.zeros((abs(steps), *np.shape(x)[1:]))
    return ops.concatenate([x[steps:], fill] if steps >= 0 else [fill, x[:steps]])


def _banded(ans: Value, l_and_u: tuple[int, int], ab: Value, b: Value) -> Function:
    lower, upper = l_and_u
    transposed = ops.stack([_shifted(ab[lower + upper - k], k - lower) for k in range(lower + upper + 1)])
    return lambda g: solve_banded((upper, lower), transposed, g)


def _banded_matrix(ans: Value, l_and_u: tuple[int, int], ab: Value, b: Value) -> Function:
    def gradient(g: Value) -> Value:
        v = np.reshape(_banded(ans, l_and_u, ab, b)(g), (len(ans), -1))
        x = np.reshape(ans, (len(ans), -1))
        return ops.stack([-ops.sum(_shifted(v, k - l_and_u[1]) * x, axis=1) for k in range(sum(l_and_u) + 1)])

    return gradient


defvjp(solve_banded, None, _banded_matrix, _banded)
