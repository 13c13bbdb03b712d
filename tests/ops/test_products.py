"""matmul, dot and linear: against NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import peak_of_backward

try:
    import torch
except ImportError:  # an extra, for these comparisons alone
    torch = None
with_torch = pytest.mark.skipif(torch is None, reason="compares with torch")

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def against_torch(f: Any, g: Any, *arrays: Any, rtol: float = 1e-12) -> None:
    ours = [leaf(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out, expected = f(*ours), g(*theirs)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=rtol, atol=rtol)
    seed = R.normal(size=out.shape).astype(out.dtype)
    out.backward(seed)
    expected.backward(torch.tensor(seed))
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad.shape == tuple(b.grad.shape)
        assert a.grad.dtype == a.dtype
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=rtol, atol=rtol)


SHAPES = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 2, 3), (5, 3, 1)), ((5, 2, 3), (3, 1)),
    ((2, 3), (5, 3, 1)), ((2, 1, 2, 3), (4, 3, 2)), ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((1, 1), (1, 1)),
    ((7, 1, 2, 3), (1, 4, 3, 2)), ((1, 3), (3, 1)), ((4, 1, 3), (1, 3, 2)), ((1, 2, 3), (6, 3, 2)),
]  # fmt: skip


@with_torch
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_matmul_against_torch(shapes: Any, dtype: Any) -> None:
    a, b = (R.normal(size=s).astype(dtype) for s in shapes)
    against_torch(lambda x, y: x @ y, torch.matmul, a, b, rtol=1e-12 if dtype == np.float64 else 2e-5)
    against_torch(np.matmul, torch.matmul, a, b, rtol=1e-12 if dtype == np.float64 else 2e-5)


@pytest.mark.parametrize("shapes", SHAPES[:10])
def test_matmul_to_second_order(shapes: Any) -> None:
    a, b = (R.normal(size=s) for s in shapes)
    check_grads(lambda x, y: (x @ y) ** 2, [a, b], order=2)
    check_grads(lambda x: x @ b, [a], order=2)
    check_grads(lambda y: a @ y, [b], order=2)


@with_torch
def test_products_of_a_matrix_with_itself() -> None:
    a = R.normal(size=(3, 3))
    check_grads(lambda x: x @ x @ x.T, [a], order=2)
    against_torch(lambda x: x @ x.T @ x, lambda x: x @ x.T @ x, a)


@with_torch
def test_empty_and_odd_layouts() -> None:
    for shapes in (((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)), ((0,), (0,)), ((0, 2, 3), (3, 2))):
        against_torch(lambda x, y: x @ y, torch.matmul, *(R.normal(size=s) for s in shapes))
    a, b = R.normal(size=(6, 8)), np.asfortranarray(R.normal(size=(4, 3)))
    x, y = tn.asarray(a[::2, ::2]).requires_grad_(), tn.asarray(b).requires_grad_()
    (x @ y).backward(np.ones((3, 3)))
    np.testing.assert_allclose(x.grad.data, np.ones((3, 3)) @ b.T)
    np.testing.assert_allclose(y.grad.data, a[::2, ::2].T @ np.ones((3, 3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_blas_multiplies_a_matrix_by_a_vector_however_it_lies(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.random.default_rng(0)
    whole = r.integers(-9, 9, size=(90, 110)).astype(dtype)  # so that sums are exact
    given: list[tuple[Any, Any]] = []
    plain = np.matmul
    monkeypatch.setattr(np, "matmul", lambda x, y: (given.append((x, y)), plain(x, y))[1])
    for at in ((slice(None), slice(3, 60)), (slice(None), slice(None, None, 2)), (slice(None, None, -1), slice(None)),
               (slice(None), slice(None, None, -1)), (slice(None, None, -2), slice(None, None, -3))):  # fmt: skip
        for x in (whole[at], whole.T[at]):
            v, w = (r.integers(-9, 9, size=2 * n).astype(dtype)[::2] for n in x.shape)
            assert np.array_equal(tn.matmul(tn.asarray(x), tn.asarray(w)).numpy(), x.copy().dot(w))
            assert np.array_equal(tn.matmul(tn.asarray(v), tn.asarray(x)).numpy(), v.dot(x.copy()))
    for x, y in given:
        assert min(*x.strides, *y.strides) >= x.itemsize
        assert x.itemsize in (x if x.ndim == 2 else y).strides


def test_integers_multiply_without_gradient() -> None:
    n = tn.tensor(np.arange(6).reshape(2, 3))
    assert (n @ n.T).dtype == np.int64
    x = leaf(R.normal(size=3))
    (n @ x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, n.data.sum(axis=0))


@pytest.mark.parametrize("order", [((1, 0), (0, 1), (1, 0)), ((0, 1), (0, 1), (0, 1)), ((-1, -2), (-2, -1), (0, -1))])
def test_matmul_along_other_axes(order: Any) -> None:
    shapes = [[0, 0], [0, 0]]
    shapes[0][order[0][0]], shapes[0][order[0][1]] = 2, 3
    shapes[1][order[1][0]], shapes[1][order[1][1]] = 3, 4
    a, b = (R.normal(size=s) for s in shapes)
    axes = list(order)
    np.testing.assert_allclose(tn.matmul(leaf(a), b, axes=axes).data, np.matmul(a, b, axes=axes))
    check_grads(lambda x, y: tn.matmul(x, y, axes=axes), [a, b], order=2)


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((3, 4, 5), (3,)), [(1, 0), 0, 0]),
        (((3, 4, 5), (3,)), [(1, 0), (0,), (1,)]),
        (((3,), (4, 3, 5)), [0, (1, 0), 1]),
        (((3,), (3,)), [0, -1, ()]),
    ],
)
def test_matmul_of_vectors_along_other_axes(shapes: Any, axes: Any) -> None:
    a, b = (R.normal(size=s) for s in shapes)
    np.testing.assert_allclose(np.matmul(leaf(a), b, axes=axes).data, np.matmul(a, b, axes=axes), rtol=1e-12)
    check_grads(lambda x, y: tn.matmul(x, y, axes=axes), [a, b], order=2)


@pytest.mark.parametrize(
    "options",
    [
        {"axes": [(0, 1), (0, 1)]},
        {"axes": [1, (0, 1), (0, 1)]},
        {"axes": [(0, 1), (0, 1), 0]},
        {"axes": ((0, 1), (0, 1), (0, 1))},
        {"axes": [(0, 0), (0, 1), (0, 1)]},
        {"axes": [(0, 1), (0, 1), (0, 5)]},
        {"axis": 0},
        {"keepdims": True},
        {"signature": "qq->q"},
        {"dtype": np.float32, "casting": "safe"},
        {"foo": 1},
    ],
)
def test_options_that_matmul_refuses(options: Any) -> None:
    a = np.ones((2, 2))
    for f, x in ((np.matmul, leaf(a)), (tn.matmul, leaf(a)), (tn.matmul, a)):
        with pytest.raises((TypeError, ValueError)) as expected:
            np.matmul(a, a, **options)
        kind = TypeError if expected.errisinstance(TypeError) else ValueError
        with pytest.raises(kind, match=r"matmul|axis|axes"):
            f(x, a, **options)


@pytest.mark.parametrize("name", ["matmul", "vecdot", "matvec", "vecmat"])
def test_products_take_the_options_of_their_ufuncs(name: str) -> None:
    theirs, ours = getattr(np, name, None), getattr(tn, name, None)
    if theirs is None:
        pytest.skip("this NumPy has none")
    a, b = R.normal(size=(3, 3, 3)), R.normal(size=(3, 3, 3))
    options: list[dict[str, Any]] = [
        {"dtype": np.float32},
        {"dtype": complex},
        {"signature": "ff->f", "casting": "unsafe"},
        {"casting": "no"},
        {"order": "F", "subok": False},
    ]
    for given in options:
        expected = theirs(a, b, **given)
        assert ours(leaf(a), b, **given).dtype == expected.dtype
        np.testing.assert_allclose(ours(leaf(a), b, **given).data, expected, rtol=1e-5, strict=True)
    check_grads(lambda x, y: ours(x, y, dtype=complex).real, [a, b], order=2)
    expected = theirs(a, b)
    x, out = leaf(a), tn.zeros(expected.shape)
    assert ours(x, b, out=out) is out
    np.testing.assert_allclose(out.data, expected, rtol=1e-12)
    (out**2).sum().backward()
    (ours(y := leaf(a), b) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12)
    low = tn.tensor(a.astype(np.float16))
    assert ours(low, b, dtype=np.float16, casting="same_kind").dtype == np.float16
    assert type(ours(a, b, dtype=np.float32)) is np.ndarray


@pytest.mark.parametrize(
    "shapes",
    [*SHAPES[:4], ((2, 3), ()), ((), (2, 3)), ((), ()), ((2, 1, 3), (2, 3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
     ((2, 3), (4, 3, 1)), ((0, 2, 3), (3, 1)), ((2, 0), (2, 0, 3))],
)  # fmt: skip
def test_dot(shapes: Any) -> None:
    a, b = (R.normal(size=s) for s in shapes)
    np.testing.assert_allclose(np.dot(leaf(a), leaf(b)).data, np.dot(a, b))
    np.testing.assert_allclose(np.dot(a, leaf(b)).data, np.dot(a, b))
    check_grads(np.dot, [a, b], order=2)
    if shapes[0]:
        np.testing.assert_allclose(leaf(a).dot(b).data, np.dot(a, b))
    assert np.dot(leaf(a), 2.0).shape == a.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: leaf(np.ones((2, 3))) @ np.ones((2, 3)),
         r"matmul\(x: float64 \(2, 3\), y: float64 \(2, 3\)\) failed.*\(3\).*\(2\).*x @ y\.T"),
        (lambda: leaf(np.ones((3, 2))) @ np.ones((3, 4)), r"did you mean x\.T @ y"),
        (lambda: leaf(np.ones((2, 3))) @ np.ones(2), r"only axis of y \(2\).*x\.T @ y"),
        (lambda: leaf(np.ones((2, 3))) @ np.ones((5, 5)), r"must be as long as the next to last axis of y \(5\)$"),
        (lambda: leaf(np.ones((2, 2, 3))) @ np.ones((3, 3, 2)), r"matmul\(.*failed"),
        (lambda: leaf(np.ones(3)) @ 2.0, r"takes no scalars: use \* instead"),
        (lambda: np.dot(leaf(np.ones((2, 2, 3))), np.ones((2, 2))),
         r"dot: shapes \(2, 2, 3\) and \(2, 2\) do not fit: .*\(3\).*next to last axis of b \(2\).*use matmul"),
        (lambda: np.dot(leaf(np.ones((2, 2, 3))), np.ones(2)), r"only axis of b \(2\)"),
        (lambda: tn.linear(leaf(np.ones((2, 3))), np.ones((4, 5))), r"takes 5 features in the last axis, the input"),
        (lambda: tn.linear(leaf(np.ones((2, 3, 4))), np.ones((5, 12))),
         r"flatten it first: x\.reshape\(len\(x\), -1\) or nn\.Flatten"),
        (lambda: tn.linear(leaf(np.ones((2, 3))), np.ones(3)), r"weight has shape \(3,\), and it should be a matrix"),
        (lambda: tn.linear(leaf(np.ones((2, 3))), np.ones((4, 3)), np.ones(3)), r"bias has shape \(3,\), not \(4,\)"),
        (lambda: tn.linear(leaf(np.ones((2, 3))), np.ones((4, 3)), np.ones(1)), r"bias has shape \(1,\), not \(4,\)"),
        (lambda: tn.linear(leaf(np.ones((2, 3))), np.ones((4, 3)), np.ones((2, 4))),
         r"bias has shape \(2, 4\), not \(4,\)"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_dot_of_lists_and_numbers() -> None:
    x = leaf(np.array([1.0, 2.0], np.float32))
    assert np.dot(x, 2.0).dtype == np.float32
    for left in ([1.0, 2.0], [[1.0, 2.0]], [x[0], 2.0]):
        out = np.dot(left, x)
        np.testing.assert_allclose(out.data, np.full(out.shape, 5.0))


@pytest.mark.parametrize(
    ("f", "x", "y"),
    [
        (np.matmul, (50, 40), (2000, 40, 1)), (np.matmul, (2000, 1, 40), (40, 50)), (np.matmul, (2000, 2, 40), (40,)),
        (tn.matvec, (50, 40), (2000, 40)), (tn.vecmat, (2000, 40), (40, 50)),
    ],
)  # fmt: skip
def test_the_gradient_of_what_all_share_is_summed_by_the_product(f: Any, x: Any, y: Any) -> None:
    """Not one for each of 2000, to be added afterwards."""
    assert peak_of_backward(f, R.normal(size=x), R.normal(size=y)) < 3
    check_grads(f, [R.normal(size=[min(n, 3) for n in shape]) for shape in (x, y)], order=2)


# -- linear ------------------------------------------------------------------------------------------------------


@with_torch
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (5, 2, 3), (2, 1, 4, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_linear_against_torch(shape: Any, bias: bool, order: Any, dtype: Any) -> None:
    x, w, b = R.normal(size=shape).astype(dtype), R.normal(size=(4, 3)).astype(dtype), R.normal(size=4).astype(dtype)
    arrays = [x, np.asarray(w, order=order), b] if bias else [x, np.asarray(w, order=order)]
    against_torch(tn.linear, torch.nn.functional.linear, *arrays, rtol=1e-12 if dtype == np.float64 else 2e-5)


def test_linear_to_second_order_and_with_constants() -> None:
    x, w, b = R.normal(size=(2, 3)), R.normal(size=(4, 3)), R.normal(size=4)
    check_grads(lambda x, w, b: tn.linear(x, w, b) ** 2, [x, w, b], order=2)
    check_grads(lambda w: tn.linear(x, w) ** 2, [w], order=2)
    check_grads(lambda x: tn.linear(x, w, b) ** 2, [x], order=2)
    check_grads(lambda b: tn.linear(x, w, bias=b) ** 2, [b], order=2)
    check_grads(lambda x: tn.linear(x, x, x[:, 0]) ** 2, [x], order=2)
    check_grads(lambda x: tn.linear(x[0], w, b) ** 2, [x], order=2)


def test_linear_writes_into_nothing_it_was_given() -> None:
    x, w, b = R.normal(size=(2, 3)), R.normal(size=(4, 3)), R.normal(size=4)
    before = [a.copy() for a in (x, w, b)]
    for a in (x, w, b):
        a.flags.writeable = False
    out = tn.linear(leaf(x), tn.asarray(w).requires_grad_(), tn.asarray(b).requires_grad_())
    out.sum().backward()
    for a, c in zip((x, w, b), before, strict=True):
        np.testing.assert_array_equal(a, c)


def test_the_gradient_of_a_weight_has_its_memory_order() -> None:
    w = tn.asarray(np.asfortranarray(R.normal(size=(4, 3)))).requires_grad_()
    tn.linear(R.normal(size=(5, 3)), w).sum().backward()
    assert w.grad.data.flags.f_contiguous


# -- the layers of the tutorial, by hand -------------------------------------------------------------------------


def test_the_dense_layer_of_the_tutorial() -> None:
    """dX = dY Wᵀ, dW = Xᵀ dY, db = dY; tanh: 1 - tanh²; mean squared error: 2 (y - t) / n."""
    x, w, b, t = R.normal(size=(1, 3)), R.normal(size=(3, 2)), R.normal(size=(1, 2)), R.normal(size=(1, 2))
    tx, tw, tb = leaf(x), leaf(w), leaf(b)
    (np.mean((np.tanh(tx @ tw + tb) - t) ** 2)).backward()
    y = np.tanh(x @ w + b)
    dy = 2 * (y - t) / t.size * (1 - y**2)
    np.testing.assert_allclose(tx.grad.data, dy @ w.T, rtol=1e-12)
    np.testing.assert_allclose(tw.grad.data, x.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(tb.grad.data, dy, rtol=1e-12)
