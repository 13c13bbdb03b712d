"""The same values in other shapes: against NumPy, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def agrees(f: Any, *arrays: Any) -> None:
    """The value is NumPy's; the gradient puts each element of a seed where the element came from.

    Checked exactly: the function only moves elements about, so applying it to their numbers says where they went.
    """
    tensors = [leaf(a) for a in arrays]
    out, expected = f(*tensors), f(*arrays)
    assert type(out) is tn.Tensor
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.data, expected)
    seed = np.random.default_rng(3).normal(size=out.shape)
    out.backward(seed)
    start = 0
    numbers = []
    for a in arrays:
        numbers.append(np.arange(start, start + a.size, dtype=float).reshape(a.shape))
        start += a.size
    went = f(*numbers).astype(int)
    gathered = np.zeros(start)
    np.add.at(gathered, went.ravel(), seed.ravel())
    for a, t, n in zip(arrays, tensors, numbers, strict=True):
        assert t.grad.shape == a.shape
        np.testing.assert_allclose(t.grad.data, gathered[n.astype(int)], atol=1e-13)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_reshape_to_any_shape(data: Any, shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    factors = data.draw(st.permutations([n for n in shape if n != 1] + [1]))
    target: Any = tuple(factors)
    if a.size and data.draw(st.booleans()):
        hole = data.draw(st.integers(0, len(target) - 1))
        target = (*target[:hole], -1, *target[hole + 1 :])
    agrees(lambda t: np.reshape(t, target), a)
    agrees(lambda t: t.reshape(*target), a)
    agrees(lambda t: t.reshape(list(target)), a)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_transpose_to_any_order(data: Any, shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    agrees(np.transpose, a)
    agrees(lambda t: t.T, a)
    order = data.draw(st.permutations(range(len(shape))))
    axes = tuple(i - len(shape) if data.draw(st.booleans()) else i for i in order)
    agrees(lambda t: np.transpose(t, axes), a)
    agrees(lambda t: t.transpose(*axes), a)
    if len(shape) >= 1:
        i, j = (data.draw(st.integers(-len(shape), len(shape) - 1)) for _ in range(2))
        agrees(lambda t: np.swapaxes(t, i, j), a)
        agrees(lambda t: np.moveaxis(t, i, j), a)
        sources = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
        targets = data.draw(st.permutations(range(len(shape))))[: len(sources)]
        agrees(lambda t: np.moveaxis(t, sources, targets), a)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_axes_of_length_one_flips_and_broadcasts(data: Any, shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    ndim = len(shape)
    new = data.draw(st.lists(st.integers(0, ndim + 1), unique=True, min_size=1, max_size=2))
    if max(new) < ndim + len(new):
        agrees(lambda t: np.expand_dims(t, tuple(new)), a)
        agrees(lambda t: np.squeeze(np.expand_dims(t, tuple(new)), tuple(new)), a)
    agrees(lambda t: np.expand_dims(t, -1), a)
    agrees(np.squeeze, a)
    for i, n in enumerate(shape):
        if n == 1:
            agrees(lambda t, i=i: t.squeeze(i), a)
    agrees(np.flip, a)
    if ndim:
        axis = data.draw(st.integers(-ndim, ndim - 1))
        agrees(lambda t: np.flip(t, axis), a)
        agrees(lambda t: np.flip(t, (axis,)), a)
    wide = (
        *data.draw(st.lists(st.integers(0, 2), max_size=2)),
        *(n if n != 1 else data.draw(st.integers(0, 3)) for n in shape),
    )
    agrees(lambda t: np.broadcast_to(t, wide), a)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3), count=st.integers(1, 4))
def test_joining(data: Any, shape: Any, count: int) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    arrays = []
    for _ in range(count):
        own = list(shape)
        own[axis] = data.draw(st.integers(0, 3))
        arrays.append(R.normal(size=own))
    agrees(lambda *ts: np.concatenate(ts, axis), *arrays)
    agrees(lambda *ts: np.concatenate(list(ts), axis=None), *arrays)
    equal = [R.normal(size=shape) for _ in range(count)]
    at = data.draw(st.integers(-len(shape) - 1, len(shape)))
    agrees(lambda *ts: np.stack(ts, axis=at), *equal)
    agrees(lambda t: np.concatenate(t, axis=0), np.stack(equal))
    agrees(lambda t: np.stack(t, axis=at), np.stack(equal))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6))
def test_splitting(data: Any, shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    sections: Any = data.draw(
        st.one_of(
            st.sampled_from([k for k in range(1, n + 1) if n % k == 0]), st.lists(st.integers(-n, n + 2), max_size=3)
        )
    )
    parts, expected = np.split(leaf(a), sections, axis), np.split(a, sections, axis)
    assert [p.shape for p in parts] == [e.shape for e in expected]
    for i in range(len(expected)):
        agrees(lambda t, i=i: np.split(t, sections, axis=axis)[i], a)


ORDERS = ("C", "F")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_orders_of_reading(data: Any, shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    target: Any = tuple(data.draw(st.permutations([n for n in shape if n != 1] + [1])))
    for order in ORDERS:
        agrees(lambda t, o=order: np.reshape(t, target, o), a)
        agrees(lambda t, o=order: np.reshape(t, target, order=o, copy=True), a)
        agrees(lambda t, o=order: np.ravel(t, o), a)
    for laid in (a, np.asfortranarray(a), a.T, a[::-1] if shape else a):
        for order in (*ORDERS, "A", "K"):
            expected = np.ravel(laid, order)
            assert np.ravel(leaf(laid), order).tolist() == expected.tolist()
    if len(shape) > 1:
        agrees(np.matrix_transpose, a)


def test_a_layout_decides_for_a_tensor_as_for_an_array() -> None:
    a = np.arange(6.0).reshape(2, 3)
    x = tn.Tensor._of(np.asfortranarray(a))._require()
    for order in "AK":
        np.ravel(x, order)[1].backward()
    assert x.grad.tolist() == [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    three = np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0)
    assert np.ravel(tn.Tensor._of(three), "K").tolist() == np.ravel(three, "K").tolist()
    assert np.copy(tn.tensor(a), "F").data.flags.f_contiguous
    assert np.copy(x).data.flags.f_contiguous
    assert np.copy(x, order="C").data.flags.c_contiguous


def test_reshape_with_and_without_a_copy() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    assert np.shares_memory(np.reshape(x, 6, copy=False).data, x.data)
    assert np.shares_memory(np.reshape(x, 6, copy=None).data, x.data)
    assert not np.shares_memory(np.reshape(x, 6, copy=True).data, x.data)
    with pytest.raises(ValueError, match=r"reshape: \(3, 2\) is laid out so that \(6,\) takes a copy"):
        np.reshape(x.T, 6, copy=False)
    assert np.reshape(leaf(np.zeros((0, 2))), (2, 0), copy=False).shape == (2, 0)
    with pytest.raises(ValueError, match=r"order='A' is neither 'C' nor 'F'.*say which of the two"):
        np.reshape(x, 6, "A")


def test_second_names() -> None:
    assert tn.concat is tn.concatenate
    assert tn.permute_dims is tn.transpose
    assert np.permute_dims(leaf(np.ones((2, 3)))).shape == (3, 2)
    assert np.concat([leaf([1.0]), [2.0]]).tolist() == [1.0, 2.0]


def test_second_order_and_mixed_dtypes() -> None:
    a, b = R.normal(size=(2, 3)), R.normal(size=(2, 3))
    check_grads(lambda x, y: np.concatenate([x, x * y, y], 1)[:, 1:7].T.reshape(3, 4) ** 3, [a, b], order=2)
    check_grads(lambda x, y: np.stack([x, y, x])[::-1, 1].swapaxes(0, 1) ** 2, [a, b], order=2)
    x, y = leaf(a.astype(np.float32)), leaf(b)
    out = np.concatenate([x, y, [[1, 2, 3]]])
    assert out.dtype == np.float64
    out.sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_dtype_changes() -> None:
    x = leaf(np.array([1.5, -2.5]))
    y = x.astype(np.float32)
    assert y.dtype == np.float32
    (y * y).sum().backward()
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [3.0, -5.0]
    for kind in ("int32", bool, np.uint8):
        z = np.abs(x).astype(kind)
        assert z.dtype == np.dtype(kind)
        assert not z.requires_grad
    same = x.astype(np.float64)
    assert same is not x
    assert not np.shares_memory(same.data, x.data)
    check_grads(lambda x: x.astype(np.float64) ** 3, [x.data], order=2)
    assert np.astype(x, np.float64, copy=False) is x
    assert np.astype(x, "f4", copy=False).dtype == np.float32
    assert np.astype(x, float, copy=True) is not x
    with pytest.raises(ValueError, match="device='gpu' is not there"):
        tn.astype(x, float, device="gpu")
    z = x.astype(complex)
    assert z.dtype == np.complex128
    x.grad = None
    (z * (3 + 2j)).real.sum().backward()  # real numbers move along the real axis alone
    assert (x.grad.dtype, x.grad.tolist()) == (np.float64, [3.0, 3.0])


def test_views_are_views_and_copies_are_copies() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    for view in (
        x.T,
        x.reshape(3, 2),
        x[0],
        x[:, None],
        np.broadcast_to(x, (2, 2, 3)),
        np.flip(x),
        tn.alias(x),
        x.squeeze(),
    ):
        assert np.shares_memory(view.data, x.data)
    for made in (
        x.copy(),
        np.copy(x),
        np.concatenate([x]),
        np.stack([x]),
        np.pad(x, 0),
        x[[0, 1]],
        x.astype(float),
        x + 0,
    ):
        assert not np.shares_memory(made.data, x.data)


def test_zeros_and_ones_like() -> None:
    x = leaf(np.ones((2, 3), np.float32))
    for f, value in ((np.zeros_like, 0), (np.ones_like, 1)):
        y = f(x)
        assert (y.dtype, y.shape, y.requires_grad) == (np.float32, (2, 3), False)
        assert (y.data == value).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.reshape(4, 2), r"reshape\(a: float64 \(2, 3\), shape: \(4, 2\), order: 'C'\) failed: .*has 6 elements"),
        (lambda x: x.reshape(4, -1), "has 6 elements: give lengths whose product is that"),
        (lambda x: x.transpose(0, 0), "repeated axis.*each of the 2 axes of a once"),
        (lambda x: x.transpose(0), "each of the 2 axes"),
        (lambda x: x.squeeze(0), r"squeeze\(.*not equal to one"),
        (lambda x: np.expand_dims(x, 5), r"expand_dims\(.*axis 5 is out of bounds"),
        (lambda x: np.moveaxis(x, 0, 5), r"moveaxis\(.*axis 5 is out of bounds"),
        (lambda x: np.broadcast_to(x, (3, 3)), r"broadcast_to\(.*\(2, ?3\).*\(3, ?3\)"),
        (lambda x: np.concatenate([x, np.ones((2, 2))]),
         r"concatenate\(arrays: \[float64 \(2, 3\), float64 \(2, 2\)\].*equal lengths: \(2, 3\), \(2, 2\)"),
        (lambda x: np.stack([x, np.ones((2, 2))]), r"stack\(.*one shape: \(2, 3\), \(2, 2\)"),
        (lambda x: np.concatenate([]), "need at least one array"),
        (lambda x: np.split(x, 2, 1), r"split: axis 1 of shape \(2, 3\) does not divide into 2 equal sections"),
        (lambda x: np.split(x, 0), "does not divide into 0"),
        (lambda x: np.split(x, 2, 5), "split: axis 5 is out of bounds"),
        (lambda x: np.flip(x, 2), r"flip\(.*axis 2 is out of bounds"),
        (lambda x: np.matrix_transpose(x[0]), r"matrix_transpose: an array of shape \(3,\) is no matrix"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises((ValueError, IndexError), match=message):
        call(leaf(np.ones((2, 3))))
