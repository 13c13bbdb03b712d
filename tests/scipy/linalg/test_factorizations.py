"""Eigenvalues, singular values, orthogonal factors, Schur's and Hessenberg's form, pseudoinverses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tapenet as tn
from tapenet.scipy.linalg.schur_form import below_solve
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, one_each, runs_in_every_way

T: Any = tn.scipy.linalg
R = np.random.default_rng(3)
A = R.normal(size=(3, 3)) + np.diag([1.0, 2.0, 4.0])
C = A + 0.5j * R.normal(size=(3, 3))
P = A @ A.T
H = C + C.conj().T
TURN = R.normal(size=(5, 5)) + np.diag([5.0, 5.0, 0.0, 0.0, -7.0])
TURN[0, 1], TURN[1, 0], TURN[2, 3], TURN[3, 2] = 4, -3, 2, -5
TALL, WIDE = R.normal(size=(4, 2)), R.normal(size=(2, 4))
CTALL = TALL + 1j * R.normal(size=(4, 2))
STACK = np.stack([A, A.T + np.eye(3)])
B = np.eye(3) + 0.1 * P
CB = np.eye(3) * 4 + 0.2 * H
BAND = R.normal(size=(3, 5)) + 0j
BAND[1:] += 1j * R.normal(size=(2, 5))
D, E = R.normal(size=5), R.normal(size=4)


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
        seen or floats,
        lanes=lanes,
        tolerance=1e-5,
    )


def floats(out: Any) -> Any:
    if isinstance(out, (tuple, list)):
        parts = [p for x in out if x is not None for p in (x if isinstance(x, tuple) else (x,))]
        return tuple(x for x in parts if x.dtype.kind in "fc")
    return out


def sizes(out: Any) -> Any:
    """Of vectors, which have any phase."""
    return tuple(x if x.ndim < 2 else abs(x) ** 2 for x in floats(out))


def values_and_sizes(out: Any) -> Any:
    """T may have phases off its diagonal."""
    return np.diagonal(out[0], 0, -2, -1), abs(out[0]) ** 2, abs(out[1]) ** 2


def projection(z: Any) -> Any:
    return z @ np.conj(np.swapaxes(z, -1, -2))


CASES = {
    "qr": case("qr", A),
    "qr complex": case("qr", CTALL, mode="economic"),
    "qr full": case("qr", CTALL, seen=lambda o: (o[0][:, :2], projection(o[0][:, 2:]), o[1])),
    "qr wide": case("qr", WIDE),
    "qr pivoting": case("qr", STACK, pivoting=True),
    "qr r": case("qr", TALL, mode="r", pivoting=True),
    "qr_multiply": case("qr_multiply", CTALL, R.normal(size=(3, 4))),
    "qr_multiply left": case("qr_multiply", CTALL, R.normal(size=2) + 1j, mode="left"),
    "qr_multiply conjugate": case("qr_multiply", CTALL, C[0, 0] + R.normal(size=(2, 3)), mode="left", conjugate=True),
    "qr_multiply pivoting": case("qr_multiply", A, R.normal(size=3), pivoting=True),
    "matrix_balance": case("matrix_balance", A * np.array([1.0, 64.0, 512.0]), seen=lambda out: out[0]),
    "matrix_balance in parts": case(
        "matrix_balance", A * np.array([1.0, 64.0, 512.0]), seen=lambda out: out[0], separate=True
    ),
    "rq": case("rq", C),
    "rq wide": case("rq", WIDE, mode="economic"),
    "rq full": case("rq", WIDE, seen=lambda o: (o[0], o[1][2:])),
    "rq tall": case("rq", TALL),
    "rq r": case("rq", np.stack([WIDE, WIDE + 1]), mode="r"),
    **{
        f"polar {side} {a.shape} {a.dtype}": case("polar", a, side=side)
        for side in ("left", "right")
        for a in (C, CTALL, WIDE)
    },
    "polar of a stack": case("polar", STACK),
    "polar of a rotation": case("polar", np.array([[0.0, -2.0], [2.0, 0.0]])),
    "orthogonal_procrustes": case("orthogonal_procrustes", np.vstack([C, A]), np.vstack([A, C.T])),
    "svd": case("svd", A),
    "svd complex": case("svd", CTALL, full_matrices=False, seen=sizes),
    "svd values": case("svd", WIDE, compute_uv=False),
    "svdvals": case("svdvals", STACK),
    "orth": case("orth", TALL),
    "null_space": case("null_space", WIDE, seen=projection),
    "subspace_angles": case("subspace_angles", R.normal(size=(5, 2)), R.normal(size=(5, 3))),
    "pinv": case("pinv", CTALL),
    "pinv with its rank": case("pinv", STACK, return_rank=True),
    "pinvh": case("pinvh", H, given=hermitian),
    "pinvh upper": case("pinvh", H, lower=False),
    "lstsq": case("lstsq", TALL, R.normal(size=4), lanes=False),
    "lstsq complex": case("lstsq", CTALL, R.normal(size=(4, 3)), lanes=False),
    "lstsq wide": case("lstsq", WIDE, R.normal(size=2), lanes=False, lapack_driver="gelsy"),
    "eigh": case("eigh", P, seen=sizes),
    "eigh complex": case("eigh", H, lower=False, seen=sizes),
    "eigh part": case("eigh", P, subset_by_index=[1, 2], seen=sizes),
    "eigh interval": case("eigh", P, subset_by_value=[2.0, np.inf], seen=sizes, lanes=False),
    "eigh values": case("eigh", STACK, eigvals_only=True),
    "eigvalsh": case("eigvalsh", H),
    "eigvalsh part": case("eigvalsh", H, subset_by_index=[0, 1]),
    **{f"eigh of two {k}": case("eigh", P, B, type=k) for k in (1, 2, 3)},
    **{f"eigh of two, complex {k}": case("eigh", H, CB, type=k, lower=False, seen=sizes) for k in (1, 2, 3)},
    "eigvalsh of two": case("eigvalsh", H, CB),
    "eigh of two, part": case("eigh", P, B, subset_by_index=[0, 1], seen=sizes),
    "eigh_tridiagonal": case("eigh_tridiagonal", D, E, seen=sizes),
    "eigh_tridiagonal part": case("eigh_tridiagonal", D, E, select="i", select_range=(1, 2), seen=sizes),
    "eigvalsh_tridiagonal": case("eigvalsh_tridiagonal", np.stack([D, D + E[0]]), E),
    "eigvalsh_tridiagonal part": case("eigvalsh_tridiagonal", D, E, select="i", select_range=(2, 4)),
    "eig_banded": case("eig_banded", BAND.real, seen=sizes),
    "eig_banded complex": case("eig_banded", BAND, lower=True, seen=sizes),
    "eig_banded part": case("eig_banded", BAND.real, lower=True, select="i", select_range=(1, 3), seen=sizes),
    "eigvals_banded": case("eigvals_banded", BAND),
    "eig": case("eig", A, seen=sizes, lanes=False),
    "eig complex": case("eig", C, seen=sizes),
    "eig of a turn": case("eig", TURN, seen=sizes, lanes=False),
    "eig left": case("eig", C, left=True, right=False, seen=sizes),
    "eig of both sides": case("eig", C, left=True, seen=sizes),
    "eig of two": case("eig", C, B, seen=sizes),
    "eig of two, both sides": case("eig", C, CB, left=True, seen=sizes),
    "eigvals": case("eigvals", STACK, lanes=False),
    "eigvals complex": case("eigvals", C),
    "eigvals of two": case("eigvals", A, C),
    "schur": case("schur", P + np.triu(A)),
    "schur complex": case("schur", C, output="complex", seen=values_and_sizes),
    "schur with blocks": case("schur", TURN),
    "schur sorted": case("schur", TURN, sort="lhp"),
    "schur of a stack": case("schur", np.stack([TURN, TURN + 1]), seen=sizes),  # vectors of either sign
    "rsf2csf": Case(
        lambda a: T.rsf2csf(*T.schur(a)), lambda a: scipy.linalg.rsf2csf(*scipy.linalg.schur(a)), [TURN],
        values_and_sizes, tolerance=1e-5,
    ),
    "hessenberg": case("hessenberg", TURN, calc_q=True),
    "hessenberg complex": case("hessenberg", TURN + 1j * np.roll(TURN, 1), calc_q=True),
    "hessenberg of two rows": case("hessenberg", np.stack([A[:2, :2], C[:2, :2].real])),
}  # fmt: skip


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


# -- where there is no derivative --------------------------------------------------------------------------------


def gradient(f: Any, a: Any) -> Any:
    return tn.grad(f)(np.asarray(a)).numpy()


@pytest.mark.parametrize(
    ("f", "a", "message"),
    [
        (lambda a: T.schur(a)[1][0, 0], np.diag([1.0, 1.0]), "two eigenvalues are equal"),
        (lambda a: T.schur(a)[1][0, 1], np.array([[0.0, 1.0], [-1.0, 0.0]]), "a rotation times a number"),
        (lambda a: T.schur(a, "complex")[1][0, 1].real, C, "the phases of the columns of Z"),
        (lambda a: T.eigh(a)[1][0, 1], np.eye(2), "equal but for rounding"),
        (lambda a: T.eigh(a)[1].sum().real, H, "the phases of complex vectors"),
        (lambda a: T.eig(a)[1][0, 0].real, np.array([[1.0, 1.0], [0.0, 1.0]]), "defective"),
        (lambda a: T.svd(a)[0][0, 1], np.eye(2), "equal but for rounding"),
        (lambda a: T.qr(a)[1][0, 0], np.ones((2, 2)), "linearly dependent"),
        (lambda a: T.qr(a)[0][1, 2], np.eye(3, 1), "columns of Q beyond"),
        (lambda a: T.polar(a)[0][0, 0], np.diag([1.0, 0.0]), "[Ss]ingular"),
        (lambda a: T.lu(a)[1][1, 0], np.ones((2, 2)), "singular"),
    ],
)
def test_what_the_matrix_does_not_determine(f: Any, a: Any, message: str) -> None:
    with pytest.raises(np.linalg.LinAlgError, match=message):
        gradient(f, a)


def test_what_it_determines_all_the_same() -> None:
    """Functions that are the same for every choice of the vectors."""
    turn = np.array([[0.0, 2.0], [-2.0, 0.0]])
    np.testing.assert_allclose(gradient(lambda a: (T.schur(a)[0] ** 2).sum(), turn), 2 * turn, atol=1e-12)
    equal = np.diag([3.0, 3.0, 1.0])
    np.testing.assert_allclose(gradient(lambda a: T.eigh(a)[0].sum(), equal), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(gradient(lambda a: T.svdvals(a).sum(), equal), np.eye(3), atol=1e-12)
    rank_one = np.outer([1.0, 2.0], [3.0, 4.0])
    along = gradient(lambda a: T.pinv(a).sum(), rank_one)
    step = 1e-6 * np.outer([1.0, 1.0], [3.0, 4.0])  # keeps the rank
    change = np.linalg.pinv(rank_one + step, 1e-9).sum() - np.linalg.pinv(rank_one - step, 1e-9).sum()
    np.testing.assert_allclose(2 * (along * step).sum(), change, rtol=1e-6)


def test_ranks_in_compiled_functions_must_be_full() -> None:
    tall = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert T.orth(tn.tensor(tall)).shape == (3, 1)
    assert T.null_space(tn.tensor(tall)).shape == (2, 1)
    with pytest.raises(np.linalg.LinAlgError, match="orth: the matrix has not full rank"):
        tn.compile(T.orth)(tall)
    step = tn.compile(T.null_space)  # whose result has no elements
    assert step(np.eye(3)[:, :2]).shape == (2, 0)
    with pytest.raises(np.linalg.LinAlgError, match="null_space: the matrix has not full rank"):
        step(tall)


def test_options_that_are_not_followed() -> None:
    with pytest.raises(NotImplementedError, match="homogeneous_eigvals=True is not there"):
        T.eig(tn.tensor(A), homogeneous_eigvals=True)
    with pytest.raises(ValueError, match="mode must be one of"):
        T.qr(tn.tensor(A), mode="reduced")
    with pytest.raises(ValueError, match=r"eigvals\(a: float64 \(2, 4\).*[Ee]xpected (a )?square matrix"):
        T.eigvals(tn.tensor(WIDE))


def test_sizes_that_values_decide_are_no_part_of_programs() -> None:
    """The solution for a triangle finds its blocks by `np.flatnonzero`: of what stands for values it would find none."""
    t, m = np.triu(np.arange(1.0, 10.0).reshape(3, 3)), np.ones((3, 3))
    value, tangent = tn.jvp(below_solve, (t, m), (t, m))
    np.testing.assert_allclose(value, below_solve(t, m), rtol=1e-15)
    np.testing.assert_allclose(tangent, np.zeros((3, 3)), atol=1e-15)  # both grow by a factor
    assert value.numpy().any()
