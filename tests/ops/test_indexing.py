"""Reading, scattering and assigning at every kind of index, against NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.ops.indexing.adding import basic_index
from tapenet.ops.op import Scatter
from tapenet.testing import check_grads

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


#: What an index may have in the place of an axis.
PART = st.sampled_from(
    [
        "one",
        "array of one",
        "tensor of one",
        "slice",
        "list",
        "array",
        "column",
        "tensor",
        "mask",
        "tensor of truths",
        "...",
    ]
)


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> Any:
    """Basic and advanced indices in any mixture that NumPy takes."""
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed", "mixed", "mixed"]))
    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers" and 0 not in shape:
        return draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    if kind == "mask":
        return draw(hnp.arrays(bool, shape[: draw(st.integers(0, len(shape)))]))
    return mixed(
        shape,
        draw(st.lists(PART, max_size=len(shape))),
        draw(st.lists(st.sampled_from([None, True, np.True_]), max_size=2)),
        np.random.default_rng(draw(st.integers(0, 1000))),
    )


def mixed(shape: tuple[int, ...], kinds: list[str], new: list[Any], r: np.random.Generator) -> tuple[Any, ...]:
    """An index of parts of the given kinds, with `new` axes among them."""
    lengths = list(shape[: len(kinds)])
    if "..." in kinds:  # once, for all axes that the others leave
        kinds = [k for i, k in enumerate(kinds) if k != "..." or i == kinds.index("...")]
        behind = len(kinds) - 1 - kinds.index("...")
        lengths = [*shape[: len(kinds) - 1 - behind], 0, *(shape[len(shape) - behind :] if behind else ())]
    length = int(r.integers(0, 4))  # one for all arrays, and for the truths among them: they are matched
    parts: list[Any] = []
    for kind, n in zip(kinds, lengths, strict=True):
        several = r.integers(-n, n, length) if n else np.zeros(0, int)
        truths = r.permutation(np.arange(n) < length)
        if kind == "...":
            parts.append(...)
        elif kind == "slice" or (not n and kind.endswith("one")):
            parts.append(slice(*r.integers(-n - 1, n + 1, 2), [None, 2, -1][r.integers(3)]))
        elif kind.endswith("one"):
            one = int(r.integers(-n, n))
            parts.append({"one": one, "array of one": np.array(one), "tensor of one": tn.tensor(one)}[kind])
        else:
            parts.append(
                {
                    "list": several.tolist() or several, "array": several, "column": several[:, None],
                    "tensor": tn.tensor(several), "mask": truths, "tensor of truths": tn.tensor(truths),
                }[kind]
            )  # fmt: skip
    for part in new:
        parts.insert(int(r.integers(0, len(parts) + 1)), part)
    return tuple(parts)


#: With a length of 0 among them: nothing is read, and nothing written.
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def raw(index: Any) -> Any:
    """An index without tensors."""
    if isinstance(index, tuple):
        return tuple(map(raw, index))
    return index.data if isinstance(index, tn.Tensor) else index


def fits(index: Any, a: Any) -> bool:
    """Whether NumPy takes an index: of what is mixed at random some parts do not match."""
    try:
        a[index]
    except IndexError as error:
        return "shape mismatch" not in str(error) and "boolean" not in str(error)
    return True


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_reading_and_its_gradient(data: Any, shape: Any) -> None:
    index = data.draw(indices(shape))
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    assume(fits(raw(index), a))
    expected = a[raw(index)]
    x = leaf(a)
    out = x[index]
    assert out.shape == np.shape(expected)
    np.testing.assert_array_equal(out.data, expected)
    seed = R.normal(size=out.shape)
    out.backward(seed, create_graph=False)
    gathered = np.zeros(shape)
    np.add.at(gathered, raw(index), seed)
    np.testing.assert_allclose(x.grad.data, gathered, atol=1e-14)
    x.grad = None
    (x[index] * seed * x[index]).sum().backward(create_graph=True)
    slope = x.grad
    np.testing.assert_allclose(slope.data, 2 * gathered * a, atol=1e-12)
    x.grad = None
    weights = R.normal(size=shape)
    (slope * weights).sum().backward()
    found = np.zeros(shape) if x.grad is None else x.grad.data
    np.testing.assert_allclose(found, 2 * gathered * weights, atol=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_scattering_is_the_transpose_of_reading(data: Any, shape: Any) -> None:
    index = data.draw(indices(shape))
    a = R.normal(size=shape)
    assume(fits(raw(index), a))
    v = np.asarray(R.normal(size=np.shape(a[raw(index)])))
    out = tn.scatter_add(leaf(v), index, shape)
    assert out.shape == shape
    np.testing.assert_allclose((out.data * a).sum(), (v * a[raw(index)]).sum(), atol=1e-12)
    x = leaf(v)
    (tn.scatter_add(x, index, shape) * a).sum().backward()
    np.testing.assert_allclose(x.grad.data, a[raw(index)])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES, scalar=st.booleans())
def test_assigning_and_its_gradients(data: Any, shape: Any, scalar: bool) -> None:
    index = data.draw(indices(shape))
    a = R.normal(size=shape)
    assume(fits(raw(index), a))
    v = np.asarray(R.normal(size=() if scalar else np.shape(a[raw(index)])))
    expected = a.copy()
    expected[raw(index)] = v
    x, value = leaf(a), leaf(v)
    for t in (x * 1, x + 0):
        t[index] = value
        np.testing.assert_array_equal(t.data, expected)
    np.testing.assert_array_equal(tn.setitem(x, value, index).data, expected)
    # Numbers in place of values say where each element comes from; of a place named twice the last one counts.
    source = np.arange(a.size).reshape(shape)
    source[raw(index)] = a.size + np.arange(v.size).reshape(v.shape)
    seed = R.normal(size=shape)
    for create_graph in (False, True):
        x.grad = value.grad = None
        tn.setitem(x, value, index).backward(seed, create_graph=create_graph)
        back = np.bincount(source.reshape(-1), seed.reshape(-1), a.size + v.size)
        np.testing.assert_allclose(x.grad.data.reshape(-1), back[: a.size], atol=1e-14)
        np.testing.assert_allclose(value.grad.data.reshape(-1), back[a.size :], atol=1e-13)


def test_a_large_index_adds_as_a_small_one_does() -> None:
    """Of many elements the positions are counted first."""
    for shape, index in (
        ((40, 70), R.integers(-40, 40, 50)),
        ((40, 70), (slice(None), R.integers(-70, 70, 90))),
        ((7, 2, 200), R.integers(-7, 7, 9)),
        ((3, 40, 70), (slice(None), R.integers(0, 40, (5, 1)), R.integers(0, 70, 200))),
        ((6, 50, 20), (slice(None), R.integers(0, 50, (2, 25)).astype(np.uint64))),
        ((60, 60), (R.integers(0, 60, 3000), 7)),
        ((60, 60), (R.integers(0, 60, 3000), R.integers(0, 60, 3000).tolist())),
        ((60, 60), (R.integers(0, 60, 3000), None, R.integers(0, 60, 3000))),
        ((60, 60), (R.integers(0, 60, 100), slice(None, None, 2))),
        ((3000,), R.integers(-3000, 3000, 5000)),
        ((60, 60), R.normal(size=(60, 60)) > -2),
        ((2, 0, 3), (slice(None), np.zeros(0, int))),
    ):
        expected = R.normal(size=shape)
        for buffer in (expected.copy(), np.asfortranarray(expected)):
            g = R.normal(size=buffer[index].shape)
            whole = expected.copy()
            np.add.at(whole, index, g)
            Scatter(index, g).add_to(buffer)
            np.testing.assert_allclose(buffer, whole, atol=1e-13)
    wide = np.zeros((5, 3000))
    Scatter(np.array([0, 0, 3]), np.arange(3000.0)).add_to(wide)  # repeated along an axis
    np.testing.assert_array_equal(wide[0], 2 * np.arange(3000.0))
    for wrong in (7, -8):
        index = (np.array([0] * 3000 + [wrong]), np.zeros(3001, int))
        with pytest.raises(IndexError, match="out of bounds"):
            Scatter(index, np.ones(3001)).add_to(np.zeros((7, 7)))


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


def test_a_value_with_further_axes_of_length_one() -> None:
    for index in (Ellipsis, np.array([0, 1])):
        check_grads(lambda a, v, i=index: tn.setitem(a, v, i) ** 2, [np.ones(2), np.array([[[2.0, 3.0]]])], order=2)
    check_grads(lambda a, v: tn.setitem(a, v, Ellipsis) ** 2, [np.array(1.0), np.array([[2.0]])], order=2)


def test_adding_at_an_index_is_one_op_in_two_passes() -> None:
    a, v = leaf(np.ones((300, 400), np.float32)), leaf(np.ones(400, np.float32))
    out = a * 1
    np.add.at(out, [3, 3, 5], v)
    added = out.node.parents[-1]
    assert added.name == "index_add"
    np.subtract.at(out, (slice(None), 0), 2.0)
    expected = np.ones((300, 400), np.float32)
    np.add.at(expected, [3, 3, 5], 1.0)
    np.subtract.at(expected, (slice(None), 0), 2.0)
    np.testing.assert_array_equal(out.data, expected)
    out.sum().backward()
    assert (a.grad.data == 1).all()
    assert (v.grad.data == 3).all()
    whole = tn.tensor(np.zeros((2, 3), order="F"))
    whole[...] = np.arange(6).reshape(2, 3)
    assert whole.data.flags.f_contiguous
    assert whole.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_write_at_a_list_of_computed_indices_is_differentiated_when_captured() -> None:
    def swapped(a: Any, i: Any) -> Any:
        a = a * 1.0
        a[[0, i]] = a[[i, 0]] * np.array([2.0, 3.0])
        return (a * np.arange(4.0)).sum()

    a, i = np.arange(1.0, 5.0), np.int64(2)
    expected = tn.grad(swapped)(a, i).numpy()
    np.testing.assert_array_equal(expected, [6, 1, 0, 3])
    run = tn.compile(tn.grad(swapped), backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(run(a, i).numpy(), expected)


def test_add_at_takes_indices_that_are_computed_when_captured() -> None:
    def spread(x: Any, i: Any) -> Any:
        a = tn.zeros(3)
        np.add.at(a, i % 3, x)
        np.subtract.at(a, (i + 1) % 3, 2 * x)
        return a

    x, i = np.array([1.0, 2.0, 4.0]), np.array([0, 3, 2])
    run = tn.compile(spread, backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(run(x, i).numpy(), [3 - 8, -6, 4])
