"""Polynomials by their coefficients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def same(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    """Equal values, shapes and dtypes, of one result or several."""
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e, rtol)
        return
    found = found.numpy() if isinstance(found, tn.Tensor) else np.asarray(found)
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)


COEFFICIENTS = st.lists(st.sampled_from([0.0, 1.0, -2.0, 0.5, 3.0]), min_size=1, max_size=4)

# -- arithmetic --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(COEFFICIENTS, COEFFICIENTS)
def test_arithmetic_is_that_of_numpy(a: list[float], b: list[float]) -> None:
    """Zeros in front are kept or left out as NumPy does, and cost no gradient."""
    for function in (np.polyadd, np.polysub, np.polymul):
        same(function(tn.tensor(np.array(a)), b), function(a, b))
        same(function(a, tn.tensor(np.array(b))), function(a, b))
    if b[0]:
        same(np.polydiv(tn.tensor(np.array(a)), b), np.polydiv(np.array(a), np.array(b)))


def test_arithmetic_of_integers_numbers_and_float32() -> None:
    for function in (np.polyadd, np.polysub, np.polymul):
        same(function(tn.tensor([1, 2, 3]), [4, 5]), function([1, 2, 3], [4, 5]))
        same(function(tn.tensor(2.0), [4.0, 5.0]), function(2.0, [4.0, 5.0]))
    single = np.array([1.0, 2.0, 4.0], np.float32)
    for name in ("polyadd", "polysub", "polymul", "polyval"):
        assert getattr(np, name)(tn.tensor(single), tn.tensor(single[:2])).dtype == np.float32
    for t in (
        *np.polydiv(tn.tensor(single), single[:2]),
        tn.polyder(single),
        tn.polyint(single, k=2.0),
        tn.roots(single),
    ):
        assert t.dtype in (np.float32, np.complex64)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.polyadd(x, [1.0]) + np.polysub([2.0], x),
        lambda x: np.polymul(x, [1.0, 2.0])[:3] + np.polymul([3.0], x),
        lambda x: np.polydiv(x, [1.0, 2.0])[0],
        lambda x: np.polydiv([1.0, 2.0, 3.0, 4.0], x)[0],
        lambda x: np.polyval([1.0, 2.0], x) + np.polyint(x, k=[1.0])[:3],
        lambda x: np.polyfit([0.0, 1.0, 3.0], x, 1, w=[1.0, 2.0, 3.0]),
        lambda x: np.poly([x[0], x[1]]) + np.roots([1.0, -3.0, 2.0])[0],
    ],
)
def test_steps_with_plain_lists_compile(f: Any) -> None:
    """While a step is captured rules get tensors, and lists as they were given."""

    def step(x: tn.Tensor) -> Any:
        return tn.grad(lambda x: f(x).sum())(x)

    for x in ([1.5, 2.0, 4.0], [-1.5, 1.0, 3.0]):
        same(tn.compile(step)(tn.tensor(x)), step(tn.tensor(x)).numpy())


def test_a_leading_zero_has_its_gradient() -> None:
    """The product's first coefficient is left out, but the others depend on the zero in front."""
    a, b = leaf([0.0, 2.0]), leaf([3.0, 5.0])
    out = np.polymul(a, b)
    assert out.tolist() == [6.0, 10.0]
    out.backward(np.array([1.0, 10.0]))
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.tolist(), b.grad.tolist()) == ([5.0, 53.0], [2.0, 20.0])


def test_polydiv_where_the_remainder_is_short() -> None:
    """(x³ + 3x² + 3x + 5) : (x² + 2x + 1) leaves 4, and with the gradient of what is left out 0."""
    u, v = np.array([1.0, 3.0, 3.0, 5.0]), np.array([1.0, 2.0, 1.0])
    x = leaf(u)
    quotient, remainder = np.polydiv(x, v)
    assert (quotient.tolist(), remainder.tolist()) == ([1.0, 1.0], [4.0])
    check_grads(lambda u, v: tn.polydiv(u, v)[0], [u, v], order=2)
    remainder.backward([1.0])
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, -1.0, 0.0, 1.0]  # of r₀ = u₃ − u₁ + 2 u₀, as q₁ = u₁ − 2 u₀
    _, tangents = tn.jvp(lambda u: tn.polydiv(u, v), (u,), (np.array([1.0, 2.0, 3.0, 4.0]),))
    assert [t.tolist() for t in tangents] == [[1.0, 0.0], [4.0]]


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_compiled_division_without_a_length_is_refused(backend: str) -> None:
    """NumPy's remainder, and that of tensors, is as long as the dividend then."""
    if backend == "native":
        pytest.importorskip("llvmlite")
    u, v = np.array([1.0, 2, 3, 5]), np.array([2.0, 1])
    for dtype in (float, complex):
        step = tn.compile(lambda u, v: np.polydiv(u, v), backend=backend)
        for _ in range(2):
            for found, right in zip(step(u.astype(dtype), v), np.polydiv(u.astype(dtype), v), strict=True):
                np.testing.assert_allclose(found, right)
        for first in (0, np.inf, np.nan):
            by = np.array([first, 1.0])
            with np.errstate(all="ignore"):
                for found, right in zip(np.polydiv(tn.tensor(u), by), np.polydiv(u, by), strict=True):
                    np.testing.assert_array_equal(found, right)
            with pytest.raises(ValueError, match="the divisor begins with 0, or the quotient is not finite"):
                step(u.astype(dtype), by)


@pytest.mark.parametrize("part", [0, 1])
def test_polydiv_by_parts(part: int) -> None:
    for n, m in ((6, 3), (4, 4), (3, 1), (5, 2)):
        u, v = R.normal(size=n), np.concatenate([[1.5], 0.5 * R.normal(size=m - 1)])
        if part == 0 or m > 1:
            check_grads(lambda u, v: tn.polydiv(u, v)[part], [u, v], order=2)


@pytest.mark.parametrize("name", ["polyadd", "polysub", "polymul", "polydiv", "polyval"])
def test_complex_coefficients(name: str) -> None:
    a, b = (R.normal(size=n) + 1j * R.normal(size=n) for n in (4, 2))
    same(getattr(np, name)(tn.tensor(a), tn.tensor(b)), getattr(np, name)(a, b))
    check_grads(getattr(tn, name), [a, b], order=2)


# -- values, derivatives, integrals ------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [[], [2.0], [1.0, -2.0, 0.5], [[1.0, 2.0], [3.0, 4.0]]])
@pytest.mark.parametrize("x", [3.0, [0.5, -1.0], [[1.0, 2.0], [3.0, 4.0]], []])
def test_polyval_is_that_of_numpy(p: Any, x: Any) -> None:
    if np.ndim(p) == 2 and not np.size(x):
        return
    p, x = np.array(p), np.array(x)
    same(np.polyval(tn.tensor(p), x), np.polyval(p, x))
    same(np.polyval(p, tn.tensor(x)), np.polyval(p, x))


@pytest.mark.parametrize("m", [0, 1, 2, 5])
@pytest.mark.parametrize("p", [[], [2.0], [1, 2, 3], [1.0, -2.0, 0.5, 4.0]])
def test_derivative_and_integral_are_those_of_numpy(m: int, p: Any) -> None:
    p = np.array(p)
    if p.size:
        same(np.polyder(tn.tensor(p), m), np.polyder(p, m))
    for k in (None, 3.0, [3.0], list(range(m)) or None):
        same(np.polyint(tn.tensor(p), m, k), np.polyint(p, m, k))


def test_orders_and_shapes_that_numpy_takes() -> None:
    for function in (np.polyder, np.polyint):
        same(function(tn.tensor([1.0, 2.0, 3.0]), 1.0), function([1.0, 2.0, 3.0], 1.0))
        matrix = np.ones((2, 2))
        same(function(tn.tensor(matrix), 0), matrix)
        with pytest.raises(ValueError, match=r"p must have one axis, not shape \(2, 2\)"):
            function(leaf(matrix))
        with pytest.raises(TypeError, match="p must have one axis"):
            function(leaf(1.0))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float64"])
def test_coefficients_in_a_list_beside_integers(dtype: str) -> None:
    x = np.array([1, 20, 3]).astype(dtype)
    for p in ([1, 2], [1.5, 2], [], [True], (1, 2, 3)):
        same(np.polyval(p, tn.tensor(x)), np.polyval(p, x))


def test_integrals_of_high_order() -> None:
    """Factorials leave the range of numbers; NumPy divides by one factor after the other."""
    for m in (20, 200):
        with np.errstate(over="ignore"):
            same(np.polyint(tn.tensor([1.0, 2.0]), m, 3.0), np.polyint([1.0, 2.0], m, 3.0))
    check_grads(lambda p, k: tn.polyint(p, 3, k), [R.normal(size=4), R.normal(size=5)], order=2)


def test_the_integral_by_its_constants() -> None:
    k = leaf([1.0, 2.0])
    tn.polyint(np.array([6.0]), 2, k).sum().backward()
    assert k.grad is not None
    assert k.grad.tolist() == [1.0, 1.0]
    one = leaf(2.0)
    tn.polyint(np.array([6.0]), 3, one).sum().backward()
    assert one.grad is not None
    assert one.grad.item() == 2.5


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="polyder: m must be 0 or more, not -1; see polyint"):
        np.polyder(leaf([1.0]), -1)
    with pytest.raises(ValueError, match="polyint: m must be 0 or more, not -1; see polyder"):
        np.polyint(leaf([1.0]), -1)
    with pytest.raises(ValueError, match="2 constants for 3 integrations"):
        np.polyint(leaf([1.0]), 3, [1.0, 2.0])
    with pytest.raises(ValueError, match="vander: x must have one axis"):
        np.vander(leaf([[1.0]]))
    with pytest.raises(ValueError, match="p must have one axis"):
        tn.roots(leaf([[1.0]]))
    with pytest.raises(ValueError, match=r"give roots \(n,\) or a square matrix, not shape \(1, 2\)"):
        np.poly(leaf([[1.0, 2.0]]))


# -- roots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "p", [[1.0, -6, 11, -6], [1.0, 0, 1], [0.0, 2, -2, 0, 0], [0.0, 0], [3.0], [], [2, -4], [5.0, 0]]
)
def test_roots_are_those_of_numpy(p: Any) -> None:
    p = np.array(p)
    same(np.roots(tn.tensor(p)), np.roots(p))


def test_roots_by_coefficients_with_zeros_at_both_ends() -> None:
    """x² − 3x in three guises; the root 0 moves by −dp/p′(0), the root 3 as ever."""
    for before, p in ((0, [1.0, -3.0, 0.0]), (1, [0.0, 1.0, -3.0, 0.0])):
        x = leaf(p)
        out = np.roots(x)
        assert out.tolist() == [3.0, 0.0]
        out.backward(np.array([1.0, 10.0]))
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), ([-9.0] if before else []) + [-3.0, -1.0, -1 / 3 + 10 / 3])


def test_roots_that_coincide_have_infinite_derivatives() -> None:
    x = leaf([1.0, 0.0, 0.0])
    tn.roots(x).backward(np.array([1.0, 0.0]))
    assert x.grad is not None
    assert np.isinf(x.grad.numpy()[-1])
    free = leaf([1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    out = tn.roots(free)
    np.abs(out[0]).backward()  # a simple one: the double root 0 beside it is no trouble
    assert free.grad is not None
    assert np.isfinite(free.grad.numpy()).all()


def test_complex_roots() -> None:
    p = np.array([1.0, -0.5, 2.0, 0.7, 1.1])
    check_grads(tn.roots, [p], order=2)
    check_grads(tn.roots, [p + 1j * R.normal(size=5)], order=2)
    assert tn.roots(leaf(p)).dtype == np.complex128
    x = leaf(p)
    np.poly(np.roots(x)).sum().backward()  # the sum is p(1) / p[0]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [-p[1:].sum(), 1, 1, 1, 1], atol=1e-12)


@pytest.mark.parametrize(
    "zeros", [[], [2.0], [1, 2], [1 + 1j, 1 - 1j], [1j, 2.0], [[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [-1.0, 0.0]]]
)
def test_poly_is_that_of_numpy(zeros: Any) -> None:
    same(np.poly(tn.tensor(np.array(zeros))), np.poly(np.array(zeros)))


def test_poly_of_tensors_in_a_list() -> None:
    a, b = leaf(2.0), leaf(3.0)
    np.poly([a, b]).backward(np.array([0.0, 1.0, 10.0]))
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.item(), b.grad.item()) == (29.0, 19.0)


def test_poly_of_complex_roots_and_of_matrices() -> None:
    check_grads(tn.poly, [R.normal(size=3) + 1j * R.normal(size=3)], order=2)
    check_grads(tn.poly, [np.zeros(3)], order=3)
    check_grads(tn.poly, [R.normal(size=(3, 3)) + 1j * R.normal(size=(3, 3))], order=2)
    check_grads(tn.poly, [np.eye(3)], order=2)  # where eigenvalues coincide
    check_grads(tn.poly, [np.array([[0.0, 1.0], [0.0, 0.0]])], order=2)  # and where there are too few eigenvectors
    x = leaf(np.array([1 + 2j, 1 - 2j]))
    out = np.poly(x)
    assert out.dtype == np.float64
    out.backward(np.array([0.0, 0.0, 1.0]))  # the product of the roots
    assert x.grad is not None
    assert x.grad.tolist() == [1 + 2j, 1 - 2j]


def test_the_derivative_of_a_determinant() -> None:
    torch = pytest.importorskip("torch")
    a = R.normal(size=(5, 5))
    x, t = leaf(a), torch.tensor(a, requires_grad=True)
    np.poly(x)[-1].backward()
    torch.linalg.det(-t).backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-10)


# -- fitting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [None, 0, 1, 4])
@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("x", [[], [2.0, -3.0, 0.0], [1, 2, 3], [1j, 2.0]])
def test_vander_is_that_of_numpy(N: Any, increasing: bool, x: Any) -> None:
    x = np.array(x)
    same(np.vander(tn.tensor(x), N, increasing), np.vander(x, N, increasing))


def test_vander_takes_a_whole_number() -> None:
    same(np.vander(tn.tensor([2.0]), np.int64(2)), np.vander([2.0], 2))
    with pytest.raises(ValueError, match="N must be 0 or more, not -1"):
        np.vander(leaf([1.0]), -1)
    with pytest.raises(TypeError, match="integer"):
        np.vander(leaf([1.0]), 2.0)


def test_vander_at_0_to_third_order() -> None:
    check_grads(tn.vander, [np.array([0.0, -1.5])], order=3, kwargs={"N": 4})


X, Y = np.array([0.0, 0.5, 1.1, 2.0, 2.7]), R.normal(size=(5, 2))


@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "two"])
@pytest.mark.parametrize("w", [None, np.array([1.0, 2.0, 0.5, 1.0, 3.0])], ids=["plain", "weighted"])
@pytest.mark.parametrize("options", [{}, {"full": True}, {"cov": True}, {"cov": "unscaled"}, {"rcond": 1e-3}], ids=str)
def test_polyfit_is_that_of_numpy(y: Any, w: Any, options: Any) -> None:
    expected = np.polyfit(X, y, 2, w=w, **options)
    same(np.polyfit(tn.tensor(X), y, 2, w=w, **options), expected, 1e-10)
    same(np.polyfit(X, tn.tensor(y), 2, w=w, **options), expected, 1e-10)
    given = [X, y] if w is None else [X, y, w]
    check_grads(
        lambda x, y, w=None: [t for t in tn.polyfit(x, y, 2, w=w, **options) if isinstance(t, tn.Tensor)],
        given,
        order=2,
    )


def test_a_fit_moves_with_its_points() -> None:
    """A line through two points: its slope by the second point's height is one over their distance."""
    y = leaf([1.0, 3.0])
    np.polyfit([0.0, 4.0], y, 1)[0].backward()
    assert y.grad is not None
    np.testing.assert_allclose(y.grad.numpy(), [-0.25, 0.25])


@pytest.mark.parametrize("narrow", ["x", "y", "w"])
def test_a_fit_in_double_precision_is_computed_in_it(narrow: str) -> None:
    """One argument of float32 among others of float64: the result has the digits of its dtype."""
    given = {
        "x": np.array([0.0, 1.0, 2.0, 4.0]),
        "y": np.array([3.0, 1.0, 7.0, 8.0]),
        "w": np.array([1.0, 2.0, 1.0, 4.0]),
    }
    expected = np.polyfit(**given, deg=1)
    given[narrow] = given[narrow].astype(np.float32)
    same(np.polyfit(**{k: tn.tensor(v) for k, v in given.items()}, deg=1), expected)
    single = np.polyfit(*(tn.tensor(v.astype(np.float32)) for v in (given["x"], given["y"])), 1)
    assert single.dtype == np.float32


def test_points_that_do_not_determine_a_polynomial() -> None:
    x, y = np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    with pytest.warns(np.exceptions.RankWarning):
        expected = np.polyfit(x, y, 1)
    with pytest.warns(np.exceptions.RankWarning):
        same(tn.polyfit(x, y, 1), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _, rank, *_ = np.polyfit(tn.tensor(x), y, 1, full=True)
    same(found, expected)
    assert rank.item() == 1


@pytest.mark.parametrize(
    ("x", "y", "deg", "options", "error", "words"),
    [
        ([1.0], [1.0], -1, {}, ValueError, "deg must be 0 or more, not -1"),
        ([1.0], [1.0, 2.0], 1, {}, TypeError, r"y \(n,\) or \(n, k\), not \(1,\) and \(2,\)"),
        ([], [], 1, {}, TypeError, "n of 1 or more"),
        ([1.0, 2.0], [1.0, 2.0], 1, {"w": [1.0]}, TypeError, r"w must be \(2,\) as x is, not \(1,\)"),
        ([1.0, 2.0], [1.0, 2.0], 1, {"cov": True}, ValueError, "takes more than 2 points, not 2; give cov='unscaled'"),
    ],
)
def test_polyfit_says_what_does_not_fit(x: Any, y: Any, deg: int, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        np.polyfit(leaf(x), y, deg, **options)


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")
    p, q = R.normal(size=4), R.normal(size=3)
    calls: list[Any] = [
        ("polymul", [p, q]), ("polyval", [p, q]), ("polyint", [p]), ("poly", [p]), ("polydiv", [p, q]),
    ]  # fmt: skip
    with jax.enable_x64(True):
        for name, arrays in calls:
            ours = [leaf(a) for a in arrays]
            out = getattr(np, name)(*ours)
            expected, pull = jax.vjp(getattr(jax.numpy, name), *map(jax.numpy.asarray, arrays))
            if name == "polydiv":  # its quotient: JAX keeps the zeros before the remainder
                out = out[0]
                cotangent: Any = (jax.numpy.ones(expected[0].shape), jax.numpy.zeros(expected[1].shape))
            else:
                cotangent = jax.numpy.ones(expected.shape)
            out.sum().backward()
            for x, d in zip(ours, pull(cotangent), strict=True):
                assert x.grad is not None
                np.testing.assert_allclose(x.grad.numpy(), np.asarray(d), rtol=1e-10, atol=1e-10, err_msg=name)
