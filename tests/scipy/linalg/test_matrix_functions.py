"""Functions of matrices and equations for matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tapenet as tn
from tapenet.testing import check_grads
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, one_each, runs_in_every_way

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
    **{f"funm {a.dtype}": case("funm", a, func=lambda w: np.exp(-w) * (w * w)) for a in (A, C)},
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
@pytest.mark.parametrize("name", one_each(CASES))
def test_every_way_to_run(name: str) -> None:
    runs_in_every_way(CASES[name])


def test_functions_with_parameters_and_complex_values() -> None:
    """A square root of negative eigenvalues is complex."""
    turned = np.diag([-1.0, 2.0, 3.0]) + 0.1 * E
    found = T.funm(tn.tensor(turned), lambda w: np.sqrt(w + 0j))
    assert found.dtype == np.complex128
    np.testing.assert_allclose((found @ found).numpy(), turned, atol=1e-12)
    for a in (A, tn.tensor(A)):
        check_grads(lambda p, a=a: T.funm(a, lambda w: np.exp(p * w)), [np.array(0.5)], order=2, rtol=1e-5)
    with pytest.raises(NotImplementedError, match="disp=False"):
        T.funm(A, np.exp, disp=False)


def test_the_exponential_of_numbers() -> None:
    """SciPy makes matrices of them."""
    np.testing.assert_array_equal(T.expm(1), [[np.e]])
    for number in (np.array(0.5), np.array([0.5])):
        has_derivatives(case("expm", number), order=2)


@pytest.mark.parametrize("name", ["expm", "cosm", "logm", "sqrtm", "signm", "tanhm"])
def test_matrices_that_are_not_square(name: str) -> None:
    for shape in ((2, 3), (3,)):
        with pytest.raises(np.linalg.LinAlgError, match=f"{name}: A must hold square matrices"):
            getattr(T, name)(tn.tensor(np.ones(shape)))


def test_a_singular_matrix_has_a_root_without_a_derivative() -> None:
    singular = tn.tensor(np.diag([1.0, 0.0]), requires_grad=True)
    with pytest.warns(scipy.linalg.LinAlgWarning, match="Matrix is singular"):
        root = T.sqrtm(singular)
    np.testing.assert_array_equal(root.numpy(), np.diag([1.0, 0.0]))
    with pytest.raises(np.linalg.LinAlgError, match="sqrtm: two eigenvalues of the root have the sum 0"):
        root.sum().backward()


def test_equal_eigenvalues_are_no_obstacle_where_the_function_is_smooth() -> None:
    for a in (np.eye(3), np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])):
        for name in ("expm", "logm", "sqrtm", "cosm"):
            has_derivatives(case(name, a, tolerance=1e-5), order=2)


def test_large_gradients_cost_no_accuracy() -> None:
    """The block matrix is made of a direction of size 1."""
    g = tn.grad(lambda a: (1e12 * T.cosm(a)).sum())(A).numpy()
    np.testing.assert_allclose(g, 1e12 * tn.grad(lambda a: T.cosm(a).sum())(A).numpy(), rtol=1e-13)


def test_one_side_complex_in_sylvesters_equation() -> None:
    """SciPy 1.17 solves another equation there."""
    turn = np.array([[1.0, 2.0], [-2.0, 1.0]])
    for a, b in ((C, turn), (turn, C)):
        q = np.ones((len(a), len(b)))
        x = T.solve_sylvester(tn.tensor(a), tn.tensor(b), q).numpy()
        np.testing.assert_allclose(a @ x + x @ b, q, atol=1e-12)


def test_the_error_of_scipys_own_name_says_where_it_is() -> None:
    with pytest.raises(TypeError, match=r"tn\.scipy\.linalg\.expm is the same on tensors"):
        scipy.linalg.expm(tn.tensor(A, requires_grad=True))
