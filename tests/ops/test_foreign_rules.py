"""Gradient rules that cannot be read: they call C, Numba or SciPy, or branch on values. They are called as they stand."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy import integrate, linalg, special

import tapenet as tn
from tapenet.ops.rule_results import GradientError

X = np.linspace(-1.0, 1.5, 6)
#: The backends that there are here.
BACKENDS = ("numpy", "native") if find_spec("llvmlite") else ("numpy",)
_needs = pytest.mark.skipif(BACKENDS == ("numpy",), reason="needs llvmlite")
BOTH = pytest.mark.parametrize("backend", ["numpy", pytest.param("native", marks=_needs)])

_libm = ctypes.CDLL(ctypes.util.find_library("m"))
_libm.erf.restype, _libm.erf.argtypes = ctypes.c_double, [ctypes.c_double]
_libm.cos.restype, _libm.cos.argtypes = ctypes.c_double, [ctypes.c_double]


def _each(f: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """A C function on each element, through its memory: nothing but an array has that."""
    given = np.array(x, np.float64, order="C")
    found = np.empty_like(given)
    numbers = ctypes.cast(given.ctypes.data, ctypes.POINTER(ctypes.c_double))
    results = ctypes.cast(found.ctypes.data, ctypes.POINTER(ctypes.c_double))
    for i in range(given.size):
        results[i] = f(numbers[i])
    return found


def _sine(x: np.ndarray) -> np.ndarray:
    return np.sin(x)


def _sine_rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    return g * _each(_libm.cos, x)


sine = tn.op(_sine, name="c_sine", x=_sine_rule)
referred = tn.op(lambda x: _each(math.sin, x), name="c_sine_referred", x=_sine_rule, reference=lambda x: np.sin(x))
#: Each rule is an op with a C rule: a derivative of every order.
cosine = tn.op(lambda x: _each(_libm.cos, x), name="c_cosine", x=lambda g, x: -g * chained(x))
chained = tn.op(lambda x: _each(math.sin, x), name="c_sine_chained", x=lambda g, x: g * cosine(x))


def _loss(op: Any) -> Callable[[Any], Any]:
    return lambda t: (op(2 * t) ** 2).sum()


def _first(x: np.ndarray) -> np.ndarray:
    return 4 * np.sin(2 * x) * np.cos(2 * x)


def _second(x: np.ndarray) -> np.ndarray:
    return np.diag(8 * np.cos(4 * x))


OPS = pytest.mark.parametrize("op", [sine, referred, chained], ids=lambda op: op.name)
#: Those with a derivative of second order.
TWICE = pytest.mark.parametrize("op", [referred, chained], ids=lambda op: op.name)

# -- compiled ----------------------------------------------------------------------------------------------------


@OPS
@BOTH
def test_a_compiled_gradient(op: Any, backend: str) -> None:
    step = tn.compile(tn.grad(_loss(op)), backend=backend)
    for k in range(3):
        np.testing.assert_allclose(step(X + k).numpy(), _first(X + k), rtol=1e-12)
    assert "c_sine" in str(step.explain())


@OPS
@BOTH
def test_a_compiled_backward_and_step(op: Any, backend: str) -> None:
    def train(w: tn.Tensor) -> Callable[[Any], tuple[Any, Any]]:
        opt = tn.optim.SGD([w], lr=0.1)

        def step(x: Any) -> tuple[Any, Any]:
            opt.zero_grad()
            loss = (op(w * x) ** 2).sum()
            loss.backward()
            opt.step()
            return loss, w.grad

        return step

    eager, compiled = (tn.tensor(X[1:4], requires_grad=True) for _ in range(2))
    step, quick = train(eager), tn.compile(train(compiled), backend=backend)
    for k in range(4):
        for a, b in zip(step(X[:3] + k), quick(X[:3] + k), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    np.testing.assert_allclose(eager.numpy(), compiled.numpy(), rtol=1e-12)


def test_explain_says_which_rule_is_called_and_why() -> None:
    step = tn.compile(tn.grad(_loss(sine)))
    step(X)
    assert "c_sine gradient: " in str(step.explain())


@BOTH
def test_a_rule_is_called_once_in_each_call_of_a_program(backend: str) -> None:
    count = itertools.count()

    def rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = g * _each(_libm.cos, x)
        next(count)
        return value

    counted = tn.op(np.sin, name="counted", x=rule)
    step = tn.compile(tn.grad(lambda t: counted(t).sum()), backend=backend)
    step(np.ones(2))
    before = next(count)
    step(np.ones(2))
    assert next(count) - before == 2


@OPS
@BOTH
@pytest.mark.parametrize("compiled", [False, True])
def test_in_a_loop(op: Any, backend: str, compiled: bool) -> None:
    def looped(x: Any) -> Any:
        return tn.scan(lambda c, _: (op(c), None), x, None, length=3)[0].sum()

    def unrolled(x: Any) -> Any:
        return np.sin(np.sin(np.sin(x))).sum()

    gradient = tn.compile(tn.grad(looped), backend=backend) if compiled else tn.grad(looped)
    for k in range(2):
        np.testing.assert_allclose(gradient(X + k).numpy(), tn.grad(unrolled)(X + k).numpy(), rtol=1e-12)


@OPS
def test_in_a_while_loop_and_a_branch(op: Any) -> None:
    def looped(x: Any) -> Any:
        return tn.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, op(c[1])), (0, x), max_turns=3)[1].sum()

    def branched(x: Any) -> Any:
        return tn.cond(x.sum() > 0, lambda x: op(x), lambda x: x, x).sum()

    for run in (tn.grad, lambda f: tn.compile(tn.grad(f))):
        expected = tn.grad(lambda x: np.sin(np.sin(np.sin(x))).sum())(X)
        np.testing.assert_allclose(run(looped)(X).numpy(), expected.numpy(), rtol=1e-12)
        np.testing.assert_allclose(run(branched)(X).numpy(), np.cos(X), rtol=1e-12)


# -- batched -----------------------------------------------------------------------------------------------------


@OPS
@pytest.mark.parametrize("compiled", [False, True])
def test_lanes_of_a_gradient(op: Any, compiled: bool) -> None:
    gradient = tn.vmap(tn.grad(_loss(op)))
    if compiled:
        gradient = tn.compile(gradient)
    xs = np.stack([X, X + 1, -X])
    np.testing.assert_allclose(gradient(xs).numpy(), _first(xs), rtol=1e-12)


def test_a_rule_that_is_an_op_with_vmap_is_called_once_for_all_lanes() -> None:
    shapes = []

    def forward(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return _each(math.cos, x)

    slope = tn.op(forward, name="slope", x=lambda g, x: -g * np.sin(x), vmap="leading")
    op = tn.op(np.sin, name="sine", x=lambda g, x: g * slope(x))
    gradient = tn.vmap(tn.grad(lambda t: op(t).sum()))
    gradient(np.ones((5, 3)))
    shapes.clear()
    np.testing.assert_allclose(gradient(np.ones((5, 3))).numpy(), np.full((5, 3), math.cos(1)))
    assert shapes[-1] == (5, 3)


# -- higher orders, forward mode ---------------------------------------------------------------------------------


@TWICE
@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives(op: Any, compiled: bool) -> None:
    loss = _loss(op)
    for hessian in (tn.hessian(loss), tn.jacrev(tn.grad(loss)), tn.jacfwd(tn.grad(loss))):
        run = tn.compile(hessian) if compiled else hessian
        np.testing.assert_allclose(run(X).numpy(), _second(X), rtol=1e-10, atol=1e-12)
    penalty = tn.grad(lambda t: (tn.grad(loss)(t) ** 2).sum())
    run = tn.compile(penalty) if compiled else penalty
    np.testing.assert_allclose(run(X).numpy(), 2 * _first(X) @ _second(X), rtol=1e-10, atol=1e-12)


@TWICE
def test_forward_mode(op: Any) -> None:
    t = X**2 + 1
    for run in (lambda f: f, tn.compile):
        out, moved = run(lambda x, t: tn.jvp(_loss(op), (x,), (t,)))(X, t)
        np.testing.assert_allclose(out.numpy(), (np.sin(2 * X) ** 2).sum(), rtol=1e-12)
        np.testing.assert_allclose(moved.numpy(), _first(X) @ t, rtol=1e-12)


@TWICE
def test_lanes_of_second_derivatives_and_of_forward_mode(op: Any) -> None:
    xs = np.stack([X, X + 1])
    found = tn.vmap(tn.hessian(_loss(op)))(xs)
    np.testing.assert_allclose(found.numpy(), np.stack([_second(x) for x in xs]), rtol=1e-10, atol=1e-12)
    moved = tn.vmap(lambda x: tn.jvp(_loss(op), (x,), (np.ones_like(X),))[1])(xs)
    np.testing.assert_allclose(moved.numpy(), _first(xs).sum(1), rtol=1e-12)


@TWICE
def test_finite_differences_agree(op: Any) -> None:
    tn.testing.check_grads(op, [X], order=2)


@pytest.mark.parametrize(
    "second",
    [
        lambda f: tn.grad(tn.grad(f)),
        lambda f: tn.hessian(f),
        lambda f: tn.compile(tn.grad(tn.grad(f))),
        lambda f: tn.grad(tn.compile(tn.grad(f))),
        lambda f: lambda x: tn.jvp(f, (x,), (1.0,)),
        lambda f: lambda x: tn.vmap(lambda x: tn.jvp(f, (x,), (x,))[1])(np.ones(2) * x),
        lambda f: tn.jacfwd(f),
        lambda f: lambda x: tn.vmap(tn.grad(tn.grad(f)))(np.ones(2) * x),
        lambda f: tn.grad(lambda x: tn.scan(lambda c, _: (tn.grad(f)(c), None), x, None, length=2)[0]),
        lambda f: lambda x: tn.linearize(f, x)[1](1.0),
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_without_a_reference_a_further_derivative_is_an_error(second: Any, mixed: bool) -> None:
    """Also where another part of the function has one: nothing is left out in silence."""

    def f(x: Any) -> Any:
        return (sine(x) + x**3 if mixed else sine(x)).sum()

    words = (
        r"rule for 'x' of op 'c_sine' is called as it stands .* give tn\.op reference=.* or make what the rule calls"
    )
    with pytest.raises(TypeError, match=words):
        second(f)(0.5)


# -- every kind of rule ------------------------------------------------------------------------------------------


def _array(x: Any) -> np.ndarray:
    """What C code would do with an argument: anything but an array is refused."""
    assert isinstance(x, (np.ndarray, np.generic)), type(x)
    return x


def _halves(g: Any, x: Any) -> Any:
    return np.where(x.sum() > 0, g, -g) if x.sum() > 100 else g * (2 if x.sum() > 0 else -2)


def _sums(g: Any, wanted: Any, x: Any, y: Any, out: Any) -> dict[str, Any]:
    found = {"x": _array(g) * _array(out) / x, "y": g * x}
    return {n: d for n, d in found.items() if n in wanted}


def _two(x: Any, y: Any) -> Any:
    return x * y, x + y, np.sign(x)


def _two_rule(g: Any, y: Any, out: Any) -> Any:
    assert g[2] is None
    assert len(out) == 3
    return _array(g[0]) * _array(y) + g[1]


def _unused(g: Any, y: Any) -> Any:
    return sum(_array(part) * _array(y) ** i for i, part in enumerate(g) if part is not None)


def _kept(x: Any) -> Any:
    return np.sort(x), np.argsort(x), np.array(float(x.max()))


def _kept_rule(g: Any, order: Any, top: Any) -> Any:
    found = np.empty(len(g))
    found[_array(order)] = _array(g)
    return found + 0 * _array(top)


def _drawn_from(g: Any, table: Any, rows: Any) -> Any:
    _array(table)
    return tn.Scatter(_array(rows), g)


#: By name: an op whose rules take nothing but arrays, a function of it, and the arguments of that.
KINDS: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {}


def _kind(name: str, f: Callable[..., Any], *args: np.ndarray) -> None:
    KINDS[name] = f, list(args)


_branching = tn.op(lambda x: x * (2 if x.sum() > 0 else -2), name="branching", x=_halves)
_kind("branch on values", lambda x: _branching(x), np.array([1.0, 2.0]))
_product = tn.op(lambda x, y: x * y, name="product", joint=_sums)
_kind("joint", lambda x, y: _product(x, y), np.array([1.0, 2.0]), np.array([3.0, -1.0]))
_kind("joint, one wanted", lambda x: _product(x, np.array([3.0, -1.0])), np.array([1.0, 2.0]))
_several = tn.op(
    _two, name="several", outputs=3, nondiff_outputs=(2,), x=_two_rule, y=lambda g, x: _array(g[0]) * x + g[1]
)
_kind("several outputs", lambda x, y: np.sin(_several(x, y)[0]) + _several(x, y)[1], X + 2, X)
_kind("an unused output", lambda x, y: _several(x, y)[0], X + 2, X)
_powers = tn.op(
    lambda x, y: (x + 0, x * y), name="powers", outputs=2, tell_unused=True, x=_unused,
    y=lambda g, x: 0.0 if g[1] is None else _array(g[1]) * x,
)  # fmt: skip
_kind("told of unused outputs", lambda x, y: _powers(x, y)[1], X, X - 1)
_sorted = tn.op(_kept, name="sorted", residuals=("order", "top"), x=_kept_rule)
_kind("residuals", lambda x: _sorted(x) * np.arange(6.0), -X)
_added = tn.op(
    lambda arrays, scale=2.0: sum(arrays) * scale,
    name="added",
    arrays=lambda g, arrays, scale: [_array(g) * scale + 0 * _array(a) for a in arrays],
)
_kind("sequence", lambda x, y: _added([x, np.ones(6), y, x], scale=3.0), X, X + 1)
_looked_up = tn.op(lambda table, rows: table[rows], name="looked_up", nondiff=("rows",), table=_drawn_from)
_kind("Scatter", lambda t: _looked_up(t, np.array([0, 2, 2])), np.arange(8.0).reshape(4, 2))
_scaled = tn.op(
    lambda x, y: x * y,
    name="scaled",
    broadcasts=True,
    x=lambda g, y: _array(g) * y,
    y=lambda g, x: _array(g) * _array(x),
)
_kind("broadcasts", lambda x, y: _scaled(x, y), np.ones((2, 3)), np.array([1.0, 2.0, 3.0]))
_turned = tn.op(lambda z: z * np.exp(1j), name="turned", z=lambda g: _array(g) * np.exp(1j))
_kind("complex", lambda x: np.real(_turned(x + 1j * x**2)), X)
_real = tn.op(lambda x: x * 1j, name="real_in_complex_out", x=lambda g: _array(g) * 1j)
_kind("complex from real", lambda x: np.imag(_real(x)), X)
_mean = tn.op(lambda x: x.mean(), name="mean_of", x=lambda g, x_shape, x_dtype: float(_array(g)) / math.prod(x_shape))
_kind("a number", lambda x: _mean(x), X)
_steps = tn.op(lambda x, by: np.floor(x) * by, name="steps", x=lambda g: tn.ops.op.flat() if _array(g) is None else 0 * g,
               by=lambda g, x: _array(g) * np.floor(x))  # fmt: skip
_kind("flat", lambda x, y: _steps(x, y), X + 0.3, X + 1)
_biased = tn.op(
    lambda x, bias=None: x if bias is None else x + bias,
    name="biased", x=lambda g: _array(g), bias=lambda g, bias: _array(g) + 0 * _array(bias),
)  # fmt: skip
_kind("an input left out", lambda x: _biased(x) * 2, X)
_kind("an input given", lambda x, b: _biased(x, b) * 2, X, X)
_defaults = tn.op(lambda x: x * 3, name="defaults", x=lambda g, c=3: _array(g) * c)
_kind("a default of its own", lambda x: _defaults(x), X)
_lstsq = tn.op(
    lambda a, b: linalg.solve(a, b),
    name="scipy_solve",
    a=lambda g, a, out: -np.outer(linalg.solve(a.T, g), out),
    b=lambda g, a: linalg.solve(a.T, g),
)
_kind("SciPy", lambda a, b: _lstsq(a, b), np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, 2.0]))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_every_kind_of_rule_everywhere(name: str, dtype: str) -> None:
    f, args = KINDS[name]
    args = [a.astype(dtype) for a in args]
    every = tuple(range(len(args)))

    def loss(*args: Any) -> Any:
        return (f(*args) * f(*args)).sum()

    def check(found: Any, expected: Any = None) -> None:
        for a, b in zip(found, wanted if expected is None else expected, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-6)

    if dtype == "float64":
        tn.testing.check_grads(f, args)
    leaves = [tn.tensor(a, requires_grad=True) for a in args]
    loss(*leaves).backward()
    wanted = [t.grad.numpy() for t in leaves]
    gradient = tn.grad(loss, argnums=every)
    for backend in BACKENDS:
        compiled = tn.compile(gradient, backend=backend)
        check(compiled(*args))
        check(compiled(*args))
    lanes = [np.stack([a, a + 1, a]) for a in args]
    other = [g.numpy() for g in gradient(*(a + 1 for a in args))]
    over_lanes = [np.stack([a, b, a]) for a, b in zip(wanted, other, strict=True)]
    check(tn.vmap(gradient)(*lanes), over_lanes)
    check(tn.compile(tn.vmap(gradient))(*lanes), over_lanes)
    looped = tn.grad(lambda *args: tn.scan(lambda c, _: (c + loss(*args), None), 0.0, None, length=2)[0], argnums=every)
    twice = [2 * g for g in wanted]
    check(looped(*args), twice)
    check(tn.compile(looped)(*args), twice)


@pytest.mark.parametrize("low", ["float16"])
def test_a_low_type(low: str) -> None:
    """Rules of such run in float32, called or not."""
    dtypes = []

    def rule(g: Any, x: Any) -> Any:
        dtypes.append((g.dtype, x.dtype))
        return _array(g) * np.cos(_array(x))

    op = tn.op(np.sin, name="low_sine", x=rule)
    x = X.astype(low)
    gradient = tn.grad(lambda t: op(t).sum().astype("float32"))
    penalty = tn.grad(lambda t: (tn.vjp(op, t)[1](np.ones(6, low)) * 2).sum().astype("float32"))
    found = gradient(x), tn.vmap(gradient)(np.stack([x, x]))[1]
    for each in found:
        assert each.dtype == low
        np.testing.assert_allclose(each.numpy(), np.cos(x.astype("float32")), rtol=2e-3)
    assert set(dtypes) == {(np.dtype("float32"),) * 2}
    with pytest.raises(TypeError, match="called as it stands"):
        penalty(x)


# -- realistic ones ----------------------------------------------------------------------------------------------


def _numba_ops() -> tuple[Any, Any]:
    numba = pytest.importorskip("numba")

    @numba.njit
    def forward(x: Any, a: Any) -> Any:
        out = np.empty_like(x)
        state = 0.0
        for i in range(x.size):
            state = a * state + x[i]
            out[i] = state
        return out

    @numba.njit
    def by_x(g: Any, a: Any) -> Any:
        found = np.empty_like(g)
        state = 0.0
        for i in range(g.size - 1, -1, -1):
            state = a * state + g[i]
            found[i] = state
        return found

    def reference(x: Any, a: Any) -> Any:
        n = x.shape[0]
        powers = np.maximum(np.arange(n)[:, None] - np.arange(n), 0)
        return np.where(np.arange(n)[:, None] >= np.arange(n), a**powers, 0.0) @ x

    rules = {"x": by_x, "a": lambda g, x, a: _by_a(by_x(g, a), forward(x, a))}
    plain = tn.op(forward, name="numba_filter", grads=rules)
    return plain, tn.op(forward, name="numba_filter_referred", grads=rules, reference=reference)


def _by_a(g: Any, out: Any) -> Any:
    return float((g[1:] * out[:-1]).sum())


@pytest.mark.parametrize("referred", [False, True])
def test_a_numba_rule(referred: bool) -> None:
    filtered = _numba_ops()[referred]

    def loss(x: Any, a: Any) -> Any:
        return (filtered(x, a) ** 2).sum()

    tn.testing.check_grads(loss, [X, np.array(0.5)], order=2 if referred else 1)
    gradient = tn.grad(loss, argnums=(0, 1))
    expected = [g.numpy() for g in gradient(X, 0.5)]
    for backend in BACKENDS:
        for a, b in zip(tn.compile(gradient, backend=backend)(X, np.array(0.5)), expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-12)
    lanes = tn.vmap(gradient)(np.stack([X, X]), np.array([0.5, 0.5]))
    for a, b in zip(lanes, expected, strict=True):
        np.testing.assert_allclose(a[1].numpy(), b, rtol=1e-12)


def _flow(t: float, y: Any) -> Any:
    return np.array([y[1], -np.sin(y[0])])


def _adjoint(g: Any, y0: Any) -> Any:
    """The adjoint equation, backwards in time along the solution."""
    end = integrate.solve_ivp(_flow, (0, 1), y0, rtol=1e-11, atol=1e-12).y[:, -1]

    def back(t: float, z: Any) -> Any:
        return np.concatenate([_flow(t, z[:2]), [z[3] * np.cos(z[0]), -z[2]]])

    return integrate.solve_ivp(back, (1, 0), [*end, *g], rtol=1e-11, atol=1e-12).y[2:, -1]


def _runge_kutta(y0: Any) -> Any:
    def flow(y: Any) -> Any:
        return np.stack([y[1], -np.sin(y[0])])

    y, h = y0, 0.125
    for _ in range(8):
        a = flow(y)
        b = flow(y + h / 2 * a)
        c = flow(y + h / 2 * b)
        y = y + h / 6 * (a + 2 * b + 2 * c + flow(y + h * c))
    return y


def _last(y0: Any) -> Any:
    return integrate.solve_ivp(_flow, (0, 1), y0, rtol=1e-11, atol=1e-12).y[:, -1]


def _soft_dtw(d: Any) -> Any:
    """The softest path through a table of distances, with the table of its values."""
    n, m = d.shape
    r = np.full((n + 1, m + 1), np.inf)
    r[0, 0] = 0
    for i in range(n):
        for j in range(m):
            r[i + 1, j + 1] = d[i, j] - special.logsumexp([-r[i, j], -r[i, j + 1], -r[i + 1, j]])
    return r[n, m], r


def _soft_dtw_rule(g: Any, d: Any, r: Any) -> Any:
    n, m = d.shape
    e = np.zeros((n + 1, m + 1))
    for i in range(n, 0, -1):
        for j in range(m, 0, -1):
            if (i, j) == (n, m):
                e[i, j] = 1.0
                continue
            for p, q in ((i + 1, j), (i, j + 1), (i + 1, j + 1)):
                if p <= n and q <= m:
                    e[i, j] += e[p, q] * np.exp(r[p, q] - d[p - 1, q - 1] - r[i, j])
    return g * e[1:, 1:]


def _soft_dtw_reference(d: Any) -> Any:
    n, m = d.shape
    r: dict[tuple[int, int], Any] = {}
    for i in range(n):
        for j in range(m):
            before = [r[p] for p in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if p in r]
            total = before[0] if before else 0.0
            for each in before[1:]:
                total = -np.logaddexp(-total, -each)
            r[i, j] = d[i, j] + total
    return r[n - 1, m - 1]


REALISTIC = {
    "swing": (
        tn.op(_last, name="swing", y0=_adjoint, reference=_runge_kutta),
        lambda op, y: (op(y) * np.array([1.0, 2.0])).sum() ** 2,
        np.array([0.5, -0.3]),
    ),
    "soft_dtw": (
        tn.op(_soft_dtw, name="soft_dtw", residuals=("r",), d=_soft_dtw_rule, reference=_soft_dtw_reference),
        lambda op, x: op((x[:, None] - np.array([0.0, 1.0, 0.5])) ** 2) ** 2,
        np.array([0.2, 1.4, -0.3, 0.6]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REALISTIC)
def test_a_realistic_op(name: str) -> None:
    op, f, x = REALISTIC[name]

    def loss(x: Any) -> Any:
        return f(op, x)

    def close(found: Any, expected: Any) -> None:
        np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5, atol=1e-6)

    slope = tn.grad(loss)
    tn.testing.check_grads(loss, [x], order=2, rtol=1e-4)
    tensor = tn.tensor(x, requires_grad=True)
    loss(tensor).backward()
    first = tensor.grad.numpy()
    second = tn.jacrev(slope)(x).numpy()
    lanes = np.stack([x, x + 0.1])
    for run in (lambda f: f, tn.compile):
        close(run(slope)(x), first)
        close(run(tn.hessian(loss))(x), second)
        close(run(lambda x: tn.jvp(loss, (x,), (x,))[1])(x), first @ x)
        close(run(tn.vmap(slope))(lanes)[0], first)
        close(run(tn.vmap(tn.hessian(loss)))(lanes)[0], second)


def test_threads() -> None:
    step = tn.compile(tn.vmap(tn.grad(_loss(sine))))
    xs = [np.stack([X + k, X - k]) for k in range(8)]
    step(xs[0])
    with ThreadPoolExecutor(4) as pool:
        for x, found in zip(xs, pool.map(step, xs), strict=True):
            np.testing.assert_allclose(found.numpy(), _first(x), rtol=1e-12)


# -- what is wrong is said ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            lambda g, x: np.ones(5) * float(x[0]),
            r"rule for 'x' of op 'wrong' returned shape \(5,\), but x has shape \(6,\)",
        ),
        (lambda g, x: None if float(x[0]) else g, "rule for 'x' of op 'wrong' returned None"),
    ],
)
def test_a_rule_whose_result_does_not_fit(rule: Any, words: str) -> None:
    gradient = tn.grad(lambda x: tn.op(lambda x: x * 1, name="wrong", x=rule)(x).sum())
    for run in (gradient, tn.compile(gradient), lambda x: tn.vmap(gradient)(np.stack([x, x]))):
        with pytest.raises(GradientError, match=words):
            run(X)


def test_an_error_in_a_rule_is_raised_as_it_is() -> None:
    def rule(g: Any, x: Any) -> Any:
        raise RuntimeError("the solver did not converge")

    gradient = tn.grad(lambda x: tn.op(lambda x: x * 1, name="failing", x=rule)(x).sum())
    for run in (gradient, tn.compile(gradient), lambda x: tn.vmap(gradient)(np.stack([x, x]))):
        with pytest.raises(RuntimeError, match="the solver did not converge"):
            run(X)
    assert tn.compile(tn.grad(_loss(sine)))(X).shape == X.shape  # nothing is left behind


def test_a_reference_that_cannot_be_read_is_named() -> None:
    op = tn.op(lambda x: _each(math.sin, x), name="twice_c", x=_sine_rule, reference=lambda x: _each(math.sin, x))
    for run in (lambda f: f, tn.compile, tn.vmap):
        x = np.stack([X, X]) if run is tn.vmap else X
        np.testing.assert_allclose(run(tn.grad(_loss(op)))(x).numpy(), _first(x), rtol=1e-12)
    for second in (tn.jacrev(tn.grad(_loss(op))), tn.hessian(_loss(op)), lambda x: tn.jvp(_loss(op), (x,), (x,))):
        with pytest.raises(TypeError, match=r"rule for 'x' of op 'twice_c' .* a reference= that can be read"):
            second(X)


def test_a_number_made_of_a_tensor_is_no_constant() -> None:
    """Neither by float(), nor by a function that makes one, nor where a derivative of another part is right."""
    rules: list[Callable[[Any, Any], Any]] = [
        lambda g, x: g * math.cos(x),
        lambda g, x: g * math.cos(float(x)),
        lambda g, x: g * math.cos(x.item()),
        lambda g, x: g * math.cos(x.tolist()),
    ]
    for rule in rules:
        op = tn.op(np.sin, name="lost", x=rule)

        def f(x: Any, op: Any = op) -> Any:
            return op(x) + x**3

        assert abs(tn.grad(f)(0.7).item() - math.cos(0.7) - 3 * 0.49) < 1e-12
        for second in (tn.grad(tn.grad(f)), tn.hessian(f), tn.compile(tn.grad(tn.grad(f)))):
            with pytest.raises(TypeError, match="op 'lost' is called as it stands"):
                second(0.7)


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_are_the_rules_and_their_derivatives_the_references(lanes: bool, compiled: bool) -> None:
    """Also where transformations ask for more than one order."""
    halved = tn.op(
        lambda x, y: (x * y, np.array(1.0)),
        name="halved",
        residuals=("one",),
        joint=lambda g, x, y, one: {"x": _array(g) * y / 2, "y": _array(g) * x / 2 * one},
        reference=lambda x, y: x * y,
    )

    def run(f: Any, *args: np.ndarray) -> Any:
        f = tn.vmap(f) if lanes else f
        f = tn.compile(f) if compiled else f
        return f(*(np.stack([a, a]) if lanes else a for a in args))

    def check(found: Any, expected: np.ndarray) -> None:
        np.testing.assert_allclose(found.numpy()[1] if lanes else found.numpy(), expected, rtol=1e-12)

    y = X + 2
    if lanes or compiled:  # else the reference gives them too
        a, b = run(tn.grad(lambda x, y: (halved(x, y) ** 2).sum(), argnums=(0, 1)), X, y)
        check(a, X * y * y)
        check(b, X * X * y)
    check(run(tn.hessian(lambda x: halved(x, x).sum()), X), 2 * np.eye(6))
    check(run(tn.jacrev(tn.grad(lambda x, y: halved(x, y).sum()), argnums=1), X, y), np.eye(6))


class _Solver:
    """What a forward may keep for its rule, as a factor in memory of C."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x.copy()


def test_a_residual_that_is_no_array() -> None:
    op = tn.op(
        lambda x: (np.sin(_array(x)), _Solver(x)),
        name="solved",
        residuals=("solver",),
        x=lambda g, solver: g * np.cos(solver.x),
    )
    gradient = tn.grad(_loss(op))
    for backend in BACKENDS:
        step = tn.compile(gradient, backend=backend)
        for k in range(3):
            np.testing.assert_allclose(step(X + k).numpy(), _first(X + k), rtol=1e-12)
    np.testing.assert_allclose(
        tn.vmap(gradient)(np.stack([X, X + 1])).numpy(), _first(np.stack([X, X + 1])), rtol=1e-12
    )
    with pytest.raises(TypeError, match="rule for 'x' of op 'solved' is called as it stands"):
        tn.hessian(_loss(op))(X)


def test_an_object_that_a_rule_keeps_is_no_constant() -> None:
    """A further derivative would be lost through the object, which nobody looks into."""
    op = tn.op(
        lambda x: (np.sin(x), _Solver(x)),
        name="solved",
        residuals=("solver",),
        x=lambda g, solver: _cosine_of(g, solver),
    )
    for second in (lambda f: tn.jacrev(tn.grad(f)), tn.hessian, lambda f: tn.compile(tn.jacrev(tn.grad(f)))):
        with pytest.raises(TypeError, match="op 'solved'"):
            second(lambda x: (op(x) + x**3).sum())(X)


def _cosine_of(g: Any, solver: Any) -> Any:
    return g * np.cos((solver.item() if isinstance(solver, (np.ndarray, tn.Tensor)) else solver).x)
