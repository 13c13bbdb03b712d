"""Functions of matrices and equations for matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tapenet as tn
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, runs_in_every_way

T: Any = tn.scipy.linalg
R = np.random.default_rng(0)
A = 0.5 * R.normal(size=(3, 3)) + np.diag([1.0, 2.0, 3.0])
C = A + 0.3j * R.normal(size=(3, 3))
E = R.normal(size=(3, 3))
B = R.normal(size=(2, 2))
TALL = R.normal(size=(3, 2))
STEERED = np.random.default_rng(2).normal(size=(3, 2))


def hermitian(x: Any) -> Any:
    return x + np.conj(np.swapaxes(x, -1, -2))


def case(name: str, *args: Any, **options: Any) -> Case:
    lanes = options.pop("lanes", True)
    tolerance = options.pop("tolerance", 1e-6)
    theirs = getattr(scipy.linalg, name)
    return Case(
        lambda *a: getattr(T, name)(*a, **options),
        lambda *a: theirs(*a, **options),
        args,
        lanes=lanes,
        tolerance=tolerance,
        exact=name not in ("logm", "fractional_matrix_power"),  # they estimate norms by random numbers
    )


def riccati(name: str, *args: Any) -> Case:
    """Of Hermitian matrices: SciPy refuses others."""

    def of(f: Any) -> Any:
        return lambda a, b, q, r, *more: f(a, b, hermitian(q), hermitian(r), *more)

    return Case(of(getattr(T, name)), of(getattr(scipy.linalg, name)), args, tolerance=1e-4)


FUNCTIONS = {
    f"{name} {a.dtype}": case(name, a)
    for name in ["expm", "coshm", "cosm", "logm", "signm", "sinhm", "sinm", "sqrtm", "tanhm", "tanm"]
    for a in (A, C)
}
CASES = FUNCTIONS | {
    "expm of a stack": case("expm", np.stack([A, E])),
    "logm of a stack": case("logm", np.stack([A, A.T])),
    "expm_frechet": case("expm_frechet", A, E),
    "expm_frechet alone": case("expm_frechet", C, E, compute_expm=False),
    "fractional_matrix_power": case("fractional_matrix_power", A, np.array(0.3), lanes=False),
    "fractional_matrix_power complex": case("fractional_matrix_power", C, np.array(-1.3), lanes=False),
    "khatri_rao": case("khatri_rao", TALL, B),
    "solve_sylvester": case("solve_sylvester", A, B, TALL),
    "solve_sylvester complex": case("solve_sylvester", C, 1j * B, TALL),
    "solve_lyapunov": case("solve_lyapunov", C, E),
    "solve_discrete_lyapunov": case("solve_discrete_lyapunov", 0.2 * C, E),
    "solve_discrete_lyapunov bilinear": case("solve_discrete_lyapunov", 0.2 * A, E, method="bilinear"),
    **{
        f"{name} {a.dtype}": riccati(
            name, 0.3 * a - 0.5 * np.eye(3), STEERED, np.eye(3), np.eye(2), np.eye(3) + 0.1 * E, 0.1 * TALL
        )
        for name in ("solve_continuous_are", "solve_discrete_are")
        for a in (A, C)
    },
    "solve_continuous_are": riccati("solve_continuous_are", 0.3 * A - 0.5 * np.eye(3), STEERED, np.eye(3), np.eye(2)),
    "solve_discrete_are": riccati("solve_discrete_are", 0.3 * A - 0.5 * np.eye(3), STEERED, np.eye(3), np.eye(2)),
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
@pytest.mark.parametrize("name", CASES)
def test_every_way_to_run(name: str) -> None:
    runs_in_every_way(CASES[name])
