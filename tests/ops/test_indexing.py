"""Reading, scattering and assigning at every kind of index, against NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.ops.adding import basic_index
from tapenet.ops.op import Scatter
from tapenet.testing import check_grads

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> Any:
    """Basic and advanced indices in any mixture that NumPy takes."""
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers":
        return draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    if kind == "mask":
        return draw(hnp.arrays(bool, shape[: draw(st.integers(1, len(shape)))]))
    parts: list[Any] = []
    length = draw(st.integers(1, 3))
    for n in shape:
        parts.append(
            draw(
                st.one_of(
                    st.integers(-n, n - 1),
                    st.slices(n),
                    st.lists(st.integers(-n, n - 1), min_size=length, max_size=length),
                    st.lists(st.integers(-n, n - 1), min_size=length, max_size=length).map(np.array),
                )
            )
        )
        if draw(st.booleans()) and len(parts) < 4:
            parts.append(None)
    return tuple(parts)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_reading_and_its_gradient(data: Any, shape: Any) -> None:
    index = data.draw(indices(shape))
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    expected = a[index]
    x = leaf(a)
    out = x[index]
    assert out.shape == np.shape(expected)
    np.testing.assert_array_equal(out.data, expected)
    seed = R.normal(size=out.shape)
    out.backward(seed, create_graph=False)
    gathered = np.zeros(shape)
    np.add.at(gathered, index, seed)
    np.testing.assert_allclose(x.grad.data, gathered, atol=1e-14)
    x.grad = None
    out = x[index]
    out.backward(seed, create_graph=True)
    np.testing.assert_allclose(x.grad.data, gathered, atol=1e-14)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_scattering_is_the_transpose_of_reading(data: Any, shape: Any) -> None:
    index = data.draw(indices(shape))
    a = R.normal(size=shape)
    v = R.normal(size=np.shape(a[index]))
    if not np.ndim(v):
        v = np.asarray(v)
    out = tn.scatter_add(leaf(v), index, shape)
    assert out.shape == shape
    np.testing.assert_allclose((out.data * a).sum(), (v * a[index]).sum(), atol=1e-12)
    x = leaf(v)
    (tn.scatter_add(x, index, shape) * a).sum().backward()
    np.testing.assert_allclose(x.grad.data, a[index])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), scalar=st.booleans())
def test_assigning_and_its_gradients(data: Any, shape: Any, scalar: bool) -> None:
    index = data.draw(indices(shape))
    a = R.normal(size=shape)
    v = R.normal(size=() if scalar else np.shape(a[index]))
    expected = a.copy()
    expected[index] = v
    x, value = leaf(a), leaf(v)
    for t in (x * 1, x + 0):
        t[index] = value
        np.testing.assert_array_equal(t.data, expected)
    np.testing.assert_array_equal(tn.setitem(x, value, index).data, expected)
    numbers = np.arange(a.size).reshape(shape)
    hit = np.zeros(shape, bool)
    hit[index] = True
    seed = R.normal(size=shape)
    x.grad = value.grad = None
    tn.setitem(x, value, index).backward(seed)
    np.testing.assert_array_equal(x.grad.data, np.where(hit, 0, seed))
    chosen = numbers[index]
    if np.size(np.unique(chosen)) == np.size(
        chosen
    ):  # the gradient of the value is defined where positions are distinct
        np.testing.assert_allclose(value.grad.data, seed[index].sum() if scalar else seed[index], atol=1e-13)


KINDS: dict[str, Any] = {
    "row": 1,
    "negative": -2,
    "numpy integer": np.int64(1),
    "array of no axes": np.array(1),
    "slice": slice(0, 4, 2),
    "reversed": np.s_[::-1],
    "tuple": np.s_[1, 2],
    "ellipsis": np.s_[..., 1],
    "new axes": np.s_[None, :, None],
    "list": [0, 2, 2],
    "array": np.array([0, 2, 2]),
    "unsigned": np.array([0, 2], np.uint8),
    "two arrays": (np.array([0, 1]), np.array([2, 2])),
    "outer": (np.array([[0], [1]]), np.array([0, 2])),
    "split by a slice": (np.array([0, 1]), slice(None), np.array([1, 1])),
    "mask": np.array([True, False, True, True]),
    "full mask": R.normal(size=(4, 3, 2)) > 0,
    "empty mask": np.zeros(4, bool),
    "true": True,
    "empty list": [],
    "mask and integer": (np.array([True, False, True, False]), 1),
}


@pytest.mark.parametrize("name", KINDS)
def test_to_second_order(name: str) -> None:
    index = KINDS[name]
    a = R.normal(size=(4, 3, 2))
    if np.size(a[index]):
        check_grads(lambda x: x[index] ** 3, [a], order=2)
        distinct = np.arange(24).reshape(4, 3, 2)[index]
        if len(np.unique(distinct)) == np.size(distinct):
            check_grads(lambda x, v: tn.setitem(x, v, index) ** 3, [a, R.normal(size=a[index].shape)], order=2)
    x = leaf(a)
    (x[index] * 2).sum().backward()
    expected = np.zeros(a.shape)
    np.add.at(expected, index, 2.0)
    np.testing.assert_array_equal(x.grad.data, expected)


@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("reversed", "true")])
def test_gradients_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    index = KINDS[name]
    a = R.normal(size=(4, 3, 2))
    theirs = tuple(map(_torch_index, index)) if isinstance(index, tuple) else _torch_index(index)
    x, t = leaf(a), torch.tensor(a, requires_grad=True)
    (x[index] ** 2).sum().backward()
    (t[theirs] ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy())


def _torch_index(part: Any) -> Any:
    import torch

    if isinstance(part, np.ndarray):
        return torch.tensor(part.astype(np.int64) if part.dtype.kind in "iu" else part)
    return int(part) if isinstance(part, np.integer) else part


def test_tensors_as_indices() -> None:
    a = R.normal(size=(4, 3))
    rows, columns, mask = tn.tensor([0, 2, 2]), tn.tensor([1, 0, 1]), tn.tensor(a) > 0
    for index, raw in (
        (rows, rows.data), ((rows, columns), (rows.data, columns.data)), (mask, mask.data),
        ((rows, slice(None)), (rows.data,)), ((Ellipsis, columns), (..., columns.data)),
        (tn.tensor(2), 2), (rows[0], 0), ((rows, 1), (rows.data, 1)),
    ):  # fmt: skip
        np.testing.assert_array_equal(leaf(a)[index].data, a[raw])
        check_grads(lambda x, index=index: x[index] ** 2, [a], order=2)
        t = tn.tensor(a)
        t[index] = 0.0
        expected = a.copy()
        expected[raw] = 0.0
        np.testing.assert_array_equal(t.data, expected)
    x = leaf(a)
    x[x > 0].sum().backward()
    np.testing.assert_array_equal(x.grad.data, a > 0)
    np.testing.assert_array_equal(np.arange(5.0)[tn.tensor([1, 3])], [1.0, 3.0])


def test_the_index_of_a_maximum_selects_it() -> None:
    x = leaf(R.normal(size=(4, 3)))
    best = x.argmax(axis=1)
    picked = x[np.arange(4), best]
    np.testing.assert_array_equal(picked.data, x.data.max(axis=1))
    picked.sum().backward()
    assert (x.grad.data.sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            7,
            r"getitem\(a: float64 \(4, 3\), index: 7\) failed: .*bounds.*a has shape \(4, 3\), the index is \[7\]",
        ),
        ((0, 0, 0), r"too many indices.*\[0, 0, 0\]"),
        ((slice(1, None, 2), None, 9), r"the index is \[1::2, None, 9\]"),
        (np.array([0, 9]), r"the index is \[int64 \(2,\)\]"),
        (np.array([True, False]), r"the index is \[bool \(2,\)\]"),
        (1.5, "the index is"),
        ("name", "the index is"),
    ],
)
def test_an_index_that_does_not_fit(index: Any, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        leaf(np.zeros((4, 3)))[index]
    with pytest.raises(IndexError, match="setitem"):
        tn.tensor(np.zeros((4, 3)))[index] = 1.0


def test_a_value_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"a has shape \(4, 3\), the value \(2,\), the index is \[0\]"):
        tn.tensor(np.zeros((4, 3)))[0] = np.zeros(2)


def test_what_is_basic() -> None:
    for index in (1, np.int32(1), slice(None), None, ..., (1, slice(2), None, ...), ()):
        assert basic_index(index)
    for index in (True, np.array(1), [1], (1, [2]), (True,), np.array([1]), np.bool_(True), (1, np.array(0))):
        assert not basic_index(index)


def test_scatter_adds_in_place_with_repetitions() -> None:
    buffer = np.ones((3, 2))
    Scatter(np.array([0, 0, 2]), np.full((3, 2), 2.0)).add_to(buffer)
    assert buffer.tolist() == [[5.0, 5.0], [1.0, 1.0], [3.0, 3.0]]
    Scatter((slice(None), 1), np.array([1.0, 2.0, 3.0])).add_to(buffer)
    assert buffer[:, 1].tolist() == [6.0, 3.0, 6.0]
    Scatter(True, np.ones((1, 3, 2))).add_to(buffer)
    assert buffer[:, 1].tolist() == [7.0, 4.0, 7.0]


def test_assign_writes_into_storage() -> None:
    a = np.zeros(3, np.float32)
    assert tn.assign(a, np.arange(3.0)) is a
    assert a.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(TypeError, match=r"assign.*same_kind"):
        tn.assign(np.zeros(2, int), np.array([0.5, 1.0]))


def test_assigning_a_tensor_to_its_own_parts() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        for i in range(1, 4):
            y[i] = y[i - 1] * y[i]
        return y

    check_grads(f, [R.uniform(0.5, 1.5, 4)], order=2)
    x = R.uniform(0.5, 1.5, 4)
    np.testing.assert_allclose(f(leaf(x)).data, np.cumprod(x))
