"""Linear systems and the factors that they are solved with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tapenet as tn
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, one_each, runs_in_every_way

T: Any = tn.scipy.linalg
R = np.random.default_rng(0)
A = R.normal(size=(3, 3)) + 3 * np.eye(3)
C = A + 0.5j * R.normal(size=(3, 3))
P = A @ A.T
H = C @ C.conj().T
V = R.normal(size=3)
M = R.normal(size=(3, 2)) + 0j
M.imag = R.normal(size=(3, 2))
TALL, WIDE = R.normal(size=(4, 2)), R.normal(size=(2, 4))
STACK = np.stack([A, A.T + np.eye(3)])
INDEFINITE = np.array([[0.0, 2.0, 1.0], [2.0, 0.5, 3.0], [1.0, 3.0, 1.0]])


def hermitian(a: Any) -> Any:
    return a + np.conj(np.swapaxes(a, -1, -2))


def case(name: str, *args: Any, seen: Any = None, lanes: bool = True, given: Any = None, **options: Any) -> Case:
    """A call; with `given`, what is made of its first argument before."""
    theirs = getattr(scipy.linalg, name)
    given = given or (lambda a: a)
    return Case(
        lambda a, *b: getattr(T, name)(given(a), *b, **options),
        lambda a, *b: theirs(given(a), *b, **options),
        args,
        seen or (lambda out: tuple(x for x in out if x.dtype.kind in "fc") if isinstance(out, tuple) else out),
        lanes=lanes,
    )


def solved(factor: str, solve: str, a: Any, b: Any, *args: Any, **options: Any) -> Case:
    def of(module: Any) -> Any:
        return lambda a, b: getattr(module, solve)(getattr(module, factor)(a, **options), b, *args)

    return Case(of(T), of(scipy.linalg), (a, b))


def from_factors(a: Any, b: Any, *args: Any) -> Case:
    """lu_solve by the factors themselves."""
    lu, piv = scipy.linalg.lu_factor(a)
    return Case(
        lambda lu, b: T.lu_solve((lu, piv), b, *args), lambda lu, b: scipy.linalg.lu_solve((lu, piv), b, *args), (lu, b)
    )


def from_cholesky(c: Any, lower: bool, b: Any) -> Case:
    return Case(lambda c, b: T.cho_solve((c, lower), b), lambda c, b: scipy.linalg.cho_solve((c, lower), b), (c, b))


BAND, HBAND = R.normal(size=(4, 5)), R.normal(size=(3, 5)) + 0j
BAND[2] += 6
CBAND = BAND + 1j * R.normal(size=(4, 5))
HBAND[1:] += 1j * R.normal(size=(2, 5))
HBAND[0] = 8
V5, M5 = R.normal(size=5), R.normal(size=(5, 2)) + 1j * R.normal(size=(5, 2))
C5, R5 = R.normal(size=5) + 1j * R.normal(size=5), R.normal(size=5)
C5[0] = 6


def banded(sizes: Any, ab: Any, b: Any) -> Case:
    return Case(
        lambda ab, b: T.solve_banded(sizes, ab, b), lambda ab, b: scipy.linalg.solve_banded(sizes, ab, b), (ab, b)
    )


def banded_factor(ab: Any, lower: bool, b: Any) -> Case:
    return Case(
        lambda c, b: T.cho_solve_banded((c, lower), b),
        lambda c, b: scipy.linalg.cho_solve_banded((c, lower), b),
        (ab, b),
    )


def clean(lower: bool) -> Any:
    """Without what is outside of the matrix, which the factor keeps, and with a real diagonal."""
    places = np.arange(5) < 5 - np.arange(3)[:, None]
    inside = places if lower else places[::-1, ::-1]
    return lambda ab: np.where(inside, ab, 0)


def ends(name: str, c: Any, r: Any, b: Any) -> Case:
    def of(f: Any) -> Any:
        return lambda c, r, b: f((c, r), b)

    return Case(of(getattr(T, name)), of(getattr(scipy.linalg, name)), (c, r, b))


CASES = {
    "solve": case("solve", A, V),
    "solve complex": case("solve", C, M),
    "solve with a real matrix": case("solve", A, M),
    "solve a stack": case("solve", STACK, V),
    "solve for a stack": case("solve", A, np.stack([M, M + 1])),
    "solve_triangular for a stack": case("solve_triangular", C, np.stack([M, M + 1])),
    "solve transposed": case("solve", A, V, transposed=True),
    "solve one": case("solve", np.array([[2.0]]), np.array([[3.0], [4.0]]), lanes=False),
    **{f"solve {how} {low}": case("solve", P, V, assume_a=how, lower=low) for how in ("sym", "pos") for low in (0, 1)},
    **{f"solve {how}": case("solve", H, M, assume_a=how, lower=True) for how in ("her", "pos", "sym")},
    **{
        f"solve {how}": case("solve", A, V, assume_a=how)
        for how in ("diagonal", "tridiagonal", "banded", "upper triangular", "lower triangular")
    },
    "solve upper, transposed": case("solve", A, V, assume_a="upper triangular", transposed=True),
    **{
        f"solve_triangular {trans} {low} {unit}": case(
            "solve_triangular", C, M, trans=trans, lower=low, unit_diagonal=unit
        )
        for trans, low, unit in ((0, False, False), ("T", True, False), (2, False, True))
    },
    "solve_triangular a stack": case("solve_triangular", STACK, V),
    "inv": case("inv", C),
    "inv a stack": case("inv", STACK),
    "inv pos": case("inv", H, assume_a="pos"),
    "inv lower": case("inv", A, assume_a="lower triangular"),
    "det": case("det", C),
    "det of a stack": case("det", STACK),
    **{f"norm {k}": case("norm", A, ord=k) for k in (None, "fro", "nuc", 1, np.inf, 2, -2)},
    **{f"norm {k}, complex": case("norm", A + 1j * A.T, ord=k) for k in ("fro", "nuc", 1, -1, np.inf, -np.inf, 2)},
    "norm of a vector": case("norm", M[:, 0]),
    "norm along an axis": case("norm", STACK, ord=3, axis=1, keepdims=True),
    "cholesky": case("cholesky", H),
    "cholesky lower": case("cholesky", np.stack([P, P + 1]), lower=True),
    "cho_factor": case("cho_factor", H, seen=lambda out: out[0]),
    "cho_factor lower": case("cho_factor", P, seen=lambda out: out[0], lower=True),
    "cho_solve": solved("cho_factor", "cho_solve", H, M),
    "cho_solve upper": from_cholesky(C, False, M),
    "cho_solve lower": from_cholesky(C, True, V),
    "lu": case("lu", C),
    "lu tall": case("lu", TALL, p_indices=True),
    "lu wide": case("lu", np.stack([WIDE, WIDE[::-1] + 1]), permute_l=True),
    "lu_factor": case("lu_factor", C),
    "lu_factor tall": case("lu_factor", TALL),
    "lu_factor wide": case("lu_factor", WIDE),
    "lu_factor a stack": case("lu_factor", STACK),
    **{f"lu_solve {trans}": solved("lu_factor", "lu_solve", C, M, trans) for trans in range(3)},
    "lu_solve a stack": solved("lu_factor", "lu_solve", STACK, V),
    "lu_solve from factors": from_factors(C, V, 2),
    **{f"solve_banded {a.dtype}": banded((1, 2), a, b) for a, b in ((BAND, V5), (CBAND, M5))},
    "solve_banded a stack": banded((1, 2), np.stack([BAND, CBAND.real]), V5),
    **{
        f"solveh_banded {low} {b.ndim}": case("solveh_banded", a, b, lower=low)
        for low, a in ((False, HBAND[::-1]), (True, HBAND))
        for b in (V5, M5)
    },
    **{
        f"cholesky_banded {low}": case("cholesky_banded", a, lower=low, given=clean(low))
        for low, a in ((False, HBAND[::-1]), (True, np.stack([HBAND, HBAND + 1])))
    },
    **{
        f"cho_solve_banded {low} {b.ndim}": banded_factor(a, low, b)
        for low, a in ((False, HBAND[::-1]), (True, HBAND))
        for b in (V5, M5)
    },
    "solve_toeplitz": case("solve_toeplitz", C5, V5),
    "solve_toeplitz general": ends("solve_toeplitz", C5, R5, M5),
    "solve_toeplitz a stack": ends("solve_toeplitz", np.stack([C5.real, C5.real + 1]), R5, V5),
    "matmul_toeplitz": case("matmul_toeplitz", C5, M5),
    "matmul_toeplitz wide": ends("matmul_toeplitz", C5[:3], R5, V5),
    "matmul_toeplitz tall": ends("matmul_toeplitz", C5.real, R5[:2], np.stack([M5, M5 + 1])[:, :2]),
    "solve_circulant": case("solve_circulant", C5.real, M5),
    "solve_circulant axes": case("solve_circulant", np.stack([C5.real, C5.real + 1]), M5.T.real, baxis=1, outaxis=-1),
    "ldl": case("ldl", P),
    "ldl with a block": case("ldl", INDEFINITE),
    "ldl upper": case("ldl", INDEFINITE, lower=False),
    "ldl Hermitian": case("ldl", C - 4 * np.eye(3), given=hermitian),
    "ldl symmetric": case("ldl", H + H.T + C + C.T, hermitian=False),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str) -> None:
    has_scipys_values(CASES[name])
    has_derivatives(CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name: str) -> None:
    has_derivatives(CASES[name], order=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", one_each(CASES))
def test_every_way_to_run(name: str) -> None:
    runs_in_every_way(CASES[name])


def test_the_gradient_of_a_band_is_that_of_the_full_matrix() -> None:
    n = 50
    ab = np.zeros((3, n))
    ab[0], ab[1:] = 4, 0.5
    full = tn.grad(lambda a: np.log(np.diagonal(T.cholesky(a, lower=True))).sum())(
        np.diag(ab[0]) + np.diag(ab[1, 1:], -1) + np.diag(ab[2, 2:], -2)
    ).numpy()
    band = tn.grad(lambda a: np.log(T.cholesky_banded(a, lower=True)[0]).sum())(ab).numpy()
    for k in range(3):
        np.testing.assert_allclose(band[k, : n - k], np.diagonal(full, -k), rtol=1e-12)
