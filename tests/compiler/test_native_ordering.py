"""Sorting, searching and running sums in compiled programs: NumPy's results, without Python, in loops too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
DTYPES = [np.float32, np.float64, np.int64, np.int32, np.int8, np.uint16, np.bool_]
ALONG: dict[str, Callable[..., Any]] = {
    "sort": np.sort,
    "stable sort": lambda x, axis=-1: np.sort(x, axis, kind="stable"),
    "argsort": np.argsort,
    "stable argsort": lambda x, axis=-1: np.argsort(x, axis, stable=True),
    "cumsum": lambda x, axis=-1: np.cumsum(x, axis),
    "cumprod": lambda x, axis=-1: np.cumprod(x, axis),
}


def equal(found: Any, right: Any) -> None:
    found = np.asarray(found)
    assert found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONG)
@backends
def test_it_is_what_numpy_gives(compiled: Compile, name: str, dtype: type) -> None:
    """Bit for bit: of any axis, of views, of short rows and long ones, with many that are equal."""
    f = ALONG[name]
    whole = (RNG.normal(size=(3, 4, 5)) * 3).astype(dtype)
    for x, axis in ((whole, 0), (whole, -1), (whole.T, 1), (whole[:, ::-1, ::2], 1), (whole.reshape(-1), None),
                    (np.tile(whole.reshape(-1), 9), 0), (whole[:, :1], 1)):  # fmt: skip
        step = compiled(lambda x, axis=axis: f(x, axis))
        with np.errstate(all="ignore"):
            for _ in range(2):
                equal(step(x), f(x, axis))
        assert not calls_python(step)


@pytest.mark.parametrize("name", ALONG)
@backends
def test_special_numbers_and_nothing(compiled: Compile, name: str) -> None:
    x = np.array([[0.0, np.nan, -np.inf, -0.0, np.inf, 1.0, np.nan, -1.0], [np.nan] * 8])
    f = ALONG[name]
    step = compiled(f)
    with np.errstate(all="ignore"):
        for each in (x, x, x[:0], x[:, :0], x[:, :0]):
            equal(step(each), f(each))
            np.testing.assert_array_equal(np.signbit(np.asarray(step(each))), np.signbit(f(each)))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", DTYPES[:-1])
@backends
def test_searching(compiled: Compile, dtype: type, side: Any) -> None:
    """Of every place, beside and beyond what is there; of other dtypes, and of nan."""
    for length in (1, 2, 7, 8, 33):
        line = np.sort((RNG.uniform(0, 20, length)).astype(dtype))
        values = np.arange(22).reshape(2, 11).astype(dtype)
        step = compiled(lambda a, v: np.searchsorted(a, v, side))
        for _ in range(2):
            equal(step(line, values), np.searchsorted(line, values, side))
            equal(step(line, values + 0.5), np.searchsorted(line, values + 0.5, side))
        assert not calls_python(step)
    if np.dtype(dtype).kind == "f":
        line = np.array([-np.inf, 0, 1, np.inf, np.nan, np.nan], dtype)
        values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.5], dtype)
        step = compiled(lambda a, v: np.searchsorted(a, v, side))
        for _ in range(2):
            equal(step(line, values), np.searchsorted(line, values, side))


@backends
def test_searching_through_a_sorter_and_for_a_number(compiled: Compile) -> None:
    a = np.array([3.0, 1.0, 2.0])
    step = compiled(lambda a, v: (np.searchsorted(a, v, sorter=np.argsort(a)), np.searchsorted(np.sort(a), 2)))
    for _ in range(2):
        found = step(a, np.array([0.0, 2.5]))
        equal(found[0], np.array([0, 2]))
        assert found[1] == 1
    assert not calls_python(step)


@backends
def test_in_loops_with_gradients(compiled: Compile) -> None:
    """Values, gradients, and second ones, in a scan, a while loop and a branch."""
    edges = np.array([-1.0, 0.0, 1.0])

    def body(x: Any) -> Any:
        weights = np.arange(1.0, 7.0)
        places = np.searchsorted(edges, x)
        return (np.sort(x) ** 2 * weights).sum() + np.cumsum(x**3)[2:].sum() + (x[np.argsort(x)] * places).sum()

    def scanned(xs: Any) -> Any:
        return tn.scan(lambda c, x: (c + body(x), None), np.float64(0), xs)[0]

    def branched(xs: Any) -> Any:
        return tn.cond(xs[0, 0] > 0, lambda x: body(x), lambda x: body(2 * x), xs[1])

    def repeated(xs: Any) -> Any:
        total = tn.while_loop(
            lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + body(xs[s[0]])), (0, np.float64(0)), max_turns=4
        )
        return total[1]

    xs = RNG.normal(size=(4, 6))
    for f in (scanned, branched, repeated):
        value, gradient = compiled(f), compiled(tn.grad(f))
        second = compiled(tn.grad(lambda xs, f=f: (tn.grad(f)(xs) ** 2).sum()))
        for _ in range(2):
            np.testing.assert_allclose(value(xs), f(xs), rtol=1e-13)
            np.testing.assert_allclose(gradient(xs), tn.grad(f)(xs), rtol=1e-12)
            np.testing.assert_allclose(second(xs), tn.grad(lambda xs, f=f: (tn.grad(f)(xs) ** 2).sum())(xs), rtol=1e-11)
        assert not any(map(calls_python, (value, gradient, second)))


@backends
def test_lanes(compiled: Compile) -> None:
    xs, lines = RNG.normal(size=(3, 5)), np.sort(RNG.normal(size=(3, 4)))
    step = compiled(tn.vmap(lambda x, line: (np.sort(x), np.cumsum(x), np.searchsorted(line, x))))
    for _ in range(2):
        found = step(xs, lines)
        equal(found[0], np.sort(xs))
        equal(found[1], np.cumsum(xs, 1))
        equal(found[2], np.stack([np.searchsorted(line, x) for line, x in zip(lines, xs, strict=True)]))
    assert not calls_python(step)


# -- what is made of order, windows and steps ----------------------------------------------------------------------

KNOTS = np.array([-1.0, 0.0, 0.5, 0.5, 2.0])
COMPOSED: dict[str, Callable[[Any], Any]] = {
    "interp": lambda x: np.interp(x, KNOTS, KNOTS**3),
    "interp, with ends": lambda x: np.interp(x, KNOTS, np.array([1.0, np.inf, 2.0, 3.0, 3.0]), -5.0, 7.0),
    "interp by values": lambda x: np.interp(0.3, np.sort(x[0]), x[1]),
    "one knot": lambda x: np.interp(x, KNOTS[:1], KNOTS[:1] + 4),
    "digitize": lambda x: np.digitize(x, KNOTS) * 1.0,
    "digitize, falling, right": lambda x: np.digitize(x, KNOTS[::-1], right=True) * 1.0,
    "digitize, nan at the end": lambda x: np.digitize(x, np.array([-1.0, 0.5, np.nan])) * 1.0,
    "digitize, nan first": lambda x: np.digitize(x, np.array([np.nan, 0.5, -1.0]), right=True) * 1.0,
    "digitize, equal edges": lambda x: np.digitize(x, np.array([0.5, 0.5])) + np.digitize(x, np.array([0.5])),
    "round": lambda x: np.round(x * 3) + np.round(np.arange(6)),
    "heaviside": lambda x: np.heaviside(x, 0.25),
    "median": lambda x: np.median(x, axis=1) + np.median(x),
    "median of columns": lambda x: np.median(x[:3], axis=0, keepdims=True),
    "convolve": lambda x: np.concatenate([np.convolve(x[1], x[0, :4], m) for m in ("valid", "same", "full")]),
    "convolve, few windows": lambda x: np.convolve(np.tile(x[0], 6), np.tile(x[1], 7), "valid"),
    "convolve, many": lambda x: np.convolve(np.tile(x[0], 12), np.tile(x[1], 6)),
    "running maximum": lambda x: np.maximum.accumulate(x, axis=1),
    "running minimum": lambda x: np.minimum.accumulate(x),
    "running maximum of whole numbers": lambda x: np.maximum.accumulate(np.argsort(x[1])),
    "nanmean": lambda x: np.nanmean(x) + np.nanmean(x, axis=1, keepdims=True),
    "nanmax": lambda x: np.nanmax(x, axis=1) - np.nanmin(x, axis=(0, 1)),
    "nansum": lambda x: np.nansum(x, axis=0),
    "quantile": lambda x: np.quantile(x, 0.3) + np.quantile(x, np.array([0.0, 0.55, 1.0]), axis=1, keepdims=True),
    "percentile": lambda x: np.percentile(x, [10, 50], axis=0),
    "correlate": lambda x: np.correlate(x[1], x[0, :3]) + np.correlate(x[0, :3], x[1], "full")[2:6],
}


@pytest.mark.parametrize("name", COMPOSED)
@backends
def test_what_is_composed_is_numpys_in_loops(compiled: Compile, name: str) -> None:
    f = COMPOSED[name]

    def loop(x: Any) -> Any:
        return tn.scan(lambda c, row: (c, f(row)), np.float64(0), x)[1]

    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    x[0, 0, :5], x[1, 0, 0], x[1, 1, 1], x[2, 2, 3] = KNOTS, np.nan, np.inf, -0.0
    step = compiled(loop)
    with np.errstate(invalid="ignore"):
        right = loop(x)
        for _ in range(2):
            np.testing.assert_allclose(step(x), right, rtol=1e-13, atol=1e-14)
    assert not calls_python(step)


@pytest.mark.parametrize(
    "name", ["median", "median of columns", "convolve", "correlate", "running maximum", "running minimum"]
)
@backends
def test_signs_of_zeros(compiled: Compile, name: str) -> None:
    f = COMPOSED[name]
    step = compiled(f)
    for x in (
        np.zeros((4, 6)),
        -np.zeros((4, 6)),
        -np.zeros((4, 6)),
        np.where(np.arange(24) % 3, 0.0, -0.0).reshape(4, 6),
    ):
        if "median" not in name or np.signbit(x).all() == np.signbit(x).any():  # which of unlike zeros is found is any
            np.testing.assert_array_equal(np.signbit(np.asarray(step(x))), np.signbit(np.asarray(f(x))))


@pytest.mark.parametrize("name", ["running maximum", "nanmean", "nanmax", "nansum", "quantile", "percentile"])
@backends
def test_gradients_of_what_is_composed(compiled: Compile, name: str) -> None:
    def f(x: Any) -> Any:
        return tn.scan(lambda c, row: (c + (COMPOSED[name](row) ** 2).sum(), None), np.float64(0), x)[0]

    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    if "nan" in name:
        x[1, 2, 3] = np.nan
    step = compiled(tn.grad(f))
    for _ in range(2):
        np.testing.assert_allclose(step(x), np.asarray(tn.grad(f)(x)), rtol=1e-12, atol=1e-13)


@backends
def test_edges_that_neither_rise_nor_fall_are_refused(compiled: Compile) -> None:
    step = compiled(lambda x, edges: np.digitize(x, edges) * 1.0)
    for _ in range(2):
        step(np.arange(3.0), np.array([0.0, 1.0, np.nan]))
    with pytest.raises(ValueError, match="monotonically"):
        step(np.arange(3.0), np.array([0.0, 2.0, 1.0]))


@backends
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of NumPy 2.3, whose quantile is nan there
def test_quantiles_by_whole_numbers_and_by_other_floats(compiled: Compile) -> None:
    """Smallest and largest elements, also beside infinite ones; and float32 where NumPy computes in it."""
    x = np.array([-np.inf, 1.0, 3.0, 4.0, np.inf])
    for q in (0, 1, np.array([0, 1]), np.float32(0.3)):
        step = compiled(lambda x, q=q: np.quantile(x, q))
        given = x if np.asarray(q).dtype.kind == "i" else np.sqrt(np.arange(6.0))
        for _ in range(2):
            np.testing.assert_allclose(np.asarray(step(given)), np.quantile(given, q), rtol=1e-13)


@backends
def test_counts_for_another_number_of_places(compiled: Compile) -> None:
    """Where values reach beyond `minlength` the function is captured anew, and a negative one is NumPy's error."""

    def f(x: Any, w: Any) -> Any:
        return np.bincount(x, w, minlength=4) * 2

    step, w = compiled(f), np.array([0.5, 1.0, 2.0])
    for values in ([0, 1, 1], [3, 0, 3], [1, 6, 0], [1, 6, 2], [0, 1, 2]):
        equal(step(np.array(values), w), f(np.array(values), w))
    assert len(step.variants) == 2
    with pytest.raises(ValueError, match="no negative elements"):
        step(np.array([0, -1, 1]), w)


@backends
def test_places_that_are_refused(compiled: Compile) -> None:
    for g in (lambda i, j: tn.ravel_multi_index((i, j), (2, 3)), lambda i, j: np.choose(i, [j, j + 1])):
        step, i, j = compiled(g), np.array([0, 1]), np.array([2, 0])
        for _ in range(2):
            equal(step(i, j), np.asarray(g(i, j)))
        with pytest.raises(ValueError, match="invalid entry"):
            step(i + 5, j)
    step = compiled(lambda k: np.unravel_index(k, (2, 3))[0])
    for _ in range(2):
        equal(step(j), np.array([0, 0]))
    with pytest.raises(ValueError, match="out of bounds"):
        step(j + 9)
    rows = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 4.0]])
    step = compiled(lambda x: np.nanargmax(x, axis=1))
    for _ in range(2):
        equal(step(rows), np.array([2, 1]))
    with pytest.raises(ValueError, match="All-NaN"):
        step(rows * np.nan)


@backends
def test_arrays_beside_numbers_of_python(compiled: Compile) -> None:
    """A number takes the dtype of the array beside it where NumPy lets it; and what a dtype does not hold is compared with."""
    single, small = np.full(3, 0.1, np.float32), np.array([0, 1, 127], np.int8)
    for f, x in (
        (lambda x: np.isclose(x, 0.1, rtol=0, atol=0), single),
        (lambda x: np.isclose(0.1, x, rtol=0, atol=0), single),
        (lambda x: np.isclose(x, True), single),
        (lambda x: np.isclose(x, np.nan, equal_nan=True), single * np.nan),
        (lambda x: np.isclose(x, np.float64(0.1), rtol=0, atol=0), single),
        (lambda x: np.array_equal(x[0], 0.1), single),
        (lambda x: (x < 400, np.less(400, x), x >= 128, x == 257, x != 257, x > -129), small),
        (lambda x: (x > -1, x == 257, np.equal(-1, x), x <= 300), small.astype(np.uint8)),
        (lambda x: np.unravel_index(x, (200, 2)), small),
    ):
        step = compiled(f)
        for _ in range(2):
            for found, right in zip(tn.tree.leaves(step(x)), tn.tree.leaves(f(x)), strict=True):
                equal(found, np.asarray(right))
        assert not step.variants[0].called


@backends
def test_counts_with_weights_of_float32(compiled: Compile) -> None:
    step = compiled(lambda x, w: tn.bincount(x, w, minlength=4))
    for _ in range(2):
        equal(step(np.array([0, 2, 2]), np.array([0.5, 1, 2], np.float32)), np.array([0.5, 0, 3, 0], np.float32))
    assert not step.variants[0].called


@pytest.mark.parametrize(("f", "scale"), [(np.quantile, 1), (np.percentile, 100)])
def test_errors_of_levels_name_the_function(f: Any, scale: int) -> None:
    for run in (tn.compile(f), tn.compile(tn.grad(lambda x, q: f(x, q)))):
        run(np.arange(5.0), np.array(0.5 * scale))
        for q in (-0.1 * scale, 1.1 * scale):
            with pytest.raises(ValueError, match=rf"^{f.__name__}: \w+ must be in the range \[0, {scale}\]"):
                run(np.arange(5.0), np.array(q))
