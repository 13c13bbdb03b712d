"""Every differentiable elementwise op over its whole domain: values against NumPy's, derivatives against mpmath's.

Points lie anywhere in a domain and close to its ends, where a careless formula loses digits, overflows or vanishes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.registry import registry

mp: Any = pytest.importorskip("mpmath")


class Domain(NamedTuple):
    """A function in mpmath, and where it is differentiable."""

    exact: Callable[..., Any]
    low: float
    high: float
    #: Points that others are drawn close to: ends, zeros, poles.
    near: tuple[float, ...] = (0.0,)


def _sinc(x: Any) -> Any:
    return mp.sinc(mp.pi * x)


BIG = 1e3
UNARY: dict[str, Domain] = {
    "negative": Domain(lambda x: -x, -BIG, BIG),
    "positive": Domain(lambda x: x, -BIG, BIG),
    "absolute": Domain(abs, -BIG, BIG),
    "fabs": Domain(abs, -BIG, BIG),
    "square": Domain(lambda x: x * x, -BIG, BIG),
    "reciprocal": Domain(lambda x: 1 / x, -BIG, BIG),
    "sqrt": Domain(mp.sqrt, 0, BIG),
    "cbrt": Domain(lambda x: mp.sign(x) * mp.cbrt(abs(x)), -BIG, BIG),
    "exp": Domain(mp.exp, -100, 100),
    "exp2": Domain(lambda x: mp.mpf(2) ** x, -100, 100),
    "expm1": Domain(mp.expm1, -30, 100),
    "log": Domain(mp.log, 0, BIG, (0.0, 1.0)),
    "log2": Domain(lambda x: mp.log(x, 2), 0, BIG, (0.0, 1.0)),
    "log10": Domain(mp.log10, 0, BIG, (0.0, 1.0)),
    "log1p": Domain(mp.log1p, -1, BIG, (-1.0, 0.0)),
    "sin": Domain(mp.sin, -BIG, BIG),
    "cos": Domain(mp.cos, -BIG, BIG),
    "tan": Domain(mp.tan, -1.57, 1.57, (0.0, 1.57)),
    "arcsin": Domain(mp.asin, -1, 1, (-1.0, 0.0, 1.0)),
    "arccos": Domain(mp.acos, -1, 1, (-1.0, 0.0, 1.0)),
    "arctan": Domain(mp.atan, -BIG, BIG),
    "sinh": Domain(mp.sinh, -100, 100),
    "cosh": Domain(mp.cosh, -100, 100),
    "tanh": Domain(mp.tanh, -30, 30),
    "arcsinh": Domain(mp.asinh, -BIG, BIG),
    "arccosh": Domain(mp.acosh, 1, BIG, (1.0,)),
    "arctanh": Domain(mp.atanh, -1, 1, (-1.0, 0.0, 1.0)),
    "degrees": Domain(mp.degrees, -BIG, BIG),
    "radians": Domain(mp.radians, -BIG, BIG),
    "sinc": Domain(_sinc, -50, 50, (0.0, 1.0, -7.0)),
    "i0": Domain(lambda x: mp.besseli(0, x), -30, 30),
    "erf": Domain(mp.erf, -6, 6),
}


#: The steps of a remainder are where the exact quotient of two floats is whole, which the rounded one may be beside it.
BINARY: dict[str, Domain] = {
    "add": Domain(lambda x, y: x + y, -BIG, BIG),
    "subtract": Domain(lambda x, y: x - y, -BIG, BIG),
    "multiply": Domain(lambda x, y: x * y, -BIG, BIG),
    "divide": Domain(lambda x, y: x / y, -BIG, BIG),
    "power": Domain(lambda x, y: x**y, 0, 20),
    "float_power": Domain(lambda x, y: x**y, 0, 20),
    "logaddexp": Domain(lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), -BIG, BIG),
    "logaddexp2": Domain(lambda x, y: mp.log(mp.mpf(2) ** x + mp.mpf(2) ** y, 2), -BIG, BIG),
    "arctan2": Domain(mp.atan2, -BIG, BIG),
    "hypot": Domain(mp.hypot, -BIG, BIG),
    "remainder": Domain(lambda x, y: x - y * mp.floor(x / y), -BIG, BIG),
    "fmod": Domain(lambda x, y: x - y * mp.sign(x / y) * mp.floor(abs(x / y)), -BIG, BIG),
    "maximum": Domain(max, -BIG, BIG),
    "minimum": Domain(min, -BIG, BIG),
    "fmax": Domain(max, -BIG, BIG),
    "fmin": Domain(min, -BIG, BIG),
    "heaviside": Domain(lambda x, y: mp.mpf(x > 0), -BIG, BIG),
    "copysign": Domain(lambda x, y: abs(x) * mp.sign(y), -BIG, BIG),
}

#: Checked elsewhere: products of rules, choices by masks, parts of numbers, functions of an order, what gelu calls, and steps.
ELSEWHERE = {"safe_mul", "normal_cdf", "where", "clip", "modf", "frexp", "ldexp", "sinc_derivative", "iv"}
ELSEWHERE |= {"floor", "ceil", "rint", "trunc", "round", "fix", "floor_divide"}
ELSEWHERE |= {"conjugate", "real", "imag", "angle", "real_if_close"}


def test_no_op_is_left_out() -> None:
    ops = {
        o.name for key, o in registry.items() if ".ops.elementwise." in key and o.differentiable and hasattr(o, "rules")
    }
    assert ops == {*UNARY, *BINARY, *ELSEWHERE}


def points(domain: Domain) -> st.SearchStrategy[float]:
    """Numbers in a domain, many of them close to its special points; neither these nor its ends."""
    anywhere = st.floats(domain.low, domain.high, allow_subnormal=False)
    moved = st.tuples(st.sampled_from(domain.near), st.sampled_from([1, -1]), st.floats(1, 12))
    close = moved.map(lambda m: m[0] + m[1] * 10 ** -m[2])
    tame = st.floats(max(domain.low, -3), min(domain.high, 3))
    inside = st.one_of(anywhere, close, tame).map(float)
    return inside.filter(lambda x: domain.low < x < domain.high and all(abs(x - p) > 1e-13 for p in (0, *domain.near)))


#: The step of the differences below, in numbers of 150 digits: far below the distance of any point from a special one.
STEP = 1e-45
DIGITS = 150


def differences(f: Any, *at: float) -> tuple[list[float], list[float]]:
    """The derivatives of a function of mpmath's, and those of their sum: by central differences, exact for a float."""
    with mp.workdps(DIGITS):
        h = mp.mpf(STEP)
        n = len(at)

        @functools.cache
        def value(*steps: int) -> Any:
            return mp.mpf(f(*(mp.mpf(x) + k * h for x, k in zip(at, steps, strict=True))))

        unit = np.eye(n, dtype=int)
        first, second = [], []
        for u in unit:
            first.append(float((value(*u) - value(*-u)) / (2 * h)))
            bent = value(*u) - 2 * value(*0 * u) + value(*-u)
            for v in unit:
                if v is not u and (v != u).any():
                    bent += (value(*u + v) - value(*u - v) - value(*v - u) + value(*-u - v)) / 4
            second.append(float(bent / h**2))
        return first, second


def derivatives(f: Any, *arrays: Any) -> tuple[Any, list[Any], list[Any]]:
    """A value, its gradients, and the gradients of their sum."""
    tensors = [tn.tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors)
    out.sum().backward(create_graph=True)
    first = [t.grad for t in tensors]
    for t in tensors:
        t.grad = None
    total = sum(g.sum() for g in first)
    if total.requires_grad:
        total.backward()
    return out, [g.data for g in first], [np.zeros(t.shape) if t.grad is None else t.grad.data for t in tensors]


def check(name: str, f: Any, domain: Domain, values: list[tuple[float, ...]]) -> None:
    arrays = np.array(values).T
    with np.errstate(all="ignore"):
        out, *found = derivatives(f, *arrays)
        if hasattr(np, name):
            np.testing.assert_array_equal(out.data, getattr(np, name)(*arrays))
    for i, at in enumerate(values):
        for order, expected in enumerate(differences(domain.exact, *at)):
            got = [float(g[i]) for g in found[order]]
            assert got == pytest.approx(expected, rel=1e-9, abs=1e-13), f"order {order + 1} at {at}"


@pytest.mark.parametrize("name", UNARY)
def test_of_one_number(name: str) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(st.lists(points(UNARY[name]), min_size=4, max_size=4))
    def run(values: list[float]) -> None:
        check(name, getattr(tn, name), UNARY[name], [(x,) for x in values])

    run()


@pytest.mark.parametrize("name", BINARY)
def test_of_two_numbers(name: str) -> None:
    domain = BINARY[name]
    #: Also multiples that are rounded.
    pairs = st.tuples(points(domain), points(domain), st.integers(0, 40)).map(
        lambda p: (p[2] * p[1], p[1]) if domain.low < p[2] * p[1] < domain.high and p[2] else p[:2]
    )

    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(st.lists(pairs.filter(lambda p: math.fmod(*p) != 0), min_size=2, max_size=2))
    def run(values: list[tuple[float, ...]]) -> None:
        check(name, getattr(tn, name), domain, values)

    run()


@pytest.mark.parametrize("scale", [1e-200, 1e-5, 1.0, 1e200])
def test_far_out(scale: float) -> None:
    """Where squares overflow or vanish the derivatives do not."""
    x, y = np.array([3.0, -3.0, 0.0]) * scale, np.array([4.0, 4.0, 1.0]) * scale
    _, (by_x, by_y), _ = derivatives(np.arctan2, x, y)
    np.testing.assert_allclose(by_x * scale, [4 / 25, 4 / 25, 1], rtol=1e-14)
    np.testing.assert_allclose(by_y * scale, [-3 / 25, 3 / 25, 0], rtol=1e-14)
    _, (by_x, by_y), _ = derivatives(np.hypot, x, y)
    np.testing.assert_allclose([by_x, by_y], [[0.6, -0.6, 0], [0.8, 0.8, 1]], rtol=1e-14)
    _, (first,), _ = derivatives(np.arcsinh, np.array([scale]))
    assert first.item() == pytest.approx(1 / math.hypot(1, scale), rel=1e-14)


#: Finite numbers at which some function is singular, outside its domain, or overflows.
SPECIAL = np.array([0, 1, 2, 0.5, 3, 1e-5, 1e3, 1e160, 1e300, 1e-160, 1e-300, 5e-324])
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


@pytest.mark.parametrize("name", [*UNARY, *BINARY, "modf", "frexp", "angle", "divmod", "nan_to_num"])
def test_a_branch_not_taken_gives_nothing(name: str) -> None:
    arrays = np.meshgrid(SPECIAL, SPECIAL) if name in BINARY or name == "divmod" else [SPECIAL]

    def f(*inputs: Any) -> Any:
        out = getattr(tn, name)(*inputs)
        out = out[name == "divmod"] if isinstance(out, tuple) else out
        return np.where(np.zeros(out.shape, bool), out, 0.0)

    with np.errstate(all="ignore"):
        _, first, second = derivatives(f, *arrays)
    for g in (*first, *second):
        assert not g.any()
