"""Taking parts away, putting them in, and applying functions to parts: against NumPy and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.moves import moves
from tests.ops.oracle import peak_of_backward

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def agrees(f: Callable[..., Any], *arrays: Any) -> None:
    """The value is NumPy's, the gradients to second order are those of finite differences, float32 is kept."""
    expected = f(*arrays)
    found = f(*map(leaf, arrays))
    assert isinstance(found, tn.Tensor)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.data, expected)
    if expected.size:
        check_grads(lambda *x: f(*x) ** 3, list(arrays), order=2)
    narrow = f(*(leaf(a.astype(np.float32)) for a in arrays))
    assert narrow.dtype == f(*(a.astype(np.float32) for a in arrays)).dtype == np.float32


PARTS: dict[str, Any] = {
    "index": 1,
    "negative": -2,
    "numpy integer": np.int64(2),
    "list": [0, 2],
    "repeated": [2, 0, 2],
    "negative ones": np.array([-1, 0]),
    "nothing": [],
    "no integers": np.zeros(0, int),
    "slice": slice(1, 3),
    "backwards": slice(None, None, -2),
    "empty slice": slice(2, 2),
    "mask": np.array([True, False, True]),
    "list of truths": [True, False, True],
    "one in a list": [1],
    "no axes": np.array(1),
}


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", PARTS)
def test_deleting(name: str, axis: int) -> None:
    obj = PARTS[name]
    agrees(lambda x: np.delete(x, obj, axis), R.normal(size=(3, 3)))
    if not isinstance(obj, (slice, int, list)):
        found = np.delete(leaf(np.eye(3)), tn.tensor(obj), axis)
        np.testing.assert_array_equal(found.data, np.delete(np.eye(3), obj, axis))


def test_deleting_from_all() -> None:
    agrees(lambda x: np.delete(x, [0, 5, -2]), R.normal(size=(2, 3)))
    agrees(lambda x: np.delete(x, slice(None)), R.normal(size=4))
    x = leaf(np.eye(2))
    for obj, kind in ((2, IndexError), ([0, -3], IndexError), (np.array([True]), ValueError)):
        with pytest.raises(kind, match=r"arr has shape \(2, 2\)"):
            np.delete(x, obj, 0)
    with pytest.raises(ValueError, match=r"delete\(.*axis 2 is out of bounds"):
        np.delete(x, 0, 2)


INSERTED: dict[str, tuple[Any, tuple[int, ...], int | None]] = {
    "one": (1, (2,), 1),
    "a number": (-1, (), 0),
    "several before one": (1, (2, 3), 0),
    "one in a list": ([1], (1, 3), 0),
    "several before one in a list": ([1], (2, 2), 1),
    "in a list along the last axis": ([1], (2, 1), 1),
    "several": ([0, 2, 1], (2, 3), 1),
    "repeated": (np.array([1, 1, 0]), (3,), 1),
    "at the end": ([2, -1], (2, 3), 0),
    "slice": (slice(0, 3, 2), (2, 2), 1),
    "mask": (np.array([True, False, True]), (2, 2), 1),
    "all, one": (4, (), None),
    "all, three before one": (-2, (3,), None),
    "all, several": ([6, 0], (2,), None),
    "nothing": ([], (2, 0), 1),
}


@pytest.mark.parametrize("name", INSERTED)
def test_inserting(name: str) -> None:
    obj, shape, axis = INSERTED[name]
    a, values = R.normal(size=(2, 3)), R.normal(size=shape)
    agrees(lambda x, v: np.insert(x, obj, v, axis), a, values)
    agrees(lambda x: np.insert(x, obj, values.tolist(), axis), a)
    if isinstance(obj, np.ndarray):
        found = np.insert(leaf(a), tn.tensor(obj), values, axis)
        np.testing.assert_array_equal(found.data, np.insert(a, obj, values, axis))


def test_inserting_casts_to_what_is_there() -> None:
    found = np.insert(tn.tensor([1, 2]), 1, 3.7)
    assert found.dtype == np.int64
    assert found.tolist() == [1, 3, 2]
    for obj in (4, -4, [0, 4]):
        with pytest.raises(IndexError, match=r"insert\(.* is out of bounds for axis 0"):
            np.insert(leaf([1.0, 2.0, 3.0]), obj, 0.0)
        with pytest.raises(IndexError, match="out of bounds"):
            np.insert(leaf([1.0, 2.0, 3.0]), tn.tensor(obj), 0.0)
    with pytest.raises(ValueError, match="must be one dimensional or scalar"):
        np.insert(leaf([1.0, 2.0]), [[0, 1]], 0.0)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 2), 4, (), (0,), (13, 1)])
@pytest.mark.parametrize("given", [(2, 2), (5,), (), (0, 3), (1, 1, 4)])
def test_resizing_goes_over_the_elements_again(given: Any, shape: Any) -> None:
    a = np.random.default_rng(0).normal(size=given)
    moves(lambda t: np.resize(t, shape), a)
    check_grads(lambda t: tn.resize(t, shape) ** 2, [a], order=2)


def test_parts_are_put_in_and_taken_away_in_one_pass() -> None:
    a = np.ones((300, 400))
    assert peak_of_backward(lambda t: np.delete(t, [3, 200], 0), a) < 1.2
    assert peak_of_backward(lambda t: np.resize(t, (450, 400)), a) < 1.7


def test_appending_and_resizing() -> None:
    a, b = R.normal(size=(2, 3)), R.normal(size=(1, 3))
    agrees(np.append, a, b)
    agrees(lambda x, y: np.append(x, y, axis=0), a, b)
    np.testing.assert_array_equal(np.append([[1.0]], leaf(a)).data, np.append([[1.0]], a))
    for shape in ((2, 3), 4, (5,), (3, 4, 1), (0, 2), ()):
        agrees(lambda x, shape=shape: np.resize(x, shape), a)
    assert np.resize(leaf(np.zeros((0, 2))), (2, 1)).tolist() == [[0.0], [0.0]]
    with pytest.raises(ValueError, match=r"resize.*new_shape=\(2, -1\) must be of integers, none negative"):
        np.resize(leaf(a), (2, -1))


# -- functions of parts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    "function",
    [
        lambda v: (v * v).sum(),
        lambda v: v * v,
        lambda v: v[:2],
        lambda v: v[:, None] * v,
        lambda v: [v[0], v[1] * 2],
        lambda v, power=2, shift=0.0: v**power + shift,
    ],
)
def test_applying_along_an_axis(function: Any, axis: int) -> None:
    agrees(lambda x: np.apply_along_axis(function, axis, x), R.normal(size=(3, 2)))
    agrees(lambda x: np.apply_along_axis(function, 0, x), R.normal(size=2))


def test_arguments_of_a_function_applied_along_an_axis() -> None:
    agrees(lambda x: np.apply_along_axis(lambda v, k, shift: v**k + shift, 1, x, 3, shift=1.0), R.normal(size=(2, 2)))
    scale = leaf(2.0)
    np.apply_along_axis(lambda v: (v * scale).sum(), 0, tn.tensor(np.ones((2, 3)))).sum().backward()
    assert scale.grad.item() == 6.0
    with pytest.raises(ValueError, match=r"apply_along_axis: an array of shape \(0, 2\) has no slice along axis 1"):
        np.apply_along_axis(np.sum, 1, leaf(np.zeros((0, 2))))


@pytest.mark.parametrize("axes", [0, (0, 2), [-1, 1]])
def test_applying_over_axes(axes: Any) -> None:
    agrees(lambda x: np.apply_over_axes(np.sum, x, axes), R.normal(size=(2, 3, 2)))
    agrees(lambda x: np.apply_over_axes(lambda v, axis: v.max(axis), x, axes), R.normal(size=(2, 3, 2)))


def test_what_applying_over_axes_refuses() -> None:
    with pytest.raises(ValueError, match=r"apply_over_axes: of an array of shape \(2, 3\) the function made one of"):
        np.apply_over_axes(lambda v, axis: v.sum(), leaf(np.ones((2, 3))), 0)


def test_functions_in_pieces() -> None:
    a = np.array([-2.0, -0.5, 0.5, 2.0])
    square, cube = (lambda v: v**2), (lambda v: v**3)
    agrees(lambda x: np.piecewise(x, [a < 0, a >= 0], [square, cube]), a)
    agrees(lambda x: np.piecewise(x, [a < 0, a > 1], [square, cube, np.sin]), a)
    agrees(lambda x: np.piecewise(x, [a < -1, a > 1], [square, 2.0]), a)
    agrees(lambda x: np.piecewise(x, [a < 1, a < -1], [square, cube]), a)  # the last one counts
    agrees(lambda x: np.piecewise(x, a < 0, [square, cube]), a)
    agrees(lambda x: np.piecewise(x, [a > 9], [square]), a)
    agrees(lambda x: np.piecewise(x, [a < 0], [lambda v, k, s=1: s * v**k, 0.5], 2, s=3), a)
    agrees(lambda x: np.piecewise(x, [True], [square]), np.array(1.5))
    agrees(lambda x: np.piecewise(x, [(a < 0).tolist(), (a > 0).tolist()], [square, cube]), a)
    x = leaf(a)
    np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, np.sqrt]).sum().backward()
    np.testing.assert_allclose(x.grad.data, [-1, -1, 0.5**0.5, 0.5 / 2**0.5])
    x = leaf([0.0, 4.0])
    np.piecewise(x, [x > 0], [np.log, lambda v: v]).sum().backward()  # log never sees 0
    assert x.grad.tolist() == [1.0, 0.25]
    with pytest.raises(ValueError, match="piecewise: 2 conditions need as many functions, or one more, not 4"):
        np.piecewise(x, [x > 0, x < 0], [1, 2, 3, 4])
