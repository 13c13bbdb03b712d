"""Initial value problems: SciPy's values, and derivatives of them by all that they depend on."""

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

METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")
solve_ivp, odeint = tn.scipy.integrate.solve_ivp, tn.scipy.integrate.odeint


def van_der_pol(t, y, mu=5.0):
    return [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]


def van_der_pol_jacobian(t, y):
    return np.array([[0, 1], [-10 * y[0] * y[1] - 1, 5 * (1 - y[0] ** 2)]])


def spiral(t, y, a, w):
    return [a * y[0] - w * y[1], w * y[0] + a * y[1]]


def spiral_solution(t, t0, a, w):
    """Where it is if it begins at (1, 0)."""
    return tn.stack([np.exp(a * (t - t0)) * np.cos(w * (t - t0)), np.exp(a * (t - t0)) * np.sin(w * (t - t0))])


def robertson(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] ** 2, k[2] * y[1] * y[2]
    return [-a + c, a - b - c, b]


@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_scipy(method: str) -> None:
    given = {"jac": van_der_pol_jacobian} if method in ("Radau", "BDF") else {}
    ours = solve_ivp(van_der_pol, (0, 5), [2.0, 0], method)
    theirs = integrate.solve_ivp(van_der_pol, (0, 5), [2.0, 0], method, **given)
    assert isinstance(ours.y, tn.Tensor)
    np.testing.assert_allclose(ours.t, theirs.t, rtol=1e-8 if given else 0)
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-8 if given else 0, atol=1e-9 if given else 0)
    mu = tn.tensor(5.0, requires_grad=True)  # on a compiled right side
    compiled = solve_ivp(van_der_pol, (0, 5), [2.0, 0], method, args=(mu,))
    np.testing.assert_allclose(compiled.y.detach()[:, -1], theirs.y[:, -1], rtol=2e-2, atol=1e-2)
    if method[:2] in ("RK", "DO"):
        assert compiled.nfev == theirs.nfev
        np.testing.assert_allclose(compiled.y.detach(), theirs.y, rtol=1e-8, atol=1e-9)
    assert [ours.nfev, ours.njev, ours.status, ours.message] == [
        theirs.nfev,
        theirs.njev,
        theirs.status,
        theirs.message,
    ]
    assert list(ours) == list(theirs)


@pytest.mark.parametrize(
    ("method", "sensitivity"),
    [
        ("RK45", "forward"),
        ("LSODA", "adjoint"),
        *(
            pytest.param(m, s, marks=pytest.mark.slow)
            for m in ("DOP853", "Radau", "BDF")
            for s in ("forward", "adjoint")
        ),
    ],
)
def test_derivatives_of_two_orders_by_parameters_start_and_all_times(method: str, sensitivity: str) -> None:
    """Beside a solution in closed form."""

    def solved(p, y0, ends, times):
        a, w = p
        sol = solve_ivp(spiral, ends, y0, method, times, args=(a, w), rtol=1e-8, atol=1e-9, sensitivity=sensitivity)
        return (sol.y * np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 1.0]])).sum()

    def exact(p, y0, ends, times):
        c, s = spiral_solution(times, ends[0], p[0], p[1])
        y = tn.stack([y0[0] * c - y0[1] * s, y0[1] * c + y0[0] * s])
        return (y * np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 1.0]])).sum()

    at = (np.array([-0.3, 1.7]), np.array([1.0, 0.4]), np.array([0.1, 2.0]), np.array([0.1, 0.9, 2.0]))
    for ours, theirs in zip(tn.grad(solved, (0, 1, 2, 3))(*at), tn.grad(exact, (0, 1, 2, 3))(*at), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    by = (0,) if method == "LSODA" else (0, 1, 2, 3)
    ours, theirs = tn.hessian(solved, by)(*at), tn.hessian(exact, by)(*at)
    for row, other in zip(ours, theirs, strict=True):
        for block, like in zip(row, other, strict=True):
            np.testing.assert_allclose(block, like, rtol=2e-6, atol=2e-6)
    if method == "RK45":  # by reverse mode twice
        for row, other in zip(tn.jacrev(tn.grad(solved))(*at), theirs[0][0], strict=True):
            np.testing.assert_allclose(row, other, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("sensitivity", ["forward", "adjoint"])
def test_a_stiff_system_is_as_exact_as_asked(sensitivity: str) -> None:
    """Rates from 0.04 to 3e7; the gradients of a solution with tolerances that are 1e-5 as large."""
    times, rates = np.array([0.4, 40.0, 4000.0]), np.array([0.04, 3e7, 1e4])

    def loss(k, rtol):
        y = odeint(robertson, [1.0, 0, 0], [0, *times], (k,), tfirst=True, rtol=rtol, atol=1e-3 * rtol, mxstep=5000,
                   sensitivity=sensitivity)  # fmt: skip
        return (y[1:] * np.array([[1.0, 2e4, 3.0]])).sum()

    found = tn.grad(loss)(rates, 1e-6) * rates
    exact = tn.grad(loss)(rates, 1e-11) * rates
    assert np.abs((found - exact).numpy()).max() < 1e-6 * np.abs(exact.numpy()).max()


def falls(t, y, g):
    return [y[1], -g]


def ground(t, y, g):
    return y[0]


ground.terminal, ground.direction = True, -1  # type: ignore[attr-defined]


def test_events_have_derivatives_of_two_orders() -> None:
    def landing(p):
        sol = solve_ivp(falls, (0, 10), p[1:], "DOP853", events=ground, args=(p[0],), rtol=1e-10, atol=1e-12)
        assert sol.status == 1
        return sol.t_events[0][0], sol.y_events[0][0, 1], sol.t[-1], sol.y[1, -1]

    def exact(p):
        speed = np.sqrt(p[2] ** 2 + 2 * p[0] * p[1])
        return (p[2] + speed) / p[0], -speed, (p[2] + speed) / p[0], -speed

    p = np.array([9.81, 2.0, 1.0])
    for i in range(4):
        one, other = (lambda p: landing(p)[i]), (lambda p: exact(p)[i])  # noqa: B023
        np.testing.assert_allclose(tn.grad(one)(p), tn.grad(other)(p), rtol=1e-9)
        if i == 0:
            np.testing.assert_allclose(tn.hessian(one)(p), tn.hessian(other)(p), rtol=1e-7, atol=1e-9)


def test_several_events_of_which_none_ends_it() -> None:
    def crossing(t, y, w):
        return y[0]

    def never(t, y, w):
        return y[0] + 5

    def solved(w):
        return solve_ivp(lambda t, y, w: [w * y[1], -w * y[0]], (0, 4), [1.0, 0.0], "DOP853", args=(w,),
                         events=[crossing, never], rtol=1e-10, atol=1e-12)  # fmt: skip

    found = solved(tn.tensor(2.0, requires_grad=True))
    np.testing.assert_allclose(found.t_events[0].detach(), np.pi / 4 * np.array([1, 3, 5]), rtol=1e-9)
    assert (found.t_events[1].shape, found.y_events[0].shape, found.y_events[1].shape) == ((0,), (3, 2), (0,))
    np.testing.assert_allclose(
        tn.jacobian(lambda w: solved(w).t_events[0])(2.0), -np.pi / 8 * np.array([1, 3, 5]), rtol=1e-8
    )


def test_a_dense_solution_has_derivatives_by_time_and_parameters() -> None:
    def at(a, t):
        sol = solve_ivp(lambda t, y: -a * t * y, (0, 2), [1.0], dense_output=True, rtol=1e-10, atol=1e-12).sol
        return sol(t)[0]

    a, t = 0.7, 1.3
    y = np.exp(-a * t**2 / 2)
    found = tn.grad(at, (0, 1))(a, t)
    np.testing.assert_allclose(found, [-(t**2) / 2 * y, -a * t * y], rtol=1e-7)
    assert solve_ivp(lambda t, y: -y, (0, 2), [1.0], dense_output=True).sol(np.array([0.5, 1.0])).shape == (1, 2)


@pytest.mark.parametrize("sensitivity", ["forward", "adjoint"])
def test_parameters_of_a_module_that_is_closed_over(sensitivity: str) -> None:
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(2, 5, dtype=np.float64), nn.Tanh(), nn.Linear(5, 2, dtype=np.float64))
    y0 = tn.tensor([1.0, 0.5], requires_grad=True)

    def loss():
        sol = solve_ivp(
            lambda t, y: net(y), (0, 1), y0, "RK45", [0.5, 1.0], rtol=1e-9, atol=1e-10, sensitivity=sensitivity
        )
        return (sol.y**2).sum()

    loss().backward()
    for p in [y0, *net.parameters()]:
        at, h = p.detach().numpy().copy(), 1e-4
        index = (0,) * p.ndim
        values = []
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * h
            p.data = moved
            values.append(loss().item())
        p.data = at
        assert p.grad[index].item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_compiled_it_gives_the_same(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def loss(k, times):
        return (
            solve_ivp(lambda t, y: [-k[0] * y[0], k[0] * y[0] - k[1] * y[1]], (0.0, 1.0), [1.0, 0.0], "LSODA", times).y
            ** 2
        ).sum()

    k, times = tn.tensor([2.0, 0.5]), tn.tensor([0.25, 1.0])
    for f in (loss, tn.grad(loss, (0, 1)), tn.hessian(loss)):
        for ours, theirs in zip(
            np.atleast_1d(tn.compile(f, backend=backend)(k, times)), np.atleast_1d(f(k, times)), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-7)
    with pytest.raises(CaptureError, match="give t_eval"):
        tn.compile(lambda k: solve_ivp(lambda t, y: -k * y, (0, 1), [1.0]).y, backend=backend)(tn.tensor(1.0))


def test_forward_mode_and_lanes() -> None:
    def end(k):
        return solve_ivp(lambda t, y: -k * y, (0, 1), [1.0], "LSODA", [0.5, 1.0], rtol=1e-9, atol=1e-10).y[0]

    value, tangent = tn.jvp(end, (2.0,), (3.0,))
    np.testing.assert_allclose(value, np.exp([-1.0, -2.0]), rtol=1e-8)
    np.testing.assert_allclose(tangent, [-1.5 * np.exp(-1.0), -3 * np.exp(-2.0)], rtol=1e-7)
    rates = np.array([1.0, 2.0])
    np.testing.assert_allclose(tn.vmap(end)(rates), np.exp(-rates[:, None] * [0.5, 1.0]), rtol=1e-7)
    slopes = tn.vmap(tn.grad(lambda k: end(k).sum()))(rates)
    np.testing.assert_allclose(slopes, [tn.grad(lambda k: end(k).sum())(k) for k in rates], rtol=1e-12)


@pytest.mark.parametrize("method", ["DOP853", "BDF"])
def test_complex_states(method: str) -> None:
    def wave(t, y, w=0.7):
        return 1j * w * y

    ours, theirs = solve_ivp(wave, (0, 2), [1 + 0.5j], method), integrate.solve_ivp(wave, (0, 2), [1 + 0.5j], method)
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-8)
    if method == "DOP853":
        f: Callable[..., tn.Tensor] = lambda w, y0: (
            solve_ivp(wave, (0, 2), y0 * np.array([1 + 0.5j]), method, args=(w,), rtol=1e-10, atol=1e-12).y[0, -1].real
        )
        tn.testing.check_grads(f, [np.array(0.7), np.array(1.2)], order=2)


def test_what_makes_arrays_branches_and_computes_by_math_is_lifted() -> None:
    """y' = -k y until t = 1, then twice as quickly: y(2) = exp(-3 k)."""

    def pulsed(t, y, k):
        rate = np.zeros(2)
        rate[0] = -k * y[0] if t < 1 else -2 * k * y[0]
        return np.array([rate[0], math.exp(-k)])

    def end(k):
        return solve_ivp(pulsed, (0, 2), [1.0, 0.0], args=(k,), rtol=1e-8, atol=1e-10).y[0, -1]

    np.testing.assert_allclose(end(0.5), np.exp(-1.5), rtol=1e-6)
    np.testing.assert_allclose(tn.grad(end)(0.5), -3 * np.exp(-1.5), rtol=1e-7)
    np.testing.assert_allclose(tn.grad(tn.grad(end))(0.5), 9 * np.exp(-1.5), rtol=1e-6)


def test_what_cannot_be_read_is_called_as_it_stands_and_has_no_derivatives() -> None:
    sine = ctypes.CDLL(ctypes.util.find_library("m")).sin
    sine.argtypes, sine.restype = (ctypes.c_double,), ctypes.c_double

    def forced(t, y, k):
        return -k * y * sine(t)

    for method in ("RK45", "BDF"):
        ours = solve_ivp(forced, (0, 2), [1.0], method, args=(0.5,), events=lambda t, y, k: y[0] - 0.9)
        theirs = integrate.solve_ivp(forced, (0, 2), [1.0], method, args=(0.5,), events=lambda t, y, k: y[0] - 0.9)
        np.testing.assert_array_equal(ours.y, theirs.y)
        np.testing.assert_array_equal(ours.t_events[0], theirs.t_events[0])
    k = tn.tensor(0.5, requires_grad=True)
    for call in (
        lambda: solve_ivp(forced, (0, 2), [1.0], args=(k,)),
        lambda: solve_ivp(lambda t, y: forced(t, y, k), (0, 2), [1.0]),
        lambda: solve_ivp(forced, (0, 2), k[None], args=(0.5,)),
        lambda: odeint(lambda y, t: forced(t, y, k), 1.0, [0.0, 2.0]),
    ):
        with pytest.raises(CaptureError, match="derivatives are wanted, for which fun must be readable"):
            call()
    with tn.no_grad():
        np.testing.assert_allclose(solve_ivp(forced, (0, 2), [1.0], "BDF", args=(k,)).y, theirs.y, rtol=1e-12)


def test_options_go_to_the_solver() -> None:
    for options in ({"max_step": 0.1}, {"first_step": 1e-3}, {"rtol": 1e-6, "atol": [1e-8, 1e-9]}):
        ours = solve_ivp(van_der_pol, (0, 2), [2.0, 0], "RK45", **options)
        theirs = integrate.solve_ivp(van_der_pol, (0, 2), [2.0, 0], "RK45", **options)
        assert ours.nfev == theirs.nfev
    ours = solve_ivp(lambda t, y: np.array([[0.0, 1], [-1, 0]]) @ y, (0, 2), [1.0, 0], "Radau", vectorized=True)
    np.testing.assert_allclose(ours.y[0, -1], np.cos(2), rtol=1e-2)
    jac = solve_ivp(van_der_pol, (0, 2), [2.0, 0], "BDF", jac=lambda t, y, mu: van_der_pol_jacobian(t, y), args=(5.0,))
    assert jac.njev == integrate.solve_ivp(van_der_pol, (0, 2), [2.0, 0], "BDF", jac=van_der_pol_jacobian).njev


def test_odeint_gives_what_scipy_gives() -> None:
    t = np.linspace(0, 3, 7)
    theirs, told = integrate.odeint(van_der_pol, [2.0, 0], t, Dfun=van_der_pol_jacobian, tfirst=True, full_output=True)
    ours, also = odeint(van_der_pol, [2.0, 0], t, tfirst=True, full_output=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(also["nfe"], told["nfe"])
    np.testing.assert_array_equal(
        odeint(lambda y, t, k: -k * y, 1.0, t[::-1], (0.5,)).shape,
        integrate.odeint(lambda y, t, k: -k * y, 1.0, t[::-1], (0.5,)).shape,
    )


grows = tn.tensor(1.0, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: solve_ivp(van_der_pol, (0, 1), [[2.0, 0]]), ValueError, "`y0` must be 1-dimensional"),
        (lambda: solve_ivp(van_der_pol, (0, 1), [2.0, 0], "Euler"), ValueError, "`method` must be one of"),
        (lambda: solve_ivp(van_der_pol, (0, 1), [2.0, 0], t_eval=[0.5, 3.0]), ValueError, "not within `t_span`"),
        (lambda: solve_ivp(van_der_pol, (0, 1), [2.0, 0], args=5.0), TypeError, r"tuple \(e.g. `args=\(5.0,\)`\)"),
        (lambda: solve_ivp(lambda t, y: y[0] * grows, (0, 1), [2.0, 0]), CaptureError, "fun gives 1 value"),
        (lambda: solve_ivp(van_der_pol, (0, 1), [2.0, 0], sensitivity="both"), ValueError, "sensitivity='both'"),
        (lambda: odeint(van_der_pol, [2.0, 0], [0, 2, 1], tfirst=True), ValueError, "monotonically"),
    ],
)  # fmt: skip
def test_errors(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_complex_parameter_is_refused() -> None:
    k = tn.tensor(1j, requires_grad=True)
    with pytest.raises(TypeError, match="real and its imaginary part"):
        solve_ivp(lambda t, y: k * y, (0, 1), [1 + 0j])


def test_a_jacobian_solves_for_all_tangents_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tapenet.scipy.integrate import trajectory

    solved, lsoda = [], trajectory.lsoda
    monkeypatch.setattr(
        trajectory, "lsoda", lambda *args, **kwargs: (solved.append(args[4].size), lsoda(*args, **kwargs))[1]
    )

    def ends(k):
        return odeint(robertson, [1.0, 0, 0], [0, 0.4, 40.0], (k,), tfirst=True, rtol=1e-7, atol=1e-10)

    rates = np.array([0.04, 3e7, 1e4])
    found = tn.jacobian(ends)(rates)
    assert solved == [3 * 4]  # and none to learn a shape
    solved.clear()
    tn.jacfwd(lambda y0: odeint(robertson, y0, [0, 0.4], (rates,), tfirst=True))(np.array([1.0, 0, 0]))
    assert solved == [3 * 4]
    np.testing.assert_allclose(found * rates, tn.jacrev(ends)(rates) * rates, rtol=1e-6, atol=1e-8)
    for i in range(3):
        np.testing.assert_allclose(found[..., i], tn.jvp(ends, (rates,), (np.eye(3)[i],))[1], rtol=1e-5, atol=1e-12)
    several = tn.vmap(lambda k: tn.jvp(ends, (k,), (k,))[1])(np.stack([rates, 2 * rates]))
    np.testing.assert_allclose(several[1], tn.jvp(ends, (2 * rates,), (2 * rates,))[1], rtol=1e-10)


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_compiled_from_a_state_that_is_computed(method: str) -> None:
    """The program keeps nothing of the state but its size."""

    def end(p: tn.Tensor) -> tn.Tensor:
        made = tn.scipy.integrate.solve_ivp(
            lambda t, y, a: np.stack([y[1], -a * y[0]]),
            (0, 2.0),
            p[:2] ** 2,
            method,
            t_eval=np.array([0.5, 2.0]),
            args=(p[2],),
        )
        return made.y.sum()

    for point in ([1.0, 0.5, 1.2], [0.7, 1.5, 0.9]):
        compiled = tn.compile(tn.grad(end), backend="numpy")(np.array(point))
        np.testing.assert_allclose(compiled.numpy(), tn.grad(end)(np.array(point)).numpy(), rtol=1e-12)
