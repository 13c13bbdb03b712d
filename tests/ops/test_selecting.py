"""Selecting by index, condition and choice, and asking where: against NumPy, finite differences, PyTorch and JAX."""

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
from tests.ops.oracle import agrees_with_torch, close, peak

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def linear(f: Callable[[Any], Any], a: Any) -> None:
    """A function that copies elements: its value is NumPy's, its gradient that of finite differences (exact here)."""
    expected = f(a)
    x = leaf(a)
    out = f(x)
    assert isinstance(out, tn.Tensor)
    assert (out.shape, out.dtype) == (np.shape(expected), np.asarray(expected).dtype)
    np.testing.assert_array_equal(out.data, expected)
    g = R.normal(size=out.shape)
    out.backward(g)
    numbers = np.asarray(f(np.arange(1.0, a.size + 1).reshape(a.shape))).reshape(-1).astype(int)
    back = np.bincount(numbers, g.reshape(-1), a.size + 1)[1:].reshape(a.shape)
    np.testing.assert_allclose(x.grad.data, back, atol=1e-14)


# -- take --------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_take(data: Any, shape: Any) -> None:
    a = R.normal(size=shape)
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    n = a.size if axis is None else shape[axis]
    mode = data.draw(st.sampled_from(["raise", "wrap", "clip"]))
    far = 0 if mode == "raise" else 5
    sides = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
    indices = data.draw(hnp.arrays(int, data.draw(sides), elements=st.integers(-n - far, n - 1 + far)))
    given_as = data.draw(st.sampled_from([lambda i: i, tn.tensor]))
    expected = np.take(a, indices, axis, mode=mode)
    found = np.take(leaf(a), given_as(indices), axis, mode=mode)
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found.data, expected)
    linear(lambda x: np.take(x, indices, axis, mode=mode), a)


@pytest.mark.parametrize("indices", [1, -1, [], [[0, 1], [1, 1]], True, [True, False], np.uint8([1, 0]), (1, 0)])
def test_indices_of_take_that_are_no_arrays(indices: Any) -> None:
    a = R.normal(size=(2, 2))
    linear(lambda x: np.take(x, indices, 0), a)
    linear(lambda x: np.take(x, indices), a)


def test_the_mode_none_of_take_is_raise() -> None:
    linear(lambda x: np.take(x, [0, -1], 0, mode=None), R.normal(size=(3, 2)))
    with pytest.raises(IndexError):
        np.take(leaf(R.normal(size=2)), [2], mode=None)


def test_take_against_torch_and_jax() -> None:
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    a, rows = R.normal(size=(4, 3)), np.array([3, 0, 0, 1])
    places = R.integers(0, 4, (5, 3))
    agrees_with_torch(lambda x: np.take(x, rows, 0) ** 2, lambda t: t[torch.tensor(rows)] ** 2, a)
    agrees_with_torch(
        lambda x: np.take_along_axis(x, places, 0) ** 2, lambda t: torch.gather(t, 0, torch.tensor(places)) ** 2, a
    )
    agrees_with_torch(lambda x: np.take(x, places) ** 2, lambda t: torch.take(t, torch.tensor(places)) ** 2, a)
    far = np.array([9, -7, 2])
    for mode in ("wrap", "clip"):
        theirs = jax.grad(lambda x, mode=mode: (jax.numpy.take(x, far, axis=1, mode=mode) ** 2).sum())
        x = leaf(a.astype(np.float32))
        (np.take(x, far, axis=1, mode=mode) ** 2).sum().backward()
        close(x.grad.data, np.asarray(theirs(x.data)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_take_along_axis(data: Any, shape: Any) -> None:
    a = R.normal(size=shape)
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    if axis is None:
        sides: tuple[int, ...] = (data.draw(st.integers(0, 4)),)
        n = a.size
    else:
        wide = [data.draw(st.sampled_from([1, k])) for k in shape]
        wide[axis] = data.draw(st.integers(0, 4))
        sides, n = tuple(wide), shape[axis]
    indices = data.draw(hnp.arrays(int, sides, elements=st.integers(-n, n - 1)))
    for given_as in (lambda i: i, tn.tensor):
        found = np.take_along_axis(leaf(a), given_as(indices), axis)
        np.testing.assert_array_equal(found.data, np.take_along_axis(a, indices, axis))
    linear(lambda x: np.take_along_axis(x, indices, axis), a)


def test_taking_nothing_of_nothing() -> None:
    x = leaf(np.zeros((0, 0)))
    np.take(x, np.zeros((3, 3), int), -1).sum().backward()
    assert x.grad.shape == (0, 0)
    x = leaf(np.ones((2, 2)))
    np.take(x, ([], []), 0).sum().backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_what_take_refuses() -> None:
    x = leaf(R.normal(size=(2, 3)))
    for call, kind, text in (
        (lambda: np.take(x, 3, 1), IndexError, r"take\(a: float64 \(2, 3\).*along axis 1 the indices run from -3 to 2"),
        (lambda: np.take(x, 6), IndexError, "over all elements the indices run from -6 to 5"),
        (lambda: np.take(x, [0], 2), ValueError, r"take\(.*axis 2 is out of bounds"),
        (lambda: np.take(x, [0], 0, mode="no"), ValueError, r"take\(.*clipmode"),
        (lambda: np.take(x[:, :0], [0], 1, mode="clip"), IndexError, "empty axes"),
        (lambda: np.take_along_axis(x, np.array([0]), 1), ValueError, "integers with as many axes"),
        (lambda: np.take_along_axis(x, np.array([[0.0]]), 1), IndexError, "must be an integer array"),
        (lambda: np.take_along_axis(x, np.array([[7]]), 1), IndexError, "out of bounds"),
        (lambda: np.take_along_axis(x, np.array([[0]]), 5), ValueError, "axis 5 is out of bounds"),
    ):
        with pytest.raises(kind, match=text):
            call()


# -- choices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_choose(mode: str) -> None:
    a = np.array([[0, 2, 1]]) if mode == "raise" else np.array([[-4, 5, 1]])
    for choices in ([R.normal(size=3), R.normal(size=(2, 1)), R.normal(size=())], R.normal(size=(3, 2, 3))):
        for index in (a, tn.tensor(a), a.tolist()):
            mine = [leaf(c) for c in choices] if isinstance(choices, list) else leaf(choices)
            found, expected = np.choose(index, mine, mode=mode), np.choose(a, choices, mode=mode)
            assert found.shape == expected.shape
            np.testing.assert_array_equal(found.data, expected)
        arrays = choices if isinstance(choices, list) else [choices]
        check_grads(
            lambda *c: np.choose(a, list(c) if len(c) > 1 else c[0], mode=mode) ** 3, arrays, order=2
        )  # fmt: skip


def test_choices_that_are_the_parts_of_an_array_take_memory_once() -> None:
    x = leaf(R.normal(size=(8, 30_000)))
    for a in (R.integers(0, 8, 30_000), R.random(30_000) < 0.5, 3, [2]):
        out = np.choose(a, x)
        g = R.normal(size=out.shape)
        back = np.zeros(x.shape)
        back[np.asarray(a).astype(int), np.arange(30_000)] = g
        x.grad = None
        taken = peak(lambda out=out, g=g: out.backward(g))
        np.testing.assert_array_equal(x.grad.data, back)
        assert taken < 1.6 * back.nbytes


def test_what_choose_refuses() -> None:
    with pytest.raises(ValueError, match="there are 2 choices: the indices run from 0 to 1"):
        np.choose(np.array([2]), [leaf([1.0]), leaf([2.0])])


def test_choose_keeps_float32() -> None:
    x = leaf(np.ones(2, np.float32))
    out = np.choose(np.array([0, 1]), [x, x * 2])
    assert out.dtype == np.float32
    out.sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [1.0, 2.0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_select(data: Any) -> None:
    count = data.draw(st.integers(1, 3))
    shapes = st.sampled_from([(), (3,), (2, 1), (2, 3)])
    conditions = [data.draw(hnp.arrays(bool, data.draw(shapes))) for _ in range(count)]
    kinds = st.sampled_from([np.float32, np.float64, np.int32])
    values = [
        data.draw(
            st.one_of(st.sampled_from([0, 1.5]), st.builds(lambda s, k: R.normal(size=s).astype(k), shapes, kinds))
        )
        for _ in range(count + 1)
    ]
    expected = np.select(conditions, values[:-1], values[-1])
    tensors = [leaf(v) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in values]
    found = np.select([tn.tensor(c) for c in conditions], tensors[:-1], tensors[-1])
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.data, expected)


def test_gradients_of_select() -> None:
    conditions = [np.array([True, False, False]), np.array([[True], [False]])]
    arrays = [R.normal(size=3), R.normal(size=(2, 1)), R.normal(size=(2, 3))]
    check_grads(lambda a, b, c: np.select(conditions, [a, b], c) ** 3, arrays, order=2)
    x = leaf([0.0, 4.0])
    with np.errstate(divide="ignore"):
        np.select([x > 0, x <= 0], [np.log(x), x]).sum().backward()  # log 0 is not chosen
    assert x.grad.tolist() == [1.0, 0.25]
    with pytest.raises(TypeError, match="condition 0 is not boolean but int64"):
        np.select([np.array([1, 0])], [x])
    with pytest.raises(ValueError, match="1 conditions and 2 choices"):
        np.select([x > 0], [x, x])
    with pytest.raises(ValueError, match="at least one"):
        tn.select([], [])


@pytest.mark.parametrize("condition", [[True, False], np.array([0, 2]), [False], [], [False, True]])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compress(condition: Any, axis: Any) -> None:
    linear(lambda x: np.compress(condition, x, axis), R.normal(size=(2, 3)))


def test_extract() -> None:
    a = R.normal(size=(2, 3))
    linear(lambda x: np.extract(a > 0, x), a)
    linear(lambda x: np.extract(tn.tensor(a) > 0, x) if isinstance(x, tn.Tensor) else np.extract(a > 0, x), a)
    check_grads(lambda x: np.extract(a > 0, x) ** 3, [a], order=2)
    with pytest.raises(ValueError, match=r"compress\(.*condition must be a 1-d array"):
        np.compress(a > 0, leaf(a))
    with pytest.raises(IndexError, match="out of bounds"):
        np.compress([True, True, True], leaf(a), 0)


# -- places ------------------------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[Any], Any]] = {
    "argwhere": np.argwhere,
    "flatnonzero": np.flatnonzero,
    "nonzero": np.nonzero,
    "ravel_multi_index": lambda a: np.ravel_multi_index(np.nonzero(a), (3, 4)),
    "ravel_multi_index, column-major": lambda a: np.ravel_multi_index(np.nonzero(a), (3, 4), order="F"),
    "ravel_multi_index of an array": lambda a: np.ravel_multi_index(a.astype(int), (9, 9, 9), mode="wrap"),
    "unravel_index": lambda a: np.unravel_index(np.flatnonzero(a), (3, 4), "F"),
    "packbits": lambda a: np.packbits(a > 0, axis=-1, bitorder="little"),
    "unpackbits": lambda a: np.unpackbits(a.astype(np.uint8), axis=0, count=11),
}


@pytest.mark.parametrize("name", PLACES)
def test_where_something_is(name: str) -> None:
    a = R.integers(0, 3, (3, 4)).astype(float)
    found, expected = PLACES[name](leaf(a)), PLACES[name](a)
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    for mine, theirs in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
        assert isinstance(mine, tn.Tensor)
        assert not mine.requires_grad
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine.data, theirs)


def test_places_select_what_is_there() -> None:
    a = np.array([[0.0, 2.0], [3.0, 0.0]])
    x = leaf(a)
    (x[np.nonzero(x)] ** 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, 2 * a)
    best = np.unravel_index(np.argmax(x), x.shape)
    assert x[best].item() == 3.0


def test_indices_from_a_shape() -> None:
    x = leaf(R.normal(size=(3, 3)))
    for f in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
        for mine, theirs in zip(f(x), f(x.data), strict=True):
            assert type(mine) is np.ndarray
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(x[np.triu_indices_from(x, k=1)].data, x.data[np.triu_indices(3, 1)])
    np.testing.assert_array_equal(x[tn.tril_indices_from(x, -1)].data, x.data[np.tril_indices(3, -1)])
