"""Writing in place: the values of NumPy, gradients of what is written and of what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import peak_of_backward

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def agrees(name: str, a: Any, value: Any, *args: Any, at: int = 1, **kwargs: Any) -> None:
    """The array is changed as NumPy changes it; the gradients by it and by the value are those of finite differences,
    exact here since both are copied.

    Args:
        name: of the function.
        a: what is written to.
        value: what is written.
        *args: what stands between them, and behind.
        at: the position of the value among the arguments.
    """
    rest = list(args)
    expected = a.copy()
    getattr(np, name)(expected, *rest[: at - 1], value, *rest[at - 1 :], **kwargs)
    for f in (getattr(np, name), getattr(tn, name)):
        x, v = leaf(a), leaf(value)
        t = x * 1
        before = t * 1
        assert f(t, *rest[: at - 1], v, *rest[at - 1 :], **kwargs) is None
        assert t.dtype == a.dtype
        np.testing.assert_array_equal(t.data, expected)
        np.testing.assert_array_equal(before.data, a)
        g = R.normal(size=a.shape)
        t.backward(g)
        # Numbers in place of values tell where each comes from.
        numbers = np.arange(1.0, a.size + 1).reshape(a.shape)
        others = np.arange(a.size + 1.0, a.size + 1 + v.size).reshape(v.shape)
        getattr(np, name)(numbers, *rest[: at - 1], others, *rest[at - 1 :], **kwargs)
        back = np.bincount(numbers.reshape(-1).astype(int), g.reshape(-1), 1 + a.size + v.size)
        np.testing.assert_allclose(x.grad.data.reshape(-1), back[1 : a.size + 1], atol=1e-14)
        found = np.zeros(v.size) if v.grad is None else v.grad.data.reshape(-1)
        np.testing.assert_allclose(found, back[a.size + 1 :], atol=1e-14)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_put(data: Any, shape: Any) -> None:
    a = R.normal(size=shape)
    mode = data.draw(st.sampled_from(["raise", "wrap", "clip"]))
    far = 0 if mode == "raise" else 4
    sides = hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3)
    ind = data.draw(hnp.arrays(int, data.draw(sides), elements=st.integers(-a.size - far, a.size - 1 + far)))
    value = R.normal(size=data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3)))
    agrees("put", a, value, ind, at=2, mode=mode)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_put_along_axis(data: Any, shape: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    sides = tuple(data.draw(st.integers(1, 3)) if k == axis % len(shape) else s for k, s in enumerate(shape))
    indices = data.draw(hnp.arrays(int, sides, elements=st.integers(-n, n - 1)))
    value = R.normal(size=data.draw(st.sampled_from([(), sides])))
    agrees("put_along_axis", R.normal(size=shape), value, indices, axis, at=2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_masks(data: Any, shape: Any) -> None:
    a, mask = R.normal(size=shape), data.draw(hnp.arrays(bool, shape))
    value = R.normal(size=data.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3)))
    agrees("place", a, value, mask, at=2)
    agrees("putmask", a, value, mask, at=2)
    agrees("putmask", a, R.normal(size=shape), mask.reshape(-1), at=2)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, base_shape=(2, 3), max_dims=2))
def test_copyto(data: Any, shapes: Any) -> None:
    source, mask = (s if np.broadcast_shapes(s, (2, 3)) == (2, 3) else () for s in shapes.input_shapes)
    where = data.draw(st.one_of(st.just(True), st.just(False), hnp.arrays(bool, mask)))
    agrees("copyto", R.normal(size=(2, 3)), R.normal(size=source), where=where)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (5, 2), (7, 2), (2, 2, 2), (1, 1), (0, 2), (3, 0)])
@pytest.mark.parametrize("value", [(), (1,), (2,), (4,), (2, 1)])
def test_fill_diagonal(shape: Any, value: Any, wrap: bool) -> None:
    if 0 in shape:
        t = tn.tensor(np.zeros(shape))
        np.fill_diagonal(t, 1.0, wrap)
        assert t.shape == shape
        return
    agrees("fill_diagonal", R.normal(size=shape), R.normal(size=value), wrap=wrap)


def test_numbers_lists_and_tensors() -> None:
    t = tn.tensor(np.zeros((2, 3), np.float32))
    np.put(t, tn.tensor([0, -1]), [1, 2.5])
    np.place(t, t == 1, 7)
    np.putmask(t, tn.tensor([[False, True, False], [False, False, False]]), 5.0)
    np.copyto(t, 3, where=tn.tensor([False, False, True]))
    np.put_along_axis(t, tn.tensor([[0]]), 4.0, axis=0)
    assert t.tolist() == [[4.0, 4.0, 4.0], [0.0, 0.0, 3.0]]
    np.fill_diagonal(t, [8, 9])
    assert t.dtype == np.float32
    assert t.tolist() == [[8.0, 4.0, 4.0], [0.0, 9.0, 3.0]]
    np.put(t, [], [])
    whole = tn.tensor([1, 2])
    np.copyto(whole, np.array([3.7, 4.2]), casting="unsafe")
    assert whole.tolist() == [3, 4]


def test_flat_indices_along_no_axis() -> None:
    """NumPy itself writes to a copy here, in some versions."""
    x, value = leaf(R.normal(size=(2, 3))), leaf([1.0, 2.0])
    t = x * 1
    np.put_along_axis(t, np.array([4, -6]), value, None)
    assert (t[1, 1].item(), t[0, 0].item()) == (1.0, 2.0)
    t.sum().backward()
    assert x.grad.tolist() == [[0, 1, 1], [1, 0, 1]]
    assert value.grad.tolist() == [1, 1]


def test_the_last_value_wins() -> None:
    x, value = leaf([1.0, 2.0]), leaf([3.0, 4.0, 5.0])
    t = x * 1
    np.put(t, [0, 1, 0], value)
    t.backward([10.0, 20.0])
    assert t.tolist() == [5.0, 4.0]
    assert value.grad.tolist() == [0.0, 20.0, 10.0]
    check_grads(lambda v: tn.setitem(np.zeros(2), v, np.array([0, 1, 0])) ** 3, [value.numpy()], order=2)
    narrow = leaf(np.ones(3, np.float32))
    tn.setitem(np.zeros(2, np.float32), narrow, np.array([0, 1, 0])).sum().backward()
    assert narrow.grad.dtype == np.float32


@pytest.mark.parametrize("indices", [[0], [0, 0], [-1], []])
@pytest.mark.parametrize("value", [1.5, [[2.0]]])
def test_a_number_has_an_element_along_no_axis(indices: Any, value: Any) -> None:
    index = np.array(indices, int)
    a, t = np.array(3.0), tn.tensor(3.0)
    np.put_along_axis(a, index, value, None)
    np.put_along_axis(t, index, value, None)
    assert t.tolist() == a.tolist()
    with pytest.raises(IndexError, match="out of bounds"):
        np.put_along_axis(t, np.array([1]), value, None)


def test_places_named_once_are_told_by_a_bit_each() -> None:
    """Marks of who wrote where are made only where a place is named twice."""
    order = np.argsort(np.random.default_rng(0).normal(size=(300, 400)), axis=1)

    def write(a: Any, v: Any) -> Any:
        out = np.copy(a)
        np.put_along_axis(out, order, v, 1)
        return out

    assert peak_of_backward(write, np.ones((300, 400)), np.ones((300, 400))) < 2
    a, v = leaf(np.zeros(3)), leaf(np.ones(4))
    tn.setitem(a, v, np.array([0, 2, 0, 1])).sum().backward()
    assert v.grad.tolist() == [0.0, 1.0, 1.0, 1.0]


def test_chains_to_second_order() -> None:
    def f(x: Any, v: Any) -> Any:
        y = x * x
        np.put(y, [1, 3], v * y[0, 0])
        np.putmask(y, np.array([[True, False], [False, False]]), y[1])
        np.fill_diagonal(y, y[1, 1] * v)
        np.copyto(y, v**2, where=np.array([False, True]))
        return y * y[1, 1]

    check_grads(f, [R.normal(size=(2, 2)), R.normal(size=2)], order=2)


def test_arrays_are_changed_by_these_functions_too() -> None:
    for name, args in (
        ("put", ([0, -1], 7.0)), ("place", (np.eye(2) > 0, [1.0])), ("putmask", (np.eye(2) > 0, 5.0)),
        ("copyto", (2.0,)), ("fill_diagonal", (3.0,)), ("put_along_axis", (np.array([[1]]), 4.0, 0)),
    ):  # fmt: skip
        a, b = np.zeros((2, 2)), np.zeros((2, 2))
        getattr(tn, name)(a, *args)
        getattr(np, name)(b, *args)
        np.testing.assert_array_equal(a, b, err_msg=name)
    with pytest.raises(TypeError, match="not turned into an ndarray in silence"):
        np.copyto(np.zeros(2), leaf([1.0, 2.0]))


def test_a_leaf_that_needs_a_gradient_is_not_written_to() -> None:
    x = leaf(np.zeros((2, 2)))
    for name, args in (
        ("put", ([0], 1.0)), ("place", (np.eye(2) > 0, [1.0])), ("putmask", (np.eye(2) > 0, 1.0)), ("copyto", (1.0,)),
        ("fill_diagonal", (1.0,)), ("put_along_axis", (np.array([[1]]), 1.0, 0)),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="item assignment to a leaf"):
            getattr(np, name)(x, *args)
    with tn.no_grad():
        np.fill_diagonal(x, 1.0)
    assert x.requires_grad
    assert x.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_what_writing_refuses() -> None:
    def t(*shape: int) -> Any:
        return tn.tensor(np.zeros(shape))

    for call, kind, text in (
        (lambda: np.put(t(2, 2), [4], 1.0), IndexError, "out of bounds"),
        (lambda: np.put(t(2, 2), [-5], 1.0), IndexError, "out of bounds"),
        (lambda: np.put(t(2), [0], 1.0, mode="no"), ValueError, "mode='no' is none of"),
        (lambda: np.place(t(2), np.array([True, False]), []), ValueError, "place: there are places to write to"),
        (lambda: np.place(t(2), np.array([True]), [1.0]), ValueError, "reshape"),
        (lambda: np.copyto(t(2), 1j), TypeError, "complex"),
        (lambda: np.copyto(tn.tensor([1, 2]), np.array([0.5, 1])), TypeError, "Cannot cast array data from dtype"),
        (lambda: np.copyto(t(2), np.zeros(3)), ValueError, "the value"),
        (lambda: np.fill_diagonal(t(2), 1.0), ValueError, r"fill_diagonal: an array of shape \(2,\) has no diagonal"),
        (lambda: np.fill_diagonal(t(2, 2, 3), 1.0), ValueError, "two axes, or more of one length"),
        (lambda: np.put_along_axis(t(2, 2), np.array([0]), 1.0, 0), ValueError, "both need as many axes"),
        (lambda: np.put_along_axis(t(2, 2), np.array([[0]]), 1.0, 3), ValueError, "axis 3 is out of bounds"),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_a_number_has_one_element_to_write_to() -> None:
    x, v = leaf(1.0), leaf([5.0, 6.0])
    for write in (
        lambda t: np.put(t, [0, -1], v),
        lambda t: np.put(t, 7, v[1:], mode="clip"),
        lambda t: np.place(t, True, v[1]),
    ):
        t = np.copy(x)
        write(t)
        assert (t.shape, t.item()) == ((), 6.0)
        t.backward()
        assert (x.grad.item(), v.grad.tolist()) == (0.0, [0.0, 1.0])
        x.grad = v.grad = None
    with pytest.raises(IndexError, match="out of bounds"):
        np.put(np.copy(x), 1, 2.0)


@pytest.mark.parametrize(
    "write", [lambda a: np.put(a, [9], []), lambda a: np.putmask(a, a < 9, []), lambda a: np.fill_diagonal(a, [])]
)
def test_no_values_change_nothing(write: Any) -> None:
    t = tn.tensor(np.eye(2))
    write(t)
    np.testing.assert_array_equal(t.data, np.eye(2))


@pytest.mark.parametrize("write", [np.place, np.putmask])
def test_values_are_cast_safely(write: Any) -> None:
    t = tn.tensor(np.ones(2, np.float32))
    for plain in (2.5, [2.5], np.float64(2.5)):
        write(t, t > 0, plain)
        assert t.tolist() == [2.5, 2.5]
    for wrong in (np.array([1.5]), tn.tensor([1.5]), [1j], 1j):
        with pytest.raises(TypeError, match="do not fit an array of float32"):
            write(t, t > 0, wrong)


def test_indices_to_put_along_an_axis_are_integers() -> None:
    with pytest.raises(IndexError, match="must be integers, not bool"):
        np.put_along_axis(tn.tensor([1.0, 2.0]), np.array([True]), 0.0, 0)
