"""Elementwise ops against PyTorch, and their conventions at kinks, ties and edges."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.registry import registry
from tapenet.program.derivatives import RULES
from tapenet.testing import check_grads

try:
    import torch
except ImportError:  # an extra, for these comparisons alone
    torch = None
with_torch = pytest.mark.skipif(torch is None, reason="compares with torch")


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def against_torch(f: Any, g: Any, *arrays: Any, rtol: float = 1e-12, atol: float = 1e-13, order: int = 2) -> None:
    """Values, gradients and gradients of gradients of `f` on tensors and of `g` on torch's."""
    ours = [leaf(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out, expected = f(*ours), g(*theirs)
    assert out.shape == tuple(expected.shape)
    assert str(out.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=rtol, atol=atol, err_msg="value")
    seed = np.random.default_rng(5).normal(size=out.shape).astype(out.dtype)
    out.backward(seed, create_graph=True)
    got = [t.grad for t in ours]
    want = torch.autograd.grad(expected, theirs, torch.tensor(seed), create_graph=True)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=rtol, atol=atol, err_msg="gradient")
    if order < 2 or not any(w.requires_grad for w in want):
        return
    second = sum((w * w).sum() for w in want if w.requires_grad)
    for t in ours:
        t.grad = None
    total = sum(((a * a).sum() for a, w in zip(got, want, strict=True) if w.requires_grad), tn.tensor(0.0))
    if total.requires_grad:  # else constant, and torch's gradients must be zero
        total.backward()
    wanted = torch.autograd.grad(second, theirs, allow_unused=True)
    for t, w in zip(ours, wanted, strict=True):
        ours2 = np.zeros(t.shape) if t.grad is None else t.grad.data
        theirs2 = np.zeros(t.shape) if w is None else w.numpy(force=True)
        np.testing.assert_allclose(ours2, theirs2, rtol=10 * rtol, atol=10 * atol, err_msg="second order")


R = np.random.default_rng(0)
ALL = R.normal(size=(3, 4))
POSITIVE = R.uniform(0.2, 3.0, (3, 4))
INSIDE = R.uniform(-0.9, 0.9, (3, 4))
UNARY: dict[str, tuple[str, Any]] = {
    "negative": ("negative", ALL), "positive": ("positive", ALL), "absolute": ("abs", ALL), "square": ("square", ALL),
    "reciprocal": ("reciprocal", POSITIVE), "sqrt": ("sqrt", POSITIVE), "exp": ("exp", ALL), "exp2": ("exp2", ALL),
    "expm1": ("expm1", ALL), "log": ("log", POSITIVE), "log2": ("log2", POSITIVE), "log10": ("log10", POSITIVE),
    "log1p": ("log1p", POSITIVE), "sin": ("sin", ALL), "cos": ("cos", ALL), "tan": ("tan", INSIDE),
    "arcsin": ("arcsin", INSIDE), "arccos": ("arccos", INSIDE), "arctan": ("arctan", ALL), "sinh": ("sinh", ALL),
    "cosh": ("cosh", ALL), "tanh": ("tanh", ALL), "arcsinh": ("arcsinh", ALL), "arccosh": ("arccosh", POSITIVE + 1),
    "arctanh": ("arctanh", INSIDE),
}  # fmt: skip
BINARY = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "maximum": "maximum",
    "minimum": "minimum", "power": "pow", "logaddexp": "logaddexp", "arctan2": "arctan2", "hypot": "hypot",
    "remainder": "remainder",
}  # fmt: skip


@with_torch
@pytest.mark.parametrize("name", UNARY)
def test_unary_against_torch(name: str) -> None:
    theirs, values = UNARY[name]
    against_torch(getattr(np, name), getattr(torch, theirs), values, rtol=1e-10)
    against_torch(getattr(tn, name), getattr(torch, theirs), values.astype(np.float32), rtol=2e-4, atol=1e-4)
    against_torch(getattr(tn, name), getattr(torch, theirs), values[0, 0].reshape(()), rtol=1e-10)


@with_torch
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (2, 1, 4)), ((), (2,))])
def test_binary_against_torch(name: str, shapes: Any) -> None:
    a, b = (R.uniform(0.3, 2.0, s) for s in shapes)
    against_torch(getattr(np, name), getattr(torch, BINARY[name]), a, b, rtol=1e-10)


def test_the_tables_above_are_complete() -> None:
    modules = tuple(f"tapenet.ops.elementwise.{name}." for name in ("elementary", "comparisons"))
    ops = {o.name for key, o in registry.items() if key.startswith(modules) and o.differentiable}
    assert ops - set(UNARY) - set(BINARY) == {
        "safe_mul", "where", "clip", "cbrt", "sign", "floor", "ceil", "rint", "trunc", "floor_divide"
    }  # fmt: skip


def test_cube_root() -> None:
    check_grads(np.cbrt, [np.array([-2.0, -0.3, 0.5, 3.0])], order=3)


@with_torch
@pytest.mark.parametrize("scalar", [2, 2.0, 0.5, -1.5, -3, 1, 0])
@pytest.mark.parametrize(
    "f",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod],
    ids=lambda f: f.__name__,
)
def test_python_scalars_on_either_side_against_torch(f: Callable[[Any, Any], Any], scalar: Any) -> None:
    if not (scalar == 0 and f in (operator.truediv, operator.mod)):
        against_torch(lambda x: f(x, scalar), lambda x: f(x, scalar), POSITIVE, rtol=1e-10)
    if scalar > 0 or f is not operator.pow:
        left = scalar if f is not operator.mod else torch.tensor(scalar, dtype=torch.float64)  # torch lacks this one
        against_torch(lambda x: f(scalar, x), lambda x: f(left, x), POSITIVE, rtol=1e-10)


# -- powers ------------------------------------------------------------------------------------------------------

BASES = np.array([0.0, 1.0, -2.0, 3.0, -1.0])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.0, 1.0, 2.0, 3.0, -2])
@pytest.mark.parametrize("kind", ["python", "numpy", "array", "tensor", "0-d"])
def test_powers_of_zero_and_of_negatives(exponent: Any, kind: str) -> None:
    bases = BASES[1:] if exponent < 0 else BASES
    given: Any = {
        "python": exponent, "numpy": np.float64(exponent), "array": np.full(bases.shape, exponent, dtype=float),
        "tensor": tn.tensor(np.full(bases.shape, exponent, dtype=float)), "0-d": np.array(float(exponent)),
    }[kind]  # fmt: skip
    x = leaf(bases)
    y = x**given
    np.testing.assert_array_equal(y.data, bases ** float(exponent))
    derivative = np.ones(bases.shape)
    current, factor, power = y, 1.0, float(exponent)
    for _ in range(3):
        factor, power = factor * power, power - 1
        derivative = factor * bases**power if factor else np.zeros(bases.shape)
        if not current.requires_grad:
            assert not derivative.any()
            break
        x.grad = None
        current.sum().backward(create_graph=True)
        current = x.grad
        np.testing.assert_allclose(current.data, derivative, atol=1e-12)


@pytest.mark.parametrize("rule", [RULES["square"]["x"], lambda g, x: RULES["power"]["x"](g, x, 2)])
def test_a_square_under_a_sum_takes_one_pass_back(rule: Any) -> None:
    passes: list[int] = []

    class Watched(np.ndarray[Any, Any]):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
            plain = [i.view(np.ndarray) if isinstance(i, Watched) else i for i in inputs]
            found = getattr(ufunc, method)(*plain, **options)
            passes.append(found.size)
            return found.view(Watched)

    x = R.normal(size=(3, 4)).astype(np.float32)
    for g, count in ((np.broadcast_to(np.float32(0.3), x.shape), 1), (R.normal(size=x.shape).astype(np.float32), 2)):
        passes.clear()
        found = rule(g, x.view(Watched))
        assert found.dtype == np.float32
        assert passes == [x.size] * count
        np.testing.assert_array_equal(np.asarray(found), g * (2 * x))


def test_powers_by_the_exponent() -> None:
    base, exponent = np.array([0.0, 0.0, 2.0, 0.5, 1.0]), np.array([2.0, 0.5, -1.0, 3.0, 0.0])
    y = leaf(exponent)
    (base**y).sum().backward()
    np.testing.assert_allclose(y.grad.data, [0, 0, 0.5 * np.log(2), 0.125 * np.log(0.5), 0])
    for scalar in (0, 0.0):
        y = leaf([1.0, 2.0])
        (scalar**y).sum().backward()
        assert y.grad.tolist() == [0.0, 0.0]
    y = leaf([1.0, 2.0])
    (np.array([-2.0, -2.0]) ** y).sum().backward()
    assert np.isnan(y.grad.data).all()  # the logarithm of a negative number: no real derivative
    check_grads(np.power, [R.uniform(0.5, 2, 3), R.uniform(-2, 2, 3)], order=3)
    check_grads(np.power, [np.array([2.0, 0.5]), np.array([0.0, 0.0])], order=3)  # by both: 1/x
    check_grads(lambda y: 2.5**y, [R.uniform(-2, 2, 3)], order=3)


def test_integer_powers_and_exponents() -> None:
    assert (tn.tensor([2, 3]) ** 2).tolist() == [4, 9]
    assert (tn.tensor([2, 3]) ** 2).dtype == np.int64
    with pytest.raises(ValueError, match=r"power\(.*negative integer powers"):
        tn.tensor([2, 3]) ** -1
    x = leaf([2.0, 3.0])
    (x ** np.array([2, 0])).sum().backward()
    assert x.grad.tolist() == [4.0, 0.0]


# -- ties, kinks and edges ---------------------------------------------------------------------------------------


def gradient(f: Any, *arrays: Any) -> list[Any]:
    tensors = [leaf(np.asarray(a, dtype=float)) for a in arrays]
    f(*tensors).sum().backward()
    return [t.grad.tolist() for t in tensors]


@with_torch
def test_ties_of_maximum_and_minimum_share_in_halves_as_torchs_do() -> None:
    a, b = np.array([1.0, 2.0, 2.0, -0.0]), np.array([2.0, 1.0, 2.0, 0.0])
    against_torch(np.maximum, torch.maximum, a, b, order=1)
    against_torch(np.minimum, torch.minimum, a, b, order=1)
    assert gradient(np.maximum, [2.0], [2.0]) == [[0.5], [0.5]]
    assert gradient(np.maximum, [2.0, 1.0], 2.0) == [[0.5, 0.0], 1.5]
    x = leaf([0.0, 1.0])
    np.maximum(x, 0).sum().backward()
    assert x.grad.tolist() == [0.5, 1.0]
    x = leaf([3.0])
    np.maximum(x, x).sum().backward()
    assert x.grad.tolist() == [1.0]


@with_torch
def test_the_absolute_value_and_sign_at_zero() -> None:
    against_torch(np.abs, torch.abs, np.array([-1.0, -0.0, 0.0, 2.0]), order=1)
    assert gradient(np.abs, [0.0]) == [[0.0]]


CLIP_VALUES = np.array([-2.0, -1.0, -0.5, 0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.0, 1.0, [0, 1, 1, 1, 1, 0]),
        (None, 0.0, [1, 1, 1, 1, 0, 0]),
        (-1.0, None, [0, 1, 1, 1, 1, 1]),
        (0, 1, [0, 0, 0, 1, 1, 0]),
        (1.0, -1.0, [0, 0, 0, 0, 0, 0]),  # crossed: the upper limit wins, as in NumPy
    ],
)
def test_clip_has_a_gradient_up_to_its_limits(low: Any, high: Any, expected: list[float]) -> None:
    """At them too, as in PyTorch up to 2.14, so that a parameter on its bound can come back."""
    x = leaf(CLIP_VALUES)
    out = np.clip(x, low, high)
    np.testing.assert_array_equal(out.data, np.clip(CLIP_VALUES, low, high))
    out.sum().backward()
    assert x.grad.tolist() == expected


@with_torch
def test_clip_by_arrays_that_need_gradients() -> None:
    low, high = np.array([-1.0, -1, 0, 0.5, -3, 0]), np.array([1.0, 1, 0.5, 0, 0.5, 2])
    against_torch(np.clip, torch.clamp, CLIP_VALUES + 0.1, low, high, order=1)  # at the limits PyTorch changed its mind
    at_limits = gradient(np.clip, CLIP_VALUES, low, high)
    np.testing.assert_array_equal(at_limits, [[0, 1, 0, 0, 0, 1], [1, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]])
    assert gradient(lambda a, m: np.clip(a, m, None), CLIP_VALUES, 0.0)[1] == 3.0
    assert gradient(lambda a, m: a.clip(max=m), CLIP_VALUES, 0.0)[1] == 2.0
    assert np.clip(leaf([1.0]), None, None).tolist() == [1.0]


def test_clip_to_a_dtype() -> None:
    x = leaf(CLIP_VALUES)
    out = np.clip(x, -1, 1, dtype=np.float32)
    np.testing.assert_array_equal(out.data, np.clip(CLIP_VALUES, -1, 1, dtype=np.float32))
    assert out.dtype == np.float32
    out.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    with pytest.raises(TypeError, match="clip: a result of float64 cannot be cast to dtype=<class 'int'>"):
        np.clip(x, -1, 1, dtype=int)
    with pytest.raises(TypeError, match=r"clip\(\) got an unexpected keyword argument"):
        np.clip(x, -1, 1, casting="safe")


def test_the_sign_of_complex_infinities() -> None:
    z = np.array([np.inf + 1j, -np.inf * 1j, complex(np.inf, np.inf), complex(np.nan, 0), 0, 3 + 4j])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(np.sign(leaf(z)).data, np.sign(z), rtol=1e-15)
    assert tn.sign([2j]).tolist() == [1j]


@with_torch
def test_where_against_torch() -> None:
    condition = ALL > 0
    against_torch(
        lambda x, y: np.where(condition, x, y), lambda x, y: torch.where(torch.tensor(condition), x, y), ALL, INSIDE[0]
    )
    x, y = leaf(ALL), leaf(INSIDE)
    np.where(tn.tensor(condition), x, y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, condition)
    assert np.where(leaf(ALL) > 0, 1, 0).dtype == np.int64
    np.testing.assert_array_equal(np.where(x > 0, 2.0, 3.0).data, np.where(ALL > 0, 2.0, 3.0))


@with_torch
@pytest.mark.parametrize("divisor", [2.0, -0.7])
def test_remainder_follows_the_sign_of_the_divisor(divisor: float) -> None:
    a = np.array([5.3, -5.3, 0.2, -0.2])
    against_torch(np.remainder, torch.remainder, a, np.full(4, divisor), order=1)
    against_torch(lambda x: x % divisor, lambda x: x % divisor, a, order=1)


def test_values_at_the_edges_are_numpys() -> None:
    edges = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e308, -1e308, 5e-324])
    with np.errstate(all="ignore"):
        for name in UNARY:
            np.testing.assert_array_equal(getattr(tn, name)(tn.tensor(edges)).data, getattr(np, name)(edges))
        for name in BINARY:
            f = getattr(np, name)
            np.testing.assert_array_equal(f(tn.tensor(edges), edges[::-1]).data, f(edges, edges[::-1]))


def test_comparisons_with_nan_and_chained_conditions() -> None:
    x = tn.tensor([np.nan, 1.0, 2.0])
    assert (x == x).tolist() == [False, True, True]
    assert ((x > 0.5) & (x < 1.5)).tolist() == [False, True, False]
    assert ((x < 1.5) | ~(x > 0)).tolist() == [True, True, False]
    assert np.isnan(x).tolist() == [True, False, False]
    assert np.isfinite(x).all().item() is False


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (tn.arccosh, 1e300, 1e-300),
        (tn.arccosh, np.float32(1e25), 1e-25),
        (tn.arcsinh, 1e300, 1e-300),
        (tn.arcsinh, np.float32(-1e25), 1e-25),
        (tn.log10, 1.7e308, 1 / math.log(10) / 1.7e308),
        (tn.log2, np.float32(3e38), 1 / math.log(2) / 3e38),
    ],
)
def test_derivatives_of_large_numbers_do_not_vanish_on_the_way(f: Any, x: Any, slope: float) -> None:
    t = leaf(x)
    f(t).backward()
    assert t.grad.item() == pytest.approx(slope, rel=1e-12 if t.dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("r", [1e-160, 1e-300, np.float32(1e-30)])
def test_angles_turn_evenly_along_the_axes_however_close_to_the_origin(r: Any) -> None:
    y = leaf(np.zeros(1, np.asarray(r).dtype))
    np.arctan2(y, r).sum().backward(create_graph=True)
    slope, y.grad = y.grad, None
    assert slope.item() == pytest.approx(1 / float(r), rel=1e-6)
    slope.sum().backward()
    assert y.grad.tolist() == [0.0]


def test_zero_gradients_stop_at_hypot_of_infinities() -> None:
    x, y = leaf([math.inf, 3.0, math.nan]), leaf([1.0, 4.0, 1.0])
    np.where(np.isfinite(x), np.hypot(x, y), 0.0).sum().backward()
    np.testing.assert_allclose([x.grad.data, y.grad.data], [[0, 0.6, 0], [0, 0.8, 0]])


def test_clip_gives_no_nan_beside_an_infinite_gradient() -> None:
    x = leaf([0.0, 2.0, -1.0])
    (np.sqrt(np.clip(x, 0.0, 1.0)) * np.array([1.0, 1.0, 0.0])).sum().backward()
    assert x.grad.tolist() == [math.inf, 0.0, 0.0]
    x = leaf([2.0, 0.5])
    tn.clip(x, None, 1.0).backward(np.array([math.inf, 1.0]))
    assert x.grad.tolist() == [0.0, 1.0]
    x = leaf([0.5])
    tn.clip(x, None, None).sum().backward()
    assert x.grad.tolist() == [1.0]
