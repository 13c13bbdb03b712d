"""Borders in every mode: against NumPy, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.moves import leaf, moves
from tests.ops.oracle import agrees_with_torch, peak_of_backward, replays

R = np.random.default_rng(0)
COPYING: list[tuple[str, dict[str, Any]]] = [
    ("edge", {}),
    ("reflect", {}),
    ("reflect", {"reflect_type": "even"}),
    ("symmetric", {}),
    ("wrap", {}),
]
COMPUTING: list[tuple[str, dict[str, Any]]] = [
    ("reflect", {"reflect_type": "odd"}),
    ("symmetric", {"reflect_type": "odd"}),
    ("linear_ramp", {}),
    ("linear_ramp", {"end_values": (2.5, -1)}),
    ("mean", {}),
    ("mean", {"stat_length": 2}),
    ("median", {}),
    ("median", {"stat_length": (1, 3)}),
    ("maximum", {}),
    ("maximum", {"stat_length": ((2, 3),)}),
    ("minimum", {"stat_length": 1}),
    ("minimum", {}),
]
WIDTHS: list[Any] = [0, 1, (2,), (0, 3), (7, 4), [[3], [1]], ((0, 0), (2, 1)), np.array([1, 2])]


def values(*shape: int) -> Any:
    return R.normal(size=shape)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
def test_copying_modes(data: Any, shape: Any) -> None:
    a = values(*shape)
    ends = st.integers(0, 9)
    width: Any = data.draw(
        st.one_of(ends, st.tuples(ends, ends), st.tuples(*[st.tuples(ends, ends)] * len(shape)) if shape else ends)
    )
    mode, options = data.draw(st.sampled_from(COPYING))
    if not shape:
        width, mode, options = 3, data.draw(st.sampled_from(["edge", "wrap"])), {}
    moves(lambda t: np.pad(t, width, mode, **options), a)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
def test_constants(data: Any, shape: Any) -> None:
    a = values(*shape)
    ends = st.integers(0, 2)
    pairs = st.tuples(*[st.tuples(ends, ends)] * max(len(shape), 1))
    width: Any = data.draw(st.one_of(ends, st.tuples(ends), st.tuples(ends, ends), pairs if shape else ends))
    moves(lambda t: np.pad(t, width), a)
    moves(lambda t: np.pad(t, width, "constant", constant_values=-7.0), a, fill=-7.0)
    moves(lambda t: np.pad(t, width, mode="constant", constant_values=[-7, -7]), a, fill=-7.0)


@pytest.mark.parametrize(("mode", "options"), [*COPYING, *COMPUTING], ids=str)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_values_of_every_dtype(mode: str, options: Any, width: Any) -> None:
    for dtype in (np.float64, np.float32, np.int64, np.int8, bool, np.complex128):
        for shape in ((2, 4), (1, 3)):
            a = (R.normal(size=shape) * 9).astype(dtype)
            got, expected = np.pad(tn.tensor(a), width, mode, **options), np.pad(a, width, mode, **options)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            rounding = 0 if a.dtype.kind in "iub" else 1e-5 if dtype == np.float32 else 1e-13
            np.testing.assert_allclose(got.data, expected, rounding, rounding * 10)


@pytest.mark.parametrize(("mode", "options"), COMPUTING, ids=str)
@pytest.mark.parametrize("width", [1, (0, 2), (3, 1)], ids=str)
def test_gradients_of_what_is_computed(mode: str, options: Any, width: Any) -> None:
    a = R.permutation(6).reshape(2, 3) + R.uniform(0, 0.5, (2, 3))  # no two alike
    check_grads(lambda t: np.pad(t, width, mode, **options) ** 2, [a], order=2)
    x = leaf(a.astype(np.float32))
    np.pad(x, width, mode, **options).sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("width", [{0: 1}, {-1: (1, 2)}, {0: (3, 0), 1: 2}, {}], ids=str)
def test_widths_by_axis(width: Any) -> None:
    """A dict is NumPy 2.2's; the same in pairs must come out."""
    pairs = [(0, 0), (0, 0)]
    for axis, w in width.items():
        pairs[axis] = (w, w) if isinstance(w, int) else w
    a = values(2, 3)
    for mode in ("constant", "edge"):
        np.testing.assert_array_equal(np.pad(leaf(a), width, mode).data, np.pad(a, pairs, mode))


def test_constants_may_be_tensors() -> None:
    a = values(2, 2)
    check_grads(lambda t, c: np.pad(t, 1, constant_values=c) ** 2, [a, np.array(1.5)], order=2)
    check_grads(lambda t, c: np.pad(t, (1, 2), constant_values=c) ** 2, [a, np.array([1.5, 0.5])], order=2)
    check_grads(lambda t, c: np.pad(t, 1, constant_values=c) ** 2, [a, values(2, 2)], order=2)
    check_grads(lambda t, c: np.pad(t, 2, "linear_ramp", end_values=[c, 1.0]) ** 2, [a, np.array(1.5)], order=2)
    for c in (2, (1, 2), [[1], [2]], ((1, 2), (3, 4)), np.array([0.5, 1.5])):
        for dtype in (np.float32, np.int64):
            got = np.pad(tn.tensor(a.astype(dtype)), ((1, 2), (2, 1)), constant_values=c)
            expected = np.pad(a.astype(dtype), ((1, 2), (2, 1)), constant_values=c)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got.data, expected)
    one = tn.tensor(2.0, requires_grad=True)
    np.pad(leaf(a), 1, constant_values=one).sum().backward()
    assert one.grad.item() == 12.0
    same = np.pad(leaf(a), 0, constant_values=(1, 2))
    assert same.tolist() == a.tolist()


def test_ties_share_and_a_wide_border_counts_its_source_often() -> None:
    x = leaf(np.array([1.0, 3.0, 3.0]))
    np.pad(x, (2, 0), "maximum")[:2].sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]
    x = leaf(np.array([1.0, 2.0]))
    np.pad(x, (10, 0), "edge").sum().backward()
    assert x.grad.tolist() == [11.0, 1.0]


def test_a_function_writes_the_border() -> None:
    def write(vector: Any, widths: Any, axis: int, options: Any) -> None:
        before, after = widths
        vector[:before] = options.get("padder", 10) * vector[before]
        if after:
            vector[-after:] = axis

    a = values(2, 3)
    for width in (1, ((0, 1), (2, 0))):
        got = np.pad(leaf(a), width, write, padder=3.0)
        np.testing.assert_array_equal(got.data, np.pad(a, width, write, padder=3.0))
    check_grads(lambda t: np.pad(t, 1, write) ** 2, [a], order=2)
    nothing = np.zeros((0, 2))
    assert np.pad(tn.tensor(nothing), ((0, 0), (1, 0)), lambda *_: None).shape == (0, 3)


def test_without_elements_and_without_width() -> None:
    for mode in ("edge", "wrap", "reflect", "mean", "linear_ramp"):
        got = np.pad(leaf(values(0, 2)), ((0, 0), (1, 2)), mode)
        assert got.shape == (0, 5)
        a = values(2)
        same = np.pad(x := leaf(a), 0, mode)
        assert not np.shares_memory(same.data, x.data)
        assert same.tolist() == a.tolist()
    assert np.pad(leaf(values(2)), 1, "empty")[1:-1].shape == (2,)
    assert np.pad(leaf(values(0)), 1, "empty").shape == (2,)
    assert np.pad([1.0, 2.0], 1, "edge").tolist() == tn.pad([1.0, 2.0], 1, "edge").tolist()


def test_an_infinite_element_stays_where_it_is() -> None:
    x = leaf(np.array([1.0, 2.0, np.inf]))
    for mode, options in (*COPYING, ("reflect", {"reflect_type": "odd"})):
        got, expected = np.pad(x, (1, 0), mode, **options), np.pad(x.data, (1, 0), mode, **options)
        np.testing.assert_array_equal(got.data, expected)
    (np.pad(x, (1, 0), "reflect", reflect_type="odd")[0] ** 2).backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


def test_numbers_of_elements_are_rounded_and_widths_of_a_number_are_none() -> None:
    a = values(4)
    for length in (1.5, (2.5, 0.6)):
        moved = np.pad(tn.tensor(a), 1, "maximum", stat_length=length)
        np.testing.assert_array_equal(moved.data, np.pad(a, 1, "maximum", stat_length=length))
    for width in (-1, (1, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            np.pad(tn.tensor(1.0), width)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_borders_of_copies_are_one_op_that_goes_back_in_one_pass(mode: str) -> None:
    x = leaf(np.asfortranarray(values(3, 4)))
    out = np.pad(x, ((1, 2), (3, 0)), mode)
    assert out.node.parents == (x.node,)
    assert out.data.flags.f_contiguous
    assert peak_of_backward(lambda x: np.pad(x, 2, mode), np.ones((300, 400))) < 1.2


def test_replays_with_other_values() -> None:
    for mode, options in (*COPYING, *COMPUTING):
        replays(
            lambda t, m=mode, o=options: (np.pad(t, 2, m, **o) ** 2).sum(), np.arange(4.0), np.arange(4.0)[::-1] + 1
        )


@pytest.mark.parametrize(("mode", "theirs"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")])
def test_against_torch(mode: str, theirs: str) -> None:
    torch = pytest.importorskip("torch")
    agrees_with_torch(
        lambda t: np.pad(t, ((0, 0), (0, 0), (2, 1)), mode) ** 2,
        lambda t: torch.nn.functional.pad(t, (2, 1), mode=theirs) ** 2,
        values(2, 1, 4),
    )


@pytest.mark.parametrize(
    ("mode", "options"), [p for p in (*COPYING, *COMPUTING) if p[0] != "median" and "stat_length" not in p[1]], ids=str
)
def test_against_jax(mode: str, options: Any) -> None:
    jax = pytest.importorskip("jax")
    a = values(2, 3)
    with jax.enable_x64(True):
        expected = jax.grad(lambda t: (jax.numpy.pad(t, 2, mode, **options) ** 2).sum())(a)
    x = leaf(a)
    (np.pad(x, 2, mode, **options) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: np.pad(x, 1, "mirror"), ValueError, "pad: mode='mirror' is none of 'constant', 'edge'"),
        (lambda x: np.pad(x, 1, "edge", constant_values=1), ValueError, "'edge' has no option constant_values; it has none"),
        (lambda x: np.pad(x, 1, "mean", end_values=1), ValueError, "no option end_values; it has stat_length"),
        (lambda x: np.pad(x, -1), ValueError, "pad_width=-1 must not be negative"),
        (lambda x: np.pad(x, 1.5), TypeError, "pad_width=1.5 must be of integers"),
        (lambda x: np.pad(x, ((1, 1),) * 3), ValueError, "broadcast"),
        (lambda x: np.pad(x, 1, "reflect", reflect_type="both"), ValueError, "'both' is neither"),
        (lambda x: np.pad(x, 1, "maximum", stat_length=0), ValueError, "stat_length of 0"),
        (lambda x: np.pad(x, 1, "mean", stat_length=-1), ValueError, "stat_length=-1 must not be negative"),
        (lambda x: np.pad(x[:0], 1, "edge"), ValueError, "axis 0 of shape .0, 3. has no elements.*mode='constant'"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(leaf(np.ones((2, 3))))
