"""Joining, cutting and repeating: against NumPy, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.ops.registry import numpy_functions
from tapenet.testing import check_grads
from tests.ops.moves import leaf, moves

R = np.random.default_rng(0)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def values(*shape: int) -> Any:
    return R.normal(size=shape)


JOINED: dict[str, Any] = {
    "numbers": [(), ()],
    "vectors": [(3,), (3,)],
    "a number and a vector": [(), (1,)],
    "matrices": [(2, 3), (2, 3)],
    "a vector and a matrix": [(3,), (3, 3)],
    "stacks": [(2, 2, 1), (2, 2, 1), (2, 2, 1)],
    "one": [(2, 2)],
    "nothing": [(0, 2), (0, 2)],
}


@pytest.mark.parametrize("shapes", JOINED.values(), ids=JOINED)
@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
def test_joining_by_many_names(name: str, shapes: Any) -> None:
    arrays = [values(*s) for s in shapes]
    f = getattr(np, name)
    try:
        f(arrays)
    except ValueError:
        with pytest.raises(ValueError, match="equal lengths"):
            f([leaf(a) for a in arrays])
        return
    moves(lambda *ts: f(ts), *arrays)
    moves(lambda *ts: f(list(ts)), *arrays)
    assert getattr(tn, name) is numpy_functions[f]
    assert tn.row_stack is tn.vstack  # np.row_stack, where NumPy still has it, calls np.vstack
    if arrays[0].ndim and len({a.shape for a in arrays}) == 1:
        moves(f, np.stack(arrays))  # an array is the sequence of its parts


def test_joining_numbers_lists_and_dtypes() -> None:
    x = leaf(np.ones(2, np.float32))
    for f in (np.hstack, np.vstack, np.column_stack, np.dstack):
        got, expected = f([x, [1, 2]]), f([x.data, [1, 2]])
        assert (got.dtype, got.tolist()) == (expected.dtype, expected.tolist())
    for g in (np.hstack, np.vstack, np.concatenate, np.stack):
        narrow = g([x, x], dtype=np.float16)
        assert narrow.dtype == np.float16
        narrow.sum().backward()
        assert x.grad.dtype == np.float32
        assert x.grad.tolist() == [2.0, 2.0]
        x.grad = None
        assert (
            g([x, x], dtype=int, casting="unsafe").tolist() == g([x.data, x.data], dtype=int, casting="unsafe").tolist()
        )
        with pytest.raises(TypeError, match=rf"({g.__name__}|concatenate): float32 is not cast to int64.*same_kind"):
            g([x, x], dtype=np.int64)
        with pytest.raises(TypeError, match="casting='no'"):
            g([x, np.ones(2)], casting="no")


@pytest.mark.parametrize(
    "build",
    [
        lambda a, b, c, d: [[a, b], [c, d]],
        lambda a, b, c, d: [[a], [c]],
        lambda a, b, c, d: [a, b, a],
        lambda a, b, c, d: [[[a], [c]], [[a], [c]]],
        lambda a, b, c, d: [[a[0], b[0]]],
        lambda a, b, c, d: a,
        lambda a, b, c, d: [[a[:0], b[:0]], [c, d]],
    ],
)
def test_block(build: Any) -> None:
    moves(lambda *ts: np.block(build(*ts)), values(2, 3), values(2, 1), values(1, 3), values(1, 1))


def test_block_of_numbers_and_deep_arrays() -> None:
    x = leaf(2.0)
    assert np.block([[x, 1], [0, x]]).tolist() == [[2.0, 1.0], [0.0, 2.0]]
    deep = np.zeros((1, 2, 2))
    assert np.block([[tn.tensor(deep)], [np.ones(2)]]).tolist() == np.block([[deep], [np.ones(2)]]).tolist()
    t = leaf(np.ones(2))
    assert not np.shares_memory(np.block(t).data, t.data)
    for wrong, message in (
        ([[t], t], r"differ in depth \(2, 1\)"),
        ([[t], []], "an empty list"),
        ([(t, t)], "a tuple"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            np.block(wrong)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
def test_cutting(data: Any, shape: Any) -> None:
    a = values(*shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sections = data.draw(st.one_of(st.integers(1, 5), st.lists(st.integers(-4, 5), max_size=3)))
    moves(lambda t: np.array_split(t, sections, axis), a)
    moves(lambda t: np.array_split(t, np.array([1, 2]), axis=axis), a)
    moves(lambda t: tn.unstack(t, axis=axis), a)


@pytest.mark.parametrize(
    ("name", "shape"), [("hsplit", (4,)), ("hsplit", (1, 4, 2)), ("vsplit", (4, 2)), ("dsplit", (2, 1, 4))]
)
@pytest.mark.parametrize("where", [1, 2, 4, [1], (1, 3), [3, 1], [0, 7]])
def test_cutting_along_a_named_axis(name: str, shape: Any, where: Any) -> None:
    moves(lambda t: getattr(np, name)(t, where), values(*shape))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_repeating(data: Any, shape: Any) -> None:
    a = values(*shape)
    reps = data.draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=4).map(tuple)))
    moves(lambda t: np.tile(t, reps), a)
    count = data.draw(st.integers(0, 3))
    moves(lambda t: np.repeat(t, count), a)
    each = data.draw(st.lists(st.integers(0, 3), min_size=a.size, max_size=a.size))
    moves(lambda t: np.repeat(t, each), a)
    if shape:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        n = shape[axis]
        along = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), int)
        moves(lambda t: np.repeat(t, along, axis), a)
        moves(lambda t: np.repeat(t, [2], axis=axis), a)


def test_a_number_is_repeated_along_axis_0() -> None:
    x = leaf(2.0)
    np.repeat(x, 3, 0).sum().backward()
    assert x.grad.item() == 3


def test_repeats_may_be_a_tensor_of_integers() -> None:
    x = leaf(np.array([1.0, 2.0]))
    np.repeat(x, tn.tensor([1, 3])).sum().backward()
    assert x.grad.tolist() == [1.0, 3.0]
    assert np.repeat(x, tn.tensor(2)).tolist() == [1.0, 1.0, 2.0, 2.0]


def test_float32_and_second_order() -> None:
    x = leaf(np.ones((2, 2), np.float32))
    out = np.block([[np.tile(x, 2)], [np.hstack([x, np.repeat(x, 1, 0)])]])
    assert out.dtype == np.float32
    (out**2).sum().backward()
    assert x.grad.dtype == np.float32
    check_grads(lambda a, b: np.block([[a, b**2], [np.tile(b, (1, 2))]]) ** 3, [values(2, 1), values(2, 1)], order=2)
    check_grads(lambda a: np.repeat(a, [1, 0, 3], 1) ** 3 * np.tile(a, (2, 1))[1:3, :1].sum(), [values(2, 3)], order=2)


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    from tests.ops.oracle import agrees_with_torch

    agrees_with_torch(lambda a: np.tile(a, (2, 3)) * 1.5, lambda a: torch.tile(a, (2, 3)) * 1.5, values(2, 2))
    agrees_with_torch(
        lambda a: np.repeat(a, [2, 0, 1], 1),
        lambda a: torch.repeat_interleave(a, torch.tensor([2, 0, 1]), 1),
        values(2, 3),
    )
    agrees_with_torch(lambda a, b: np.dstack([a, b]), lambda a, b: torch.dstack([a, b]), values(2, 2), values(2, 2))
    agrees_with_torch(
        lambda a, b: np.column_stack([a, b]), lambda a, b: torch.column_stack([a, b]), values(2), values(2, 2)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.hstack([x, x[:1]]), r"hstack\(.*equal lengths: \(2, 3\), \(1, 3\)"),
        (lambda x: np.vstack([x, x[:, :1]]), "equal lengths"),
        (lambda x: np.hstack([]), "at least one"),
        (lambda x: np.array_split(x, 0), "array_split: 0 sections"),
        (lambda x: np.array_split(x, 2, 3), "axis 3 is out of bounds"),
        (lambda x: np.hsplit(x, 2), "does not divide into 2"),
        (lambda x: np.hsplit(x[0, 0], 1), "hsplit: an array of shape"),
        (lambda x: np.vsplit(x[0], 1), "vsplit: an array of shape .3,. has no rows"),
        (lambda x: np.dsplit(x, 1), "dsplit: an array of shape .2, 3. has no axis 2"),
        (lambda x: tn.unstack(x[0, 0]), "unstack: an array without axes"),
        (lambda x: tn.unstack(x, axis=2), "axis 2 is out of bounds"),
        (lambda x: np.repeat(x, -1), r"repeat\(.*negative"),
        (lambda x: np.repeat(x, [1, -1], 0), "negative"),
        (lambda x: np.repeat(x, [1, 2], 1), r"a has shape \(2, 3\): give one number of repeats"),
        (lambda x: np.repeat(x, 1, 2), "axis 2 is out of bounds"),
        (lambda x: np.tile(x, 1.5), "float"),
    ],
)
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        call(leaf(np.ones((2, 3))))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, u: np.vstack([x, [u, 1.0]]),
        lambda x, u: np.concatenate([x, [u, u]]),
        lambda x, u: tn.column_stack([[u, x[0]], [u, 1.0]]),
        lambda x, u: np.append(x, [u, u]),
        lambda x, u: np.insert(x, [0, 1], [u, u]),
        lambda x, u: tn.setitem(x, [u, x[0]], slice(None)),
        lambda x, u: np.where([True, False], x, [u, u]),
        lambda x, u: np.choose([1, 0], [x, [u, u]]),
        lambda x, u: tn.sort([u, x[0]]),
        lambda x, u: tn.partition([u, x[0]], 1),
        lambda x, u: tn.take([u, x[0], u], [0, 0, 1]),
        lambda x, u: tn.take([x, [u, 1.0]], 1, 1),
        lambda x, u: tn.delete([u, x[0]], 1),
        lambda x, u: tn.repeat([u, x[0]], [1, 2]),
        lambda x, u: tn.tile([u, x[0]], 2),
        lambda x, u: tn.unique([u, x[0]]),
        lambda x, u: np.linspace(x, [u, 2.0], 3),
        lambda x, u: np.full_like(x, [u, u]),
    ],
)
def test_lists_of_tensors_and_numbers_are_arrays(f: Any) -> None:
    check_grads(lambda x, u: f(x, u) ** 2, [np.array([1.3, 2.2]), np.array(0.4)])


def test_sections_and_places_as_numpy_takes_them() -> None:
    x = leaf(values(4))
    assert [p.shape for p in np.split(x, 2.0)] == [p.shape for p in np.split(x.data, 2.0)]
    assert [p.shape for p in np.split(x, np.int8(4))] == [(1,)] * 4
    for f in (np.split, np.array_split):
        with pytest.raises(TypeError, match="integer"):
            f(x, [1.5])
    with pytest.raises(IndexError, match="axis 1 is out of bounds"):
        np.split(x, 2, 1)
    assert np.reshape(x, (2, 2), None).shape == (2, 2)


def test_float16_beside_float64_stays() -> None:
    half, full = tn.tensor(np.ones(2, np.float16)), tn.tensor(np.ones(3))
    for f in (np.meshgrid, np.broadcast_arrays, np.atleast_2d, np.ix_):
        given = (half, full[:1]) if f is np.broadcast_arrays else (half, full)
        assert [t.dtype for t in f(*given)] == [np.float16, np.float64]


def test_blocks_are_put_together() -> None:
    a, b = leaf(values(2, 3)), leaf(values(2, 3))
    made = np.block([[a, 1.0 * b], [b, a]])
    assert made.node.name == "concatenate"
    assert (
        tn.compile(lambda a, b: np.block([[a, b], [b, a]]))(a, b).tolist()
        == np.block([[a.data, b.data], [b.data, a.data]]).tolist()
    )
    with pytest.raises(ValueError, match=r"block\(\): the other axes must have equal lengths: \(2, 3\), \(1, 2\)"):
        np.block([[a], [a[:, 0]]])
    x, y = np.meshgrid(a[0], b[0])
    assert (x.node.name, y.node.name) == ("spread", "spread")


# -- brackets ----------------------------------------------------------------------------------------------------

BRACKETS: dict[str, Any] = {
    "vectors": lambda j, a, b: j[a[0], b[0]],
    "numbers and slices": lambda j, a, b: j[a[0], 1, 0:2, 2.5, b[0, 0]],
    "a step that counts": lambda j, a, b: j[0:1:4j, a[0]],
    "matrices": lambda j, a, b: j[a, b],
    "an axis": lambda j, a, b: j["-1", a, b],
    "more axes": lambda j, a, b: j["0,2,0", a[0], b[0]],
    "one": lambda j, a, b: j[a],
    "a list": lambda j, a, b: j[[1.0, 2.0, 3.0], a[0]],
    "a number alone": lambda j, a, b: j[a[0, 0]],
}


@pytest.mark.parametrize("which", ["r_", "c_"])
@pytest.mark.parametrize("name", BRACKETS)
def test_brackets_join_as_numpys_do(which: str, name: str) -> None:
    if which == "c_" and name in ("numbers and slices", "a step that counts"):
        name = "vectors"  # columns of one length
    r = np.random.default_rng(0)
    a, b = r.normal(size=(2, 3)), r.normal(size=(2, 3))
    f = BRACKETS[name]
    expected = f(getattr(np, which), a, b)
    found = f(getattr(tn, which), tn.tensor(a, requires_grad=True), tn.tensor(b, requires_grad=True))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.data, expected)
    check_grads(lambda a, b: f(getattr(tn, which), a, b), [a, b], order=2)


def test_brackets_keep_float32() -> None:
    assert tn.r_[tn.tensor(np.ones(2, np.float32)), 1.0, 2].dtype == np.float32
    assert tn.r_[tn.tensor([1, 2]), 3].dtype == np.int64
