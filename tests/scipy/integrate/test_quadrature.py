"""Adaptive quadrature: SciPy's values, and derivatives by parameters and limits."""

from __future__ import annotations

import ctypes.util
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate

import tapenet as tn
from tapenet import nn
from tapenet.autodiff.observe.tape import CaptureError

ours = tn.scipy.integrate
quad = ours.quad


def damped(x: tn.Tensor, k: object) -> tn.Tensor:
    return np.exp(-k * x) * np.cos(x)


KINDS: dict[str, tuple[Callable[..., object], list[float]]] = {
    "finite": (lambda k, a, b: quad(damped, a, b, (k,))[0], [0.7, 0.1, 2.0]),
    "infinite": (lambda k, a: quad(damped, a, np.inf, (k,))[0], [0.7, 0.1]),
    "everywhere": (lambda k: quad(lambda x: np.exp(-k * x * x), -np.inf, np.inf)[0], [0.7]),
    "from below": (lambda k, b: quad(lambda x: np.exp(k * x), -np.inf, b)[0], [0.7, 0.3]),
    "backwards": (lambda k, a, b: quad(damped, a, b, (k,))[0], [0.7, 2.0, 0.1]),
    "singular": (lambda k: quad(lambda x: x ** (-k), 0, 1)[0], [0.6]),
    "a point": (lambda k: quad(lambda x: np.abs(x - 0.3) ** k, 0, 1, points=[0.3])[0], [0.7]),
    "cos": (lambda k, w: quad(lambda x: np.exp(-k * x), 0, 3, weight="cos", wvar=w)[0], [0.7, 2.0]),
    "sin to infinity": (lambda k: quad(lambda x: np.exp(-k * x), 0, np.inf, weight="sin", wvar=3.0)[0], [0.7]),
    "alg": (lambda k, a, b: quad(lambda x: np.exp(-k * x), 0, 3, weight="alg", wvar=(a, b))[0], [0.7, -0.3, 0.2]),
    "alg's limit": (lambda b: quad(lambda x: np.exp(-x), 0, b, weight="alg-loga", wvar=(0.3, 0.2))[0], [2.0]),
    "cauchy": (lambda k: quad(lambda x: np.exp(-k * x), 0, 3, weight="cauchy", wvar=1.0)[0], [0.7]),
    "cos to infinity, all": (
        lambda k, a, w: quad(lambda x: np.exp(-k * x), a, np.inf, weight="cos", wvar=w)[0],
        [0.7, 0.1, -2.0],
    ),
    "sin from below, all": (
        lambda k, b, w: quad(lambda x: np.exp(k * x), -np.inf, b, weight="sin", wvar=w)[0],
        [0.7, 0.1, 2.0],
    ),
    "cauchy, all": (
        lambda k, a, b, c: quad(lambda x: np.exp(-k * x), a, b, weight="cauchy", wvar=c)[0],
        [0.7, 0.1, 3.0, 1.0],
    ),
    "cauchy, backwards": (
        lambda a, b, c: quad(lambda x: np.exp(-x), a, b, weight="cauchy", wvar=c)[0],
        [3.0, 0.1, 2.0],
    ),
    "cauchy, no pole inside": (lambda b, c: quad(np.exp, 0, b, weight="cauchy", wvar=c)[0], [2.0, 3.0]),
    "complex": (lambda k, b: quad(lambda x: np.exp(1j * k * x), 0, b, complex_func=True)[0].imag, [0.7, 2.0]),
    "a vector": (lambda k, b: ours.quad_vec(lambda x: np.exp(-k * x * np.arange(1, 4)), 0, b)[0], [0.7, 2.0]),
}
SLOW = {"from below", "backwards", "a point", "complex", "alg", "alg's limit", "cauchy, backwards"}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in KINDS])
def test_derivatives(kind: str) -> None:
    f, at = KINDS[kind]
    tn.testing.check_grads(f, [np.array(v) for v in at], order=2)


def test_derivatives_in_closed_form() -> None:
    """∫ exp(-k x²) over all numbers is √(π / k)."""
    f, k = KINDS["everywhere"][0], 0.7
    expected = np.sqrt(np.pi) * np.array([-0.5 * k**-1.5, 0.75 * k**-2.5])
    np.testing.assert_allclose([tn.grad(f)(k), tn.hessian(f)(k)], expected, rtol=1e-9)
    np.testing.assert_allclose(tn.grad(tn.grad(f))(k), expected[1], rtol=1e-9)
    value, tangent = tn.jvp(f, (k,), (2.0,))
    np.testing.assert_allclose([value, tangent], [np.sqrt(np.pi / k), 2 * expected[0]], rtol=1e-9)
    np.testing.assert_allclose(tn.vmap(f)(np.array([0.7, 2.0])), np.sqrt(np.pi / np.array([0.7, 2.0])), rtol=1e-9)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_compiled_it_gives_the_same(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    f, at = KINDS["finite"]
    for g in (f, tn.grad(f, (0, 1, 2)), tn.hessian(f, (0, 1, 2))):
        found, expected = tn.compile(g, backend=backend)(*map(tn.tensor, at)), g(*at)
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_values_are_those_of_scipy() -> None:
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = [
        ((math.exp, 0, 1), {}),
        ((lambda x, a: math.exp(-a * x), 0, np.inf, (2.0,)), {}),
        ((np.cos, 0, 2), {"weight": "cos", "wvar": 3.0}),
        ((lambda x: np.exp(1j * x), 0, 2), {"complex_func": True}),
    ]
    for args, options in calls:
        value, error = quad(*args, **options)
        assert isinstance(value, tn.Tensor)
        assert (value.item(), error) == integrate.quad(*args, **options)
    value, error, told = quad(math.exp, 0, 1, full_output=1)
    assert told["neval"] == integrate.quad(math.exp, 0, 1, full_output=1)[2]["neval"]
    sine = ctypes.CDLL(ctypes.util.find_library("m")).sin
    sine.argtypes, sine.restype = (ctypes.c_double,), ctypes.c_double
    assert quad(sine, 0, 1)[0].item() == integrate.quad(sine, 0, 1)[0]
    assert quad(math.exp, tn.tensor(0.0), tn.tensor(1.0))[0].item() == value.item()
    k = tn.tensor(2.0, requires_grad=True)
    value, error, told = quad(lambda x: np.exp(-k * x), 0, 1, full_output=1)
    expected = integrate.quad(lambda x: np.exp(-2.0 * x), 0, 1, full_output=1)
    assert (value.item(), error, told["neval"]) == pytest.approx(
        (expected[0], expected[1], expected[2]["neval"]), rel=1e-14
    )
    value, error = ours.quad_vec(lambda x: np.exp(-x * np.arange(3)), 0, 1)
    np.testing.assert_array_equal(value, integrate.quad_vec(lambda x: np.exp(-x * np.arange(3)), 0, 1)[0])


def test_complex_functions_change_sign_with_the_limits() -> None:
    """SciPy's do not."""
    there, back = (quad(lambda x: np.exp(1j * x), a, b, complex_func=True) for a, b in ((0, 1), (1, 0)))
    assert there[0].item() == -back[0].item()
    assert back[1] == pytest.approx(there[1])


def test_parameters_of_a_module() -> None:
    """Of many parameters the gradients are one integral, of a vector."""
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(1, 8, dtype=np.float64), nn.Tanh(), nn.Linear(8, 1, dtype=np.float64))
    value = quad(lambda x: net(tn.reshape(x, (1, 1))), 0.0, 1.0)[0]
    value.backward()
    points, weights = np.polynomial.legendre.leggauss(20)
    found = [p.grad.numpy().copy() for p in net.parameters()]
    for p in net.parameters():
        p.grad = None
    (net(tn.tensor((points + 1) / 2)[:, None])[:, 0] * weights / 2).sum().backward()
    for g, p in zip(found, net.parameters(), strict=True):
        np.testing.assert_allclose(g, p.grad, rtol=1e-8, atol=1e-12)


def test_integrals_over_several_numbers() -> None:
    def quarter(r):
        return ours.nquad(lambda y, x: 1.0, [lambda x: (0, np.sqrt(r**2 - x**2)), (0, r)])[0]

    value, slope = tn.value_and_grad(quarter)(2.0)
    np.testing.assert_allclose([value, slope], [np.pi, np.pi], rtol=1e-7)
    double = lambda k, b: ours.dblquad(lambda y, x: np.exp(-k * x * y), 0, b, lambda x: k * x, lambda x: 1 + x)[0]
    tn.testing.check_grads(double, [np.array(0.7), np.array(1.0)])
    triple = lambda c: ours.tplquad(lambda z, y, x: c * x * y * z, 0, 1, 0, 2, 0, lambda x, y: y)[0]
    np.testing.assert_allclose(tn.value_and_grad(triple)(3.0), [3.0, 1.0], rtol=1e-9)
    for name, args in {
        "dblquad": (lambda y, x: x * y, 0, 1, 0, lambda x: x),
        "nquad": (lambda y, x, a: a * x * y, [lambda x, a: (0, x), (0, 1)], (2.0,), {"epsabs": 1e-6}),
    }.items():
        assert (getattr(ours, name)(*args)[0].item(), getattr(ours, name)(*args)[1]) == getattr(integrate, name)(*args)
    *_, told = ours.nquad(lambda y, x: x * y, [(0, 1), (0, 1)], full_output=True)
    assert told == integrate.nquad(lambda y, x: x * y, [(0, 1), (0, 1)], full_output=True)[2]


def test_branches_and_functions_of_math_are_lifted() -> None:
    def bent(k, b):
        return quad(lambda x: k * x if x < 0.5 else 2 * k * math.sqrt(x), 0, b, points=[0.5])[0]

    expected = 0.125 + 4 / 3 * (1 - 0.5**1.5)
    np.testing.assert_allclose(tn.grad(bent, (0, 1))(1.0, 1.0), [expected, 2.0], rtol=1e-9)


def test_errors() -> None:
    k, imaginary = tn.tensor(1.0, requires_grad=True), tn.tensor(1j, requires_grad=True)
    sine = ctypes.CDLL(ctypes.util.find_library("m")).sin
    sine.argtypes, sine.restype = (ctypes.c_double,), ctypes.c_double
    with pytest.raises(CaptureError, match=r"quad: derivatives are wanted, for which func must be readable"):
        quad(lambda x: k * sine(x), 0, 1)
    with pytest.raises(CaptureError, match=r"func must be readable"):
        quad(sine, 0, k)
    with tn.no_grad():
        assert quad(lambda x: k * sine(x), 0, 1)[0].item() == pytest.approx(1 - math.cos(1))
    with pytest.raises(TypeError, match="complex_func=True"):
        quad(lambda x: 1j * k * x, 0, 1)
    with pytest.raises(ValueError, match=r"array of shape \(2,\), not a number"):
        quad(lambda x: k * x * np.ones(2), 0, 1)
    with pytest.raises(TypeError, match="no derivatives at wvar=0"):
        quad(lambda x: np.exp(-x), k, np.inf, weight="sin", wvar=0.0)
    for rule in (quad, ours.quad_vec):
        with pytest.raises(TypeError, match="no derivative by points: give them detached"):
            rule(lambda x: abs(x - k), 0, 2, points=[k])
    assert quad(lambda x: abs(x - k), 0, 2, points=[k.detach()])[0].item() == pytest.approx(1.0)
    with pytest.raises(TypeError, match="real and its imaginary part"):
        quad(lambda x: (x * k * imaginary).real, 0, 1)


def test_rules_of_fixed_points_are_compiled() -> None:
    def f(a: object, b: object) -> object:
        return ours.fixed_quad(lambda x: x**3, a, b)[0]

    np.testing.assert_allclose(tn.compile(f, backend="numpy")(tn.tensor(1.0), tn.tensor(2.0)).numpy(), 3.75, rtol=1e-14)
