"""Sorting, partitioning, searching and sets: against NumPy, finite differences, PyTorch and JAX; ties by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads
from tests import NUMPY
from tests.ops.oracle import agrees_with_torch, close

R = np.random.default_rng(0)
#: Few different values, so that there are ties.
FEW = st.sampled_from([0.0, 1.0, -1.0, 2.5])


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def gradient(f: Callable[[Any], Any], values: Any, g: Any) -> Any:
    """The gradient of f projected on g."""
    x = leaf(values)
    f(x).backward(np.asarray(g, float))
    assert x.grad is not None
    return x.grad.data


# -- sorting -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
def test_sorting(data: Any, shape: Any) -> None:
    a = data.draw(hnp.arrays(float, shape, elements=FEW))
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    kind = data.draw(st.sampled_from([None, "quicksort", "heapsort", "stable"]))
    expected = np.sort(a, axis, kind)
    for out in (np.sort(leaf(a), axis, kind), tn.sort(leaf(a), axis=axis, kind=kind), tn.sort(a, axis)):
        np.testing.assert_array_equal(out.data if isinstance(out, tn.Tensor) else out, expected)
    g = R.normal(size=expected.shape)
    places = np.argsort(a, axis, kind="stable")
    back = np.zeros(a.size if axis is None else shape)
    np.put_along_axis(back, places, g, 0 if axis is None else axis)
    np.testing.assert_array_equal(gradient(lambda x: np.sort(x, axis, kind), a, g), back.reshape(shape))


@pytest.mark.parametrize("shape", [(5000,), (50, 100), (2500, 2)])
@pytest.mark.parametrize("equal", [0, 30, 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_elements_among_many(shape: Any, equal: int, dtype: Any) -> None:
    """Of many floats the order is found in another way, which has to come to the same."""
    r = np.random.default_rng(equal)
    a = r.normal(size=5000)
    a[r.permutation(5000)[:equal]] = r.choice([np.nan, np.inf, 0.0, -0.0, -np.inf], equal)
    a = a.reshape(shape).astype(dtype)
    g = np.arange(1.0, 5001)
    for axis in (0, -1, None):
        back = np.empty(5000 if axis is None else shape)
        places = np.argsort(a, axis, kind="stable")
        np.put_along_axis(back, places, g.reshape(back.shape), axis or 0)
        found = gradient(lambda x, axis=axis: np.sort(x, axis), a, g.reshape(back.shape))
        np.testing.assert_array_equal(found, back.reshape(shape))


def test_sorting_against_torch() -> None:
    torch = pytest.importorskip("torch")
    a = R.integers(0, 3, (4, 5)).astype(float)
    for axis in (0, -1):
        agrees_with_torch(
            lambda x, axis=axis: np.sort(x, axis, stable=True) ** 2,
            lambda x, axis=axis: torch.sort(x, dim=axis, stable=True).values ** 2,
            a,
        )


def test_sorting_against_jax() -> None:
    jax = pytest.importorskip("jax")
    a = R.normal(size=(3, 4)).astype(np.float32)
    weights = R.normal(size=(3, 4)).astype(np.float32)
    for axis in (0, 1):
        theirs = jax.grad(lambda x, axis=axis: (jax.numpy.sort(x, axis) * weights).sum())(a)
        x = leaf(a)
        (np.sort(x, axis) * weights).sum().backward()
        close(x.grad.data, np.asarray(theirs))


def test_nan_is_last() -> None:
    a = np.array([np.nan, 1.0, np.inf, -1.0])
    np.testing.assert_array_equal(np.sort(leaf(a)).data, np.sort(a))
    assert gradient(np.sort, a, [1, 2, 3, 4]).tolist() == [4, 2, 3, 1]


def test_sorting_to_second_order_and_beyond() -> None:
    a = np.array([[0.3, -1.2, 2.0], [1.0, 0.5, -0.7]])
    for axis in (0, 1, None):
        check_grads(lambda x, axis=axis: np.sort(x, axis) ** 3, [a], order=3)
    check_grads(lambda x: np.sort(x**2)[..., 1] * x.sum(), [a], order=2)  # medians


def test_zero_and_infinite_parts_of_a_sort() -> None:
    """An element that the loss does not depend on has gradient 0, also at second order."""
    x = leaf([0.0, 4.0, 1.0])
    loss = np.sqrt(np.sort(x)[1:]).sum()
    (g,) = [tn.grad(lambda t: np.sqrt(np.sort(t)[1:]).sum())(x)]
    loss.backward()
    assert x.grad.tolist() == [0.0, 0.25, 0.5]
    assert g.tolist() == [0.0, 0.25, 0.5]
    second = tn.grad(lambda t: (tn.grad(lambda u: np.sqrt(np.sort(u)[1:]).sum())(t) ** 2).sum())(x)
    np.testing.assert_allclose(second.data, [0.0, 2 * 0.25 * (-0.25 * 4**-1.5), 2 * 0.5 * -0.25])


def test_sorting_complex_numbers() -> None:
    z = np.array([2 + 1j, 1 - 1j, 1 - 2j])
    np.testing.assert_array_equal(np.sort(tn.tensor(z)).data, np.sort(z))
    for a in (z, np.array([3.0, 1.0]), np.array([3, 1], np.int8), np.array([3, 1]), np.array([2.0, 1.0], np.float32)):
        found, expected = np.sort_complex(tn.tensor(a)), np.sort_complex(a)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.data, expected)


@pytest.mark.parametrize("kth", [0, -1, 2, [1, 3], (0, -2)])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_partitions(kth: Any, axis: Any) -> None:
    a = R.normal(size=(5, 4))
    expected = np.take(np.sort(a, axis), kth, axis)
    for out in (np.partition(leaf(a), kth, axis), tn.partition(leaf(a), kth, axis=axis)):
        np.testing.assert_array_equal(np.sort(out.data, axis), np.sort(a, axis))
        np.testing.assert_array_equal(np.take(out.data, kth, axis), expected)
        np.testing.assert_array_equal(out.data, np.partition(a, kth, axis))
    check_grads(lambda x: np.take(np.partition(x, kth, axis), kth, axis) ** 3, [a], order=2)
    check_grads(lambda x: np.partition(x, kth, axis) ** 3, [a], order=2)
    places = np.argpartition(tn.tensor(a), kth, axis)
    np.testing.assert_array_equal(places.data, np.argpartition(a, kth, axis))
    assert not places.requires_grad


# -- searching ---------------------------------------------------------------------------------------------------

SEARCHES: dict[str, Callable[[Any, Any], Any]] = {
    "argsort": lambda a, b: np.argsort(a),
    "argsort of all": lambda a, b: np.argsort(a, None, "stable"),
    "argsort, stable": lambda a, b: np.argsort(b, axis=0, stable=True),
    "lexsort": lambda a, b: np.lexsort((a, b)),
    "lexsort of an array": lambda a, b: np.lexsort(b),
    "lexsort along an axis": lambda a, b: np.lexsort((a, b), axis=0),
    "searchsorted": lambda a, b: np.searchsorted(np.sort(a[0]), b),
    "searchsorted, right": lambda a, b: np.searchsorted(np.sort(a[0]), b, side="right"),
    "searchsorted, sorter": lambda a, b: np.searchsorted(a[0], b, sorter=np.argsort(a[0])),
    "searchsorted of a number": lambda a, b: np.searchsorted(np.sort(a[0]), 0.5),
    "digitize": lambda a, b: np.digitize(a, [-1.0, 0.0, 1.0]),
    "digitize, right": lambda a, b: np.digitize(a, np.sort(b[0]), right=True),
    "isin": lambda a, b: np.isin(a, b),
    "isin, inverted": lambda a, b: np.isin(a, b[:1], invert=True, kind="sort"),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_have_the_value_and_no_gradient(name: str) -> None:
    a, b = R.integers(-2, 3, (2, 3, 4)).astype(float)
    found, expected = SEARCHES[name](leaf(a), leaf(b)), SEARCHES[name](a, b)
    assert isinstance(found, tn.Tensor)
    assert not found.requires_grad
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.data, expected)


# -- sets --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4))
def test_distinct_elements(data: Any, shape: Any) -> None:
    a = data.draw(hnp.arrays(float, shape, elements=st.one_of(FEW, st.just(np.nan))))
    flags = [data.draw(st.booleans()) for _ in range(3)]
    equal_nan = data.draw(st.booleans())
    axes = [None] + [k for k in range(-len(shape), len(shape)) if a.size and not np.isnan(a).any()]
    axis = data.draw(st.sampled_from(axes))
    expected = np.unique(a, *flags, axis, equal_nan=equal_nan)
    found = np.unique(leaf(a), *flags, axis, equal_nan=equal_nan)
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    pairs = list(zip(found, expected, strict=True)) if isinstance(found, tuple) else [(found, expected)]
    for mine, theirs in pairs:
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine.data, theirs)
        assert mine.requires_grad == (mine is pairs[0][0])


def test_equal_elements_share_the_gradient() -> None:
    a = [[2.0, 1.0], [2.0, 3.0], [2.0, 1.0]]
    assert gradient(np.unique, a, [1, 3, 5]).tolist() == [[1, 0.5], [1, 5], [1, 0.5]]
    rows = gradient(lambda x: np.unique(x, axis=0), a, [[2, 4], [6, 8]])
    assert rows.tolist() == [[1, 2], [6, 8], [1, 2]]
    columns = gradient(lambda x: np.unique(x, axis=1), [[2.0, 1.0, 2.0]] * 2, [[1, 2], [3, 4]])
    assert columns.tolist() == [[1, 1, 1], [2, 3, 2]]
    assert gradient(np.unique, [np.nan, 1.0, np.nan], [1, 4]).tolist() == [2, 1, 2]
    assert gradient(np.unique_values, [np.nan, 1.0, np.nan], [1, 4, 6]).tolist() == [4, 1, 6]
    assert gradient(lambda x: np.union1d(x, x[1:]), [1.0, 2.0, 2.0], [3, 8]).tolist() == [3, 4, 4]
    x = leaf(np.array([2.0, 1.0, 2.0], np.float32))
    np.unique(x).sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("values", [3, 5000])
@pytest.mark.parametrize("f", [np.unique, np.unique_values])
def test_equal_elements_among_many_share_the_gradient(f: Any, values: int) -> None:
    """The rule for plain numbers and the one for tensors say the same."""
    r = np.random.default_rng(values)
    a = r.integers(0, values, (100, 60)).astype(float)
    a[r.random(a.shape) < 0.1] = np.nan
    x, y = leaf(a), leaf(a)
    out = f(x)
    g = r.normal(size=out.shape)
    out.backward(g)
    f(y).backward(g, create_graph=True)
    np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-15)


def test_distinct_elements_to_second_order() -> None:
    tied = [0, 1, 0, 2, 2, 2]
    check_grads(lambda x: np.unique(x[np.array(tied)]) ** 3, [np.array([0.4, -1.0, 2.0])], order=2)
    check_grads(lambda x: np.unique(x[:, np.array([0, 1, 0])], axis=1) ** 3, [R.normal(size=(2, 2))], order=2)


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
def test_named_results(name: str) -> None:
    a = np.array([[3.0, 1.0], [3.0, 2.0]])
    for f in (getattr(np, name), getattr(tn, name)):
        found, expected = f(leaf(a)), getattr(np, name)(a)
        if name == "unique_values":
            np.testing.assert_array_equal(found.data, np.sort(expected))
            continue
        assert type(found).__name__ == type(expected).__name__
        assert found._fields == expected._fields
        assert found.values.requires_grad
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine.data, theirs)


TWO_SETS: dict[str, Callable[[Any, Any], Any]] = {
    "union1d": np.union1d,
    "intersect1d": np.intersect1d,
    "intersect1d with places": lambda a, b: np.intersect1d(a, b, return_indices=True),
    "setdiff1d": np.setdiff1d,
    "setxor1d": np.setxor1d,
}


@pytest.mark.parametrize("name", TWO_SETS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_two_sets(name: str, data: Any) -> None:
    shapes = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3)
    values = st.one_of(FEW, st.just(np.nan))
    a, b = (data.draw(hnp.arrays(float, data.draw(shapes), elements=values)) for _ in range(2))
    found, expected = TWO_SETS[name](leaf(a), leaf(b)), TWO_SETS[name](a, b)
    for mine, theirs in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine.data, theirs)


def test_gradients_of_two_sets() -> None:
    b = tn.tensor([2.0, 4.0])
    assert gradient(lambda x: np.intersect1d(x, b), [2.0, 1.0, 2.0], [6]).tolist() == [3, 0, 3]
    assert np.intersect1d(tn.tensor(np.float32([1, 2])), np.array([2.0])).dtype == np.float64
    assert isinstance(tn.intersect1d(np.array([1, 2]), tn.tensor([2])), tn.Tensor)
    assert gradient(lambda x: np.setdiff1d(x, b), [5.0, 2.0, 1.0, 5.0], [1, 6]).tolist() == [3, 0, 1, 3]
    unsorted = gradient(lambda x: np.setdiff1d(x, b, assume_unique=True), [5.0, 2.0, 1.0], [1, 6])
    assert unsorted.tolist() == [1, 0, 6]
    assert gradient(lambda x: np.setxor1d(x, b), [5.0, 2.0, 1.0], [1, 2, 3]).tolist() == [3, 0, 1]
    assert gradient(lambda x: np.setxor1d([5.0, 2.0, 1.0], x), [2.0, 4.0], [1, 2, 3]).tolist() == [0, 2]


def test_a_number_as_a_set_is_weak() -> None:
    for x in (leaf(np.float32([1, 2])), tn.tensor(np.int8([1, 2]))):
        for number in (2, 5):
            assert np.union1d(x, number).dtype == np.union1d(x.data, number).dtype == x.dtype
    assert tn.union1d([leaf(1.0), 3.0], [2.0]).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("trim", ["fb", "f", "b", "BF"])
@pytest.mark.parametrize("a", [[0, 0, 1, 0, 2, 0], [0, 0, 0], [1, 2], [], [0, 3]])
def test_trimming(a: Any, trim: str) -> None:
    a = np.array(a, float)
    expected = np.trim_zeros(a, trim)
    found = np.trim_zeros(leaf(a), trim)
    np.testing.assert_array_equal(found.data, expected)
    back = gradient(lambda x: np.trim_zeros(x, trim), a, np.arange(1.0, 1 + len(expected)))
    assert back[back != 0].tolist() == list(range(1, 1 + len(expected)))


@pytest.mark.parametrize("axis", [None, 0, -1, *([(0, 1)] if NUMPY >= "2.4.0" else [])])
def test_trimming_several_axes(axis: Any) -> None:
    a = np.array([[0, 0, 2, 3, 0], [0, 1, 0, 3, 0], [0, 0, 0, 0, 0]], float)
    for trim in ("fb", "f", "b"):
        expected = np.trim_zeros(a, trim, axis)
        np.testing.assert_array_equal(np.trim_zeros(leaf(a), trim, axis).data, expected)
        np.testing.assert_array_equal(gradient(lambda x, t=trim: np.trim_zeros(x, t, axis), a, expected), a)


def test_elements_have_no_fields_to_sort_by() -> None:
    x = leaf([2.0, 3.0, 1.0])
    assert np.sort(x, -1, None, None).tolist() == [1.0, 2.0, 3.0]
    assert np.argsort(x, -1, None, None).tolist() == [2, 0, 1]
    assert np.partition(x, 1, -1, "introselect", None)[1].item() == 2.0
    assert np.argpartition(x, 1, -1, "introselect", None)[1].item() == 0
    for f, more in ((np.sort, ()), (np.argsort, ()), (np.partition, (1,)), (np.argpartition, (1,))):
        with pytest.raises(ValueError, match=r"[Cc]annot specify order"):
            f(x, *more, order="f")


# -- errors ------------------------------------------------------------------------------------------------------


def test_errors() -> None:
    x = leaf(R.normal(size=(2, 3)))
    with pytest.raises(ValueError, match=r"sort\(.*axis 2 is out of bounds"):
        np.sort(x, 2)
    with pytest.raises(ValueError, match=r"partition\(.*kth"):
        np.partition(x, 7)
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        np.trim_zeros(x[0], axis=1)
    with pytest.raises(ValueError, match="trim_zeros: trim='x' is none of"):
        np.trim_zeros(x[0], "x")
    with pytest.raises(ValueError, match=r"unique_values.*axis 3 is out of bounds"):
        np.unique(x, axis=3)
