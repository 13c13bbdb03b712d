"""Gradients stay finite where the function is singular but the value is not used, and at zero norm; sums are exact however
many numbers they are of, and statistics whatever their scale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels
from tapenet.llvm.processor import LEVELS
from tapenet.testing import check_grads
from tests.kernels.beside import lift
from tests.program.backends import Compile, backends, compiled  # noqa: F401


def leaf(values: Any, dtype: Any = np.float64) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=dtype), requires_grad=True)


def orders(f: Any, x: Any, count: int = 3) -> list[Any]:
    """The gradients of sum f at x, of the sum of that, and so on."""
    t = leaf(x)
    with np.errstate(all="ignore"):
        current, found = f(t), []
        for _ in range(count):
            if not current.requires_grad:
                found.append(np.zeros(t.shape))
                continue
            t.grad = None
            current.sum().backward(create_graph=True)
            current = t.grad
            found.append(current.data.copy())
    return found


#: A function that is singular at the point given, inside or outside its domain.
SINGULAR: dict[str, tuple[Any, float]] = {
    "sqrt": (np.sqrt, 0.0),
    "sqrt of a negative": (np.sqrt, -1.0),
    "cbrt": (np.cbrt, 0.0),
    "log": (np.log, 0.0),
    "log of a negative": (np.log, -1.0),
    "log2": (np.log2, 0.0),
    "log10": (np.log10, 0.0),
    "log1p": (np.log1p, -1.0),
    "division": (lambda x: 1 / x, 0.0),
    "division by a tensor": (lambda x: x / x, 0.0),
    "reciprocal": (np.reciprocal, 0.0),
    "power -1": (lambda x: x**-1, 0.0),
    "power 0.5": (lambda x: x**0.5, 0.0),
    "power of a negative": (lambda x: x**0.5, -1.0),
    "power by an array": (lambda x: x ** np.array([0.5, 0.5]), 0.0),
    "power by a tensor": (lambda x: x ** (x * 0 + 0.5), 0.0),
    "power by itself": (lambda x: x**x, -0.5),
    "base to the power": (lambda x: (-2.0) ** x, 0.5),
    "remainder": (lambda x: 5.0 % x, 0.0),
    "arcsin": (np.arcsin, 1.0),
    "arcsin outside": (np.arcsin, 2.0),
    "arccos": (np.arccos, -1.0),
    "arccosh": (np.arccosh, 1.0),
    "arccosh outside": (np.arccosh, 0.0),
    "arctanh": (np.arctanh, 1.0),
    "arctan2": (lambda x: np.arctan2(x, x), 0.0),
    "hypot": (lambda x: np.hypot(x, x), 0.0),
    "exp that overflows": (np.exp, 1000.0),
    "exp2 that overflows": (np.exp2, 5000.0),
    "expm1 that overflows": (np.expm1, 1000.0),
    "sinh that overflows": (np.sinh, 1000.0),
    "cosh that overflows": (np.cosh, -1000.0),
    "exp of exp": (lambda x: np.exp(np.exp(x)), 10.0),
    "softplus by hand": (lambda x: np.log(1 + np.exp(x)), 1000.0),
    "a chain": (lambda x: np.log(np.sqrt(x)) / x, 0.0),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_the_branch_that_where_does_not_take_gives_nothing(name: str) -> None:
    f, at = SINGULAR[name]
    good = 1.6 if name.startswith("arccosh") else 0.6
    x = np.array([at, good])
    mask = np.array([False, True])
    masked = orders(lambda t: np.where(mask, f(t), t * t), x)
    alone = orders(lambda t: np.where(mask, f(t), 0.0), x)
    reference = orders(lambda t: f(t)[1:], x)
    for order in range(3):
        assert alone[order][0] == 0.0, f"order {order + 1}"
        assert masked[order][0] == [2 * at, 2.0, 0.0][order]
        np.testing.assert_allclose(alone[order][1], reference[order][1], rtol=1e-12)


def test_an_infinite_gradient_is_not_hidden() -> None:
    with np.errstate(all="ignore"):
        for f, expected in ((np.sqrt, np.inf), (np.log, np.inf), (lambda x: 1 / x, -np.inf), (np.cbrt, np.inf)):
            assert orders(f, [0.0], 1)[0].tolist() == [expected]


def test_curvature_where_the_gradient_is_zero() -> None:
    """A guard such as where(g == 0, 0, ...) inside the rule of sqrt would give 0."""
    assert orders(lambda x: (np.sqrt(x) - 2) ** 2, [4.0], 2)[1].tolist() == [0.125]
    assert tn.grad(tn.grad(lambda x: (np.sqrt(x) - 2) ** 2))(4.0).item() == 0.125
    np.testing.assert_allclose(orders(lambda x: np.log(x) ** 2, [1.0], 2)[1], [2.0])
    np.testing.assert_allclose(orders(lambda x: (1 / x - 1) ** 2, [1.0], 2)[1], [2.0])
    np.testing.assert_allclose(orders(lambda x: (x**0.5 - 1) ** 2, [1.0], 2)[1], [0.5])
    np.testing.assert_allclose(orders(lambda x: np.exp(x) - x, [0.0], 2)[1], [1.0])
    np.testing.assert_allclose(
        orders(lambda x: x.std() * 0 + (x.std() - 1) ** 2, [-1.0, 1.0], 2)[0], [0.0, 0.0], atol=1e-15
    )


@pytest.mark.parametrize("f", [np.sqrt, np.log, lambda x: x / (x - 3), lambda x: x**1.5, np.exp, np.sinh])
def test_derivatives_through_zero_gradients_to_third_order(f: Any) -> None:
    """Seeds that are zero at some elements: safe_mul must differentiate as a plain product there."""
    w = np.array([0.0, 1.0, 0.0])
    check_grads(lambda x, w: f(x) * w, [np.array([0.7, 1.1, 1.9]), w], order=3)
    check_grads(lambda x, w: (f(x) * w) ** 2, [np.array([0.7, 1.1, 1.9]), w], order=3)


def test_standard_deviation_and_norms_at_zero() -> None:
    for x in ([2.0, 2.0, 2.0], [[1.0, 1.0], [3.0, 3.0]]):
        for f in (lambda t: t.std(axis=-1), lambda t: t.std(), lambda t: np.hypot(t * 0, t * 0)):
            for g in orders(f, x, 3):
                assert np.isfinite(g).all()
    first = orders(lambda t: t.std(), [2.0, 2.0, 2.0], 1)[0]
    assert first.tolist() == [0.0, 0.0, 0.0]
    x = leaf([[1.0, 1.0], [0.0, 2.0]])
    x.std(axis=1).sum().backward()  # one row at zero deviation leaves the other alone
    np.testing.assert_allclose(x.grad.data, [[0.0, 0.0], [-0.5, 0.5]])
    check_grads(lambda t: t.std(axis=1)[1:], [np.array([[1.0, 1.0], [0.0, 2.0]])], order=2)


def test_products_with_zeros() -> None:
    for values, expected in (
        ([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
        ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        ([2.0, 5.0, 3.0], [15.0, 6.0, 10.0]),
        ([-0.0, 4.0], [4.0, 0.0]),
    ):
        assert orders(lambda t: t.prod(), values, 1)[0].tolist() == expected
        check_grads(np.prod, [np.array(values)], order=3)
    check_grads(lambda t: t.prod(axis=1), [np.array([[0.0, 2, 3, 4, 5], [0, 0, 1, 2, 3], [1, 2, 3, 4, 5.0]])], order=3)


@pytest.mark.parametrize(
    "f",
    [
        np.nanprod, np.cumprod, np.nancumprod, tn.cumulative_prod, np.multiply.reduce, np.multiply.accumulate,
        lambda t: np.einsum("i,i,i->", t, t, t), lambda t: np.linalg.multi_dot([t[None], t[:, None] * t, t[:, None]]),
        lambda t: np.linalg.matrix_power(np.outer(t, t), 3), lambda t: np.linalg.det(np.outer(t[:2], t[1:])),
        lambda t: t**3 + t**2.0 + t**1 + t**0, lambda t: np.polyval(t, t), np.convolve,
    ],
)  # fmt: skip
@pytest.mark.parametrize("values", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 0.0]], ids=str)
def test_polynomials_of_zeros_to_third_order(f: Any, values: list[float]) -> None:
    arguments = [np.array(values)] * (2 if f is np.convolve else 1)
    check_grads(f, arguments, order=3)


#: A function, where, and its derivatives (of the sum of the one before).
AT_ZERO: dict[str, tuple[Any, Any, list[Any]]] = {
    "square": (np.square, [0.0], [[0.0], [2.0], [0.0]]),
    "power by numbers": (lambda x: x**2 + x**3, [0.0], [[0.0], [2.0], [6.0]]),
    "power by an array": (
        lambda x: x ** np.array([2.0, 3.0, 1.0, 0.0]),
        [0.0] * 4,
        [[0, 0, 1, 0], [2, 0, 0, 0], [0, 6, 0, 0]],
    ),
    "absolute": (np.abs, [0.0], [[0.0], [0.0], [0.0]]),
    "sinc": (np.sinc, [0.0], [[0.0], [-(np.pi**2) / 3], [0.0]]),
    "i0": (np.i0, [0.0], [[0.0], [0.5], [0.0]]),
    "arctan2": (lambda x: np.arctan2(x, 1.0), [0.0], [[1.0], [0.0], [-2.0]]),
    "hypot at the origin": (lambda x: np.hypot(x, 0.0), [0.0], [[0.0], [0.0], [0.0]]),
    "hypot on an axis": (lambda x: np.hypot(x, 1.0), [0.0], [[0.0], [1.0], [0.0]]),
    "norm": (np.linalg.norm, [0.0, 0.0], [[0.0, 0.0]] * 3),
    "norm of an element that is 0": (lambda x: np.linalg.norm(x, 3), [0.0, 2.0], [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]),
    "norm of negative order": (lambda x: np.linalg.norm(x, -1), [0.0, 1.0], [[0.0, 0.0]] * 3),
    "norm of a matrix": (np.linalg.norm, [[0.0, 0.0]], [[[0.0, 0.0]]] * 3),
    "spectral norm": (lambda x: np.linalg.norm(x, 2), [[0.0, 0.0]], [[[0.0, 0.0]]]),
    "nuclear norm": (lambda x: np.linalg.norm(x, "nuc"), [[0.0, 0.0]], [[[0.0, 0.0]]]),
    "deviation": (np.std, [3.0, 3.0], [[0.0, 0.0]] * 3),
    "nandeviation": (np.nanstd, [3.0, 3.0, np.nan], [[0.0, 0.0, 0.0]] * 3),
    "variance": (lambda x: np.var(x) * np.arange(2.0), [3.0, 4.0], [[-0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]),
    "square of a product": (lambda x: np.prod(x) ** 2, [0.0, 2.0], [[0.0, 0.0], [8.0, 0.0], [16.0, 8.0]]),
}


@pytest.mark.parametrize("name", AT_ZERO)
def test_derivatives_at_zero(name: str) -> None:
    f, at, expected = AT_ZERO[name]
    for got, wanted in zip(orders(f, at, len(expected)), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)


def test_logsumexp_of_infinities() -> None:
    inf = np.inf
    rows = np.array([[-inf, -inf, -inf], [-inf, 0.0, 0.0], [1000.0, 1000.0, -inf], [-1000.0, -1000.0, -1001.0]])
    x = leaf(rows)
    y = tn.logsumexp(x, axis=1)
    np.testing.assert_allclose(y.data, [-inf, np.log(2), 1000 + np.log(2), -1000 + np.log(2 + np.exp(-1))])
    y.sum().backward(create_graph=True)
    share = np.array([1, 1, np.exp(-1)]) / (2 + np.exp(-1))
    np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0], share], rtol=1e-12)
    gradient, x.grad = x.grad, None
    (gradient * np.arange(3.0)).sum().backward()
    assert np.isfinite(x.grad.data).all()
    for f in (lambda t: np.logaddexp(t, t), lambda t: np.logaddexp(t, -1.0)):
        assert all(np.isfinite(g).all() for g in orders(f, [-inf, 0.0, 800.0]))
    assert orders(lambda t: np.logaddexp(t, -inf), [-inf, 1.0], 1)[0].tolist() == [0.0, 1.0]
    for f in (lambda t: np.logaddexp(t, inf), lambda t: np.logaddexp2(t, inf)):
        assert orders(f, [-inf, 5.0], 1)[0].tolist() == [0.0, 0.0]  # beside +inf a finite summand counts for nothing
    assert tn.grad(tn.logsumexp)(np.array([5.0, inf])).data[0] == 0.0


@pytest.mark.parametrize(
    "f",
    [
        lambda t: tn.logsumexp(t, axis=1), lambda t: tn.softmax(t, axis=1), lambda t: np.logaddexp.reduce(t, axis=1),
        lambda t: np.logaddexp2.reduce(t, axis=1), lambda t: np.logaddexp.accumulate(t, axis=1),
        lambda t: tn.logcumsumexp(t, axis=1), lambda t: np.logaddexp(t[:, 0], t[:, 1]),
        lambda t: tn.log_softmax(t, axis=1)[1:],
    ],
)  # fmt: skip
def test_rows_of_minus_infinity_have_finite_gradients(f: Any) -> None:
    """Of all -inf, of some, and of none; where something is finite the gradient is that without the others."""
    inf = np.inf
    rows = [[-inf, -inf, -inf], [-inf, 0.5, 1.0], [0.0, -2.0, 2.0]]
    with np.errstate(invalid="ignore"):
        for g in orders(lambda t: np.where(np.isfinite(f(t)), f(t), 0.0), rows, 3):
            assert np.isfinite(g).all()
            np.testing.assert_allclose(g[0], 0.0, atol=1e-15)
    if f(np.array(rows)).shape == (3,):
        check_grads(f, [np.array(rows[2:])], order=2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "method",
    ["inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest", "linear",
     "hazen", "weibull"],
)  # fmt: skip
def test_the_gradient_of_a_quantile_is_where_its_value_is(method: Any, dtype: Any) -> None:
    """Also where rounding decides between two elements."""
    for n in (1, 2, 5, 10, 11, 21):
        a = np.random.default_rng(n).permutation(n).astype(dtype)
        for k in range(21):
            for f, q in ((np.quantile, k / 20), (np.percentile, 5.0 * k), (np.nanquantile, dtype(k / 20))):
                t = tn.tensor(a, requires_grad=True)
                value = f(t, q, method=method)
                value.backward()
                assert t.grad.data.sum() == pytest.approx(1.0, abs=1e-5)
                assert (t.grad.data * a).sum() == pytest.approx(value.item(), abs=1e-4), (n, q, f)


def test_no_warnings_from_rules_and_none_lost_from_forwards() -> None:
    x = leaf([0.0, 1.0])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        y = np.log(x)
    y.sum().backward()  # warnings are errors in this suite
    assert x.grad.tolist() == [np.inf, 1.0]
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        z = np.tanh(leaf([500.0])) * 2 + np.logaddexp(leaf([500.0]), -500.0) * 0
        z.sum().backward(create_graph=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_extreme_values_in_small_dtypes(dtype: Any) -> None:
    big = float(np.finfo(dtype).max)
    x = leaf([-big, -50.0, 0.0, 50.0, big], dtype)
    for f in (
        np.tanh,
        np.arctan,
        lambda t: np.logaddexp(t, 0),
        lambda t: np.clip(t, -1, 1),
        lambda t: np.maximum(t, 0),
    ):
        x.grad = None
        f(x).backward(np.ones(5))
        assert x.grad.dtype == dtype
        assert np.isfinite(x.grad.data).all()


def test_the_mean_of_many_is_accurate_in_float32() -> None:
    a = np.full(1_000_000, 0.1, np.float32)
    assert tn.tensor(a).mean().item() == pytest.approx(0.1, rel=1e-6)
    assert tn.tensor(a).sum().item() == pytest.approx(1e5, rel=1e-6)
    for value in np.random.default_rng(0).uniform(0.05, 1, 8).astype(np.float32):  # NumPy's is off by up to 2.9 eps
        a[...] = value
        assert tn.tensor(a).mean().item() == pytest.approx(float(value), rel=3 * float(np.finfo(np.float32).eps))


def test_half_precision_means_and_deviations_are_numpys() -> None:
    a = np.linspace(0, 1, 10_000).astype(np.float16)
    t = tn.tensor(a)
    assert t.mean().dtype == np.float16
    assert t.mean().item() == np.mean(a)
    assert t.var().item() == np.var(a)
    assert t.std().item() == np.std(a)


# -- many numbers ------------------------------------------------------------------------------------------------

#: What adds up all its numbers. What a sum of n numbers may lose is known: see `runs`.
SUMS: dict[str, Any] = {
    "mse_loss": lambda x, y: F.mse_loss(x, y),
    "mse_loss by weights": lambda x, y: F.mse_loss(x, y, weight=y),
    "huber_loss": lambda x, y: F.huber_loss(x, y, delta=0.3),
    "smooth_l1_loss": lambda x, y: F.smooth_l1_loss(x, y, beta=0.3),
    "l1_loss": lambda x, y: F.l1_loss(x, y),
    "kl_div": lambda x, y: F.kl_div(x, y),
    "poisson_nll_loss": lambda x, y: F.poisson_nll_loss(x, y),
    "gaussian_nll_loss": lambda x, y: F.gaussian_nll_loss(x, y, y),
    "binary_cross_entropy": lambda x, y: F.binary_cross_entropy(x, y),
    "binary_cross_entropy_with_logits": lambda x, y: F.binary_cross_entropy_with_logits(x, y),
    "norm": lambda x, y: tn.linalg.norm(x) / len(x) ** 0.5,
    "std": lambda x, y: np.std(x),
    "var": lambda x, y: np.var(x),
    "mean": lambda x, y: np.mean(x),
    "softmax": lambda x, y: F.softmax(x, 0)[0] * len(x),
    "softmax backward": lambda x, y: tn.grad(lambda x: (F.softmax(x, 0) * y)[0])(x)[0] * len(x),
    "normalize": lambda x, y: F.normalize(x, axis=0)[0] * len(x) ** 0.5,
    "clip_grad_norm": lambda x, y: tn.optim.clip_grad_norm([_with_gradient(x)], 1.0) / len(x) ** 0.5,
    "layer_norm": lambda x, y: F.layer_norm(x, (len(x),))[:10],
    "layer_norm backward": lambda x, y: tn.grad(lambda x: (F.layer_norm(x, (len(x),)) * y)[0])(x)[0],
    "rms_norm": lambda x, y: F.rms_norm(x, (len(x),))[:10],
    "group_norm": lambda x, y: F.group_norm(x.reshape(1, 2, -1), 1)[0, 0, :10],
    "group_norm, the batch last": lambda x, y: F.group_norm(_batch_last(x.reshape(-1, 2)), 1)[0, 0, :10],
    "batch_norm": lambda x, y: tn.batch_norm_train(x.reshape(-1, 1))[0][:10],
    "batch_norm of images": lambda x, y: tn.batch_norm_train(x.reshape(-1, 1, 20))[0][:10],
    "batch_norm of large images": lambda x, y: tn.batch_norm_train(x.reshape(2, 1, -1))[0][0, 0, :10],
}


def _with_gradient(x: Any) -> tn.Tensor:
    p = leaf(x, x.dtype)
    p.grad = tn.tensor(np.array(x, copy=True))
    return p


def _batch_last(x: Any) -> Any:
    return (
        np.moveaxis(np.stack([x.T[None]] * 2, -1), -1, 0)[:, :, 0] if x.ndim == 3 else np.moveaxis(x[None, None], -1, 0)
    )


def _numbers(n: int) -> tuple[Any, Any]:
    """Two vectors of some numbers between 0 and 1: in float32 what is added to a large sum is rounded the same way each time,
    the worst that can be."""
    x = np.full(n, 0.3, np.float32)
    x[::3] = 0.7
    return x, np.full(n, 0.1, np.float32)


def _exact(name: str, n: int, run: Any) -> None:
    x, y = _numbers(n)
    f = SUMS[name]
    expected = np.asarray(f(x.astype(float), y.astype(float)))
    found = np.asarray(run(f)(x, y), np.float32)
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("native", [False, True], ids=["numpy", "kernels"])
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_many_numbers(name: str, native: bool) -> None:
    with kernels.switched(native):
        _exact(name, 1_000_000, lambda f: f)


AT_A_LEVEL = """
import numpy as np
import tapenet as tn
from tapenet import kernels
from tests.ops.test_numerics import _exact
with kernels.switched(True):
    for name in ("mse_loss", "gaussian_nll_loss", "binary_cross_entropy_with_logits", "layer_norm"):
        _exact(name, 1_000_000, lambda f: f)
    R = np.random.default_rng(0)
    for shape in ((2, 300_000), (1, 300_000, 2)):
        x, p = R.normal(size=shape), R.uniform(size=shape) / 150_000
        for target in (np.full(shape[:1] + shape[2:], 7), p):
            found = []
            for dtype in (np.float32, np.float64):
                t = tn.tensor(x.astype(np.float32).astype(dtype), requires_grad=True)
                given = target if target is not p else p.astype(np.float32).astype(dtype)
                loss = tn.cross_entropy(t, given, label_smoothing=0.1)
                loss.backward()
                found.append((loss.data, t.grad.data))
            for a, exact in zip(*found, strict=True):
                assert abs(a - exact).max() <= 5e-7 * abs(exact).max(), (shape, target.dtype)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_sums_are_as_exact_with_short_registers(level: str) -> None:
    llvm = pytest.importorskip("llvmlite.binding")
    present = {name for name, there in llvm.get_host_cpu_features().items() if there}
    if not {f for _, added in LEVELS.values() for f in added.split()} <= present:
        pytest.skip("not all levels of x86-64 run here")
    environment = {**os.environ, "TAPENET_CPU": level}
    subprocess.run([sys.executable, "-c", AT_A_LEVEL], env=environment, cwd=Path(__file__).parents[2], check=True)


@backends
@pytest.mark.parametrize("name", ["mse_loss", "mse_loss by weights", "huber_loss", "std", "var", "kl_div", "norm"])
def test_sums_of_many_numbers_compiled(name: str, compiled: Compile) -> None:  # noqa: F811
    def run(f: Any) -> Any:
        step = compiled(f)
        return lambda x, y: (step(x, y), step(x, y))[1]

    _exact(name, 1_000_000, run)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mse_loss", "huber_loss", "smooth_l1_loss", "layer_norm", "std"])
def test_sums_of_very_many_numbers(name: str) -> None:
    _exact(name, 30_000_000, lambda f: f)


# -- scale -------------------------------------------------------------------------------------------------------

SPREADS = [
    (np.std, {}),
    (np.std, {"axis": 0, "ddof": 1}),
    (np.std, {"axis": 1, "keepdims": True}),
    (np.var, {}),
    (np.var, {"axis": 1}),
]


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-18, 1.0, 1e18, 1e25, 1e30])
@pytest.mark.parametrize("backend", [None, "numpy", "native"])
def test_deviations_of_any_scale(backend: Any, scale: float) -> None:
    """The gradient of a variance is right also where float32 does not hold the variance itself."""
    if backend == "native":
        pytest.importorskip("llvmlite")
    a = (scale * np.random.default_rng(0).normal(size=(3, 40))).astype(np.float32)
    for f, options in SPREADS:

        def run(x: Any, f: Any = f, options: Any = options) -> Any:
            x = tn.tensor(x, requires_grad=True)
            out = f(x, **options)
            out.sum().backward()
            return out, x.grad

        step = run if backend is None else tn.compile(run, backend=backend)
        with np.errstate(over="ignore"):
            for _ in range(2):
                found = [v.numpy() for v in step(a)]
            for got, exact in zip(found, [v.numpy() for v in run(a.astype(float))], strict=True):
                assert got.dtype == np.float32
                np.testing.assert_allclose(got, exact.astype(np.float32), rtol=1e-5, atol=2e-7 * abs(exact).max())


#: Layers that take the mean of what they are given.
NORMS: dict[str, Any] = {
    "layer_norm": lambda x: F.layer_norm(x, (20,)),
    "group_norm": lambda x: F.group_norm(x, 2),
    "group_norm, the batch last": lambda x: F.group_norm(np.moveaxis(x.transpose(1, 2, 0) * 1, -1, 0), 2),
    "instance_norm": lambda x: F.instance_norm(x),
    "batch_norm": lambda x: tn.batch_norm_train(x)[0],
    "batch_norm of features": lambda x: tn.batch_norm_train(x[..., 0])[0],
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("how", ["numpy", "kernels", "compiled, numpy", "compiled, native"])
def test_normalising_equal_numbers_whose_sum_overflows(how: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "native" in how:
        pytest.importorskip("llvmlite")

    def run(x: Any) -> Any:
        x = tn.tensor(x, requires_grad=True)
        out = NORMS[name](x)
        (out[0] * 2).sum().backward()
        return out, x.grad

    lift(monkeypatch)
    step = tn.compile(run, backend=how[10:]) if "compiled" in how else run
    a = np.full((16, 4, 20), 3e37, np.float32)
    with kernels.switched(how != "numpy"), np.errstate(over="ignore"):
        for _ in range(2):
            out, gradient = step(a)
    assert (out.data == 0).all()
    assert np.isfinite(gradient.data).all()
