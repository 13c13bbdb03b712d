"""Linear algebra in compiled programs: by NumPy's own loops, without Python, in loops and out of them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.native import entry
from tapenet.typing import Array
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)


def regular(*shape: int) -> Array:
    return RNG.normal(size=shape) + 3 * np.eye(shape[-1])


def positive(*shape: int) -> Array:
    a = RNG.normal(size=shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])


def draw(complexes: bool, *shape: int) -> Array:
    """Normal numbers."""
    found = RNG.normal(size=shape)
    return found + 1j * RNG.normal(size=shape) if complexes else found


def real(z: Any) -> Any:
    """A number made of both parts."""
    return np.real(z) + 2 * np.imag(z) if z.dtype.kind == "c" else z


SQUARE: dict[str, Callable[..., Any]] = {
    "cholesky": np.linalg.cholesky,
    "cholesky of the upper triangle": lambda a: np.linalg.cholesky(a, upper=True),
    "det": np.linalg.det,
    "eigh": lambda a: tuple(np.linalg.eigh(a)),
    "eigh of the upper triangle": lambda a: tuple(np.linalg.eigh(a, "U")),
    "eigvalsh": np.linalg.eigvalsh,
    "inv": np.linalg.inv,
    "slogdet": lambda a: tuple(np.linalg.slogdet(a)),
    "solve": lambda a: np.linalg.solve(a, a[..., :2]),
    "solve for a vector": lambda a: np.linalg.solve(a, np.arange(4.0).astype(a.dtype)),
}
ANY: dict[str, Callable[..., Any]] = {
    "qr": lambda a: tuple(np.linalg.qr(a)),
    "complete qr": lambda a: tuple(np.linalg.qr(a, "complete")),
    "r alone": lambda a: np.linalg.qr(a, "r"),
    "svd": lambda a: tuple(np.linalg.svd(a, full_matrices=False)),
    "full svd": lambda a: tuple(np.linalg.svd(a)),
    "svdvals": np.linalg.svdvals,
}


def equal(found: object, right: object) -> None:
    parts = (found, right) if isinstance(found, tuple) else ((found,), (right,))
    for one, other in zip(*parts, strict=True):  # type: ignore[call-overload]
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        size = float(np.nanmax(np.where(np.isfinite(other), abs(other), 0), initial=1e-30))
        np.testing.assert_allclose(one, other, rtol=0, atol=30 * float(np.finfo(other.dtype).eps) * size)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("name", [*SQUARE, *ANY])
@backends
def test_it_is_what_numpy_gives(compiled: Compile, name: str, dtype: type) -> None:
    """Of one matrix, of stacks, transposed, of every second row, of wide and of tall ones."""
    f = {**SQUARE, **ANY}[name]
    whole = positive(2, 3, 4, 4).astype(dtype)
    if dtype is np.complex128:
        whole += 0.05j * (np.triu(whole, 1) - np.tril(whole, -1))
    matrices = [whole[0, 0], whole, whole[:, :1], np.asfortranarray(whole[1]), whole[:0]]
    if name in ANY:
        matrices += [RNG.normal(size=s).astype(dtype) for s in ((5, 3), (2, 3, 5), (4, 1))]

    def ways(a: Any) -> list[Any]:
        return [f(a), f(np.swapaxes(a, -1, -2)), f(a[..., ::-1, ::-1])]

    for a in matrices:
        step = compiled(ways)
        for _ in range(2):
            for found, right in zip(step(a), ways(a), strict=True):
                equal(found, right)
        assert not calls_python(step) or not a.size


@backends
def test_whole_numbers_are_floats(compiled: Compile) -> None:
    a = np.array([[2, 1], [1, 3]])
    for f in (np.linalg.inv, np.linalg.cholesky, np.linalg.det, lambda a: np.linalg.solve(a, a)):
        step = compiled(f)
        for _ in range(2):
            equal(step(a), f(a))


@backends
def test_leading_axes_broadcast(compiled: Compile) -> None:
    a, b = regular(3, 1, 2, 2), RNG.normal(size=(4, 2, 1))
    step = compiled(np.linalg.solve)
    lanes = compiled(tn.vmap(np.linalg.solve, in_axes=(0, None)))
    for _ in range(2):
        equal(step(a, b), np.linalg.solve(a, b))
        np.testing.assert_allclose(lanes(a[:, 0], b), np.linalg.solve(a, b), rtol=1e-13)
    assert not calls_python(step)
    assert not calls_python(lanes)


SINGULAR: dict[str, tuple[Callable[..., object], Array, str]] = {
    "inv": (np.linalg.inv, np.ones((2, 2)), "Singular matrix"),
    "solve": (lambda a: np.linalg.solve(a, a), np.zeros((3, 2, 2)), "Singular matrix"),
    "cholesky": (np.linalg.cholesky, -np.eye(3), "not positive definite"),
    "eigh": (lambda a: np.linalg.eigh(a)[0], np.full((3, 3), np.nan), "did not converge"),
    "svd": (lambda a: np.linalg.svd(a)[1], np.full((3, 2), np.nan), "did not converge"),
}


@pytest.mark.parametrize("name", SINGULAR)
@backends
def test_what_numpy_refuses_is_refused(compiled: Compile, name: str) -> None:
    """Also one matrix among others, in a loop, and nothing is kept of it for the next call."""
    f, bad, message = SINGULAR[name]
    good = np.broadcast_to(np.eye(*bad.shape[-2:]), bad.shape)
    step = compiled(f)
    loop = compiled(lambda xs: tn.scan(lambda c, x: (c, f(x)), np.float64(0), xs)[1])
    many, mixed = np.stack([good, good]), np.stack([good, bad])
    for run, right, wrong in ((step, good, bad), (step, many, mixed), (loop, many, mixed)):
        run(right)
        equal(run(right), run(right))
        for _ in range(2):
            with pytest.raises(np.linalg.LinAlgError, match=message):
                run(wrong)
        run(right)


@backends
def test_nan_and_infinity_are_numpys(compiled: Compile) -> None:
    a = np.array([[[1.0, np.nan], [2.0, 3.0]], [[np.inf, 1.0], [2.0, 3.0]], [[1.0, 2.0], [2.0, 4.0]]])
    for f in (np.linalg.det, lambda a: np.linalg.slogdet(a)[1], lambda a: np.linalg.qr(a)[1]):
        step = compiled(f)
        with np.errstate(all="ignore"):
            for _ in range(2):
                equal(step(a), f(a))
    inverse = compiled(np.linalg.inv)
    for _ in range(2):
        equal(inverse(a[:2]), np.linalg.inv(a[:2]))


def test_a_division_by_zero_before_is_no_error() -> None:
    pytest.importorskip("llvmlite")
    step = tn.compile(lambda a, x: np.linalg.inv(a) + (x / x).sum() * 0)
    with np.errstate(all="ignore"):
        for _ in range(3):
            assert np.isnan(step(np.eye(2), np.zeros(9)).numpy()).all()


def kalman(ys: Any, transition: Any) -> Any:
    """The negative log likelihood of a sequence, but for a constant."""
    observed, noise, unit = np.eye(2, 3), 0.1 * np.eye(2), np.eye(3)

    def step(state: Any, y: Any) -> Any:
        x, p = state
        x, p = transition @ x, transition @ p @ transition.T + 0.01 * unit
        s = observed @ p @ observed.T + noise
        gain = p @ observed.T @ np.linalg.inv(s)
        rest = y - observed @ x
        loss = rest @ np.linalg.solve(s, rest) + np.linalg.slogdet(s)[1]
        return (x + gain @ rest, (unit - gain @ observed) @ p), loss

    return tn.scan(step, (np.zeros(3), np.eye(3)), ys)[1].sum()


@backends
def test_a_kalman_filter(compiled: Compile) -> None:
    """Value, gradient and second derivative, in loops that call no Python."""
    ys, transition = RNG.normal(size=(6, 2)), np.eye(3) + 0.1 * np.triu(np.ones((3, 3)), 1)
    for transformed, rtol in (
        (kalman, 1e-12),
        (tn.grad(kalman, argnums=1), 1e-9),
        (tn.hessian(kalman, argnums=1), 1e-8),
    ):
        step = compiled(transformed)
        right = transformed(ys, tn.tensor(transition))
        for _ in range(2):
            np.testing.assert_allclose(step(ys, transition), right, rtol=rtol, atol=1e-9)
        assert not calls_python(step)


BODIES: dict[str, Callable[..., Any]] = {
    "cholesky": lambda a: np.linalg.cholesky(a @ a.T + np.eye(3)).sum(),
    "det": lambda a: np.linalg.det(a),
    "eigh": lambda a: (np.linalg.eigh(a + a.T)[1] ** 4).sum(),
    "eigvalsh": lambda a: (np.linalg.eigvalsh(a + a.T) ** 2).sum(),
    "inv": lambda a: (np.linalg.inv(a) ** 2).sum(),
    "qr": lambda a: (np.linalg.qr(a)[1] ** 2)[0].sum(),
    "slogdet": lambda a: np.linalg.slogdet(a)[1],
    "solve": lambda a: (np.linalg.solve(a, np.arange(3.0)) ** 2).sum(),
    "svd": lambda a: (np.linalg.svd(a)[0] ** 4).sum(),
    "svdvals": lambda a: (np.linalg.svdvals(a) ** 3).sum(),
    "complex numbers": lambda a: _of_complex(a + 0.5j * a.T),
}


def _of_complex(z: Any) -> Any:
    """With products of a stack of matrices, and an element that is read twice."""
    return np.linalg.norm(np.linalg.solve(z, np.matmul(np.stack([z, z.conj()]), z)[1])) + abs(z[[1, 1], [2, 2]]).sum()


@pytest.mark.parametrize("name", BODIES)
@backends
def test_gradients_in_loops(compiled: Compile, name: str) -> None:
    f = BODIES[name]
    stack = RNG.normal(size=(4, 3, 3)) + np.diag([3.0, 5.0, 8.0])

    def total(stack: Any) -> Any:
        return tn.scan(lambda c, a: (c + f(a), f(a)), np.float64(0), stack)[0]

    value, gradient = compiled(total), compiled(tn.grad(total))
    right = tn.grad(total)(stack)
    for _ in range(2):
        np.testing.assert_allclose(value(stack), total(stack), rtol=1e-12)
        np.testing.assert_allclose(gradient(stack), right, rtol=1e-8, atol=1e-9)
    assert not calls_python(value)
    assert not calls_python(gradient) or name == "det"  # whose gradient is another formula for singular matrices


@backends
def test_formulas_of_complex_matrices(compiled: Compile) -> None:
    pytest.importorskip("scipy")
    from tapenet.scipy.linalg import expm

    def f(stack: Any) -> Any:
        solved = lambda a: (np.linalg.pinv(a), np.linalg.lstsq(a, a[:, 0])[0], np.linalg.matrix_rank(a), expm(a[:3]))
        return tn.scan(lambda c, a: (c, solved(a)), np.float64(0), stack)[1]

    step, stack = compiled(f), RNG.normal(size=(2, 4, 3)) + 1j * RNG.normal(size=(2, 4, 3))
    for _ in range(2):
        for found, right in zip(step(stack), f(stack), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
    assert not calls_python(step)


@backends
def test_norms_of_whole_numbers_do_not_overflow(compiled: Compile) -> None:
    def f(x: Any) -> Any:
        return [np.linalg.vector_norm(x, ord=p) for p in (2, 3, -1, np.inf)] + [np.linalg.norm(x[None])]

    for x in (np.array([100, -100, 27], np.int8), np.array([True, True])):
        step = compiled(f)
        for _ in range(2):
            found = np.array(step(x))
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, f(x), rtol=1e-14)


@backends
def test_what_gradients_of_vectors_refuse_is_refused_in_loops(compiled: Compile) -> None:
    """Where eigenvalues are equal, and the loss depends on the choice of their vectors."""

    def total(stack: Any) -> Any:
        return tn.scan(lambda c, a: (c + (np.linalg.eigh(a)[1] @ np.arange(3.0)).sum(), None), np.float64(0), stack)[0]

    gradient = compiled(tn.grad(total))
    fine, wrong = np.diag([1.0, 2.0, 3.0])[None] + np.zeros((2, 1, 1)), np.stack([np.diag([1.0, 2.0, 3.0]), np.eye(3)])
    for stack in (fine, fine, wrong, fine):
        if stack is not wrong:
            np.testing.assert_allclose(gradient(stack), tn.grad(total)(stack), rtol=1e-9, atol=1e-12)
            continue
        with pytest.raises(np.linalg.LinAlgError, match="two of the values are equal"):
            gradient(stack)


@backends
def test_exponentials_of_matrices(compiled: Compile) -> None:
    """In loops, with gradients: small, large and far from normal ones, and some whose powers are small."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    a = RNG.normal(size=(3, 3))
    far = np.array([[1.0, 1e3, 2.0], [0.0, -1.0, 3.0], [0.0, 0.0, 0.5]])
    cancels = 1e2 * np.array([[1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    stack = np.stack([0 * a, 1e-9 * a, a, 30 * a, far, cancels, 1e3 * np.eye(3, k=1), -1e3 * np.eye(3)])
    weights = RNG.normal(size=(3, 3))

    def slope(a: Any) -> Any:
        return tn.grad(lambda a: (linalg.expm(a) * weights).sum())(a)

    def loop(stack: Any) -> Any:
        return tn.scan(
            lambda c, a: (c, (linalg.expm(a), linalg.expm(a[:1, :1] / 1e6), slope(a))), np.float64(0), stack
        )[1]

    step, right = compiled(loop), loop(stack)
    for _ in range(2):
        for found, expected in zip(step(stack), right, strict=True):
            for one, other in zip(np.asarray(found), np.asarray(expected), strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-9 * abs(other).max())
    assert not calls_python(step)
    together = compiled(linalg.expm)
    for _ in range(2):
        np.testing.assert_allclose(together(stack[:3]), linalg.expm(stack[:3]), rtol=1e-13, atol=1e-13)


@backends
def test_exponentials_of_triangles_keep_their_digits(compiled: Compile) -> None:
    """SciPy's diagonal of a triangle is exact: a rate of 1e6 takes no digits of the slow ones, also in a stack."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    upper = np.array([[-1e6, 1e6, 0.0], [0.0, -1.0, 0.5], [0.0, 0.0, 0.25]])
    stack = np.stack([upper, upper.T, np.diag([-1e9, 1.0, 2.0]), RNG.normal(size=(3, 3))])
    step, right = compiled(linalg.expm), np.asarray(linalg.expm(stack))
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(step(stack)), right, rtol=1e-13, atol=1e-18)


@backends
def test_exponentials_with_derivatives_in_a_direction(compiled: Compile) -> None:
    """Both come without Python, and what is not finite is the error that it is in eager mode."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    a, e = RNG.normal(size=(2, 2, 3, 3))

    def loop(a: Any, e: Any) -> Any:
        return tn.scan(lambda c, x: (c, linalg.expm_frechet(x, e)), np.float64(0), a)[1]

    step, slope = compiled(loop), compiled(lambda a: tn.grad(lambda a: linalg.expm(a).sum())(a))
    for _ in range(2):
        for found, right in zip(step(a, e[0]), loop(a, e[0]), strict=True):
            np.testing.assert_allclose(np.asarray(found), np.asarray(right), rtol=1e-12, atol=1e-13)
        slope(a[0])
    assert not calls_python(step)
    for call in (lambda: step(a * np.inf, e[0]), lambda: step(a, e[0] * np.nan), lambda: slope(a[0] * np.nan)):
        with pytest.raises(ValueError, match="infs or NaNs"):
            call()


# -- triangles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("trans", "complexes"), [(0, False), (1, False), (0, True), (1, True), (2, True)])
@pytest.mark.parametrize("lower", [True, False])
@backends
def test_triangles(compiled: Compile, lower: bool, trans: int, complexes: bool) -> None:
    """In loops, of matrices that lie in either order or scattered, of vectors and matrices, with the gradient; a result that is
    column-major too."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    stacks = importlib.import_module("tapenet.scipy.linalg.definition").LEADING

    def f(a: Any, b: Any, unit: bool = False) -> Any:
        return linalg.solve_triangular(a, b, trans, lower, unit_diagonal=unit)

    def turn(c: Any, a: Any) -> Any:
        b, last = c
        first = f(a, b) + f(a.T, last) + f(a[::-1, ::-1], b[:, :1], unit=True)
        return (first / 10, f(a, first[:, 0])[:, None] * last), first.sum()

    def loop(stack: Any, b: Any) -> Any:
        ends, sums = tn.scan(turn, (b, b), stack)
        more = f(stack[:3], b.T[:, :, None]).sum() if stacks else 0.0  # SciPy's takes stacks since 1.17
        return real(ends[0].sum() + ends[1].sum() + sums.sum() + more)

    stack, b = draw(complexes, 4, 3, 3) + 3 * np.eye(3), np.asfortranarray(draw(complexes, 3, 3))
    for g in (loop, tn.grad(loop), tn.grad(loop, 1)):
        step, right = compiled(g), g(stack, b)
        for _ in range(3):
            np.testing.assert_allclose(step(stack, b), right, rtol=1e-10, atol=1e-12)
        assert not calls_python(step)


@pytest.mark.parametrize("complexes", [False, True])
@backends
def test_systems_of_cholesky(compiled: Compile, complexes: bool) -> None:
    linalg = pytest.importorskip("tapenet.scipy.linalg")

    def loop(stack: Any, b: Any) -> Any:
        def turn(c: Any, a: Any) -> Any:
            x = linalg.cho_solve(linalg.cho_factor(a), c) + linalg.cho_solve((linalg.cholesky(a, lower=True), True), c)
            return x, None

        return real(tn.scan(turn, b, stack)[0].sum())

    half = draw(complexes, 3, 4, 4)
    stack, b = half @ np.conj(np.swapaxes(half, 1, 2)) + np.eye(4), draw(complexes, 4, 2)
    for g in (loop, tn.grad(loop), tn.grad(loop, 1)):
        step, right = compiled(g), g(stack, b)
        for _ in range(2):
            np.testing.assert_allclose(step(stack, b), right, rtol=1e-9, atol=1e-12)
        assert not calls_python(step)


@backends
def test_what_scipy_refuses_is_refused(compiled: Compile) -> None:
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    step = compiled(lambda a, b: linalg.solve_triangular(a, b, lower=True) + 0)
    a, b = np.tril(np.ones((3, 3))), np.arange(3.0)
    for _ in range(2):
        np.testing.assert_allclose(step(a, b), linalg.solve_triangular(a, b, lower=True))
    with pytest.raises(np.linalg.LinAlgError):
        step(a - np.diag([0.0, 0.0, 1.0]), b)
    with pytest.raises(ValueError, match="infs or NaNs"):
        step(a, b * np.nan)
    np.testing.assert_allclose(step(a, b), linalg.solve_triangular(a, b, lower=True))
    a, b = 1j * a, b + 0j
    for _ in range(2):  # whose diagonal is not 0, though its real part is
        np.testing.assert_allclose(step(a, b), linalg.solve_triangular(a, b, lower=True))
    with pytest.raises(np.linalg.LinAlgError):
        step(a - np.diag([0.0, 0.0, 1j]), b)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("inv", 0.0, "raised in"),
        ("inv", np.nan, "raised in"),
        ("solve_triangular", 0.0, "raised in"),
        ("lu", np.inf, "raised in"),
        ("schur", np.nan, "raised by op 'schur' in"),
    ],
)
def test_errors_of_later_calls_say_line_and_shapes(backend: Any, name: str, value: float, said: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    right = (np.ones(3),) if name == "solve_triangular" else ()

    @tn.compile(backend=backend)
    def f(a: Array) -> object:
        return getattr(tn.scipy.linalg, name)(a, *right)

    f(np.eye(3))
    with pytest.raises((ValueError, np.linalg.LinAlgError)) as caught:
        f(np.full((3, 3), value))
    line = f.__wrapped__.__code__.co_firstlineno + 2
    (note,) = caught.value.__notes__
    assert note.startswith(f"{said} a compiled program, at {__file__}:{line}, of float64 (3, 3)")


@pytest.mark.parametrize(("trans", "complexes"), [(0, False), (1, False), (0, True), (1, True), (2, True)])
@backends
def test_systems_are_solved_by_factors_without_python(compiled: Compile, trans: int, complexes: bool) -> None:
    """Of factors that are made before a loop, in each turn; with gradients by both; of a constant matrix."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    a, b = (draw(complexes, 4, 4) + 3 * np.eye(4))[[2, 0, 3, 1]], draw(complexes, 3, 4)
    known = linalg.lu_factor(a)

    def f(a: Any, b: Any) -> Any:
        factors = linalg.lu_factor(a)

        def turn(c: Any, row: Any) -> Any:
            both = np.stack([row, c], axis=-1)
            return linalg.lu_solve(factors, both, trans).sum(1) + linalg.lu_solve(known, c, trans), None

        return real((tn.scan(turn, np.ones(4, b.dtype), b)[0] ** 2).sum())

    for whole in (f, tn.grad(f, argnums=(0, 1))):
        step = compiled(whole)
        for _ in range(2):
            found, right = step(a, b), whole(a, b)
            for one, other in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, right)), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-10)
        runner = step.variants[0].runner
        if hasattr(runner, "module") and entry.usable():
            assert not runner.module.called_back


@pytest.mark.parametrize("name", ["lu_factor", "lu", "order", "permuted"])
@pytest.mark.parametrize("complexes", [False, True])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 3, 3)])
@backends
def test_triangular_factors(compiled: Compile, shape: tuple[int, ...], name: str, complexes: bool) -> None:
    """In loops, with gradients inside and by the whole; and what is not finite is refused."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    options = {"order": {"p_indices": True}, "permuted": {"permute_l": True}}.get(name, {})
    f = partial(linalg.lu_factor if name == "lu_factor" else linalg.lu, **options)
    leading = importlib.import_module("tapenet.scipy.linalg.definition").LEADING
    if name == "lu_factor" and len(shape) > 2 and not leading:
        pytest.skip("SciPy's takes stacks since 1.17")

    def loss(a: Any) -> Any:
        return sum((i + 1) * real((v * v).sum()) for i, v in enumerate(f(a)) if v.dtype.kind in "fc")

    def total(stack: Any) -> Any:
        return tn.scan(lambda c, a: (c + loss(a), None), np.float64(0), stack)[0]

    def scanned(stack: Any) -> Any:
        return tn.scan(lambda c, a: (c, (*f(a), tn.grad(loss)(a))), np.float64(0), stack)[1]

    stack = draw(complexes, 3, *shape)
    step, gradient = compiled(scanned), compiled(tn.grad(total))
    right, slopes = scanned(stack), tn.grad(total)(stack)
    for _ in range(2):
        for found, one in zip(step(stack), right, strict=True):
            assert found.dtype == one.dtype
            np.testing.assert_allclose(found, one, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(gradient(stack), slopes, rtol=1e-9, atol=1e-11)
    assert not calls_python(step)
    assert not calls_python(gradient)
    with pytest.raises(ValueError, match="infs or NaNs"):
        step(stack * np.nan)


@backends
def test_factors_of_other_matrices(compiled: Compile) -> None:
    """Of float32, transposed ones, a singular one, and over lanes."""
    linalg = pytest.importorskip("tapenet.scipy.linalg")
    a = RNG.normal(size=(3, 4, 4)).astype(np.float32)
    a[1, 2] = a[1, 1]
    step = compiled(lambda a: linalg.lu_factor(a.T[::-1]))
    lanes = compiled(tn.vmap(linalg.lu_factor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = [linalg.lu_factor(x) for x in a]
        for _ in range(2):
            for x in a:
                (found, pivots), (right, others) = step(x), linalg.lu_factor(x.T[::-1])
                np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)
                np.testing.assert_array_equal(pivots, others)
            for found, right in zip(lanes(a), zip(*every, strict=True), strict=True):
                np.testing.assert_allclose(found, np.stack(right), rtol=1e-4, atol=1e-5)
